"""The embedded engine with its decode kernel: calls side by side, adapters by call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from llm_chat import CHAT, READY_SECONDS

from agent.bench import engine_switch
from agent.llm.embedded import EmbeddedEngine
from agent.llm.lora import MAX_RESIDENT
from agent.llm.protocol import Chunk, Limits, Message, Prompt
from retrieval.errors import EngineError

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = Limits(max_tokens=300, seconds=120, temperature=1.5)
GREEDY = Limits(max_tokens=25, seconds=60)
WHY = Prompt((Message("user", "Why?"),))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def quick(tiny_dir: Path, models_dir: Path, tiny_lora: Path) -> AsyncIterator[EmbeddedEngine]:
    """An engine on the tiny model whose kernel is ready, with an adapter that is loaded and not in use."""
    engine = EmbeddedEngine(str(tiny_dir), models_dir, device="cpu", threads=1)
    await engine.start()
    await engine.wait_ready(READY_SECONDS)
    await engine.load_adapter("ada-1", tiny_lora)
    async with asyncio.timeout(READY_SECONDS):
        while engine._places == 1:
            await asyncio.sleep(0.05)
    assert engine._places == 4
    await engine.use_adapter("ada-1")  # waits until it has weights for the kernel
    await engine.use_adapter(None)
    yield engine
    await engine.close()


async def collect(engine: EmbeddedEngine, limits: Limits = GREEDY, **more: object) -> list[Chunk]:
    return [chunk async for chunk in engine.stream(more.pop("prompt", CHAT), limits, **more)]


def text(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def begun(engine: EmbeddedEngine, limits: Limits = LONG, **more: object) -> AsyncIterator[Chunk]:
    """A stream that has said something."""
    stream = engine.stream(CHAT, limits, **more)
    async for chunk in stream:
        if chunk.text:
            return stream
    raise AssertionError("no text came")


async def test_four_run_at_a_time_and_the_fifth_hears_its_place(quick: EmbeddedEngine) -> None:
    answers = await asyncio.gather(*(collect(quick, Limits(20, 60, 1.5, seed=seed)) for seed in range(5)))
    assert [[chunk.ahead for chunk in answer if chunk.ahead] for answer in answers] == [[], [], [], [], [1]]
    assert all(answer[-1].finish for answer in answers)


async def test_short_calls_go_between_the_steps_of_a_long_one(quick: EmbeddedEngine) -> None:
    stream = await begun(quick)
    scores = await quick.choose(WHY, [" a", " film"])
    filled = await quick.fill(WHY, 'root ::= "yes" | "no"\n', GREEDY)
    beside = await collect(quick, prompt=WHY)
    rest = [chunk async for chunk in stream]
    assert rest[-1].finish  # it was under way all the time
    assert len(rest) > 3
    assert filled.complete
    assert await quick.choose(WHY, [" a", " film"]) == scores
    assert text(await collect(quick, prompt=WHY)) == text(beside)


async def test_a_cancelled_stream_leaves_the_others_alone(quick: EmbeddedEngine) -> None:
    expected = text(await collect(quick))
    stream = await begun(quick)
    other = asyncio.create_task(collect(quick))
    await stream.aclose()
    assert text(await other) == expected
    async with asyncio.timeout(120):
        while quick._running:
            await asyncio.sleep(0.01)


async def test_each_call_is_answered_by_its_own_adapter(quick: EmbeddedEngine) -> None:
    base, adapted = text(await collect(quick)), text(await collect(quick, adapter="ada-1"))
    assert base != adapted
    calls = [collect(quick, adapter=adapter) for adapter in ("ada-1", None, "ada-1", None)]
    assert [text(chunks) for chunks in await asyncio.gather(*calls)] == [adapted, base, adapted, base]
    assert await quick.choose(CHAT, [" a"], adapter="ada-1") != await quick.choose(CHAT, [" a"])
    assert quick.status().adapter is None


async def test_a_switch_leaves_answers_under_way_whole_and_does_not_stop_them(
    quick: EmbeddedEngine, tiny_lora: Path
) -> None:
    """Loose bound: 20 s on a busy machine; on a quiet one the longest pause is the time of one prompt."""
    seeded = Limits(max_tokens=200, seconds=120, temperature=1.5, seed=4)
    expected = [text(await collect(quick, seeded, adapter=name)) for name in (None, "ada-1")]
    said: list[Chunk] = []
    pauses: list[float] = []

    async def listen() -> None:
        last = time.monotonic()
        async for chunk in quick.stream(CHAT, seeded):
            said.append(chunk)
            pauses.append(time.monotonic() - last)
            last = time.monotonic()

    running = asyncio.create_task(listen())
    while not said:
        await asyncio.sleep(0.001)
    await quick.load_adapter("ada-2", tiny_lora)
    await quick.use_adapter("ada-1")
    after = await collect(quick, seeded)
    await running
    await quick.use_adapter(None)
    assert text(said) == expected[0]
    assert text(after) == expected[1]
    assert max(pauses[1:]) < 20


async def test_the_pause_of_a_switch_is_measured_under_load(
    quick: EmbeddedEngine, tiny_lora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chats notice little more than without a switch at the same time; 2 s for what a busy machine does to either."""
    monkeypatch.setattr(engine_switch, "WINDOW_S", 0.5)
    assert await engine_switch.answers_together(quick)
    pauses = await engine_switch.measure_pauses(quick, tiny_lora, rounds=3)  # medians: a machine may pause once
    await quick.use_adapter(None)
    assert pauses.prepared_s.n == pauses.longest_gap.n == pauses.arriving.n == 3
    assert 0 < pauses.longest_gap_switching.median < 3 * pauses.longest_gap.median + 2_000
    assert 0 < pauses.arriving_switched.median < 3 * pauses.arriving.median + 2_000


