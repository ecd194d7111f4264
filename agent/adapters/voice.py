"""An engine that answers one conversation's turn with one adapter, whichever is in use by its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from agent.llm.protocol import CURRENT, Chunk, Engine, EngineStatus, Filled, Limits, Prompt
from agent.reply_prompt import AcceptedReply
from agent.skills import SkillName


@dataclass(frozen=True, slots=True)
class Voice:
    """Who answers a turn. `skills` that the gate switched on for this adapter; None: as agent/skills.toml says.

    `examples` are shown to the model before it writes.
    """

    engine: Engine
    skills: frozenset[SkillName] | None = None
    examples: tuple[AcceptedReply, ...] = ()


class Voices(Protocol):
    """Knows which adapter answers which conversation (live.py)."""

    def voice(self, engine: Engine, session_id: str) -> Voice:
        """For one turn of a conversation: `engine`, bound to the adapter that answers it now."""
        ...

    def strangers(self, engine: Engine) -> Voice:
        """For a turn of another tenant: without anything that this one's customers taught."""
        ...


class OneVoice:
    """The engine answers everybody with what it has in use."""

    def voice(self, engine: Engine, session_id: str) -> Voice:
        """See `Voices.voice`."""
        return Voice(engine)

    def strangers(self, engine: Engine) -> Voice:
        """See `Voices.strangers`."""
        return Voice(engine)


class PinnedEngine:
    """Implements `Engine` over another one: calls that name no adapter are answered by `name`.

    `told` is what `status` and so the answers call it: the id, where the engine's own name has a digest in it.
    """

    def __init__(self, engine: Engine, name: str | None, told: str | None) -> None:
        self._engine, self._name, self._told = engine, name, told

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        """See `Engine.stream`."""
        async with aclosing(self._engine.stream(prompt, limits, self._named(adapter))) as chunks:
            async for chunk in chunks:
                yield chunk

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        """See `Engine.choose`."""
        return await self._engine.choose(prompt, options, self._named(adapter))

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        """See `Engine.judge`."""
        return await self._engine.judge(prompt, endings, answers, self._named(adapter))

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        """See `Engine.fill`."""
        return await self._engine.fill(prompt, grammar, limits, self._named(adapter))

    async def load_adapter(self, name: str, path: Path) -> None:
        """See `Engine.load_adapter`."""
        await self._engine.load_adapter(name, path)

    async def use_adapter(self, name: str | None) -> None:
        """See `Engine.use_adapter`; this engine stays with its own."""
        await self._engine.use_adapter(name)

    async def list_adapters(self) -> tuple[str, ...]:
        """See `Engine.list_adapters`."""
        return await self._engine.list_adapters()

    def status(self) -> EngineStatus:
        """See `Engine.status`; `adapter` is the one that answers here."""
        return replace(self._engine.status(), adapter=self._told)

    async def close(self) -> None:
        """See `Engine.close`."""
        await self._engine.close()

    def _named(self, adapter: str | None) -> str | None:
        return self._name if adapter == CURRENT else adapter
