"""Tokens from a model, left to right: prefill with reuse of earlier prompts, then one token at a time.

Every step asks whether it should go on, so that a cancelled or late call ends at the next token.
Knows nothing of processes; adapters are a name that caches are keyed by.
"""

from __future__ import annotations

import copy
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

import torch

from agent.llm.detokenize import TextFlow
from agent.llm.model import LoadedModel
from agent.llm.protocol import Chunk, Limits, Prompt

PREFILL_CHUNK = 128
"""Tokens for each prefill step. Chunks begin at multiples of it, and only whole chunks are reused, so that a
prompt's numbers do not depend on what was cached: bf16 rounds differently for other shapes. Measured on a Zen 4 without
AMX, CPU time of one thread for 600 tokens, n 3, in turns: 1.30 s at 128, 1.21 at 256, 1.13 in one piece, 1.19 by
`generate`. It is arithmetic; smaller chunks cost 15 % but reuse more and notice a cancellation sooner."""
KEPT_PROMPTS = 8
"""Prompts whose keys and values are kept: two of each of four chats. A 135M model needs 23 KB for each token."""


class Cancelled(Exception):
    """The caller no longer wants the answer."""


class OutOfTime(Exception):
    """The budget of seconds is spent."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Whether a call should go on; asked before each step of the model."""

    seconds: float
    cancelled: Callable[[], bool] = field(default=lambda: False)
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raises `Cancelled` or `OutOfTime`."""
        if self.cancelled():
            raise Cancelled
        if time.monotonic() - self.started >= self.seconds:
            raise OutOfTime


class Continuation(Protocol):
    """A text that the model has read: so many tokens, and the logits (float32, vocab) after the last one."""

    logits: torch.Tensor
    tokens: int

    def feed(self, ids: Sequence[int]) -> None:
        """Read `ids` as well."""
        ...

    def as_state(self) -> State:
        """The same for transformers."""
        ...


@dataclass(slots=True)
class State:
    """A `Continuation` by transformers, with the keys and values in its own kind of cache."""

    model: LoadedModel
    cache: Any
    logits: torch.Tensor
    tokens: int

    def feed(self, ids: Sequence[int]) -> None:
        """See `Continuation.feed`."""
        self.logits = step(self.model, ids, self.cache)
        self.tokens += len(ids)

    def as_state(self) -> State:
        """See `Continuation.as_state`."""
        return self


Continued: TypeAlias = Callable[[State], AbstractContextManager[Continuation]]
"""What goes on with a text that transformers has read, for as long as the context lasts."""


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    adapter: str | None
    ids: tuple[int, ...]
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]


class Reader:
    """Reads prompts, remembering the last ones, so that a chat's common beginning is read once."""

    def __init__(self, model: LoadedModel, reuse: bool = True) -> None:
        self._model = model
        self._kept: deque[_Kept] = deque(maxlen=KEPT_PROMPTS)  # least recently used first
        self._reuse = reuse and is_plain_attention(model)
        self._continued: Continued = nullcontext
        self.reused_tokens = 0
        """Of the last prompt; for tests and measurements."""

    def through(self, continued: Continued) -> Reader:
        """The same reader, with the same memory, which reads on with what `continued` makes of a state."""
        other = copy.copy(self)
        other._continued = continued
        return other

    def read(self, ids: Sequence[int], adapter: str | None, watch: Watch) -> State:
        """Run the model over `ids` (at least one).

        Raises:
            Cancelled, OutOfTime: as `watch` says, between chunks.
        """
        reading = self.reading(ids, adapter, watch)
        while True:
            try:
                next(reading)
            except StopIteration as done:
                state: State = done.value
                return state

    def reading(self, ids: Sequence[int], adapter: str | None, watch: Watch) -> Generator[None, None, State]:
        """`read` with a pause after each chunk but the last, for others to go on."""
        if not ids:
            raise ValueError("a prompt needs at least one token")
        cache, followed = self._begin(ids, adapter)
        begun = State(self._model, cache, torch.empty(0), self.reused_tokens)
        with self._continued(begun) as text:
            for start in range(self.reused_tokens, len(ids), PREFILL_CHUNK):
                if start > self.reused_tokens:
                    yield
                watch.check()
                text.feed(list(ids[start : start + PREFILL_CHUNK]))
            state = text.as_state()
        if followed is not None:
            self._take_place(followed)
        self.keep(ids, adapter, state.cache)
        return state

    def _begin(self, ids: Sequence[int], adapter: str | None) -> tuple[Any, _Kept | None]:
        """A cache with what is known of the prompt's beginning, and what it was taken from."""
        cache = new_cache(self._model)
        candidates = [kept for kept in self._kept if kept.adapter == adapter] if self._reuse else []
        # The last token is always read: its logits are what is wanted.
        lengths = [min(_common(kept.ids, ids), len(ids) - 1) // PREFILL_CHUNK * PREFILL_CHUNK for kept in candidates]
        self.reused_tokens = max(lengths, default=0)
        if not self.reused_tokens:
            return cache, None
        kept = candidates[lengths.index(self.reused_tokens)]
        for index, (keys, values) in enumerate(kept.layers):
            # Views: a cache grows by concatenation and never writes to what it was given.
            cache.update(keys[..., : self.reused_tokens, :], values[..., : self.reused_tokens, :], index)
        return cache, kept

    def _take_place(self, of: _Kept) -> None:
        """`of` was used: it is the last to go, or goes now where what follows holds all of it."""
        with suppress(ValueError):  # it has gone meanwhile
            self._kept.remove(of)
            if self.reused_tokens < len(of.ids):
                self._kept.append(of)

    def keep(self, ids: Sequence[int], adapter: str | None, cache: Any) -> None:  # noqa: ANN401 -- a transformers cache
        """Remember what `cache` holds of the prompt `ids`, whole chunks of it."""
        whole = len(ids) // PREFILL_CHUNK * PREFILL_CHUNK
        if self._reuse and whole:
            layers = tuple((layer.keys[..., :whole, :], layer.values[..., :whole, :]) for layer in cache.layers)
            self._kept.append(_Kept(adapter, tuple(ids[:whole]), layers))

    def kept(self, adapter: str | None) -> tuple[tuple[int, ...], ...]:
        """The prompts that are remembered of `adapter`; from any thread."""
        return tuple(kept.ids for kept in list(self._kept) if kept.adapter == adapter)


@torch.inference_mode()
def step(model: LoadedModel, ids: Sequence[int], cache: Any) -> torch.Tensor:  # noqa: ANN401 -- a transformers cache
    """Feed `ids` after what is in `cache`; logits (float32, vocab) after the last one."""
    fed = torch.tensor([list(ids)], device=model.device)
    result = model.net(input_ids=fed, past_key_values=cache, use_cache=True, logits_to_keep=1)
    logits: torch.Tensor = result.logits[0, -1].float()
    return logits


def new_cache(model: LoadedModel) -> Any:  # noqa: ANN401 -- a transformers cache
    """An empty cache of the kind that the model needs."""
    from transformers import DynamicCache

    return DynamicCache(config=model.net.config)


def is_plain_attention(model: LoadedModel) -> bool:
    """Whether every layer sees all earlier tokens: only then may caches be cut and shared."""
    from transformers.cache_utils import DynamicLayer

    return all(type(layer) is DynamicLayer for layer in new_cache(model).layers)


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    for index, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return index
    return min(len(one), len(other))


class Sampler:
    """Picks the next token: the likeliest at temperature 0, else drawn with a seed of its own."""

    def __init__(self, limits: Limits) -> None:
        self._temperature = limits.temperature
        self.greedy = limits.temperature <= 0
        self._random = torch.Generator().manual_seed(limits.seed) if not self.greedy else None

    def pick(self, logits: torch.Tensor) -> int:
        """`logits`: float32, (vocab,); -inf is never picked."""
        if self.greedy:
            return int(logits.argmax())
        chances = torch.softmax(logits.cpu() / self._temperature, dim=-1)
        return int(torch.multinomial(chances, 1, generator=self._random))


def prompt_ids(model: LoadedModel, prompt: Prompt, max_tokens: int) -> tuple[int, ...]:
    """Ids of `prompt`, shortened to leave room for `max_tokens`; at least half of the context is the prompt's."""
    return model.renderer.fit_answer(prompt, model.context, max_tokens)


class Answer:
    """One answer in the making: what was picked so far, its text, and whether it is over."""

    def __init__(self, model: LoadedModel, prompt: Prompt, limits: Limits) -> None:
        self.ids = prompt_ids(model, prompt, limits.max_tokens)
        """The prompt's."""
        self.made = 0
        self.finish: Literal["stop", "length", "timeout"] | None = None
        self.sampler = Sampler(limits)
        self._stop_ids = model.stop_ids
        self._max_tokens = min(limits.max_tokens, model.context - len(self.ids))
        self._flow = TextFlow(model.decode, limits.stop)
        if self._max_tokens <= 0:
            self.finish = "length"

    @property
    def left(self) -> int:
        """Tokens that may still be made."""
        return self._max_tokens - self.made

    def take(self, token: int) -> Chunk | None:
        """Go on with `token`; its text where there is some already."""
        self.made += 1
        text = "" if token in self._stop_ids else self._flow.push(token)
        if token in self._stop_ids or self._flow.stopped:
            self.finish = "stop"
        elif self.made >= self._max_tokens:
            self.finish = "length"
        return Chunk(text, prompt_tokens=len(self.ids), completion_tokens=self.made) if text else None

    def last(self) -> Chunk:
        """The chunk that ends the answer; call once."""
        return Chunk(self._flow.finish(), finish=self.finish, prompt_tokens=len(self.ids), completion_tokens=self.made)


def stream(
    model: LoadedModel, reader: Reader, adapter: str | None, prompt: Prompt, limits: Limits, watch: Watch
) -> Iterator[Chunk]:
    """Text as it comes, by transformers alone; the last chunk has the `finish`.

    Raises:
        Cancelled: as `watch` says; a spent budget is a `finish` instead.
    """
    answer = Answer(model, prompt, limits)
    token: int | None = None
    try:
        state = reader.read(answer.ids, adapter, watch)
        while answer.finish is None:
            watch.check()
            if token is not None:
                state.feed([token])
            token = answer.sampler.pick(state.logits)
            if chunk := answer.take(token):
                yield chunk
    except OutOfTime:
        answer.finish = "timeout"
    yield answer.last()
