"""What a turn tells on its way: the time of its steps, its ids, what it had to do without.

The steps speak through the functions here and need not know who listens: `step`, `identify`, `without`. They find
the listener in the context of the turn, which `agent/observe/chat.py` sets; where nobody listens they do nothing.
Loads nothing of OpenTelemetry (agent/observe/tracing.py does).
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeAlias, TypeVar

import structlog

from agent.observe import names
from agent.observe.metrics import Metrics, Part, Skill, Step

T = TypeVar("T")
Attribute: TypeAlias = str | bool | int | float | Sequence[str]
SpanKind: TypeAlias = Literal["internal", "client", "server"]


class Span(Protocol):
    """A stretch of time in a trace."""

    def set(self, name: str, value: Attribute) -> None:
        """Note a fact about it; `name` is one of agent/observe/names.py."""
        ...

    def rename(self, name: str) -> None:
        """Give it another name, once that is known."""
        ...

    def fail(self, error_type: str) -> None:
        """It ended in an error of this class; the message, which may quote a customer, stays out."""
        ...


class Tracing(Protocol):
    """Where spans go (agent/observe/tracing.py)."""

    def span(
        self,
        name: str,
        kind: SpanKind = "internal",
        *,
        attributes: Mapping[str, Attribute] | None = None,
        headers: Mapping[str, str] | None = None,
        current: bool = True,
    ) -> AbstractContextManager[Span]:
        """A span around a block; an exception that leaves the block marks it as failed, by its class.

        Args:
            name: as it stands in the trace.
            kind: which side of a call it is.
            attributes: known at its beginning.
            headers: of a request, whose `traceparent` names the span that it continues.
            current: spans that are begun within the block become its children. Not for a block that yields to
                readers in other contexts.
        """
        ...


class _NoSpan:
    """Nobody traces."""

    def set(self, name: str, value: Attribute) -> None: ...
    def rename(self, name: str) -> None: ...
    def fail(self, error_type: str) -> None: ...


NO_SPAN: Final[Span] = _NoSpan()


@dataclass(frozen=True, slots=True)
class Observer:
    """What one server counts and traces. `log_text`: words of customers may stand in logs and traces."""

    metrics: Metrics = field(default_factory=Metrics)
    tracing: Tracing | None = None
    log_text: bool = False
    database: Literal["sqlite", "postgresql"] = "sqlite"

    def span(
        self,
        name: str,
        kind: SpanKind = "internal",
        *,
        attributes: Mapping[str, Attribute] | None = None,
        headers: Mapping[str, str] | None = None,
        current: bool = True,
    ) -> AbstractContextManager[Span]:
        """See `Tracing.span`; without tracing a span that goes nowhere."""
        if self.tracing is None:
            return nullcontext(NO_SPAN)
        return self.tracing.span(name, kind, attributes=attributes, headers=headers, current=current)


@dataclass(slots=True)
class ObservedTurn:
    """The turn under way, as the listener sees it."""

    observer: Observer
    span: Span
    missing: set[Part] = field(default_factory=set)


_turn: ContextVar[ObservedTurn | None] = ContextVar("chatalogue_turn", default=None)
_skill: ContextVar[Skill] = ContextVar("chatalogue_skill", default="other")
_SKILLS: Final[Mapping[Step, Skill]] = {"understand": "understand", "rank": "rank", "reply": "reply"}


def listen(turn: ObservedTurn) -> None:
    """Let the steps in this context speak to `turn`; the context must be the turn's own."""
    _turn.set(turn)


def skill_now() -> Skill:
    """What the step under way would ask the engine for."""
    return _skill.get()


@contextmanager
def step(name: Step) -> Iterator[Span]:
    """Time a step of the turn, and trace it."""
    turn = _turn.get()
    if turn is None:
        yield NO_SPAN
        return
    attributes: dict[str, Attribute] = {}
    if name == "log.record":
        attributes = {names.DB_SYSTEM_NAME: turn.observer.database, names.DB_OPERATION_NAME: "record_turn"}
    before = _skill.set(_SKILLS.get(name, "other"))
    started = time.perf_counter()
    try:
        with turn.observer.span(name, "client" if attributes else "internal", attributes=attributes) as span:
            yield span
    finally:
        turn.observer.metrics.step_seconds.labels(name).observe(time.perf_counter() - started)
        _skill.reset(before)


def identify(*, session_id: str, turn_id: str, adapter: str | None) -> None:
    """From here on the turn's log lines and its span carry these ids."""
    turn = _turn.get()
    if turn is None:
        return
    structlog.contextvars.bind_contextvars(session_id=session_id, turn_id=turn_id, adapter=adapter)
    turn.span.set(names.GEN_AI_CONVERSATION_ID, session_id)
    turn.span.set(names.TURN_ID, turn_id)
    if adapter is not None:
        turn.span.set(names.ADAPTER, adapter)


def without(part: Part) -> None:
    """The turn goes on without a part that failed."""
    turn = _turn.get()
    if turn is not None:
        turn.missing.add(part)


async def in_context(updates: AsyncGenerator[T, None], context: Context) -> AsyncGenerator[T, None]:
    """`updates`, each step of it run within `context`.

    An async generator has no context of its own: what it binds would stay with whoever reads it, and be gone when
    another task closes it.
    """
    try:
        while True:
            try:
                update = await _Within(context, anext(updates))
            except StopAsyncIteration:
                return
            yield update
    finally:
        await _Within(context, updates.aclose())


class _Within:
    """Waits for `awaited` as `await` does, but resumes it within `context`; the task stays the same."""

    def __init__(self, context: Context, awaited: Any) -> None:  # noqa: ANN401 - any awaitable
        self._context = context
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Any]:
        inner = self._awaited.__await__()
        resume = partial(inner.send, None)
        while True:
            try:
                waited_for = self._context.run(resume)
            except StopIteration as stop:
                return stop.value
            try:
                answer = yield waited_for
            except BaseException as error:
                resume = partial(inner.throw, error)
            else:
                resume = partial(inner.send, answer)
