"""Which server and which served model answer the next call; the adapters' routers implement it too.

Knows nothing of prompts or queues.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.llm.protocol import CURRENT
from agent.llm.vllm.client import VLLMClient
from retrieval.errors import EngineError


@dataclass(frozen=True, slots=True)
class Lease:
    """For one call: the server to ask, and the name (base or versioned adapter) to ask it for."""

    client: VLLMClient
    model: str


class Router(Protocol):
    """Loads adapters, says which one answers, and counts the calls of each so that it can be drained."""

    @property
    def current(self) -> str | None:
        """The adapter that answers the next call; None is the base model."""
        ...

    def names(self) -> tuple[str, ...]:
        """What `use` accepts, in the order of loading."""
        ...

    async def load(self, name: str, path: Path) -> None:
        """Check the PEFT LoRA in folder `path` and make it available under `name` (never reused).

        Raises:
            EngineError: it is refused; nothing has changed.
        """
        ...

    async def use(self, name: str | None) -> None:
        """Answer with `name` from the next lease on; leases that run keep what they have.

        Raises:
            EngineError: `name` was not loaded.
        """
        ...

    async def restore(self) -> tuple[str, ...]:
        """After a restart of the server: load all again; the names that cannot be had any more."""
        ...

    def lease(self, adapter: str | None = CURRENT) -> AbstractAsyncContextManager[Lease]:
        """For one call, held until it is over; `adapter` answers it, whichever is in use.

        Raises:
            EngineError: `adapter` was not loaded, or cannot answer beside the one in use.
        """
        ...

    async def close(self) -> None:
        """Stop what the router itself has started; `client` belongs to the engine."""
        ...


class BaseRouter:
    """The `Router` of a server without adapters: the base model answers everything."""

    current: str | None = None

    def __init__(self, client: VLLMClient, served_name: str) -> None:
        self._lease = Lease(client, served_name)

    def names(self) -> tuple[str, ...]:
        """None."""
        return ()

    async def load(self, name: str, path: Path) -> None:
        """Refuses."""
        raise EngineError(f"The adapter {name!r} cannot be loaded: this vLLM server runs without adapters.")

    async def use(self, name: str | None) -> None:
        """Only the base model; see `Router.use`."""
        if name is not None:
            raise EngineError(f"No adapter {name!r} is loaded; loaded are: none.")

    async def restore(self) -> tuple[str, ...]:
        """There is nothing to lose."""
        return ()

    @asynccontextmanager
    async def lease(self, adapter: str | None = CURRENT) -> AsyncIterator[Lease]:
        """The base model; see `Router.lease`."""
        if adapter != CURRENT:
            await self.use(adapter)
        yield self._lease

    async def close(self) -> None:
        """Nothing to stop."""
