"""`chatalogue recommend "..."`: one sentence in, items out; by rules and ranker, deterministic.

A trial of the operator and no customer's wish: the log, from which everything learns, never hears of it.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console

from agent.answer import Answer, Finished
from agent.log.store import EventLog
from agent.services import TurnRequest
from agent.settings import Settings, load_settings
from ui.commands.output import print_result
from ui.logs import configure_logs

if TYPE_CHECKING:
    from ui.wiring import Parts


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
    parts = make_parts(quiet, exact_only=True)
    try:
        with Console(stderr=True).status("Opening the catalogue ..."):
            ensure_catalogue(parts)
            parts.shops.rankers.with_tastes = False  # nobody with a name asks here
            parts.shops.refresh(quiet.tenant)
            parts.shops.rankers.settle(quiet.tenant)
        with TemporaryDirectory(prefix="chatalogue-") as folder:
            unread = EventLog.open(None, Path(folder))
            try:
                return await _one_turn(replace(parts, log=unread), text)
            finally:
                unread.close()
    finally:
        parts.log.close()


async def _one_turn(parts: Parts, text: str) -> tuple[Answer, str]:
    async with aclosing(parts.services.chat.turn(TurnRequest(text, tenant=parts.settings.tenant))) as turn:
        async for update in turn:
            if isinstance(update, Finished):
                return update.answer, update.reply
    raise RuntimeError("a turn always ends with Finished")
