"""The line in front of the engine: so many calls at once, so many that wait, and each is told its place."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from retrieval.errors import EngineBusy


class _Ticket:
    def __init__(self) -> None:
        self.places: asyncio.Queue[int | Exception] = asyncio.Queue()  # 0: it may run
        self.admitted = False


class Line:
    """Closed at first: calls wait until `open`.

    Args:
        at_once: calls that may run.
        max_waiting: calls that may wait; one more gives `EngineBusy`.
    """

    def __init__(self, at_once: int, max_waiting: int) -> None:
        self._at_once, self._max_waiting = at_once, max_waiting
        self._waiting: deque[_Ticket] = deque()
        self._running = 0
        self._is_open = False

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    async def enter(self) -> AsyncGenerator[int, None]:
        """The places of a new call in the line, from its first to 1, then the end: it may run, and must `leave`.

        Closing the iterator before its end leaves the line.

        Raises:
            EngineBusy: too many wait already.
            Exception: what `dismiss` was given.
        """
        if self._is_open and self._running < self._at_once and not self._waiting:
            self._running += 1
            return
        if len(self._waiting) >= self._max_waiting:
            raise EngineBusy(f"{self.waiting} questions wait for the language model already; try again in a moment.")
        ticket = _Ticket()
        self._waiting.append(ticket)
        ticket.places.put_nowait(len(self._waiting))
        taken = False
        try:
            while place := await ticket.places.get():
                if isinstance(place, Exception):
                    raise place
                yield place
            taken = True
        finally:
            if not taken:
                self._give_up(ticket)

    def leave(self) -> None:
        """A call that ran is over."""
        self._running -= 1
        self._advance()

    def open(self) -> None:
        """Let calls run."""
        self._is_open = True
        self._advance()

    def shut(self) -> None:
        """Let no more calls run until `open`; those that wait go on waiting."""
        self._is_open = False

    def dismiss(self, error: Exception) -> None:
        """End all that wait with `error`."""
        while self._waiting:
            self._waiting.popleft().places.put_nowait(error)

    def _give_up(self, ticket: _Ticket) -> None:
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            self._tell()
        elif ticket.admitted:  # between being told so and hearing it
            self.leave()

    def _advance(self) -> None:
        before = len(self._waiting)
        while self._is_open and self._waiting and self._running < self._at_once:
            self._running += 1
            ticket = self._waiting.popleft()
            ticket.admitted = True
            ticket.places.put_nowait(0)
        if len(self._waiting) != before:
            self._tell()

    def _tell(self) -> None:
        for place, ticket in enumerate(self._waiting, start=1):
            ticket.places.put_nowait(place)
