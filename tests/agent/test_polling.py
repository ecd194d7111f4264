"""Work that waits: a failure ends nothing, and there is a pause only where nothing was done."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from agent import polling
from retrieval.errors import DataDirectoryError


async def test_work_goes_on_after_failures_and_pauses_after_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[str] = []
    script = iter([2, DataDirectoryError("The database is away."), ValueError("a bug"), 0])

    async def work() -> int:
        what = next(script)
        did.append("work")
        if isinstance(what, Exception):
            raise what
        return what

    async def pause(seconds: float) -> None:
        did.append(f"pause {seconds}")
        if did.count("work") == 4:
            raise asyncio.CancelledError

    monkeypatch.setattr(polling, "asyncio", SimpleNamespace(sleep=pause))  # not for every loop of the process
    with pytest.raises(asyncio.CancelledError):
        await polling.poll(work, 0.5, "not_done")
    assert did == ["work", "work", "pause 0.5", "work", "pause 0.5", "work", "pause 0.5"]
