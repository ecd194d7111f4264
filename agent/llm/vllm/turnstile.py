"""Calls of one kind at a time, for servers that cannot keep two apart in a batch. Knows nothing of servers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turnstile:
    """Lets calls of one kind run together and makes those of another wait, in the order in which they came.

    The order matters: while customers keep asking, a call of another kind (a probe) would wait for ever.
    """

    def __init__(self) -> None:
        self._kind = ""
        self._running = 0
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def passed(self, kind: str) -> AsyncIterator[None]:
        """Held while one call of `kind` runs."""
        await self._enter(kind)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, kind: str) -> None:
        if not self._waiting and (not self._running or kind == self._kind):
            self._kind = kind
            self._running += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        place = (kind, turn)
        self._waiting.append(place)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self._leave()  # it was let in at the moment at which its caller went away
            elif place in self._waiting:
                self._waiting.remove(place)
                self._admit()  # those behind may have waited for this one alone
            raise

    def _leave(self) -> None:
        self._running -= 1
        self._admit()

    def _admit(self) -> None:
        """Let in whoever is first, and those behind of the same kind."""
        while self._waiting and (not self._running or self._waiting[0][0] == self._kind):
            kind, turn = self._waiting.popleft()
            if turn.cancelled():
                continue
            self._kind = kind
            self._running += 1
            turn.set_result(None)
