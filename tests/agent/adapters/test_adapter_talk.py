"""Conversations over a registry: each turn says which adapter wrote it, and has the skills of that one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from adapter_samples import KeepingEngine, published
from talking import PLAIN, Talk, keeper_of

from agent.adapters.live import LiveAdapters
from agent.adapters.registry import AdapterRegistry
from agent.adapters.standing import is_canarys
from agent.conversation import Conversations
from agent.log.store import EventLog
from agent.settings import Settings

if TYPE_CHECKING:
    from agent.shop import Shop

ASKED = "a quiet comedy, please"


@pytest.fixture
def engine() -> KeepingEngine:
    return KeepingEngine()


@pytest.fixture
def live(engine: KeepingEngine, registry: AdapterRegistry, log: EventLog, base: Path) -> LiveAdapters:
    return LiveAdapters(engine, registry, log, "default", setting="starter", model=str(base), models_dir=base)


async def follow(live: LiveAdapters) -> None:
    for _ in range(3):
        await live.follow()
        await asyncio.gather(*live._loading.values())


@pytest.fixture
def chat(film_shop: Shop, log: EventLog, data_dir: Path, engine: KeepingEngine, live: LiveAdapters) -> Conversations:
    return Conversations(Settings(**PLAIN), log, keeper_of(film_shop, log, data_dir), engine, voices=live)


async def test_each_turn_is_of_the_adapter_that_answers_it(
    chat: Conversations, live: LiveAdapters, registry: AdapterRegistry, log: EventLog, base: Path, engine: KeepingEngine
) -> None:
    await follow(live)
    talk = Talk(chat, log)
    assert (await talk.say(ASKED)).answer.adapter is None  # there is no starter for this base
    writer = published(registry, base, skills=("reply",))
    registry.promote(writer)
    await follow(live)
    engine.calls.clear()
    turn = await talk.say("something else")
    assert turn.answer.adapter == talk.logged(turn).record.adapter == writer
    assert engine.calls
    assert all(call.startswith(f"stream {writer}-") for call in engine.calls)
    silent = published(registry, base, skills=())
    registry.start_canary(silent, 0.5)
    await follow(live)
    trial = registry.standing().canary
    assert trial is not None
    told = set()
    for _ in range(12):
        other = Talk(chat, log)
        engine.calls.clear()
        turn = await other.say(ASKED)
        assert is_canarys(trial, str(other.session_id)) == (turn.answer.adapter == silent)
        assert bool(engine.calls) == (turn.answer.adapter == writer)  # the gate switched nothing on for the canary
        told.add(turn.answer.adapter)
    assert told == {writer, silent}
    registry.roll_back()
    registry.roll_back()
    await follow(live)
    assert (await talk.say("something else")).answer.adapter is None
