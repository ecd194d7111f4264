"""`chatalogue chat`: the conversation in a terminal, with the language model in its own process."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from agent.answer import Finished, Text, Waiting
from agent.services import Services, TurnRequest
from agent.settings import load_settings
from retrieval.errors import ChatalogueError
from ui.logs import configure_logs

if TYPE_CHECKING:
    from ui.wiring import Parts

PROMPT = "you> "


def run(config: Path | None) -> None:
    """Read lines until the end of input or `/quit`.

    Lines are read on the main thread while the event loop rests: a thread that waits for input would keep the program
    from ending with Ctrl-C.
    """
    from ui.wiring import make_parts, started

    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    console = Console(highlight=False)
    parts = make_parts(settings, exact_only=True)
    try:
        with asyncio.Runner() as runner:
            open_parts = AsyncExitStack()
            try:
                with Console(stderr=True).status("Opening the catalogue and the language model ..."):
                    runner.run(open_parts.enter_async_context(started(parts.engine, parts.adapter)))
                    runner.run(_open(parts))
                console.print("Say what you are looking for. /quit ends, /wishes shows what I understood.", style="dim")
                _loop(runner, parts.services, settings.tenant, console)
            finally:
                runner.run(open_parts.aclose())
    finally:
        parts.log.close()


async def _open(parts: Parts) -> None:
    from ui.wiring import ensure_catalogue

    await asyncio.to_thread(ensure_catalogue, parts)
    await asyncio.to_thread(parts.shops.refresh, parts.settings.tenant)
    while parts.engine.status().state == "starting":
        await asyncio.sleep(0.1)


def _loop(runner: asyncio.Runner, services: Services, tenant: str, console: Console) -> None:
    session_id, wishes = None, ""
    while True:
        try:
            line = console.input(PROMPT)
        except EOFError:
            return
        if line.strip() == "/quit":
            return
        if line.strip() == "/wishes":
            console.print(wishes or "none yet", markup=False)
            continue
        try:
            finished = runner.run(_say(services, TurnRequest(line, tenant, session_id=session_id), console))
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
