"""Works through a shift: every step over the door that customers and teams use, every expectation looked at.

An order that a talk does not name must be as it was before: what was not asked must not be done. Knows nothing of
how the server is started and of how the record is printed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import httpx
from pydantic import BaseModel, ConfigDict

from agent.bench.shift.script import Shift, Step, Talk
from agent.log.records import ConversationStatus
from retrieval.errors import ChatalogueError

Orders = Callable[[], Mapping[str, str]]
"""Every order as one line of its state."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StepRecord(_Frozen):
    """One step as it came; `failed` has a sentence for each expectation that was not met."""

    who: str
    said: str
    reply: str = ""
    action: str = ""
    cited: tuple[str, ...] = ()
    status: ConversationStatus | None = None
    failed: tuple[str, ...] = ()


class TalkRecord(_Frozen):
    """One conversation; `failed` are expectations of the whole, of its orders above all."""

    name: str
    kind: str
    steps: tuple[StepRecord, ...]
    failed: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every expectation was met."""
        return not self.failed and not any(step.failed for step in self.steps)


class ShiftRecord(_Frozen):
    """The shift; `engine` says whether a language model was there."""

    engine: str
    talks: tuple[TalkRecord, ...]

    @property
    def expectations_failed(self) -> int:
        """How many, over all talks."""
        return sum(len(talk.failed) + sum(len(step.failed) for step in talk.steps) for talk in self.talks)


class Door(Protocol):
    """How a step is done; each gives the reply, the `chatalogue` object (empty for the team), and who has the talk."""

    def say(self, session: str | None, text: str) -> tuple[str, str, Mapping[str, Any]]:
        """A message of a customer: session id, reply, object."""
        ...

    def press(self, session: str | None) -> tuple[str, str]:
        """The button: session id, closing line."""
        ...

    def team(self, session: str, deed: str, text: str) -> None:
        """Something that the team does."""
        ...

    def status(self, session: str) -> ConversationStatus:
        """Who has the conversation."""
        ...


class ServedDoor:
    """A `chatalogue serve` without keys, on this machine; `client` has its address."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def say(self, session: str | None, text: str) -> tuple[str, str, Mapping[str, Any]]:
        """See `Door.say`."""
        body: dict[str, Any] = {"model": "chatalogue", "messages": [{"role": "user", "content": text}]}
        body |= {"metadata": {"session_id": session}} if session else {}
        said = self._asked("POST", "/v1/chat/completions", body)
        return said["chatalogue"]["session_id"], said["choices"][0]["message"]["content"], said["chatalogue"]

    def press(self, session: str | None) -> tuple[str, str]:
        """See `Door.press`."""
        said = self._asked("POST", f"/v1/sessions/{session or 'new'}/handoff", {})
        return said["session_id"], said["message"]

    def team(self, session: str, deed: str, text: str) -> None:
        """See `Door.team`."""
        self._asked("POST", f"/v1/handoffs/{session}/{deed}", {"agent": "Robin", **({"text": text} if text else {})})

    def status(self, session: str) -> ConversationStatus:
        """See `Door.status`."""
        found: ConversationStatus = self._asked("GET", f"/v1/sessions/{session}", None)["status"]
        return found

    def _asked(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        answer = self._client.request(method, path, json=body)
        if answer.is_error:
            raise ChatalogueError(f"{method} {path} was answered with {answer.status_code}: {answer.text[:300]}")
        found: dict[str, Any] = answer.json()
        return found


def work(shift: Shift, door: Door, orders: Orders, engine: str, told: Callable[[str], None]) -> ShiftRecord:
    """Hold all talks; one that ends in an error is recorded as failed, and the next one begins."""
    talks = []
    for talk in shift.talks:
        record = _held(talk, door, orders)
        told(f"{'ok' if record.passed else 'FAILED'}: {talk.name}")
        talks.append(record)
    return ShiftRecord(engine=engine, talks=tuple(talks))


def _held(talk: Talk, door: Door, orders: Orders) -> TalkRecord:
    before, steps = orders(), []
    session: str | None = None
    failed: list[str] = []
    for step in talk.steps:
        try:
            session, record = _done(step, session, door)
        except (ChatalogueError, httpx.HTTPError) as error:
            failed.append(f"{step.say or step.team}: {error}")
            break
        steps.append(record)
    return TalkRecord(
        name=talk.name, kind=talk.kind, steps=tuple(steps), failed=(*failed, *_wrong_orders(talk, before, orders()))
    )


def _done(step: Step, session: str | None, door: Door) -> tuple[str, StepRecord]:
    reply, told = "", {}
    if step.team:
        if session is None:
            raise ChatalogueError("the team cannot begin a conversation; a step of the customer comes first")
        door.team(session, step.team, step.say)
    elif step.press:
        session, reply = door.press(session)
    else:
        session, reply, found = door.say(session, step.say)
        told = dict(found)
    status = door.status(session)
    cited = tuple(str(one["title"]) for one in told.get("citations", ()))
    said = f"[{step.team}] {step.say}".strip() if step.team else step.say or "[presses “talk to a person”]"
    return session, StepRecord(
        who=step.who,
        said=said,
        reply=reply,
        action=str(told.get("action", "")),
        cited=cited,
        status=status,
        failed=tuple(_unmet(step, reply, told, cited, status)),
    )


def _unmet(step: Step, reply: str, told: Mapping[str, Any], cited: tuple[str, ...], status: str) -> list[str]:
    """A sentence for each expectation of the step that was not met."""
    low, failed = reply.casefold(), []
    if step.action is not None and told.get("action") != step.action:
        failed.append(f"the action is {told.get('action')!r} and must be {step.action!r}")
    failed += [f"the reply lacks {word!r}" for word in step.has if word.casefold() not in low]
    failed += [f"the reply has {word!r}" for word in step.lacks if word.casefold() in low]
    if step.cites and not any(step.cites.casefold() in title.casefold() for title in cited):
        failed.append(f"no citation of {step.cites!r}")
    if step.silent and reply.strip():
        failed.append("the reply must be empty")
    if step.status is not None and status != step.status:
        failed.append(f"the conversation is with {status!r} and must be with {step.status!r}")
    if step.offers is not None:
        failed += _not_offered(step.offers, told.get("items", ()))
    return failed


def _not_offered(wanted: tuple[str, str], items: Any) -> list[str]:  # noqa: ANN401  # of the wire
    name, value = wanted
    if not items:
        return [f"no item is offered, where some of {value!r} must be"]
    wrong = [str(item["title"]) for item in items if value.casefold() not in _values(item["attributes"].get(name))]
    return [f"{title!r} is not of {name} {value!r}" for title in wrong]


def _values(value: object) -> tuple[str, ...]:
    return tuple(str(one).casefold() for one in (value if isinstance(value, list) else (value,)))


def _wrong_orders(talk: Talk, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Orders that changed without being named, and named ones that did not become what they must."""
    failed = [
        f"order {order} was changed, and nobody asked for it"
        for order in before
        if order not in talk.changed and after.get(order) != before[order]
    ]
    for order, word in talk.changed.items():
        now = after.get(order, "gone")
        if now == before.get(order):
            failed.append(f"order {order} was not changed")
        elif word not in now:
            failed.append(f"order {order} is {now!r} and must be {word!r}")
    return failed
