"""A promotion, a rollback and a trial in a running engine with eight chats in flight, for every engine alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.adapters import AdapterManifest, BaseIdentity, GateVerdict
from agent.adapters.live import LiveAdapters
from agent.adapters.registry import AdapterRegistry
from agent.llm.protocol import Engine, Limits, Message, Prompt
from agent.starter.choosing import base_identity

CHAT = Prompt((Message("user", "Tell me about a film."),))
CHATS = 8
READY_SECONDS = PATIENCE_SECONDS = 500.0
"""A machine full of neighbours is slow."""
GREEDY = Limits(24, PATIENCE_SECONDS)


def publish(registry: AdapterRegistry, base: Path, lora: Path) -> str:
    told = AdapterManifest(
        registry.reserve(), None, BaseIdentity("tiny", base_identity(base)), "0" * 64, {}, {}, {},
        GateVerdict(True, "A test's."), ("reply",), 1, 0, "opt_out", "none", "2026-11-23T01:00:00+00:00",
    )  # fmt: skip
    return registry.publish(told, lora).id


class Chats:
    """Conversations that all ask the same; `answers` are the adapter by the answer's own word, and what it said."""

    def __init__(self, live: LiveAdapters, engine: Engine) -> None:
        self._live, self._engine = live, engine
        self.tasks: list[asyncio.Task[tuple[str | None, str]]] = []
        self._begun = 0

    async def ask(self, session: str = "s_x") -> tuple[str | None, str]:
        engine = self._live.voice(self._engine, session).engine
        told, text = engine.status().adapter, ""
        async for chunk in engine.stream(CHAT, GREEDY):
            self._begun += not text
            text += chunk.text
        return told, text

    async def in_flight(self) -> Chats:
        """All of them asked, and at least one is being answered."""
        self.tasks = [asyncio.create_task(self.ask(f"s_{n}")) for n in range(CHATS)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not self._begun:
                await asyncio.sleep(0.001)
        return self

    async def answers(self) -> list[tuple[str | None, str]]:
        return list(await asyncio.gather(*self.tasks))


async def until(live: LiveAdapters, adapter: str | None) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while live.voice(live.engine, "s_x").engine.status().adapter != adapter:
            assert live.problem == ""
            await asyncio.sleep(0.02)


async def swap_under_load(
    engine: Engine, live: LiveAdapters, registry: AdapterRegistry, adapters: Sequence[str], same: Callable[[str], str]
) -> None:
    """Nothing is dropped and nothing is mixed; `live` is at work, `same` is the part of an answer that must agree."""
    await live.settled()
    a, b = adapters
    first, text = await Chats(live, engine).ask()
    own = {first: same(text)}
    for adapter in adapters:
        registry.promote(adapter)
        await until(live, adapter)
        told, text = await Chats(live, engine).ask()
        assert told == adapter
        own[adapter] = same(text)
    assert len(set(own.values())) == 3, own

    before = await Chats(live, engine).in_flight()
    registry.roll_back()
    await until(live, a)
    after = await Chats(live, engine).in_flight()
    registry.start_canary(b, 0.5)
    trial: list[tuple[str | None, str]] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while {told for told, _ in trial} != {a, b}:
            trial = await (await Chats(live, engine).in_flight()).answers()
    early, late = await before.answers(), await after.answers()
    assert {told for told, _ in early} == {b}
    assert {told for told, _ in late} == {a}
    for told, text in (*early, *late, *trial):
        assert same(text) == own[told], (told, text)
    assert len(early) == len(late) == len(trial) == CHATS
