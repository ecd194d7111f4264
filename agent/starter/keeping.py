"""Brings the adapter of the settings into an engine, in the background, once the engine answers.

Chats before that are answered by the base model. What cannot be loaded leaves the base model, and one sentence for the
operator. Knows no engine by name.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent.llm.protocol import Engine
from agent.starter.choosing import choose_adapter
from retrieval.errors import ChatalogueError

log = logging.getLogger(__name__)

POLL_S = 0.1
"""Between two looks at an engine that starts."""


@dataclass(slots=True)
class AdapterKeeper:
    """The adapter of one engine.

    Args:
        engine: that gets it.
        setting: `starter`, `none` or a folder, see `choose_adapter`.
        model: the engine's.
        models_dir: where weights are kept.

    Attributes:
        problem: why the base model answers although there should be an adapter; empty where all is well.
    """

    engine: Engine
    setting: str
    model: str
    models_dir: Path
    problem: str = field(default="", init=False)
    _settled: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Loads in the background for as long as the block runs."""
        work = asyncio.create_task(self._bring())
        try:
            yield
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work

    @property
    def is_settled(self) -> bool:
        """Whether the adapter answers, or it is known that none will."""
        return self._settled.is_set()

    async def settled(self) -> None:
        """Return when the adapter answers, or when it is known that none will; for benchmarks, inside `at_work`."""
        while not self._settled.is_set() and self.engine.status().state in ("starting", "ready"):
            await asyncio.sleep(POLL_S)

    async def _bring(self) -> None:
        try:
            while not await self._brought():
                await asyncio.sleep(POLL_S)
        except Exception as error:  # a fault of ours must be seen by the operator, and the base model goes on
            log.exception("the adapter could not be loaded")
            self.problem = f"The model answers without its adapter ({type(error).__name__}: {error})."
        finally:
            self._settled.set()

    async def _brought(self) -> bool:
        """Whether all is done that can be done; False while the engine is not ready."""
        state = self.engine.status().state
        if state != "ready":
            return state == "off"
        try:
            chosen = await asyncio.to_thread(choose_adapter, self.setting, self.model, self.models_dir)
            if chosen is not None:
                if chosen.name not in await self.engine.list_adapters():
                    await self.engine.load_adapter(chosen.name, chosen.folder)
                await self.engine.use_adapter(chosen.name)
        except ChatalogueError as error:
            if self.engine.status().state != "ready":  # it died meanwhile: again when it is back
                return False
            self.problem = f"The model answers without its adapter: {error}"
            log.warning("%s", self.problem)
        return True
