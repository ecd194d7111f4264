"""What `/readyz` is told of each part, and that a token is proved only when asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_shop import HashingEncoder
from talking import ScriptedEngine, keeper_of

from agent import health
from agent.datadir import DataDirectory
from agent.health import PartsHealth
from agent.llm.off import NoEngine
from agent.llm.protocol import Chunk, EngineState
from agent.log.store import EventLog
from agent.services import PartHealth
from agent.shop import Shop
from agent.shopkeeper import ShopKeeper
from retrieval.errors import DataDirectoryError, EngineError

ONE_TOKEN = Chunk(finish="length", prompt_tokens=9, completion_tokens=1)
NO_TOKEN = Chunk(finish="timeout", prompt_tokens=9)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture
def keeper(film_shop: Shop, log: EventLog, tmp_path: Path) -> ShopKeeper:
    return keeper_of(film_shop, log, tmp_path)


async def engine_part(keeper: ShopKeeper, log: EventLog, engine: ScriptedEngine, *, prove: bool = True) -> PartHealth:
    parts = await PartsHealth("default", keeper, log, engine).check(prove_token=prove)
    assert [part.name for part in parts] == ["index", "database", "engine"]
    return parts[2]


async def test_all_is_well(keeper: ShopKeeper, log: EventLog) -> None:
    engine = ScriptedEngine(ONE_TOKEN)
    parts = await PartsHealth("default", keeper, log, engine).check()
    assert [(part.state, part.detail) for part in parts] == [("ok", "")] * 3
    assert engine.prompts == []  # a token costs time: only on request


async def test_a_token_is_proved_and_the_model_is_stopped(keeper: ShopKeeper, log: EventLog) -> None:
    engine = ScriptedEngine(Chunk("y"), ONE_TOKEN)
    assert (await engine_part(keeper, log, engine)).state == "ok"
    assert len(engine.prompts) == 1


@pytest.mark.parametrize(
    ("script", "detail"),
    [
        ((EngineError("It broke."),), "It broke."),
        ((NO_TOKEN,), "The model made no token."),
    ],
)
async def test_an_engine_that_makes_no_token_has_failed(
    keeper: ShopKeeper, log: EventLog, script: tuple[Chunk | EngineError, ...], detail: str
) -> None:
    engine = ScriptedEngine(*script, last=Chunk(finish="stop"))
    part = await engine_part(keeper, log, engine)
    assert (part.state, part.detail) == ("failed", detail)


async def test_an_engine_that_hangs_has_failed_in_time(
    keeper: ShopKeeper, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    engine = ScriptedEngine(ONE_TOKEN, gate=asyncio.Event())
    async with asyncio.timeout(5):
        part = await engine_part(keeper, log, engine)
    assert part.state == "failed"
    assert "in time" in part.detail
    assert engine.closed == 1


@pytest.mark.parametrize("state", ["starting", "failed", "off"])
async def test_an_engine_that_is_not_ready_is_not_asked(keeper: ShopKeeper, log: EventLog, state: EngineState) -> None:
    engine = ScriptedEngine(ONE_TOKEN, state=state)
    part = await engine_part(keeper, log, engine)
    assert (part.state, part.detail) == (state, "As the script says.")
    assert engine.prompts == []


async def test_a_model_that_is_switched_off_is_no_failure(keeper: ShopKeeper, log: EventLog) -> None:
    parts = await PartsHealth("default", keeper, log, NoEngine()).check(prove_token=True)
    assert parts[2].state == "off"
    assert "CHATALOGUE_LLM__ENGINE" in parts[2].detail


async def test_no_index_and_no_database(log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise DataDirectoryError("The database is gone.")

    monkeypatch.setattr(log, "ping", gone)
    empty = ShopKeeper(DataDirectory(tmp_path), log, HashingEncoder())
    index, database, engine = await PartsHealth("default", empty, log, ScriptedEngine()).check()
    assert (index.state, "being opened" in index.detail) == ("failed", True)
    assert (database.state, database.detail) == ("failed", "The database is gone.")
    assert engine.state == "ok"
