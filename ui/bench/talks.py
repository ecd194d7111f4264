"""Conversations and single turns in this process, over a data directory of the benchmark's own.

Puts parts together; what is measured and how stands in agent/bench.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.bench.engine_load import EngineLoads, EngineSide, collect_prompts, measure_load
from agent.bench.scripts import Script, single_messages
from agent.bench.transcripts import Transcript, run_script
from agent.bench.turn import WatchedEngine
from agent.bench.turn_times import Side, TurnTimes, time_turns
from agent.conversation import Conversations
from agent.llm.off import NoEngine
from agent.llm.protocol import Engine
from agent.settings import Settings
from retrieval.demo import demo_articles_dir
from retrieval.loading import load_catalogue
from ui.bench.engines import until_ready
from ui.wiring import Parts, ensure_catalogue, index_items, make_engine, make_parts, started

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Open:
    """Parts with an open catalogue and an engine that answers."""

    parts: Parts
    n_items: int

    def side(self, engine: Engine) -> tuple[Conversations, WatchedEngine]:
        """Conversations that speak through `engine`, and the watch on it."""
        watched = WatchedEngine(engine)
        return Conversations(self.parts.settings, self.parts.log, self.parts.shops, watched), watched


def talk(settings: Settings, script: Script, films: Path | None, say: Say) -> Transcript:
    """Hold the scripted conversation over `films` (None: the demo shop), which is indexed if it is not yet.

    Raises:
        ChatalogueError: the catalogue or the language model cannot be had.
    """

    async def run() -> Transcript:
        async with opened(settings, films) as ready:
            chat, engine = ready.side(ready.parts.engine)
            return await run_script(
                chat, engine, ready.parts.log, script, tenant=settings.tenant, n_items=ready.n_items, progress=say
            )

    return asyncio.run(run())


def turns(settings: Settings, say: Say) -> TurnTimes:
    """Time single messages to the demo shop with the language model and without.

    Raises:
        ChatalogueError: the language model cannot be had.
    """

    async def run() -> TurnTimes:
        async with opened(settings, None) as ready:
            sides = [Side("on", *ready.side(ready.parts.engine)), Side("off", *ready.side(NoEngine()))]
            log = ready.parts.log
            messages = single_messages()
            return await time_turns(sides, log, messages, tenant=settings.tenant, n_items=ready.n_items, progress=say)

    return asyncio.run(run())


def load(settings: Settings, say: Say) -> EngineLoads:
    """Time the embedded engine against vLLM with one and more chats in the demo shop.

    Raises:
        ChatalogueError: vLLM is not installed, or an engine cannot be had.
    """
    llm = settings.llm.model_copy(
        update={"engine": "embedded", "adapter": "none", "reply": "on", "reply_timeout_s": 300.0}
    )
    embedded = settings.model_copy(update={"llm": llm})
    served = settings.model_copy(update={"llm": llm.model_copy(update={"engine": "vllm"})})

    async def run() -> EngineLoads:
        async with opened(embedded, None) as ready, started(make_engine(served)) as vllm:
            await until_ready(vllm)
            engines = (("embedded", ready.parts.engine), ("vLLM", vllm))
            sides = [EngineSide(name, *ready.side(engine)) for name, engine in engines]
            messages = single_messages()
            prompts = await collect_prompts(sides[0].chat, sides[0].watched, messages, settings.tenant)
            return await measure_load(sides, prompts, messages, tenant=settings.tenant, progress=say)

    return asyncio.run(run())


@asynccontextmanager
async def opened(settings: Settings, films: Path | None) -> AsyncIterator[Open]:
    """Parts over the catalogue in `films` (None: the demo shop), which is indexed if it is not yet; the engine answers.

    Raises:
        ChatalogueError: the catalogue or the language model cannot be had.
    """
    parts = make_parts(settings)
    try:
        async with started(parts.engine, parts.adapter):
            await asyncio.to_thread(_ensure, parts, films)
            await asyncio.to_thread(parts.shops.refresh, settings.tenant)
            shop = parts.shops.current(settings.tenant)
            try:
                await until_ready(parts.engine)
                if parts.adapter is not None:
                    await parts.adapter.settled()
                yield Open(parts, len(shop.table))
            finally:
                shop.retriever.close()
    finally:
        parts.log.close()


def _ensure(parts: Parts, films: Path | None) -> None:
    if films is None:
        ensure_catalogue(parts)
    elif parts.log.live_index(parts.settings.tenant) is None:
        loaded = load_catalogue(films, keep_first=True)
        index_items(parts, loaded.items, films.name, demo_articles_dir())
