"""The load of engines: counts, rounds and pairing, on engines whose speed is known by construction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from test_bench_talks import House, SayingEngine

from agent.bench.engine_load import CHATS, LEAST_SAMPLES, EngineSide, collect_prompts, measure_load
from agent.llm.protocol import CURRENT, Chunk, Limits, Message, Prompt
from retrieval.errors import BadRequest
from retrieval.items import Item

MESSAGES = ("a thriller", "something scary", "a comedy")


class PacedEngine(SayingEngine):
    """Makes a token each 2 ms; `at_once` False: one answer after the other, as the embedded engine does."""

    def __init__(self, *, at_once: bool) -> None:
        super().__init__()
        self._turn = asyncio.Semaphore(1_000 if at_once else 1)
        self.most = 0
        self._running = 0

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            async with self._turn:
                for number in range(1, 6):
                    await asyncio.sleep(0.002)
                    yield Chunk(" word", prompt_tokens=7, completion_tokens=number)
                yield Chunk(finish="length", prompt_tokens=7, completion_tokens=5)
        finally:
            self._running -= 1


@pytest.fixture
def house(films: tuple[Item, ...], tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path, films)
    yield house
    house.close()


async def test_engines_are_loaded_with_as_many_chats_as_are_said(house: House) -> None:
    batching, queueing = PacedEngine(at_once=True), PacedEngine(at_once=False)
    sides = [EngineSide(name, *house.side(engine)) for name, engine in (("queue", queueing), ("batch", batching))]
    prompts = [Prompt((Message("user", str(number)),)) for number in range(3)]
    loads = await measure_load(sides, prompts, MESSAGES)
    assert [one.engine for one in loads.engines] == ["queue", "batch"]
    assert batching.most == queueing.most == max(CHATS)
    assert loads.prompt_tokens is not None
    assert loads.prompt_tokens.p50 == 7
    for engine in loads.engines:
        for chats, level in zip(CHATS, engine.levels, strict=True):
            rounds = -(-LEAST_SAMPLES // chats)
            assert level.chats == chats
            assert level.first_token is not None
            assert level.first_token.n == rounds * chats
            assert level.tokens_per_s is not None
            assert level.tokens_per_s.n == rounds
            assert level.turn is not None
            assert level.turn.n == rounds * chats
            assert level.turns_without_model == 0
    queued, batched = (engine.levels[-1] for engine in loads.engines)
    assert queued.first_token is not None
    assert batched.first_token is not None
    assert queued.first_token.p95 > batched.first_token.p95  # the wait in the queue counts
    assert queued.tokens_per_s is not None
    assert batched.tokens_per_s is not None
    assert batched.tokens_per_s.p50 > 2 * queued.tokens_per_s.p50


async def test_prompts_are_those_of_the_product(house: House) -> None:
    chat, watched = house.side(SayingEngine(" and more.", ""))
    prompts = await collect_prompts(chat, watched, MESSAGES)
    assert 1 <= len(prompts) <= len(MESSAGES)
    assert all("<item>" in prompt.messages[-1].text for prompt in prompts)


async def test_nothing_is_measured_without_prompts(house: House) -> None:
    side = EngineSide("one", *house.side(SayingEngine()))
    with pytest.raises(BadRequest, match="none were given"):
        await measure_load([side], (), MESSAGES)
