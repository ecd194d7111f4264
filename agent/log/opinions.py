"""Talks with everything that was said of their answers: reactions with their ids, labels of a human, undoings.

For those that make training data. What was withdrawn or erased is not there, nor are customers who may not be learned
from. Knows nothing of what is made of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import and_, func, or_, select, true
from sqlalchemy.orm import Session, load_only

from agent.log import events, learning, reactions, tickets, turns
from agent.log.adapters import Source
from agent.log.events import NewEvent
from agent.log.models import ConversationRow, Event, EventPayload, Person, Shown, Turn, TurnPayload
from agent.log.outbox import Outbox
from agent.log.records import Consent, ConversationState, Feedback, FeedbackKind, Stored
from retrieval.errors import NotFound

LABEL = "label"
"""Kind of a human's word, and what `of` says where that was taken back."""
THUMBS = ("thumb_up", "thumb_down")


@dataclass(frozen=True, slots=True)
class Given:
    """One reaction in force; `item_id` None is on the whole reply. `text` is what a correction would have said.

    `by_agent`: a support agent corrected it, and not the customer.
    """

    event_id: str
    turn_id: str
    item_id: str | None
    kind: FeedbackKind
    at: datetime
    reason: str | None = None
    text: str | None = None
    by_agent: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A human's word on the event `of`, or on the whole turn where that is None; `event_id` is the label's own."""

    event_id: str
    turn_id: str
    of: str | None
    good: bool


@dataclass(frozen=True, slots=True)
class Offered:
    """One item of a slate: position (from 1), score, and the natural log of its propensity where it was explored."""

    item_id: str
    position: int
    score: float | None
    log_propensity: float | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn as it was answered. `cards` are the items as they were sent; `offered` is the slate in its order."""

    turn_id: str
    at: datetime
    exploration: float
    trace: Mapping[str, Any]
    cards: tuple[Mapping[str, Any], ...]
    offered: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class FeedbackTalk:
    """A conversation; `answered` and `undone` (the event's id) by turn id, `given` and `labels` oldest first."""

    state: ConversationState
    answered: Mapping[str, Answered]
    given: tuple[Given, ...]
    labels: tuple[Label, ...]
    undone: Mapping[str, str]


def spoken_since(session: Session, tenant: str, since: datetime | None) -> tuple[str, ...]:
    """Ids of conversations with turns since then, those begun first at the front."""
    wanted = (
        select(Turn.conversation_id)
        .join(ConversationRow, ConversationRow.id == Turn.conversation_id)
        .where(
            Turn.tenant == tenant,
            ConversationRow.erased_at.is_(None),
            true() if since is None else Turn.created_at >= since,
        )
        .group_by(Turn.conversation_id)
        .order_by(func.min(Turn.seq))
    )
    return tuple(session.scalars(wanted))


def talks(session: Session, tenant: str, session_ids: Sequence[str], consent: Consent) -> list[FeedbackTalk]:
    """Those of the conversations that may be learned from, oldest first."""
    states = learning.talks(session, tenant, session_ids, consent)
    ids = [state.conversation.id for state in states]
    answered, given = _answered(session, ids), _given(session, ids)
    labels, undone = _labels(session, ids), _undone(session, ids)
    return [
        FeedbackTalk(
            state,
            answered.get(state.conversation.id, {}),
            tuple(given.get(state.conversation.id, ())),
            tuple(labels.get(state.conversation.id, ())),
            undone.get(state.conversation.id, {}),
        )
        for state in states
    ]


