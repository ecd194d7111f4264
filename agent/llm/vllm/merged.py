"""Adapters merged into weights, one vLLM server for each: on CPUs LoRA beside the weights costs speed.

At most two servers at once, one of them only while another takes its place. Knows nothing of prompts or of how a server
is started.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agent.llm.adapter_store import AdapterStore, StoredAdapter
from agent.llm.apart import run_apart
from agent.llm.probe import judge
from agent.llm.protocol import CURRENT
from agent.llm.vllm.adapters import measure
from agent.llm.vllm.client import VLLMClient
from agent.llm.vllm.merging import MERGE_SECONDS, write_merged
from agent.llm.vllm.routing import Lease
from agent.llm.vllm.server import VLLMServer
from agent.llm.vllm.shelf import Leases, Shelf
from retrieval.errors import EngineError

if TYPE_CHECKING:
    from agent.llm.vllm.backend import Backend, MakeRouter

log = logging.getLogger(__name__)


class ServerHost(Protocol):
    """Who starts servers, watches the one that answers and starts the base again when it is gone (`Backend`)."""

    client: VLLMClient
    served_name: str

    @property
    def folder(self) -> Path:
        """The base model's weights."""
        ...

    async def start_server(self, folder: Path, served_name: str) -> VLLMServer:
        """Another server, ready and warm, not yet watched."""
        ...

    def take_over(self, server: VLLMServer, place_of: str) -> VLLMServer | None:
        """Watch `server` from now on, `client` asks it; the one before is the caller's to stop."""
        ...


class MergedRouter:
    """A `Router` that answers from one server on merged weights and changes servers to change adapters.

    Args:
        host: with the base's server running.
        shelf: the adapters at hand.
    """

    def __init__(self, host: ServerHost, shelf: Shelf) -> None:
        self._host, self._shelf = host, shelf
        self._leases = Leases()
        self._current: str | None = None
        self._lease = Lease(VLLMClient(host.client.url), host.served_name)
        self._one_at_a_time = asyncio.Lock()

    @property
    def current(self) -> str | None:
        """See `Router.current`."""
        return self._current

    def names(self) -> tuple[str, ...]:
        """See `Router.names`."""
        return self._shelf.names

    async def load(self, name: str, path: Path) -> None:
        """Check, copy, merge; what the server makes of it is probed by `use`, before it answers anybody.

        Raises:
            EngineError: the adapter is refused; nothing has changed.
        """
        await self._merge(await self._shelf.take(name, path))
        self._shelf.keep(name)

    async def use(self, name: str | None) -> None:
        """Start a server on the merged weights, probe it, let it answer, stop the one before when its calls are over.

        Takes as long as vLLM takes to start; the server before answers until then.

        Raises:
            EngineError: `name` is not at hand, or its server does not start or fails the probe; nothing has changed.
        """
        async with self._one_at_a_time:
            if name != self._current:
                await self._switch(name)

    async def restore(self) -> tuple[str, ...]:
        """The server is gone and the base runs in its place; go on with the adapter. See `Router.restore`."""
        async with self._one_at_a_time:
            lost = [name for name in self._shelf.names if not await self._is_whole(name)]
            before = self._put(VLLMClient(self._host.client.url), self._host.served_name)
            await before.client.close()  # of the server that is gone; no call can end well on it
            wanted, self._current = self._current, None
            if wanted is not None and wanted not in lost:
                try:
                    await self._switch(wanted)
                except EngineError as error:
                    if not await self._host.client.healthy():
                        self._current = wanted
                        raise
                    log.warning("after a restart of the server: %s", error)
                    self._shelf.drop(wanted)
                    lost.append(wanted)
            return tuple(lost)

    @asynccontextmanager
    async def lease(self, adapter: str | None = CURRENT) -> AsyncIterator[Lease]:
        """The server that answers now, for the whole call; it has one set of weights.

        Raises:
            EngineError: `adapter` is another than the one in use.
        """
        if adapter not in (CURRENT, self._current):
            asked = "The base model" if adapter is None else f"The adapter {adapter!r}"
            beside = "the base model" if self._current is None else repr(self._current)
            raise EngineError(
                f"{asked} cannot answer beside {beside}: a vLLM server on merged weights has one adapter at a time; "
                "set CHATALOGUE_LLM__VLLM__ADAPTERS=runtime."
            )
        lease = self._lease
        with self._leases.held(lease.client.url):
            yield lease

    async def close(self) -> None:
        """Close the connections; the server is stopped by who watches it."""
        await self._lease.client.close()

    async def _switch(self, name: str | None) -> None:
        if name is None:
            served_name = self._host.served_name
            server = await self._host.start_server(self._host.folder, served_name)
        else:
            stored, served_name = await self._shelf.open(name), name
            server = await self._host.start_server(await self._merge(stored), served_name)
        client = VLLMClient(server.url)
        try:
            if name is not None:
                judge(stored.probe, None, await measure(client, served_name, stored.probe))
            old = self._host.take_over(server, self._lease.client.url)
        except BaseException:
            await client.close()
            await server.stop()
            raise
        before = self._put(client, served_name)
        self._current = name
        try:
            if not await self._leases.drained(before.client.url):
                log.warning("calls on the server of %r did not end and are cut off", before.model)
        finally:
            await before.client.close()
            if old is not None:
                await old.stop()

    def _put(self, client: VLLMClient, served_name: str) -> Lease:
        """Let `client` answer from the next lease on; what answered before."""
        before, self._lease = self._lease, Lease(client, served_name)
        return before

    async def _merge(self, stored: StoredAdapter) -> Path:
        target = self._shelf.store.merged_folder(stored.name)
        await run_apart(write_merged, self._host.folder, stored.folder, target, seconds=MERGE_SECONDS)
        return target

    async def _is_whole(self, name: str) -> bool:
        try:
            await self._shelf.open(name)
        except EngineError as error:
            log.warning("after a restart of the server: %s", error)
            self._shelf.drop(name)
            return False
        return True


def merged_router(store: AdapterStore) -> MakeRouter:
    """For `Backend`: adapters merged into weights; its server needs no LoRA."""

    def make(backend: Backend) -> MergedRouter:
        return MergedRouter(backend, Shelf(store, backend.folder))

    return make
