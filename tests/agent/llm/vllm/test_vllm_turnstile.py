"""The turnstile: versions never overlap, nobody waits for ever, whoever goes away leaves nothing behind."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from agent.llm.vllm.turnstile import Turnstile

PATIENCE_SECONDS = 60.0


async def test_calls_of_one_version_run_together_and_others_wait_in_order() -> None:
    gate, inside, order = Turnstile(), Counter[str](), list[str]()

    async def call(version: str, hold: asyncio.Event) -> None:
        async with gate.passed(version):
            order.append(version)
            inside[version] += 1
            await hold.wait()
            inside[version] -= 1

    held, later = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for version, hold in (("a", held), ("a", held), ("b", later), ("a", later), ("b", later)):
            tasks.create_task(call(version, hold))
        await asyncio.sleep(0.01)
        assert inside == {"a": 2}, "the third a came behind b: it must not go first, or b might wait for ever"
        held.set()
        await asyncio.sleep(0.01)
        assert inside == {"a": 0, "b": 1}
        later.set()
    assert order == ["a", "a", "b", "a", "b"]


async def test_whoever_goes_away_while_waiting_holds_nobody_up() -> None:
    gate = Turnstile()
    entered = asyncio.Event()

    async def other() -> None:
        async with gate.passed("b"):
            entered.set()

    async def same() -> None:
        async with gate.passed("a"):
            pass

    async with gate.passed("a"):
        waiting = asyncio.create_task(other())
        await asyncio.sleep(0)
        behind = asyncio.create_task(same())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(behind, PATIENCE_SECONDS)
    assert not entered.is_set()
    await asyncio.wait_for(other(), PATIENCE_SECONDS)


@pytest.mark.parametrize("seed", range(20))
async def test_versions_never_overlap_whatever_is_cancelled(seed: int) -> None:
    chance, gate, running = random.Random(seed), Turnstile(), Counter[str]()  # noqa: S311

    async def call(version: str) -> None:
        async with gate.passed(version):
            running[version] += 1
            try:
                assert sum(count > 0 for count in running.values()) == 1, running
                await asyncio.sleep(chance.random() * 0.002)
            finally:
                running[version] -= 1

    tasks = [asyncio.create_task(call(chance.choice("abc"))) for _ in range(60)]
    await asyncio.sleep(0)
    for task in tasks[1:]:
        if chance.random() < 0.3 and sum(running.values()):
            task.cancel()
    done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), PATIENCE_SECONDS)
    assert not [one for one in done if isinstance(one, Exception)]
    assert sum(running.values()) == 0
    await asyncio.wait_for(call("d"), PATIENCE_SECONDS)