async def test_what_was_read_before_a_switch_is_read_again_beside_the_chats(
    quick: EmbeddedEngine, tiny_dir: Path, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    """An adapter that comes into use answers from what was read for it as if it had read it itself."""
    await quick.load_adapter("ada-cold", make_lora(tiny_dir, tmp_path / "warm", seed=9, strength=0.3))
    cold = text(await collect(quick, adapter="ada-cold"))
    await quick.load_adapter("ada-warm", tmp_path / "warm")
    await collect(quick, adapter=None)
    await quick.use_adapter("ada-warm")
    assert text(await collect(quick)) == cold
    await quick.use_adapter(None)


async def test_an_adapter_that_had_to_make_room_is_merged_again_for_its_call(
    quick: EmbeddedEngine, tiny_dir: Path, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    expected = text(await collect(quick, adapter="ada-1"))
    for n in range(MAX_RESIDENT):
        await quick.load_adapter(f"ada-room-{n}", make_lora(tiny_dir, tmp_path / str(n), seed=n, strength=0.3))
    stream = await begun(quick)
    assert text(await collect(quick, adapter="ada-1")) == expected
    assert [chunk async for chunk in stream][-1].finish
    with pytest.raises(EngineError, match="No adapter 'ada-none' is loaded"):
        await collect(quick, adapter="ada-none")


async def test_without_a_compiler_it_answers_one_by_one_and_says_so(
    tiny_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    engine = EmbeddedEngine(str(tiny_dir), tmp_path, device="cpu", threads=1)
    await engine.start()
    await engine.wait_ready(READY_SECONDS)
    async with asyncio.timeout(READY_SECONDS):
        while not caplog.messages:
            await asyncio.sleep(0.05)
    answers = await asyncio.gather(*(collect(engine) for _ in range(2)))
    await engine.close()
    assert all(answer[-1].finish for answer in answers)
    assert [[chunk.ahead for chunk in answer if chunk.ahead] for answer in answers] == [[], [1]]
    assert [message for message in caplog.messages if "decodes slowly" in message and "no C++ compiler" in message]
