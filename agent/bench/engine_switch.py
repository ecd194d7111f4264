"""What chats notice when the embedded engine changes its adapter: a window with a change, and one without, in turns.

In each window chats write all the time and another one arrives. Knows nothing of how adapters are merged.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from agent.bench.spread import Quartiles
from agent.llm.embedded import EmbeddedEngine
from agent.llm.protocol import Engine, Limits, Message, Prompt
from agent.llm.weights import DEFAULT_MODEL
from agent.starter.choosing import starter_folder
from retrieval.errors import EngineBusy

WRITING: Final = 2
"""Chats that write all the time."""
WINDOW_S: Final = 4.0
"""Of a window without a change; one with it lasts until the adapter answers, then as long again."""
READY_SECONDS: Final = 300.0
KERNEL_SECONDS: Final = 120.0
"""For the decode kernel, which is compiled and filled in the background."""
_LIMITS: Final = Limits(max_tokens=300, seconds=120.0, temperature=1.5)
_FIRST: Final = Limits(max_tokens=1, seconds=120.0)


class SwitchPauses(BaseModel):
    """Milliseconds but for `prepared_s`, the seconds from loading an adapter to its first answer in the background.

    `longest_gap` is the longest time that a writing chat waited for its next token in a window, `arriving` the time of
    the first token of a chat's next turn: in windows without and with a change. `pause` is what the change adds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    writing: int
    prepared_s: Quartiles
    longest_gap: Quartiles
    longest_gap_switching: Quartiles
    arriving: Quartiles
    arriving_switched: Quartiles
    pause_writing: float
    pause_arriving: float


@dataclass(frozen=True, slots=True)
class _Window:
    longest_gap: float
    arriving: float
    seconds: float


async def measure_switch(
    models_dir: Path, say: Callable[[str], None] = lambda line: None, *, rounds: int = 5
) -> SwitchPauses | None:
    """Change the adapter of an engine of our own `rounds` times; the starter adapter, each time under a new name.

    None where the engine has no decode kernel: then chats wait for each other anyway.

    Raises:
        EngineError: the engine or the adapter is not to be had.
    """
    engine = EmbeddedEngine(DEFAULT_MODEL, models_dir)
    await engine.start()
    try:
        await engine.wait_ready(READY_SECONDS)
        if not await answers_together(engine):
            return None
        return await measure_pauses(engine, starter_folder(), say, rounds=rounds)
    finally:
        await engine.close()


async def measure_pauses(
    engine: Engine, adapter: Path, say: Callable[[str], None] = lambda line: None, *, rounds: int
) -> SwitchPauses:
    """The same with an engine that is ready; the adapter in folder `adapter` is loaded under names of its own.

    It should have its probe beside it, as those that are trained have (`keep_probe`).

    Raises:
        EngineError: as the engine says.
    """
    names = (f"ada-switch-{number}" for number in itertools.count())
    turns = _turns()
    await _change(engine, next(names), adapter)
    usual, switching = [], []
    async with _writers(engine) as gaps:
        await _first_token(engine, next(turns))
        for number in range(rounds):
            say(f"switch {number + 1}")
            usual.append(await _window(engine, gaps, turns, asyncio.sleep(WINDOW_S)))
            switching.append(await _window(engine, gaps, turns, _change(engine, next(names), adapter)))
    return _pauses(usual, switching)


def _pauses(usual: Sequence[_Window], switching: Sequence[_Window]) -> SwitchPauses:
    gaps, gaps_switching = ([one.longest_gap * 1e3 for one in windows] for windows in (usual, switching))
    arriving, arriving_switched = ([one.arriving * 1e3 for one in windows] for windows in (usual, switching))
    return SwitchPauses(
        writing=WRITING,
        prepared_s=Quartiles.of([one.seconds for one in switching]),
        longest_gap=Quartiles.of(gaps),
        longest_gap_switching=Quartiles.of(gaps_switching),
        arriving=Quartiles.of(arriving),
        arriving_switched=Quartiles.of(arriving_switched),
        pause_writing=round(statistics.median(gaps_switching) - statistics.median(gaps), 1),
        pause_arriving=round(statistics.median(arriving_switched) - statistics.median(arriving), 1),
    )


async def _change(engine: Engine, name: str, folder: Path) -> None:
    await engine.load_adapter(name, folder)
    await engine.use_adapter(name)


async def _window(engine: Engine, gaps: list[float], turns: Iterator[Prompt], work: object) -> _Window:
    """`work` beside the chats that write, then the next turn of another one."""
    gaps.clear()
    started = time.perf_counter()
    await work  # type: ignore[misc]
    seconds = time.perf_counter() - started
    longest = max(gaps, default=0.0)
    return _Window(longest, await _first_token(engine, next(turns)), seconds)


@asynccontextmanager
async def _writers(engine: Engine) -> AsyncIterator[list[float]]:
    """Chats that write for as long as the block runs; the seconds between their tokens, as they come."""
    gaps: list[float] = []
    tasks = [asyncio.create_task(_write(engine, number, gaps)) for number in range(WRITING)]
    try:
        yield gaps
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _write(engine: Engine, seed: int, gaps: list[float]) -> None:
    asked = Prompt((Message("user", f"Tell me a long story about the number {seed}."),))
    while True:
        with suppress(EngineBusy):
            last: float | None = None
            async with aclosing(engine.stream(asked, _LIMITS)) as chunks:
                async for chunk in chunks:
                    now = time.perf_counter()
                    if last is not None and chunk.text:
                        gaps.append(now - last)
                    last = now if chunk.text else last


async def answers_together(engine: Engine) -> bool:
    """Wait until two streams run at the same time, which is when the decode kernel is ready."""
    asked = Prompt((Message("user", "Count to a hundred."),))
    deadline = time.monotonic() + KERNEL_SECONDS
    while time.monotonic() < deadline:
        async with aclosing(engine.stream(asked, _LIMITS)) as one:
            await anext(one)
            async with aclosing(engine.stream(asked, _FIRST)) as other:
                if not (await anext(other)).ahead:
                    return True
        await asyncio.sleep(0.5)
    return False


async def _first_token(engine: Engine, prompt: Prompt) -> float:
    started = time.perf_counter()
    async with aclosing(engine.stream(prompt, _FIRST)) as chunks:
        async for chunk in chunks:
            if chunk.completion_tokens:
                break
    return time.perf_counter() - started


def _turns() -> Iterator[Prompt]:
    """The turns of one chat with long instructions: all but the last words of each were read before."""
    system = Message("system", "You help customers of a shop to choose a film. Use only the facts in the list. " * 20)
    messages: tuple[Message, ...] = (system,)
    for number in itertools.count():
        messages = (*messages, Message("user", f"Something about the sea, please, but not number {number}."))
        yield Prompt(messages)
        messages = (*messages, Message("assistant", "Here is one."))
