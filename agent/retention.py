"""Old words are forgotten every night: out of the log, and out of what was copied from it.

The setting is `privacy.retention_days`; `chatalogue privacy sweep` does it now, or says what would go. Knows nothing of
how anything is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from agent.datadir import DataDirectory
from agent.learning.forgetting import forget_owners
from agent.log.retention import Old, Retention
from agent.log.store import EventLog
from retrieval.errors import ChatalogueError

log = structlog.get_logger(__name__)

AT_ONCE: Final = 200
"""Conversations that one transaction takes out: customers wait for it."""
FIRST_SECONDS: Final = 300.0
"""After the start: a server that starts has other things to do."""
EVERY_SECONDS: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Swept:
    """What went, or would go: conversations, other events with words, and names."""

    conversations: int = 0
    events: int = 0
    names: int = 0

    def __bool__(self) -> bool:
        return bool(self.conversations or self.events or self.names)


def sweep(data: DataDirectory, events: EventLog, days: int, now: datetime, *, dry_run: bool = False) -> Swept:
    """Forget every tenant's words that are older than `days` at `now`; nothing where `days` is 0.

    Raises:
        DataDirectoryError: the database or a file cannot be changed; what was done stays done, sweep again.
    """
    if not days:
        return Swept()
    retention, before = Retention(events.database), now - timedelta(days=days)
    found = Swept()
    for tenant in retention.tenants():
        one = _would_go(retention, tenant, before) if dry_run else _sweep(data, events, retention, tenant, before)
        found = Swept(found.conversations + one.conversations, found.events + one.events, found.names + one.names)
    if found and not dry_run:
        retention.forget_deleted()
    return found


def _would_go(retention: Retention, tenant: str, before: datetime) -> Swept:
    old = retention.find(tenant, before, 2**31 - 1)
    return Swept(len(old.conversations), old.events, old.names)


def _sweep(data: DataDirectory, events: EventLog, retention: Retention, tenant: str, before: datetime) -> Swept:
    found = Swept()
    while old := _old(retention, tenant, before):
        # Copies first, and again, as an erasure does it: what is not in the log could not be found in a file.
        forget_owners(data, events, tenant, old.owners)
        gone = retention.erase(tenant, before, old)
        forget_owners(data, events, tenant, old.owners)
        n_talks = len(gone.conversations)
        found = Swept(found.conversations + n_talks, found.events + gone.events, found.names + gone.names)
        if not (n_talks or gone.events or gone.names):
            break  # everybody came back meanwhile
    return found


def _old(retention: Retention, tenant: str, before: datetime) -> Old | None:
    old = retention.find(tenant, before, AT_ONCE)
    return old if old.conversations or old.events or old.names else None


class NightlySweep:
    """Sweeps a while after the start and then once a day, for as long as the server runs."""

    def __init__(
        self,
        data: DataDirectory,
        events: EventLog,
        days: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._data, self._events, self._days = data, events, days
        self._now, self._sleep = now, sleep

    async def run(self) -> None:
        """Until it is cancelled; a sweep that fails is told of and tried again the next day."""
        pause = FIRST_SECONDS
        while self._days:
            await self._sleep(pause)
            try:
                swept = await asyncio.to_thread(sweep, self._data, self._events, self._days, self._now())
                log.info("words_swept", conversations=swept.conversations, events=swept.events, names=swept.names)
            except ChatalogueError as error:
                log.error("sweep_failed", reason=str(error))
            pause = EVERY_SECONDS
