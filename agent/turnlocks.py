"""The turns of one conversation, one after the other: in this process and beside every other one on the database.

In the process they queue in the order in which they came; then the first of them asks the database for the lease,
again and again, so that any number of waiting turns keeps no connection. Knows nothing of what a turn does.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator
from weakref import WeakValueDictionary

from agent.answer import Waiting
from agent.log.records import TurnConflict
from agent.log.store import EventLog
from retrieval.errors import ChatalogueError

WAIT_SECONDS = 60.0
"""How long a turn waits for the ones before it."""
RENEW_SECONDS = 5.0
"""A turn under way takes its lease again so often: a third of the time for which it is given."""
FIRST_LOOK_SECONDS = 0.05
LONGEST_LOOK_SECONDS = 0.4
"""Between two looks whether another process is done; each is twice the one before."""

log = logging.getLogger(__name__)
_tasks: set[asyncio.Task[None]] = set()


class TurnLocks:
    """The conversations that this process answers in."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def claim(self, tenant: str, session_id: str) -> Claim:
        """What a turn waits with and releases, whatever happens."""
        return Claim(self._events, self._locks.setdefault(session_id, asyncio.Lock()), tenant, session_id)


class Claim:
    """One turn's place in its conversation."""

    def __init__(self, events: EventLog, lock: asyncio.Lock, tenant: str, session_id: str) -> None:
        self._events, self._lock = events, lock
        self._tenant, self._session_id = tenant, session_id
        self._owner = secrets.token_hex(8)
        self._locked = self._leased = False
        self._asking: asyncio.Task[bool] | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def wait(self) -> AsyncGenerator[Waiting, None]:
        """Ends when it is our turn; says so once where that is not at once.

        Raises:
            TurnConflict: the turns before took longer than `WAIT_SECONDS`.
            NotFound: the conversation is unknown or of another tenant.
        """
        deadline, pause, told = time.monotonic() + WAIT_SECONDS, FIRST_LOOK_SECONDS, self._lock.locked()
        if told:
            yield Waiting(1)
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._lock.acquire()
        except TimeoutError:
            raise _still_busy() from None
        self._locked = True
        while not await self._take():
            if not told:
                told = True
                yield Waiting(1)
            if time.monotonic() > deadline:
                raise _still_busy()
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK_SECONDS)
        self._renewing = asyncio.create_task(self._renew())

    async def release(self) -> None:
        """Let the next turn begin; also after a `wait` that did not end. Goes on when the caller is cancelled."""
        if self._renewing is not None:
            self._renewing.cancel()
        if self._locked:
            self._locked = False
            giving_back = asyncio.create_task(self._give_back())
            _tasks.add(giving_back)  # the loop itself keeps no task alive
            giving_back.add_done_callback(_tasks.discard)
            await asyncio.shield(giving_back)

    async def _take(self) -> bool:
        """Ask the database; its answer counts also when we are cancelled meanwhile, see `_give_back`."""
        asking = asyncio.to_thread(self._events.take_lease, self._tenant, self._session_id, self._owner)
        self._asking = asyncio.create_task(asking)
        taken = await asyncio.shield(self._asking)
        self._leased = self._leased or taken
        return taken

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                if not await self._take():
                    log.warning("Another process answers in a conversation, too: this one was not heard of for long.")
            except ChatalogueError as error:
                log.warning("The lease of a conversation was not renewed: %s", error)

    async def _give_back(self) -> None:
        try:
            if self._asking is not None:
                (answer,) = await asyncio.gather(self._asking, return_exceptions=True)  # its errors were heard
                if self._leased or answer is True:
                    await asyncio.to_thread(self._events.drop_lease, self._session_id, self._owner)
        except ChatalogueError as error:
            log.warning("A conversation waits until its lease runs out: %s", error)
        finally:
            self._lock.release()


def _still_busy() -> TurnConflict:
    return TurnConflict("An earlier message of this conversation is still being answered; send yours again after that.")
