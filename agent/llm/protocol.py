"""What the conversation needs of a language model; both engines implement it.

Knows nothing of catalogues, HTTP or how tokens are made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant"]
EngineState: TypeAlias = Literal["starting", "ready", "failed", "off"]
CURRENT: Final = "*"
"""In place of an adapter's name (None is the base model): the one that `use_adapter` named last."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a prompt; `text` is plain text, the engine applies the model's chat template."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """Messages, then the beginning of the answer (`prefill`, may be empty) that the model continues."""

    messages: tuple[Message, ...]
    prefill: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """The budget of one call, checked before it is spent.

    `seconds` counts from the moment the call leaves the queue. `temperature` 0 is greedy.
    """

    max_tokens: int = 96
    seconds: float = 20.0
    temperature: float = 0.0
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of streamed text. `ahead` > 0 (with empty text): calls waiting before this one.

    The last chunk has a `finish`; token counts are of the whole call so far.
    """

    text: str = ""
    ahead: int = 0
    finish: Literal["stop", "length", "timeout"] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Filled:
    """Text that follows the grammar; `complete` is False when the budget cut it off (use none of it)."""

    text: str
    complete: bool
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What `/readyz`, the page and `doctor` show; `detail` is one sentence for a person."""

    state: EngineState
    model: str
    adapter: str | None = None
    queued: int = 0
    detail: str = ""


class Engine(Protocol):
    """A language model behind a bounded queue. Every method may raise `EngineError`.

    A call may name the loaded `adapter` that answers it (None: the base model), whichever is in use, so that two
    versions answer side by side. A call is answered by one adapter from its first token to its last.

    Cancelling the task that awaits a call (or closing the iterator of `stream`) stops the model
    at the next token.
    """

    def stream(self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT) -> AsyncGenerator[Chunk, None]:
        """Text as it comes; the last chunk carries `finish`."""
        ...

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        """Log-likelihood (natural log, summed over its tokens) of each option as the answer."""
        ...

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        """Log-likelihood of each of the `answers` after the prompt and each ending; a row for each ending.

        One prompt, many endings: the prompt is read once. An ending may be empty, an answer is one token.
        """
        ...

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        """A short text constrained by a GBNF `grammar` whose root rule is `root`."""
        ...

    async def load_adapter(self, name: str, path: Path) -> None:
        """Make the PEFT LoRA adapter in folder `path` available under `name` (never reused)."""
        ...

    async def use_adapter(self, name: str | None) -> None:
        """Answer with adapter `name` from the next call on; None is the base model."""
        ...

    async def list_adapters(self) -> tuple[str, ...]:
        """Names that `use_adapter` accepts."""
        ...

    def status(self) -> EngineStatus:
        """The latest known state; never blocks, never raises."""
        ...

    async def close(self) -> None:
        """Stop the engine; calls in flight end with `EngineError`."""
        ...
