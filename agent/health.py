"""Whether each part of a running server works: what `/readyz` asks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from agent.llm.protocol import Engine, Limits, Message, Prompt
from agent.log.store import EventLog
from agent.services import PartHealth
from agent.shopkeeper import ShopKeeper
from retrieval.errors import ChatalogueError

PROBE_SECONDS = 10.0
_PROBE = Prompt((Message("user", "Say yes."),))


@dataclass(frozen=True, slots=True)
class PartsHealth:
    """Implements `agent.services.Health` for one tenant."""

    tenant: str
    shops: ShopKeeper
    log: EventLog
    engine: Engine

    async def check(self, *, prove_token: bool = False) -> tuple[PartHealth, ...]:
        """See `agent.services.Health.check`."""
        return self._index(), await self._database(), await self._engine(prove_token)

    def _index(self) -> PartHealth:
        try:
            self.shops.current(self.tenant)
        except ChatalogueError as error:
            return PartHealth("index", "failed", str(error))
        return PartHealth("index", "ok")

    async def _database(self) -> PartHealth:
        try:
            await asyncio.to_thread(self.log.ping)
        except ChatalogueError as error:
            return PartHealth("database", "failed", str(error))
        return PartHealth("database", "ok")

    async def _engine(self, prove_token: bool) -> PartHealth:
        status = self.engine.status()
        if status.state != "ready":
            return PartHealth("engine", status.state, status.detail)
        if prove_token:
            try:
                async with asyncio.timeout(PROBE_SECONDS):
                    async for chunk in self.engine.stream(_PROBE, Limits(max_tokens=1, seconds=PROBE_SECONDS)):
                        if chunk.completion_tokens:
                            return PartHealth("engine", "ok")
            except (ChatalogueError, TimeoutError) as error:
                return PartHealth("engine", "failed", str(error) or "The model made no token in time.")
            return PartHealth("engine", "failed", "The model made no token.")
        return PartHealth("engine", "ok")
