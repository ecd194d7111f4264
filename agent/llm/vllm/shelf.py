"""What both ways of serving adapters need: which are at hand, checked and stored, and which calls still use which.

Knows nothing of servers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.llm.adapter_check import Shapes, base_shapes, check_adapter
from agent.llm.adapter_store import AdapterStore, StoredAdapter
from agent.llm.names import check_name
from retrieval.errors import EngineError

log = logging.getLogger(__name__)

DRAIN_SECONDS = 60.0
"""How long calls in flight may keep what is to be unloaded or stopped; budgets of calls are shorter."""
DRAIN_POLL_S = 0.05


class Leases:
    """Calls in flight, by what answers them."""

    def __init__(self) -> None:
        self._running: Counter[str | None] = Counter()

    @contextmanager
    def held(self, key: str | None) -> Iterator[None]:
        """One call of `key`."""
        self._running[key] += 1
        try:
            yield
        finally:
            self._running[key] -= 1

    def running(self, key: str | None) -> int:
        """Calls of `key` in flight."""
        return self._running[key]

    async def drained(self, key: str | None) -> bool:
        """Wait until no call of `key` is in flight; False when some still are after DRAIN_SECONDS."""
        deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while self._running[key]:
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(DRAIN_POLL_S)
        return True


class Shelf:
    """The adapters of one router, in the order of loading; each is held in the store.

    Args:
        store: where their files are.
        base_folder: the weights that they change.
        max_rank: the highest rank that the server takes; None: any.
    """

    def __init__(self, store: AdapterStore, base_folder: Path, *, max_rank: int | None = None) -> None:
        self.store, self.base_folder = store, base_folder
        self._max_rank = max_rank
        self._shapes: Shapes | None = None
        self._names: list[str] = []

    @property
    def names(self) -> tuple[str, ...]:
        """Those at hand."""
        return tuple(self._names)

    async def take(self, name: str, path: Path) -> StoredAdapter:
        """Check and store the adapter in folder `path`; it is at hand after `keep`.

        Raises:
            EngineError: it is refused; nothing has changed.
        """
        check_name(name, self._names)
        if self._shapes is None:
            self._shapes = await asyncio.to_thread(base_shapes, self.base_folder)
        checked = await asyncio.to_thread(check_adapter, name, path, self._shapes, max_rank=self._max_rank)
        return await self.store.add(checked, path, self.base_folder)

    def keep(self, name: str) -> None:
        """`name` is at hand from now on.

        Raises:
            EngineError: it was at hand already.
        """
        check_name(name, self._names)  # again: two may have been taken at the same time
        self.store.hold(name)
        self._names.append(name)

    def drop(self, name: str) -> None:
        """`name` cannot be used any more. Its files stay held: a server may remember them until it ends."""
        self._names.remove(name)

    async def open(self, name: str) -> StoredAdapter:
        """One at hand, its files verified.

        Raises:
            EngineError: it is not at hand, or its files have changed.
        """
        if name not in self._names:
            raise EngineError(f"No adapter {name!r} is loaded; loaded are: {', '.join(self._names) or 'none'}.")
        return await asyncio.to_thread(self.store.open, name)
