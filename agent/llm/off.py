"""The engine that is switched off: everything works by rules, ranker and templates."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from agent.llm.protocol import CURRENT, Chunk, EngineStatus, Filled, Limits, Prompt
from retrieval.errors import EngineError

_SENTENCE = "The language model is switched off; set CHATALOGUE_LLM__ENGINE=auto to use it."
NO_MODEL = "none"
"""What answers name as their model where it is switched off."""


class NoEngine:
    """Implements `Engine`; every call is refused with one sentence."""

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        """Refuses."""
        raise EngineError(_SENTENCE)
        yield Chunk()  # makes this an async generator, as the protocol asks

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        """Refuses."""
        raise EngineError(_SENTENCE)

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        """Refuses."""
        raise EngineError(_SENTENCE)

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        """Refuses."""
        raise EngineError(_SENTENCE)

    async def load_adapter(self, name: str, path: Path) -> None:
        """Refuses."""
        raise EngineError(_SENTENCE)

    async def use_adapter(self, name: str | None) -> None:
        """Refuses."""
        raise EngineError(_SENTENCE)

    async def list_adapters(self) -> tuple[str, ...]:
        """There are none."""
        return ()

    def status(self) -> EngineStatus:
        """Off."""
        return EngineStatus("off", NO_MODEL, detail=_SENTENCE)

    async def close(self) -> None:
        """Nothing to stop."""
