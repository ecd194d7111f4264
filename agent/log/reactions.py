"""Reactions to turns and items: stored once, withdrawn and stored again; and events from outside the chat."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.log import events, people, turns
from agent.log.codec import clean_or_none, clean_text
from agent.log.events import NewEvent
from agent.log.ids import looks_like_session_id
from agent.log.models import ConversationRow, Event, EventPayload, Shown, Turn
from agent.log.people import PersonKey
from agent.log.records import Feedback, FeedbackKind, OutsideEvent, OutsideKind, Reaction, Stored
from retrieval.errors import BadRequest, NotFound

WITHDRAW: FeedbackKind = "withdraw"
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
"""Of an outside event; an older time is a mistake of the sender's clock or format."""
CLOCK_AHEAD = timedelta(days=1)
"""How far the clock of a sender may be ahead of ours."""

BY_AGENT = "agent"
"""Stands in `of` where a support agent corrected a reply, or took that back; what customers send never comes there."""

_KINDS: tuple[FeedbackKind, ...] = get_args(FeedbackKind)
REACTIONS: tuple[FeedbackKind, ...] = tuple(kind for kind in _KINDS if kind != WITHDRAW)
_OUTSIDE: tuple[OutsideKind, ...] = get_args(OutsideKind)


def record_feedback(session: Session, tenant: str, key_id: str, feedback: Feedback) -> Stored:
    """Store a reaction, unless it stands already.

    Withdrawals part the life of a reaction into rounds, and `once` names the round: so rows are only ever
    added, and a unique key, not a look before the insert, decides between two processes.
    """
    kind, target = check_kind(feedback)
    about = BY_AGENT if feedback.by_agent else target
    turn = turns.find(session, tenant, feedback.turn_id, key_id=None if feedback.by_agent else key_id)
    item_id = clean_or_none(feedback.item_id)
    if item_id is not None:
        _check_shown(session, turn, item_id)
    withdrawals = _withdrawals(session, turn, item_id, about)
    once = _once(turn, item_id, kind, about, len(withdrawals))
    standing = _event_of(session, _once(turn, item_id, target, about, len(withdrawals)))
    if kind == WITHDRAW and standing is None:
        return Stored(False, withdrawals[-1] if withdrawals else None)
    if kind != WITHDRAW and standing is not None:
        return Stored(False, standing)
    new = NewEvent(
        tenant,
        kind,
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        person_id=session.scalar(select(ConversationRow.person_id).where(ConversationRow.id == turn.conversation_id)),
        item_id=item_id,
        of=about if kind == WITHDRAW or feedback.by_agent else None,
        once=once,
        reason=feedback.reason,
        text=feedback.text,
    )
    try:
        with session.begin_nested():
            return Stored(True, events.add(session, new))
    except IntegrityError:
        faster = _event_of(session, once)
        if faster is None:
            raise
        return Stored(False, faster)


def record_outside(session: Session, tenant: str, key_id: str, who: PersonKey | None, outside: OutsideEvent) -> str:
    """Store what happened outside the chat, tied to what it names."""
    if outside.kind not in _OUTSIDE:
        raise BadRequest(f"The event kind {outside.kind!r} is unknown; expected one of {', '.join(_OUTSIDE)}.")
    if outside.value is not None and not math.isfinite(outside.value):
        raise BadRequest("The event's value is not a finite number; leave it out or send one.")
    if outside.at is not None and outside.at.tzinfo is None:
        raise BadRequest("The event's time has no time zone; send it in UTC, such as 2026-01-31T12:00:00Z.")
    # Also what a database cannot keep as UTC: the first and the last hours that a time with a zone can name.
    if outside.at is not None and not EARLIEST <= outside.at <= events.now() + CLOCK_AHEAD:
        raise BadRequest(
            f"The event's time 'at' is not between {EARLIEST:%Y-%m-%d} and tomorrow; send when it happened, or leave "
            "it out for now."
        )
    conversation = _conversation_of(session, tenant, key_id, outside)
    person_id = None if who is None else people.find_or_add(session, tenant, who)
    if conversation is not None and conversation.person_id is not None:
        if person_id not in (None, conversation.person_id):
            raise NotFound("The turn or session of this event is unknown; use ids from this user's answers.")
        person_id = conversation.person_id
    return events.add(
        session,
        NewEvent(
            tenant,
            outside.kind,
            turn_id=outside.turn_id,
            conversation_id=None if conversation is None else conversation.id,
            person_id=person_id,
            item_id=outside.item_id,
            value=outside.value,
            at=outside.at,
            data=outside.data,
        ),
    )


