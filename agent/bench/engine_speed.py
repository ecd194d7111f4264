"""One small language model on this machine by several ways, side by side in one run: speed of reading and writing.

The ways take turns in each round, so that a busy neighbour meets all of them. llama.cpp is measured where the package
`xllamacpp` is installed, with the GGUF file that a user would give it (4 bits a weight; the others hold 8 or 16), vLLM
where it is installed. Last comes what chats notice when the embedded engine changes its adapter. Knows nothing of
conversations.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict

from agent.bench.engine_switch import SwitchPauses, measure_switch
from agent.bench.spread import Quartiles
from agent.llm import weights
from agent.llm.protocol import Message, Prompt

PROMPT_TOKENS: Final = 600
ANSWER_TOKENS: Final = 60
CHATS: Final = 4
ROUNDS: Final = 5
SECONDS: Final = 600.0
"""Budget of an answer; none may be cut off."""
READ_FLOATS: Final = 64_000_000
"""For the memory's speed: far larger than any cache (256 MB)."""
READS: Final = 8
"""In a row; the fastest counts, for what is looked for is the limit."""
_TOPICS: Final = ("a storm at sea", "two old friends", "a lost letter", "the last train home", "a village choir")


class WaySpeed(BaseModel):
    """One way: tokens a second, milliseconds of a whole turn, and how much longer four at once take than one.

    `four_over_one` is None where a way answers one after the other. `of_the_limit`: bytes of weights that one token
    needs, times tokens a second, over what the memory gives.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    way: str
    read_per_s: Quartiles
    written_per_s: Quartiles
    turn_ms: Quartiles
    four_over_one: Quartiles | None
    of_the_limit: float


class EngineSpeeds(BaseModel):
    """All ways, and the memory's speed of reading in GB/s (the best that was seen, on all cores).

    `left_out` says which ways are not here, and why; `switch` is None without the decode kernel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    threads: int
    prompt_tokens: int
    answer_tokens: int
    memory_gb_per_s: float
    ways: tuple[WaySpeed, ...]
    left_out: tuple[str, ...]
    switch: SwitchPauses | None


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds to the first token, and to the last."""

    first: float
    whole: float


class Way(Protocol):
    """One way to answer; every answer has `ANSWER_TOKENS` tokens."""

    name: str
    bytes_per_token: float
    """Of weights."""

    def one(self, prompt: Prompt) -> Timed:
        """One answer, nothing remembered from earlier prompts."""
        ...

    def all_at_once(self, prompts: Sequence[Prompt]) -> float | None:
        """Seconds until all are answered, none of which was read before; None where it answers one after the other."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


def measure_speed(
    models_dir: Path, say: Callable[[str], None] = lambda line: None, *, rounds: int = ROUNDS
) -> EngineSpeeds:
    """Time all ways that this machine has, on the default model.

    Raises:
        ModelUnavailable: the model's weights are not here.
        EngineError: the embedded engine does not answer.
    """
    import torch

    from agent.bench.engine_ways import ways_on

    folder = weights.resolve_model(weights.DEFAULT_MODEL, models_dir)
    say("starting all ways")
    ways, left_out = ways_on(folder, models_dir)
    try:
        speeds, memory = _in_turns(ways, rounds, say)
    finally:
        for way in ways:
            way.close()
    return EngineSpeeds(
        model=weights.DEFAULT_MODEL,
        threads=torch.get_num_threads(),
        prompt_tokens=PROMPT_TOKENS,
        answer_tokens=ANSWER_TOKENS,
        memory_gb_per_s=round(memory, 1),
        ways=speeds,
        left_out=left_out,
        switch=asyncio.run(measure_switch(models_dir, say, rounds=rounds)),
    )


def _in_turns(ways: Sequence[Way], rounds: int, say: Callable[[str], None]) -> tuple[tuple[WaySpeed, ...], float]:
    """Each way's numbers, and the memory's speed."""
    fresh = (prompt_number(n) for n in itertools.count())  # what was read once may be remembered
    for way in ways:
        say(f"{way.name}: once to warm up")
        way.one(next(fresh))
    ones: dict[str, list[Timed]] = {way.name: [] for way in ways}
    fours: dict[str, list[float]] = {way.name: [] for way in ways}
    memory = 0.0
    for number in range(rounds):
        memory = max(memory, memory_speed())
        prompts = [next(fresh) for _ in range(CHATS + 1)]
        for way in ways if number % 2 == 0 else ways[::-1]:
            say(f"round {number + 1}: {way.name}")
            ones[way.name].append(way.one(prompts[CHATS]))
            if (whole := way.all_at_once(prompts[:CHATS])) is not None:
                fours[way.name].append(whole / ones[way.name][-1].whole)
    return tuple(_speed(way, ones[way.name], fours[way.name], memory) for way in ways), memory


def _speed(way: Way, ones: Sequence[Timed], fours: Sequence[float], memory: float) -> WaySpeed:
    written = Quartiles.of([(ANSWER_TOKENS - 1) / (one.whole - one.first) for one in ones])
    return WaySpeed(
        way=way.name,
        read_per_s=Quartiles.of([PROMPT_TOKENS / one.first for one in ones]),
        written_per_s=written,
        turn_ms=Quartiles.of([one.whole * 1e3 for one in ones]),
        four_over_one=Quartiles.of(fours) if fours else None,
        of_the_limit=round(written.median * way.bytes_per_token / (memory * 1e9), 3),
    )


def memory_speed() -> float:
    """GB/s of reading, by all cores."""
    import torch

    numbers = torch.ones(READ_FLOATS)
    times = []
    for _ in range(READS):
        started = time.perf_counter()
        numbers.sum()
        times.append(time.perf_counter() - started)
    return READ_FLOATS * 4 / min(times) / 1e9


def prompt_number(number: int) -> Prompt:
    """A customer's question about a list of films: rules that all prompts share, then films of this one."""
    films = (
        f"{n + 1}. The Film of {1950 + (7 * n + number) % 70}: {_TOPICS[(n + number) % len(_TOPICS)]}, "
        f"{80 + (11 * n + 3 * number) % 60} minutes, ${5 + (n * 3 + number) % 20}."
        for n in range(60)
    )
    return Prompt(
        (
            Message("system", "You help customers of a shop to choose a film. Use only the facts in the list. " * 6),
            Message("user", "\n".join(films) + "\nWhich of these suits a rainy evening? Copy the facts of three."),
        )
    )
