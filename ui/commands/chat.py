"""`chatalogue chat`: the conversation in a terminal, with the language model in its own process."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from rich.console import Console

from agent.answer import Finished, Text, Waiting
from agent.services import Services, TurnRequest
from agent.settings import Settings, load_settings
from retrieval.errors import ChatalogueError
from ui.logs import configure_logs

PROMPT = "you> "


def run(config: Path | None) -> None:
    """Read lines until the end of input or `/quit`."""
    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    asyncio.run(_chat(settings))


async def _chat(settings: Settings) -> None:
    from ui.wiring import ensure_catalogue, make_parts, started

    console = Console(highlight=False)
    parts = make_parts(settings)
    try:
        async with started(parts.engine):
            with Console(stderr=True).status("Opening the catalogue and the language model ..."):
                await asyncio.to_thread(ensure_catalogue, parts)
                await asyncio.to_thread(parts.shops.refresh, settings.tenant)
                while parts.engine.status().state == "starting":
                    await asyncio.sleep(0.1)
            console.print("Say what you are looking for. /quit ends, /wishes shows what I understood.", style="dim")
            await _loop(parts.services, settings, console)
    finally:
        parts.log.close()


async def _loop(services: Services, settings: Settings, console: Console) -> None:
    session_id, wishes = None, ""
    while True:
        try:
            line = await asyncio.to_thread(console.input, PROMPT)
        except EOFError:
            return
        if line.strip() == "/quit":
            return
        if line.strip() == "/wishes":
            console.print(wishes or "none yet", markup=False)
            continue
        try:
            finished = await _say(services, TurnRequest(line, settings.tenant, session_id=session_id), console)
        except ChatalogueError as error:
            console.print(str(error), style="red", markup=False)
            continue
        session_id = finished.answer.session_id
        wishes = "\n".join(
            f"{wish.kind}: {wish.polarity} {wish.attribute or wish.op} {wish.op} {wish.value} (“{wish.evidence}”)"
            for wish in finished.answer.preferences
        )


async def _say(services: Services, request: TurnRequest, console: Console) -> Finished:
    async for update in services.chat.turn(request):
        if isinstance(update, Text):
            console.print(update.delta, end="", markup=False, soft_wrap=True)
        elif isinstance(update, Waiting):
            console.print(f"({update.ahead} ahead of you)", style="dim")
        elif isinstance(update, Finished):
            console.print("\n")
            return update
    raise RuntimeError("a turn always ends with Finished")
