"""Adapters that vLLM loads at run time: each version under a name of its own, an alias that is moved.

vLLM is given nothing that was not checked, and only folders of our store. Its own list of adapters is what counts, not
our memory of it. Knows nothing of prompts or of how the server is started.

Trap on CPUs: vLLM 0.32's CPU kernels take "no adapter" (-1) for the last slot. In a batch that holds calls of the base
and of an adapter, the base answers with whatever adapter is in that slot (measured: 0.97 nats off at the mean). So
there calls of the base and of adapters never run at the same time (`mixed=False`). The plugin in `inside/` mends that,
but a server cannot be asked whether it has it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.llm.adapter_store import AdapterStore, StoredAdapter
from agent.llm.probe import LogProbs, Probe, judge
from agent.llm.protocol import CURRENT
from agent.llm.vllm.client import VLLMClient
from agent.llm.vllm.finding import runs_on_gpu
from agent.llm.vllm.histories import Histories
from agent.llm.vllm.routing import Lease
from agent.llm.vllm.shelf import Leases, Shelf
from agent.llm.vllm.turnstile import Turnstile
from agent.settings import VLLMSettings
from retrieval.errors import EngineError

if TYPE_CHECKING:
    from agent.llm.vllm.backend import Backend, MakeRouter

log = logging.getLogger(__name__)


class AdapterRouter:
    """A `Router` that loads adapters into one running server.

    Args:
        client: of the server; belongs to the caller.
        served_name: what the server calls the base model, now: one at a URL may come back with another name.
        shelf: the adapters at hand.
        max_loaded: adapters that the server keeps (its --max-cpu-loras). Beyond that it would evict one by itself and
            read it again from disk in the middle of a call, so the oldest idle one is unloaded before.
        mixed: whether calls of the base and of adapters may share a batch, see above.
        histories: what was asked last, read by an adapter when it is loaded.
    """

    def __init__(
        self,
        client: VLLMClient,
        served_name: Callable[[], str],
        shelf: Shelf,
        *,
        max_loaded: int,
        mixed: bool = False,
        histories: Histories | None = None,
    ) -> None:
        self._client, self._served_name = client, served_name
        self._histories = histories or Histories()
        self._turnstile = None if mixed else Turnstile()
        self._shelf, self._max_loaded = shelf, max_loaded
        self._leases = Leases()
        self._recent: list[str] = []  # least recently loaded or used first
        self._away: set[str] = set()  # at hand, but not in the server: it keeps only so many
        self._current: str | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def current(self) -> str | None:
        """See `Router.current`."""
        return self._current

    def names(self) -> tuple[str, ...]:
        """See `Router.names`; includes those that had to leave the server and are loaded again when used."""
        return self._shelf.names

    async def load(self, name: str, path: Path) -> None:
        """Check, copy, load, read back, probe, let it read what was asked last; see `Router.load`.

        Raises:
            EngineError: the adapter is refused and the server does not know its name.
        """
        stored = await self._shelf.take(name, path)  # takes its time, and a rollback must not wait for it
        async with self._one_at_a_time:
            self._shelf.keep(name)
            try:
                await self._bring(stored)
            except BaseException:
                self._shelf.drop(name)
                raise
        # Beside calls of the base every piece would wait for them, and they for it.
        if self._turnstile is None or self._current is not None:
            await self._histories.read_by(self._client, name, lambda: self._apart(name))

    async def use(self, name: str | None) -> None:
        """Move the alias; an adapter that had to leave the server is loaded and probed again first.

        Raises:
            EngineError: `name` is not at hand, or is refused now; the alias has not moved.
        """
        async with self._one_at_a_time:
            if name is not None:
                await self._bring(await self._shelf.open(name))
            self._current = name

    async def restore(self) -> tuple[str, ...]:
        """Load all again, as many as the server keeps, the one in use first; see `Router.restore`.

        Raises:
            EngineError: the server does not answer; nothing is lost yet.
        """
        async with self._one_at_a_time:
            wanted = [name for name in reversed(self._recent) if name != self._current]
            if self._current is not None:
                wanted.insert(0, self._current)
            lost = []
            for place, name in enumerate(wanted):
                try:
                    stored = await self._shelf.open(name)
                    if place < self._max_loaded:
                        await self._bring(stored)
                    else:
                        self._away.add(name)
                except EngineError as error:
                    if not await self._client.healthy():
                        raise
                    log.warning("after a restart of the server: %s", error)
                    self._lose(name)
                    lost.append(name)
            return tuple(lost)

    @asynccontextmanager
    async def lease(self, adapter: str | None = CURRENT) -> AsyncIterator[Lease]:
        """The version that the alias names now, or `adapter`, for the whole call.

        Raises:
            EngineError: `adapter` is not at hand, or cannot be loaded again.
        """
        name = self._current if adapter == CURRENT else adapter
        while name is not None and (name in self._away or name not in self._recent):
            async with self._one_at_a_time:
                await self._bring(await self._shelf.open(name))
        with self._leases.held(name):
            async with self._apart(name):
                yield Lease(self._client, name or self._served_name())

    async def close(self) -> None:
        """Nothing to stop: an adapter that stays in a server given by URL harms nobody."""

    def _lose(self, name: str) -> None:
        self._shelf.drop(name)
        self._recent.remove(name)
        self._away.discard(name)
        if self._current == name:
            self._current = None  # the base answers

    async def _bring(self, stored: StoredAdapter) -> None:
        """See to it that the server has the adapter and answers with it as PEFT does; else it is unloaded again."""
        name = stored.name
        loaded = await self._loaded()
        if name not in loaded:
            await self._make_room(loaded)
        elif loaded[name] != str(stored.folder):
            raise EngineError(f"The vLLM server has an adapter {name!r} that is not ours; choose another name.")
        elif name in self._recent:
            self._touch(name)
            return
        try:
            if name not in loaded:
                await self._client.load_adapter(name, stored.folder)
            if (await self._loaded()).get(name) != str(stored.folder):
                raise EngineError(
                    f"The vLLM server does not serve {name!r} from {str(stored.folder)!r} as it was told."
                )
            async with self._apart(name):
                measured = await measure(self._client, name, stored.probe)
            judge(stored.probe, await self._measure_base(stored.probe), measured)
        except BaseException:
            with suppress(EngineError):  # it may never have been there
                await self._client.unload_adapter(name)
            raise
        self._touch(name)

    async def _measure_base(self, probe: Probe) -> tuple[LogProbs, ...] | None:
        """The server's base; None where that would wait for a customer whom an adapter answers."""
        if self._turnstile is not None and any(self._leases.running(name) for name in self._recent):
            return None
        async with self._apart(None):
            return await measure(self._client, self._served_name(), probe)

    def _apart(self, name: str | None) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._turnstile is None else self._turnstile.passed("adapter" if name else "base")

    def _touch(self, name: str) -> None:
        if name in self._recent:
            self._recent.remove(name)
        self._recent.append(name)
        self._away.discard(name)

    async def _loaded(self) -> dict[str, str]:
        """Folders by the names of the adapters that the server has, also such as are not ours."""
        return {model.name: model.root for model in await self._client.models() if model.parent is not None}

    async def _make_room(self, loaded: dict[str, str]) -> None:
        while len(loaded) >= self._max_loaded:
            ours = [name for name in self._recent if name in loaded and name != self._current]
            if not ours:
                raise EngineError(
                    f"The vLLM server keeps {len(loaded)} adapters already and none of them can go; raise "
                    "llm.vllm.max_cpu_loras or unload those that are not ours."
                )
            oldest = min(ours, key=lambda name: self._leases.running(name) > 0)  # idle ones first, then the oldest
            self._away.add(oldest)  # first: a call that names it now waits until it is loaded again
            if not await self._leases.drained(oldest):
                self._away.discard(oldest)
                raise EngineError(f"The adapter {oldest!r} is still answering, so there is no room; try again.")
            await self._client.unload_adapter(oldest)
            del loaded[oldest]


async def measure(client: VLLMClient, model: str, probe: Probe) -> tuple[LogProbs, ...]:
    """What `judge` wants: for each canary the server's log-probabilities of all ids but the first."""
    # One by one: a server of the operator's that has LoRA on its output layer dies of two at once (vLLM 0.32, CPU).
    return tuple([(await client.prompt_logprobs(model, [ids]))[0][1:] for ids in probe.prompts])


def runtime_router(store: AdapterStore, settings: VLLMSettings) -> MakeRouter:
    """For `Backend`: adapters loaded at run time."""

    def make(backend: Backend) -> AdapterRouter:
        shelf = Shelf(store, backend.folder, max_rank=settings.max_lora_rank)
        mixed = settings.mixed_batches == "on" or (settings.mixed_batches == "auto" and runs_on_gpu(settings))
        return AdapterRouter(
            backend.client,
            lambda: backend.served_name,
            shelf,
            max_loaded=settings.max_cpu_loras,
            mixed=mixed,
            histories=backend.histories,
        )

    return make
