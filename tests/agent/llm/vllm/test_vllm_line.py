from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from agent.llm.vllm.line import Line
from retrieval.errors import EngineBusy, EngineError


class Caller:
    """One call: its places in the line so far, and whether it runs."""

    def __init__(self, line: Line) -> None:
        self.places: list[int] = []
        self.runs = False
        self.task = asyncio.create_task(self._enter(line))

    async def _enter(self, line: Line) -> None:
        async with aclosing(line.enter()) as places:
            async for place in places:
                self.places.append(place)
        self.runs = True


async def callers(line: Line, count: int) -> list[Caller]:
    made = [Caller(line) for _ in range(count)]
    await settle()
    return made


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_so_many_run_and_the_rest_hear_their_place_until_it_is_their_turn() -> None:
    line = Line(2, 3)
    line.open()
    made = await callers(line, 5)
    assert [one.runs for one in made] == [True, True, False, False, False]
    assert [one.places for one in made] == [[], [], [1], [2], [3]]
    line.leave()
    await settle()
    assert [one.runs for one in made] == [True, True, True, False, False]
    assert [one.places for one in made[3:]] == [[2, 1], [3, 2]]
    assert line.waiting == 2
    line.leave()
    line.leave()
    await settle()
    assert all(one.runs for one in made)


async def test_one_more_than_fits_is_refused() -> None:
    line = Line(1, 2)
    line.open()
    await callers(line, 3)
    with pytest.raises(EngineBusy, match="2 questions wait"):
        await anext(line.enter())
    assert line.waiting == 2


async def test_nobody_runs_before_it_is_open_or_after_it_was_shut() -> None:
    line = Line(1, 2)
    made = await callers(line, 2)
    assert not any(one.runs for one in made)
    line.open()
    await settle()
    assert [one.runs for one in made] == [True, False]
    line.shut()
    line.leave()
    await settle()
    assert not made[1].runs
    line.open()
    await settle()
    assert made[1].runs


async def test_who_waits_no_longer_is_gone_and_the_others_move_up() -> None:
    line = Line(1, 3)
    line.open()
    made = await callers(line, 3)
    made[1].task.cancel()
    await settle()
    assert made[2].places == [2, 1]
    line.leave()
    await settle()
    assert made[2].runs


async def test_who_goes_at_the_moment_of_being_called_leaves_the_place_to_the_next() -> None:
    line = Line(1, 3)
    line.open()
    made = await callers(line, 3)
    line.leave()
    made[1].task.cancel()
    await settle()
    assert not made[1].runs
    assert made[2].runs


async def test_dismissed_callers_hear_why_and_the_line_still_works() -> None:
    line = Line(1, 2)
    made = await callers(line, 2)
    line.dismiss(EngineError("It is gone."))
    for one in made:
        with pytest.raises(EngineError, match="It is gone"):
            await one.task
    line.open()
    assert (await callers(line, 1))[0].runs
