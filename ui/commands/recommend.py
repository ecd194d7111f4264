"""`chatalogue recommend "..."`: one sentence in, items out; by rules and ranker, deterministic."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from rich.console import Console

from agent.answer import Answer, Finished
from agent.services import TurnRequest
from agent.settings import Settings, load_settings
from ui.commands.output import print_result
from ui.logs import configure_logs


def run(text: str, as_json: bool, config: Path | None) -> None:
    """Print the items that one turn would show first."""
    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    answer, reply = asyncio.run(_answer(settings, text))
    print_result(answer.model_dump_json(indent=2) if as_json else reply)


async def _answer(settings: Settings, text: str) -> tuple[Answer, str]:
    from ui.wiring import ensure_catalogue, make_parts

    quiet = settings.model_copy(
        update={
            "llm": settings.llm.model_copy(update={"engine": "off"}),
            "chat": settings.chat.model_copy(update={"exploration": 0.0}),
        }
    )
    parts = make_parts(quiet)
    try:
        with Console(stderr=True).status("Opening the catalogue ..."):
            ensure_catalogue(parts)
            parts.shops.refresh(quiet.tenant)
        async for update in parts.services.chat.turn(TurnRequest(text, tenant=quiet.tenant)):
            if isinstance(update, Finished):
                return update.answer, update.reply
        raise RuntimeError("a turn always ends with Finished")
    finally:
        parts.log.close()