def learnable(
    session: Session, tenant: str, event_ids: Collection[str], consent: Consent, since: datetime | None
) -> dict[str, Source]:
    """Those of the events that may still be learned from, each with whose it is.

    Not those that were withdrawn, erased, found bad by a human, overruled by a newer label, of a turn that was undone
    or is older than `since`, or of a customer who may not be learned from.
    """
    wanted = (
        select(Event.id, Event.kind, Event.conversation_id, ConversationRow.person_id, Turn.undone)
        .join(ConversationRow, ConversationRow.id == Event.conversation_id)
        .outerjoin(Person, Person.id == ConversationRow.person_id)
        .outerjoin(Turn, Turn.id == Event.turn_id)
        .where(
            Event.id.in_(event_ids),
            Event.tenant == tenant,
            ConversationRow.erased_at.is_(None),
            learning.may_learn(consent),
            true() if since is None else Turn.created_at >= since,
        )
    )
    rows = session.execute(wanted).all()
    talks_ = sorted({row.conversation_id for row in rows})
    labels = [one for each in _labels(session, talks_).values() for one in each]
    bad = {one.of for one in labels if not one.good}
    of_turn = {one.event_id for each in _given(session, talks_).values() for one in each} - bad
    always = {one.event_id for one in labels} | {
        one for each in _undone(session, talks_).values() for one in each.values()
    }
    found = {
        row.id: Source(row.person_id or row.conversation_id, row.conversation_id)
        for row in rows
        if row.id in always or (row.id in of_turn and not row.undone)
    }
    past = tickets.learnable(session, tenant, list(event_ids), consent, since)
    return found | {event_id: ticket_source(event_id, person) for event_id, person in past.items()}


def ticket_source(event_id: str, person_id: str | None) -> Source:
    """Whose an imported ticket is; nobody's stands for itself."""
    return Source(event_id, event_id) if person_id is None else Source(person_id)


def record_feedback(session: Session, outbox: Outbox, tenant: str, key_id: str, feedback: Feedback) -> Stored:
    """Store a reaction and tell whoever wants to know; a support agent's thumb on a whole reply is a label."""
    if feedback.by_agent and feedback.item_id is None and (feedback.of or feedback.kind) in THUMBS:
        stored = _record_thumb(session, tenant, feedback)
    else:
        stored = reactions.record_feedback(session, tenant, key_id, feedback)
    if stored.stored:
        told = {  # without what they wrote: whoever is told may read it here
            "event_id": stored.event_id,
            "turn_id": feedback.turn_id,
            "item_id": feedback.item_id,
            "kind": feedback.kind,
            "by_agent": feedback.by_agent,
        }
        outbox.add(session, tenant, "feedback.stored", told)
    return stored


def record_label(session: Session, tenant: str, target: str, *, good: bool) -> str:
    """Write down a human's word on an event or, where `target` is a turn's id, on a turn; gives the event id."""
    event = session.scalar(
        select(Event).where(Event.id == target, Event.tenant == tenant, Event.kind.in_(reactions.REACTIONS))
    )
    if event is None and not target.startswith("t_"):
        raise NotFound(f"The feedback {target!r} is unknown; use an id from `chatalogue feedback queue`.")
    turn = turns.find(session, tenant, target if event is None else event.turn_id or "")
    return events.add(
        session,
        NewEvent(
            tenant,
            "label",
            turn_id=turn.id,
            conversation_id=turn.conversation_id,
            item_id=None if event is None else event.item_id,
            of=None if event is None else event.id,
            value=float(good),
        ),
    )


def _record_thumb(session: Session, tenant: str, feedback: Feedback) -> Stored:
    """A support agent's thumb on a whole reply, or its withdrawal, unless it stands already."""
    kind, good = reactions.check_kind(feedback)[0], (feedback.of or feedback.kind) == THUMBS[0]
    turn = turns.find(session, tenant, feedback.turn_id)
    newest = (one for one in _labels(session, [turn.conversation_id]).get(turn.conversation_id, ()) if one.of is None)
    standing = next((one.event_id for one in newest if (one.turn_id, one.good) == (turn.id, good)), None)
    if kind == reactions.WITHDRAW:
        if standing is None:
            return Stored(False, None)
        more = NewEvent(tenant, kind, of=LABEL)
    elif standing is not None:
        return Stored(False, standing)
    else:
        more = NewEvent(tenant, "label", value=float(good), reason=feedback.reason, text=feedback.text)
    return Stored(True, events.add(session, replace(more, turn_id=turn.id, conversation_id=turn.conversation_id)))


