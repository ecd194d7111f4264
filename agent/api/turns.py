"""Runs a turn in a task of its own, so that neither a slow client nor a lost one stands in its way.

Knows nothing of HTTP: whoever reads asks for the next update, with a limit of patience.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from agent.answer import Finished, Update

# The event loop keeps weak references only; a cancelled turn must live until it has logged its words.
_tasks: Final[set[asyncio.Task[None]]] = set()


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Exception


class RunningTurn:
    """A turn under way. `close` must be called at the end, whatever happened.

    The turn's iterator is driven by one task from beginning to end (a task for each step would
    break time-outs that span a `yield`). Nothing is lost when the reader is slow: a turn is small.
    """

    def __init__(self, turn: AsyncIterator[Update]) -> None:
        """Begin at once."""
        self._turn = turn
        self._updates: asyncio.Queue[Update | _Failed] = asyncio.Queue()
        self._head: Update | _Failed | None = None
        self._finished = False
        self._task = asyncio.create_task(self._run())
        _tasks.add(self._task)
        self._task.add_done_callback(_tasks.discard)

    async def _run(self) -> None:
        try:
            async for update in self._turn:
                if isinstance(update, Finished):
                    self._finished = True
                self._updates.put_nowait(update)
            if not self._finished:
                raise RuntimeError("a turn ended without Finished")
        except asyncio.CancelledError:  # from within: a reader that is there must not wait for ever
            self._updates.put_nowait(_Failed(RuntimeError("the turn was cancelled")))
            raise
        except Exception as error:  # the reader raises it
            self._updates.put_nowait(_Failed(error))

    async def wait_for_first(self, seconds: float) -> None:
        """Return when there is something to say, or after `seconds`.

        Raises:
            Exception: what the turn raised before it said anything.
        """
        try:
            self._head = await self._next(seconds)
        except TimeoutError:
            return
        if isinstance(self._head, _Failed):
            raise self._head.error

    async def _next(self, seconds: float) -> Update | _Failed:
        # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with an update, and a reader
        # whose client has gone would wait for ever.
        async with asyncio.timeout(seconds):
            return await self._updates.get()

    async def updates(self, beat_s: float) -> AsyncIterator[Update | None]:
        """Each update up to `Finished`; None whenever nothing came for `beat_s` seconds.

        Raises:
            Exception: what the turn raised.
        """
        while True:
            update, self._head = self._head, None
            if update is None:
                try:
                    update = await self._next(beat_s)
                except TimeoutError:
                    yield None
                    continue
            if isinstance(update, _Failed):
                raise update.error
            yield update
            if isinstance(update, Finished):
                return

    async def finished(self) -> Finished:
        """The end of the turn, for clients that do not stream.

        Raises:
            Exception: what the turn raised.
        """
        async for update in self.updates(beat_s=60.0):
            if isinstance(update, Finished):
                return update
        raise AssertionError("updates() ends with Finished or raises")

    def close(self) -> None:
        """Stop a turn that nobody reads any more; it logs what was said so far in its own time."""
        if not self._task.done() and not self._finished:
            self._task.cancel()
