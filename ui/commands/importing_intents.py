"""`chatalogue import intents FILE`."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from rich.console import Console

from agent.datadir import DataDirectory
from agent.settings import load_settings
from agent.support.intent_file import OUTSIDE, read_intents
from agent.support.intent_learning import learn_intents
from agent.support.intent_store import write_intents
from retrieval.encoder import SentenceEncoder
from retrieval.errors import BadRequest
from ui.commands.output import print_result
from ui.logs import configure_logs


def run(file: Path, as_json: bool, config: Path | None) -> None:
    """Learn the tenant's intents and put them into the data directory.

    Raises:
        ChatalogueError: the file is written otherwise, has too little to learn from (also of what is outside), or
            nothing can be written.
    """
    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    told = read_intents(file)
    encoder = SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)
    model = learn_intents(told.examples, encoder, outside=OUTSIDE, told=_say)
    if model.scope is None:  # every message would be for one of the intents, and get its answer
        raise BadRequest(
            "These examples say nothing of other messages; add two or more to the list 'outside', and to each intent."
        )
    data = DataDirectory(settings.data_dir)
    data.create()
    folder = write_intents(data.intents(settings.tenant), model, told.rules)
    if as_json:
        print_result(
            json.dumps({"intents": folder.name, "known": len(told.rules), "examples": len(told.examples)}),
        )
    else:
        print_result(f"{len(told.rules)} intents are live as {folder.name}, from {len(told.examples)} examples.")


def _say(line: str) -> None:
    """Progress, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
