"""Whether each part of a running server works: what `/readyz` asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field

from agent.adapters.live import LiveAdapters
from agent.llm.protocol import Engine, Limits, Message, Prompt
from agent.log.store import EventLog
from agent.services import PartHealth
from agent.shopkeeper import ShopKeeper
from agent.starter.keeping import AdapterKeeper
from retrieval.errors import ChatalogueError, EngineBusy

PROBE_SECONDS = 10.0
PROOF_SECONDS = 5.0
"""How long a probe's result is told again: askers cannot fill the model's queue."""
DATABASE_SECONDS = 2.0
"""A database that takes longer to take a write is not ready: a turn writes several times."""
RECENT_SECONDS = 60.0
"""A busy model whose last sign of life is not older than this is alive. Longer than any call may run."""
POLL_SECONDS = 0.1
"""Between two looks at a full queue."""
LOADING = "The language model's adapter is being loaded; until then the model answers without it."
_PROBE = Prompt((Message("user", "Say yes."),))


class EngineProbe:
    """Asks the engine for one token: one call at a time, whoever asks meanwhile is given the same result.

    A call that ended while the probe waited in the queue, or while the queue was full, is as good as a token.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._running: asyncio.Task[PartHealth] | None = None
        self._result: PartHealth | None = None
        self._asked_at = 0.0
        self._alive_at: float | None = None

    async def check(self) -> PartHealth:
        """The result of the last `PROOF_SECONDS`, else that of the probe under way, else that of a new one."""
        if self._result is not None and time.monotonic() - self._asked_at < PROOF_SECONDS:
            return self._result
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._probe())
        return await asyncio.shield(self._running)  # an asker that goes away takes the result from nobody

    async def _probe(self) -> PartHealth:
        try:
            sentence = await self._objection()
        except ChatalogueError as error:
            sentence = str(error)
        if not sentence:
            self._alive_at = time.monotonic()
        self._result = PartHealth("engine", "failed" if sentence else "ok", sentence)
        self._asked_at = time.monotonic()
        return self._result

    async def _objection(self) -> str:
        """Why the engine does not work; empty where it does."""
        waiting = False
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                try:
                    async with aclosing(self._engine.stream(_PROBE, Limits(1, PROBE_SECONDS))) as chunks:
                        ahead: int | None = None
                        async for chunk in chunks:
                            if chunk.completion_tokens or (ahead is not None and chunk.ahead < ahead):
                                return ""
                            waiting, ahead = chunk.ahead > 0, chunk.ahead or None
                except EngineBusy:
                    waiting = True
                    await self._queue_moves()
                    return ""
        except TimeoutError:
            if not waiting:
                return "The model made no token in time."
            if self._alive_at is not None and time.monotonic() - self._alive_at < RECENT_SECONDS:
                return ""
            return f"The model's queue has not moved for {PROBE_SECONDS:g} s."
        return "The model made no token."

    async def _queue_moves(self) -> None:
        """Return once a call has left the queue."""
        most = self._engine.status().queued
        while (queued := self._engine.status().queued) >= most:
            most = queued
            await asyncio.sleep(POLL_SECONDS)


class DatabaseProbe:
    """Asks the database to take a write: one at a time, on a thread that no turn that waits can take away."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._thread = ThreadPoolExecutor(1, "database-probe")
        self._running: asyncio.Future[PartHealth] | None = None

    async def check(self) -> PartHealth:
        """What it says within `DATABASE_SECONDS`; whoever asks while a probe waits is given the same result."""
        running = self._running
        if running is None or running.done():
            running = self._running = asyncio.get_running_loop().run_in_executor(self._thread, self._ask)
        await asyncio.wait((running,), timeout=DATABASE_SECONDS)
        if running.done():
            return running.result()
        return PartHealth("database", "failed", f"The database took no write within {DATABASE_SECONDS:g} s.")

    def _ask(self) -> PartHealth:
        try:
            self._log.ping()
        except ChatalogueError as error:
            return PartHealth("database", "failed", str(error))
        return PartHealth("database", "ok")


@dataclass(frozen=True, slots=True)
class PartsHealth:
    """Implements `agent.services.Health` for one tenant; keep one, for it remembers the engine's last proof.

    `learning` says why the last job of the schedule failed, "" where it did not; None: there is no schedule.
    """

    tenant: str
    shops: ShopKeeper
    log: EventLog
    engine: Engine
    adapter: AdapterKeeper | LiveAdapters | None = None
    learning: Callable[[], str] | None = None
    _probe: EngineProbe = field(init=False, repr=False, compare=False)
    _database: DatabaseProbe = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_probe", EngineProbe(self.engine))
        object.__setattr__(self, "_database", DatabaseProbe(self.log))

    async def check(self, *, prove_token: bool = False) -> tuple[PartHealth, ...]:
        """See `agent.services.Health.check`."""
        found = (self._index(), await self._database.check(), await self._engine(prove_token))
        return found if self.learning is None else (*found, self._learning(self.learning()))

    def _index(self) -> PartHealth:
        try:
            problem = self.shops.current(self.tenant).problem or self.shops.rankers.problem(self.tenant)
        except ChatalogueError as error:
            return PartHealth("index", "failed", str(error))
        return PartHealth("index", "degraded" if problem else "ok", problem)

    @staticmethod
    def _learning(problem: str) -> PartHealth:
        """What serves goes on as it is where nothing new is learned."""
        return PartHealth("learning", "degraded" if problem else "ok", problem)

    async def _engine(self, prove_token: bool) -> PartHealth:
        status = self.engine.status()
        if status.state != "ready":
            return PartHealth("engine", status.state, status.detail)
        if self.adapter is not None and not self.adapter.is_settled:
            return PartHealth("engine", "starting", LOADING)
        found = await self._probe.check() if prove_token else PartHealth("engine", "ok")
        problem = self.adapter.problem if self.adapter else ""
        return PartHealth("engine", "degraded", problem) if found.state == "ok" and problem else found
