"""Rows of `event`: how one is added. Knows nothing of when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, func, insert, select, true
from sqlalchemy.orm import Session

from agent.log.codec import clean_json, clean_or_none
from agent.log.ids import new_event_id
from agent.log.models import ConversationRow, Event, EventPayload
from agent.log.records import FeedbackKind, OutsideKind
from retrieval.errors import NotFound

OwnKind: TypeAlias = Literal[
    "edit", "undo", "user_edit", "user_forget", "erasure", "consent", "imported", "label", "action", "csat"
]
"""What the log itself writes down, beside feedback and outside events; `of` says what kind of deed was imported, and
what was done with an order (`agent.log.actions`)."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """One event to be stored; `reason`, `text` and `data` are its payload. `at` None is now."""

    tenant: str
    kind: FeedbackKind | OutsideKind | OwnKind
    turn_id: str | None = None
    conversation_id: str | None = None
    person_id: str | None = None
    item_id: str | None = None
    value: float | None = None
    of: str | None = None
    once: str | None = None
    at: datetime | None = None
    reason: str | None = None
    text: str | None = None
    data: Mapping[str, Any] | None = None


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def last_seq(session: Session, session_id: str) -> int:
    """The sequence number of the newest event of a conversation; 0 where it has none."""
    return session.scalar(select(func.max(Event.seq)).where(Event.conversation_id == session_id)) or 0


def up_to(seq: int | None) -> ColumnElement[bool]:
    """The condition that an event is not newer than number `seq`; None takes all of them."""
    return true() if seq is None else Event.seq <= seq


def add(session: Session, new: NewEvent) -> str:
    """Insert the skeleton, and a payload where there are words; gives the event id.

    Raises:
        IntegrityError: `once` is taken.
        NotFound: the conversation was erased meanwhile.
    """
    if new.conversation_id is not None and new.kind != "erasure":
        _hold(session, new.conversation_id)
    event_id = new_event_id()
    session.execute(
        insert(Event).values(
            id=event_id,
            tenant=new.tenant,
            at=new.at or now(),
            kind=new.kind,
            turn_id=new.turn_id,
            conversation_id=new.conversation_id,
            person_id=new.person_id,
            item_id=clean_or_none(new.item_id),
            value=new.value,
            of=new.of,
            once=new.once,
        )
    )
    if (new.reason, new.text, new.data) != (None, None, None):
        session.execute(
            insert(EventPayload).values(
                event_id=event_id,
                tenant=new.tenant,
                reason=clean_or_none(new.reason),
                text=clean_or_none(new.text),
                data=clean_json(new.data),
            )
        )
    return event_id


def _hold(session: Session, conversation_id: str) -> None:
    """Keep an erasure from passing between this look and the insert, whose words would stay."""
    row = select(ConversationRow.erased_at).where(ConversationRow.id == conversation_id).with_for_update(read=True)
    if session.scalar(row) is not None:
        raise NotFound(f"The session {conversation_id!r} is unknown; begin a new one.")
