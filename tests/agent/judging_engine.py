"""An engine whose opinions are a rule, so that the right order is known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from agent.llm.protocol import CURRENT, Chunk, EngineState, EngineStatus, Filled, Limits, Prompt
from retrieval.errors import EngineError


class JudgingEngine:
    """`judge` and `choose` answer by `rule(prompt, text)`; `error` is raised instead, `seconds` passed before."""

    def __init__(self, rule: Callable[[Prompt, str], float], *, seconds: float = 0.0) -> None:
        self.rule = rule
        self.seconds = seconds
        self.error: EngineError | None = None
        self.state: EngineState = "ready"
        self.adapter: str | None = None
        self.asked: list[tuple[str, ...]] = []
        self.cancelled = 0

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        await self._pass(endings)
        if answers == (" yes", " no"):
            return tuple((self.rule(prompt, ending), 0.0) for ending in endings)
        return tuple(tuple(self.rule(prompt, answer) for answer in answers) for _ in endings)

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        await self._pass(options)
        return tuple(self.rule(prompt, option) for option in options)

    async def _pass(self, asked: Sequence[str]) -> None:
        self.asked.append(tuple(asked))
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        raise EngineError("It only judges.")
        yield Chunk()

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        raise EngineError("It only judges.")

    async def load_adapter(self, name: str, path: Path) -> None:
        raise EngineError("It only judges.")

    async def use_adapter(self, name: str | None) -> None:
        self.adapter = name

    async def list_adapters(self) -> tuple[str, ...]:
        return ()

    def status(self) -> EngineStatus:
        return EngineStatus(self.state, "judge", self.adapter)

    async def close(self) -> None:
        self.state = "off"
