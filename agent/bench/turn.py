"""One turn with a stopwatch, from the caller's side of `Chat`. Knows nothing of HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from agent.answer import Cards, Finished, Text
from agent.llm.protocol import CURRENT, Chunk, Engine, EngineStatus, Filled, Limits, Prompt
from agent.services import Chat, TurnRequest


class StepTimes(BaseModel):
    """Milliseconds from sending the message, as the caller sees them.

    `first_word` is the first text, which is the opening and the list; `sentence` is the first text
    after the list in a turn that asked the model: its own sentence, or the catalogue's in its place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cards: float
    first_word: float | None
    sentence: float | None
    total: float


@dataclass(frozen=True, slots=True)
class TimedTurn:
    """A finished turn; `model_asked` says that the language model was called for it."""

    finished: Finished
    times: StepTimes
    model_asked: bool


class WatchedEngine:
    """An `Engine` that keeps the prompts of the texts asked of it and hands everything on."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.prompts: list[Prompt] = []

    @property
    def asked(self) -> int:
        """How many texts were asked for."""
        return len(self.prompts)

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        """See `Engine.stream`."""
        self.prompts.append(prompt)
        async with aclosing(self._engine.stream(prompt, limits, adapter)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        """See `Engine.choose`."""
        return await self._engine.choose(prompt, options, adapter)

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        """See `Engine.judge`."""
        return await self._engine.judge(prompt, endings, answers, adapter)

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        """See `Engine.fill`."""
        return await self._engine.fill(prompt, grammar, limits, adapter)

    async def load_adapter(self, name: str, path: Path) -> None:
        """See `Engine.load_adapter`."""
        await self._engine.load_adapter(name, path)

    async def use_adapter(self, name: str | None) -> None:
        """See `Engine.use_adapter`."""
        await self._engine.use_adapter(name)

    async def list_adapters(self) -> tuple[str, ...]:
        """See `Engine.list_adapters`."""
        return await self._engine.list_adapters()

    def status(self) -> EngineStatus:
        """See `Engine.status`."""
        return self._engine.status()

    async def close(self) -> None:
        """See `Engine.close`."""
        await self._engine.close()


async def timed_turn(chat: Chat, engine: WatchedEngine, request: TurnRequest) -> TimedTurn:
    """Run one turn of `chat`, which speaks through `engine`.

    Raises:
        ChatalogueError: what `Chat.turn` raises.
    """
    asked_before, started = engine.asked, time.perf_counter()
    cards: float | None = None
    texts: list[float] = []
    async with aclosing(chat.turn(request)) as updates:
        async for update in updates:
            now = round((time.perf_counter() - started) * 1e3, 1)
            if isinstance(update, Cards):
                cards = now
            elif isinstance(update, Text):
                texts.append(now)
            elif isinstance(update, Finished):
                asked = engine.asked > asked_before
                times = StepTimes(
                    cards=now if cards is None else cards,
                    first_word=texts[0] if texts else None,
                    sentence=texts[1] if asked and len(texts) > 1 else None,
                    total=now,
                )
                return TimedTurn(update, times, asked)
    raise RuntimeError("a turn always ends with Finished")
