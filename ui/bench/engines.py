"""The engine of a benchmark: ready before anything is measured, with an adapter where one is named.

Knows nothing of what it is asked.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.llm.adapter_check import WEIGHTS_FILE
from agent.llm.protocol import Engine
from agent.settings import Settings
from retrieval.errors import BadRequest, EngineError
from ui.wiring import make_engine, started

ENGINE_SECONDS = 300.0
"""The model's weights may have to be converted first."""
DIGITS = 12
"""Of the hash that an adapter is named after."""


@asynccontextmanager
async def engine_with(settings: Settings, adapter: Path | None) -> AsyncIterator[Engine]:
    """The engine that the settings name, with the adapter in that folder in use; None: as it comes.

    Raises:
        BadRequest: the folder holds no adapter.
        EngineError: the engine does not come up, is off, or refuses the adapter.
    """
    name = adapter_name(adapter) if adapter is not None else None
    async with started(make_engine(settings)) as engine:
        await until_ready(engine)
        if (status := engine.status()).state != "ready":
            raise EngineError(status.detail or "The language model is off.")
        if adapter is not None and name is not None:
            if name not in await engine.list_adapters():
                await engine.load_adapter(name, adapter)
            await engine.use_adapter(name)
        yield engine


async def until_ready(engine: Engine) -> None:
    """An engine that is switched off is what was asked for; one that does not come up is not.

    Raises:
        EngineError: it failed, or was not ready in time.
    """
    for _ in range(int(ENGINE_SECONDS / 0.1)):
        status = engine.status()
        if status.state in ("ready", "off"):
            return
        if status.state == "failed":
            raise EngineError(status.detail)
        await asyncio.sleep(0.1)
    raise EngineError(f"The language model was not ready within {ENGINE_SECONDS:g} s.")


def adapter_name(folder: Path) -> str:
    """A name of these weights and no others: engines keep adapters by name, over restarts too.

    Raises:
        BadRequest: the folder holds no adapter.
    """
    try:
        weights = (folder / WEIGHTS_FILE).read_bytes()
    except OSError:
        raise BadRequest(f"{str(folder)!r} holds no adapter ({WEIGHTS_FILE} cannot be read); name another.") from None
    return f"rank-{hashlib.sha256(weights).hexdigest()[:DIGITS]}"