def in_force(
    session: Session, session_ids: Collection[str], *, until: int | None = None
) -> dict[str, tuple[Reaction, ...]]:
    """Reactions that were not withdrawn, by turn id, oldest first; clicks and purchases from outside among them.

    `until` is the sequence number of the last event that counts; None counts all.
    """
    rows = session.execute(
        select(Event.turn_id, Event.item_id, Event.kind, Event.of, EventPayload.reason, Shown.features)
        .outerjoin(EventPayload, EventPayload.event_id == Event.id)
        .outerjoin(Shown, _slate_row())
        .where(
            Event.conversation_id.in_(session_ids),
            Event.turn_id.is_not(None),
            Event.kind.in_(_KINDS),
            events.up_to(until),
        )
        .order_by(Event.seq)
    )
    standing: dict[str, dict[tuple[str | None, str], Reaction]] = {}
    for turn_id, item_id, kind, of, reason, features in rows:
        of_turn = standing.setdefault(turn_id or "", {})
        if kind == WITHDRAW:
            of_turn.pop((item_id, of or ""), None)
        else:
            reaction = Reaction(item_id, cast("FeedbackKind", kind), reason, features or {})
            of_turn.setdefault((item_id, of or kind), reaction)
    return {turn_id: tuple(each.values()) for turn_id, each in standing.items()}


def _slate_row() -> ColumnElement[bool]:
    """The condition that a row is that of the event's item in the list that its turn offered."""
    return and_(Shown.turn_id == Event.turn_id, Shown.item_id == Event.item_id, Shown.list == "slate")


def check_kind(feedback: Feedback) -> tuple[FeedbackKind, FeedbackKind]:
    """The kind, and the kind that it is about: for a withdrawal the one withdrawn, else itself."""
    if feedback.kind not in _KINDS:
        raise BadRequest(f"The feedback kind {feedback.kind!r} is unknown; expected one of {', '.join(_KINDS)}.")
    is_thumb = feedback.item_id is None and (feedback.of or feedback.kind) in ("thumb_up", "thumb_down")
    if feedback.by_agent and not is_thumb and "correct" not in (feedback.kind, feedback.of):
        raise BadRequest(
            "A support agent's key corrects replies ('correct' with a text) and judges whole ones ('thumb_up', "
            "'thumb_down' without an item), and takes either back ('withdraw'); send what the customer did with the "
            "shop's key."
        )
    if feedback.kind != WITHDRAW:
        if feedback.of is not None:
            raise BadRequest(f"'of' belongs to 'withdraw' and not to {feedback.kind!r}; leave it out.")
        return feedback.kind, feedback.kind
    if feedback.of not in REACTIONS:
        raise BadRequest(f"'withdraw' names what it takes back in 'of': one of {', '.join(REACTIONS)}.")
    return WITHDRAW, feedback.of


def _check_shown(session: Session, turn: Turn, item_id: str) -> None:
    shown = select(Shown.seq).where(Shown.turn_id == turn.id, Shown.item_id == item_id).limit(1)
    if session.scalar(shown) is None:
        raise NotFound(f"The item {item_id!r} was not shown in turn {turn.id!r}; name one that was, or none.")


def _withdrawals(session: Session, turn: Turn, item_id: str | None, of: str) -> list[str]:
    return list(
        session.scalars(
            select(Event.id)
            .where(Event.turn_id == turn.id, Event.item_id == item_id, Event.kind == WITHDRAW, Event.of == of)
            .order_by(Event.seq)
        )
    )


def _once(turn: Turn, item_id: str | None, kind: FeedbackKind, about: str, round_: int) -> str:
    # A hash and not the columns themselves: in a unique key two NULL item ids count as different.
    return hashlib.sha256(json.dumps([turn.id, item_id, kind, about, round_]).encode()).hexdigest()


def _event_of(session: Session, once: str) -> str | None:
    return session.scalar(select(Event.id).where(Event.once == once))


def _conversation_of(session: Session, tenant: str, key_id: str, outside: OutsideEvent) -> ConversationRow | None:
    session_id = outside.session_id
    if outside.turn_id is not None:
        turn = turns.find(session, tenant, outside.turn_id, key_id=key_id)
        if session_id not in (None, turn.conversation_id):
            raise BadRequest("The event's turn is not of the session that it names; leave one of them out.")
        session_id = turn.conversation_id
    if session_id is None:
        return None
    wanted = select(ConversationRow).where(ConversationRow.tenant == tenant, ConversationRow.id == session_id)
    row = session.scalar(wanted) if looks_like_session_id(session_id) else None
    if row is None or row.key_id != key_id or row.erased_at is not None:
        raise NotFound(f"The session {clean_text(session_id)!r} is unknown; use a session_id from an answer.")
    return row
