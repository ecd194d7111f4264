"""What `/readyz` is told of each part, and that a token is proved only when asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from small_shop import HashingEncoder
from talking import ScriptedEngine, keeper_of

from agent import health
from agent.datadir import DataDirectory
from agent.health import PartsHealth
from agent.llm.off import NoEngine
from agent.llm.protocol import CURRENT, Chunk, EngineState, EngineStatus, Limits, Prompt
from agent.log.store import EventLog
from agent.services import PartHealth
from agent.shop import Shop
from agent.shopkeeper import ShopKeeper
from agent.starter.keeping import AdapterKeeper
from retrieval.errors import DataDirectoryError, EngineBusy, EngineError

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


@pytest.mark.parametrize("prove", [False, True])
async def test_a_model_without_its_adapter_is_degraded(
    keeper: ShopKeeper, log: EventLog, tmp_path: Path, prove: bool
) -> None:
    engine = ScriptedEngine(ONE_TOKEN)
    adapter = AdapterKeeper(engine, "none", "m", tmp_path)
    health_of = PartsHealth("default", keeper, log, engine, adapter)
    async with adapter.at_work():
        await adapter.settled()
    assert (await health_of.check(prove_token=prove))[2].state == "ok"
    adapter.problem = "The model answers without its adapter: it is damaged."
    assert (await health_of.check(prove_token=prove))[2] == PartHealth("engine", "degraded", adapter.problem)


@pytest.mark.parametrize("prove", [False, True])
async def test_a_model_whose_adapter_is_still_being_loaded_is_not_ready(
    keeper: ShopKeeper, log: EventLog, tmp_path: Path, prove: bool
) -> None:
    engine = ScriptedEngine(ONE_TOKEN)
    adapter = AdapterKeeper(engine, "none", "m", tmp_path)
    health_of = PartsHealth("default", keeper, log, engine, adapter)
    assert (await health_of.check(prove_token=prove))[2] == PartHealth("engine", "starting", health.LOADING)
    assert engine.prompts == []


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
    async with asyncio.timeout(60):
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


async def test_an_index_whose_chroma_is_away_is_degraded(
    keeper: ShopKeeper, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shop, "problem", "The Chroma server is away.")
    index = (await PartsHealth("default", keeper, log, NoEngine()).check())[0]
    assert index == PartHealth("index", "degraded", "The Chroma server is away.")


async def test_no_index_and_no_database(log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise DataDirectoryError("The database is gone.")

    monkeypatch.setattr(log, "ping", gone)
    empty = ShopKeeper(DataDirectory(tmp_path), log, HashingEncoder())
    index, database, engine = await PartsHealth("default", empty, log, ScriptedEngine()).check()
    assert (index.state, "being opened" in index.detail) == ("failed", True)
    assert (database.state, database.detail) == ("failed", "The database is gone.")
    assert engine.state == "ok"


class BusyEngine(ScriptedEngine):
    """Refuses every call; `depths` is how many wait, look by look."""

    def __init__(self, *depths: int) -> None:
        super().__init__()
        self.depths = list(depths)

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        self.prompts.append(prompt)
        raise EngineBusy("16 questions wait.")
        yield Chunk()

    def status(self) -> EngineStatus:
        return EngineStatus("ready", "busy", queued=self.depths.pop(0) if len(self.depths) > 1 else self.depths[0])


async def test_a_queue_that_moves_is_alive(keeper: ShopKeeper, log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "POLL_SECONDS", 0.001)
    assert (await engine_part(keeper, log, BusyEngine(16, 16, 16, 15))).state == "ok"
    moving = ScriptedEngine(Chunk(ahead=3), Chunk(ahead=2), EngineError("never reached"))
    assert (await engine_part(keeper, log, moving)).state == "ok"
    assert moving.closed == 1  # the probe has left the queue


async def test_a_queue_that_stands_still_is_alive_only_when_a_token_came_lately(
    keeper: ShopKeeper, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    monkeypatch.setattr(health, "PROOF_SECONDS", 0.0)
    part = await engine_part(keeper, log, BusyEngine(16))
    assert (part.state, "not moved" in part.detail) == ("failed", True)
    monkeypatch.setattr(health, "PROBE_SECONDS", 60.0)
    engine = ScriptedEngine(ONE_TOKEN)
    parts = PartsHealth("default", keeper, log, engine)
    assert (await parts.check(prove_token=True))[2].state == "ok"
    monkeypatch.setattr(health, "PROBE_SECONDS", 0.05)
    engine.stream = waiting_for_ever  # type: ignore[method-assign]
    assert (await parts.check(prove_token=True))[2].state == "ok"
    monkeypatch.setattr(health, "RECENT_SECONDS", 0.0)
    assert (await parts.check(prove_token=True))[2].state == "failed"


async def waiting_for_ever(prompt: Prompt, limits: Limits) -> AsyncGenerator[Chunk, None]:
    yield Chunk(ahead=1)
    await asyncio.Event().wait()


async def test_one_probe_answers_all_who_ask(
    keeper: ShopKeeper, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PROOF_SECONDS", 600.0)
    gate = asyncio.Event()
    engine = ScriptedEngine(ONE_TOKEN, gate=gate)
    parts = PartsHealth("default", keeper, log, engine)
    asking = [asyncio.create_task(parts.check(prove_token=True)) for _ in range(5)]
    while not engine.prompts:
        await asyncio.sleep(0.001)
    asking[0].cancel()  # whoever goes away takes the probe from nobody
    await asyncio.sleep(0.05)
    gate.set()
    assert [(await one)[2].state for one in asking[1:]] == ["ok"] * 4
    assert (await parts.check(prove_token=True))[2].state == "ok"
    assert len(engine.prompts) == 1
    monkeypatch.setattr(health, "PROOF_SECONDS", 0.0)
    await parts.check(prove_token=True)
    assert len(engine.prompts) == 2


async def test_the_call_is_closed_before_the_answer(keeper: ShopKeeper, log: EventLog) -> None:
    engine = ScriptedEngine(ONE_TOKEN, Chunk("more"), EngineError("never reached"))
    await engine_part(keeper, log, engine)
    assert engine.closed == 1


async def test_a_database_that_does_not_answer_is_told_in_time_and_asked_once(
    keeper: ShopKeeper, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "DATABASE_SECONDS", 0.05)
    asked, answers = threading.Semaphore(0), threading.Event()

    def ping() -> None:
        asked.release()
        assert answers.wait(120)

    monkeypatch.setattr(log, "ping", ping)
    parts = PartsHealth("default", keeper, log, NoEngine())
    for told in await asyncio.gather(*(parts.check() for _ in range(3))):
        assert told[1] == PartHealth("database", "failed", "The database took no write within 0.05 s.")
    assert asked.acquire(timeout=120)
    assert not asked.acquire(blocking=False)
    answers.set()
    while (await parts.check())[1].state != "ok":
        await asyncio.sleep(0.01)