def _answered(session: Session, ids: Sequence[str]) -> dict[str, dict[str, Answered]]:
    offered: dict[str, list[Offered]] = defaultdict(list)
    rows = session.execute(
        select(Shown.turn_id, Shown.item_id, Shown.position, Shown.score, Shown.log_propensity)
        .join(Turn, Turn.id == Shown.turn_id)
        .where(Turn.conversation_id.in_(ids), Shown.list == "slate")
        .order_by(Shown.position)
    )
    for turn_id, item_id, position, score, log_propensity in rows:
        offered[turn_id].append(Offered(item_id, position, score, log_propensity))
    found: dict[str, dict[str, Answered]] = defaultdict(dict)
    turns_of = session.execute(
        select(Turn, TurnPayload)
        .join(TurnPayload, TurnPayload.turn_id == Turn.id)
        .where(Turn.conversation_id.in_(ids))
        .order_by(Turn.number)
        .options(load_only(TurnPayload.trace, TurnPayload.answer))
    )
    for turn, words in turns_of:
        found[turn.conversation_id][turn.id] = Answered(
            turn.id,
            turn.created_at,
            turn.exploration,
            words.trace,
            tuple(words.answer.get("items", ())),
            tuple(offered.get(turn.id, ())),
        )
    return found


def _given(session: Session, ids: Sequence[str]) -> dict[str, list[Given]]:
    """As `reactions.in_force`, with what names each event."""
    rows = session.execute(
        select(Event, EventPayload.reason, EventPayload.text)
        .outerjoin(EventPayload, EventPayload.event_id == Event.id)
        .where(
            Event.conversation_id.in_(ids),
            Event.turn_id.is_not(None),
            Event.kind.in_((*reactions.REACTIONS, reactions.WITHDRAW)),
        )
        .order_by(Event.seq)
    )
    standing: dict[tuple[str, str, str | None, str], Given] = {}
    for event, reason, text in rows:
        of_turn = (event.conversation_id or "", event.turn_id or "", event.item_id)
        if event.kind == reactions.WITHDRAW:
            standing.pop((*of_turn, event.of or ""), None)
        else:
            kind = cast("FeedbackKind", event.kind)
            by_agent = event.of == reactions.BY_AGENT
            one = Given(event.id, event.turn_id or "", event.item_id, kind, event.at, reason, text, by_agent)
            standing.setdefault((*of_turn, event.of or event.kind), one)
    found: dict[str, list[Given]] = defaultdict(list)
    for (session_id, *_), one in standing.items():
        found[session_id].append(one)
    return found


def _labels(session: Session, ids: Sequence[str]) -> dict[str, list[Label]]:
    """The newest word on each target; an agent's on a whole reply goes when it was taken back."""
    taken_back = and_(Event.kind == reactions.WITHDRAW, Event.of == LABEL)
    wanted = (
        select(Event).where(Event.conversation_id.in_(ids), or_(Event.kind == LABEL, taken_back)).order_by(Event.seq)
    )
    newest: dict[tuple[str, str | None], tuple[str, Label]] = {}
    for event in session.scalars(wanted):
        turn_id = event.turn_id or ""
        if event.kind == LABEL:
            label = Label(event.id, turn_id, event.of, bool(event.value))
            newest[turn_id, event.of] = (event.conversation_id or "", label)
        else:
            newest.pop((turn_id, None), None)
    found: dict[str, list[Label]] = defaultdict(list)
    for session_id, label in newest.values():
        found[session_id].append(label)
    return found


def _undone(session: Session, ids: Sequence[str]) -> dict[str, dict[str, str]]:
    rows = session.execute(
        select(Event.conversation_id, Event.turn_id, Event.id).where(
            Event.conversation_id.in_(ids), Event.kind == "undo", Event.turn_id.is_not(None)
        )
    )
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for session_id, turn_id, event_id in rows:
        found[session_id or ""][turn_id or ""] = event_id
    return found
