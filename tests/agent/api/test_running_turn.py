"""A reader that is cancelled goes, whatever happens in the same moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.answer import Update, Waiting
from agent.api.turns import RunningTurn


@pytest.mark.parametrize("steps", range(5))
async def test_a_cancellation_that_comes_with_an_update_is_not_lost(steps: int) -> None:
    coming = asyncio.Event()

    async def updates() -> AsyncIterator[Update]:
        await coming.wait()
        yield Waiting(1)
        await asyncio.Event().wait()

    turn = RunningTurn(updates())
    reader = asyncio.create_task(turn.finished())
    await asyncio.sleep(0.01)
    coming.set()
    for _ in range(steps):
        await asyncio.sleep(0)
    reader.cancel()
    await asyncio.wait({reader}, timeout=10)
    turn.close()
    gone = reader.cancelled()
    reader.cancel()
    assert gone
