"""Both engines under one to many chats at the same time, side by side in one run.

Two things are timed: the engine alone, on the prompts that the product makes, and whole turns with it.
Knows nothing of how an engine is made.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from agent.bench.spread import Spread
from agent.bench.turn import WatchedEngine, timed_turn
from agent.llm.protocol import Engine, Limits, Prompt
from agent.services import Chat, TurnRequest
from retrieval.errors import BadRequest

CHATS = (1, 4, 8, 16)
"""At the same time."""
LEAST_SAMPLES = 12
"""Answers of each level and engine; a level with fewer chats is repeated more often."""
TOKENS = 48
"""Of each answer of the engine alone; an answer that ends earlier counts the tokens that it has."""
SECONDS = 300.0
"""Budget of one answer: nothing may be cut off by time, or its speed would be made up."""
N_PROMPTS = 16


class LoadTimes(BaseModel):
    """One engine with so many chats at once. Milliseconds, but `tokens_per_s`, which is of all chats together.

    `first_token` counts from the call, so waiting in the queue is in it. `turns_without_model` are turns that the model
    was not asked in, or in which the catalogue's words stood in for it because it failed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    chats: int
    first_token: Spread | None
    tokens_per_s: Spread | None
    turn: Spread | None
    turns_without_model: int


class EngineLoad(BaseModel):
    """All levels of one engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str
    levels: tuple[LoadTimes, ...]


class EngineLoads(BaseModel):
    """Several engines with the same weights, prompts and messages; the one that starts changes with each round."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    tokens: int
    prompt_tokens: Spread | None
    engines: tuple[EngineLoad, ...]


@dataclass(slots=True)
class _Samples:
    first_token: list[float] = field(default_factory=list)
    tokens_per_s: list[float] = field(default_factory=list)
    turn: list[float] = field(default_factory=list)
    turns_without_model: int = 0
    prompt_tokens: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EngineSide:
    """One engine; `chat` speaks through `watched`, which hands on to it."""

    name: str
    chat: Chat
    watched: WatchedEngine


async def measure_load(
    sides: Sequence[EngineSide],
    prompts: Sequence[Prompt],
    messages: Sequence[str],
    *,
    tenant: str = "default",
    progress: Callable[[str], None] = lambda line: None,
) -> EngineLoads:
    """Time `sides` on the same prompts and messages.

    Raises:
        ChatalogueError: an engine or a turn failed.
        BadRequest: there is no prompt or no message.
    """
    if not prompts or not messages:
        raise BadRequest("The load of an engine is measured with prompts and messages; none were given.")
    samples = {(side.name, chats): _Samples() for side in sides for chats in CHATS}
    for side in sides:  # caches fill, kernels are compiled
        await _streams(side.watched, prompts[:1], _Samples())
    for chats in CHATS:
        texts, next_prompts = itertools.cycle(messages), itertools.cycle(prompts)
        for number in range(-(-LEAST_SAMPLES // chats)):
            chosen = [next(next_prompts) for _ in range(chats)]
            said = [next(texts) for _ in range(chats)]
            for side in sides if number % 2 == 0 else reversed(sides):
                progress(f"{side.name}, {chats} chats, round {number + 1}")
                into = samples[side.name, chats]
                await _streams(side.watched, chosen, into)
                await _turns(side, said, tenant, into)
    lengths = [n for one in samples.values() for n in one.prompt_tokens]
    return EngineLoads(
        model=sides[0].watched.status().model,
        tokens=TOKENS,
        prompt_tokens=Spread.of(lengths),
        engines=tuple(
            EngineLoad(engine=side.name, levels=tuple(_level(chats, samples[side.name, chats]) for chats in CHATS))
            for side in sides
        ),
    )


async def _streams(engine: Engine, prompts: Sequence[Prompt], into: _Samples) -> None:
    started = time.perf_counter()
    counts = await asyncio.gather(*(_stream(engine, prompt, into) for prompt in prompts))
    into.tokens_per_s.append(sum(counts) / (time.perf_counter() - started))


async def _stream(engine: Engine, prompt: Prompt, into: _Samples) -> int:
    started, tokens = time.perf_counter(), 0
    async with aclosing(engine.stream(prompt, Limits(TOKENS, SECONDS))) as chunks:
        async for chunk in chunks:
            if chunk.completion_tokens and not tokens:
                into.first_token.append((time.perf_counter() - started) * 1e3)
                into.prompt_tokens.append(chunk.prompt_tokens)
            tokens = max(tokens, chunk.completion_tokens)
    return tokens


async def _turns(side: EngineSide, messages: Sequence[str], tenant: str, into: _Samples) -> None:
    asked_before = side.watched.asked
    turns = await asyncio.gather(
        *(timed_turn(side.chat, side.watched, TurnRequest(message, tenant=tenant)) for message in messages)
    )
    into.turn += [turn.times.total for turn in turns]
    failed = sum(turn.finished.answer.degraded for turn in turns)
    into.turns_without_model += len(turns) - (side.watched.asked - asked_before) + failed


def _level(chats: int, samples: _Samples) -> LoadTimes:
    return LoadTimes(
        chats=chats,
        first_token=Spread.of(samples.first_token),
        tokens_per_s=Spread.of(samples.tokens_per_s),
        turn=Spread.of(samples.turn),
        turns_without_model=samples.turns_without_model,
    )


async def collect_prompts(
    chat: Chat, engine: WatchedEngine, messages: Sequence[str], tenant: str = "default"
) -> tuple[Prompt, ...]:
    """The first `N_PROMPTS` prompts that `chat`, which speaks through `engine`, makes of first messages."""
    for message in messages:
        if len(engine.prompts) >= N_PROMPTS:
            break
        await timed_turn(chat, engine, TurnRequest(message, tenant=tenant))
    return tuple(engine.prompts[:N_PROMPTS])
