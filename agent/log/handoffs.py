"""Rows of handoffs: one is added to the trail of its conversation, the trail is read. Knows nothing of what follows.

Every function is given a session: whoever decides by the trail reads it and adds to it in one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.codec import clean_json, clean_or_none, clean_text
from agent.log.handoff_models import HandoffEventRow, HandoffPayloadRow
from agent.log.ids import new_event_id
from agent.log.models import ConversationRow, Turn
from agent.log.records import ConversationStatus
from agent.log.sealing import HANDOFF_CONTACT
from retrieval.errors import NotFound

BEGINS = ("asked", "taken_over")
"""Kinds of the row that a handoff begins with; its payload has the packet."""


@dataclass(frozen=True, slots=True)
class HandoffEntry:
    """One row of a trail with its words; see `HandoffEventRow`. `name` is hashed, `contact` opened."""

    id: str
    version: int
    number: int
    kind: str
    reason: str | None
    at: datetime
    by: str
    name: str
    turn_id: str | None
    after_turn: int
    text: str | None = None
    data: Mapping[str, Any] | None = None
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class NewEntry:
    """A row to be added, `name` hashed; with the status that the conversation has from then on."""

    number: int
    kind: str
    by: str
    name: str
    status: ConversationStatus
    reason: str | None = None
    turn_id: str | None = None
    text: str | None = None
    data: Mapping[str, Any] | None = None
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A conversation that people have or should take: its newest handoff."""

    session_id: str
    status: ConversationStatus
    language: str
    number: int
    reason: str | None
    at: datetime
    last_at: datetime
    data: Mapping[str, Any] | None


def hold(session: Session, tenant: str, session_id: str) -> None:
    """Let nobody else decide by the trail before this transaction ends (SQLite: writers are alone anyway).

    Raises:
        NotFound: unknown, erased, or of another tenant.
    """
    here = select(ConversationRow.id).where(
        ConversationRow.id == clean_text(session_id),
        ConversationRow.tenant == tenant,
        ConversationRow.erased_at.is_(None),
    )
    if session.scalar(here.with_for_update()) is None:
        raise NotFound(f"The session {session_id!r} is unknown; use a session_id from an answer.")


def trail(session: Session, tenant: str, session_id: str) -> tuple[HandoffEntry, ...]:
    """Everything that happened, oldest first; `()` for a conversation that was never handed over."""
    rows = session.execute(
        select(HandoffEventRow, HandoffPayloadRow)
        .outerjoin(HandoffPayloadRow, HandoffPayloadRow.event_id == HandoffEventRow.id)
        .where(HandoffEventRow.conversation_id == session_id, HandoffEventRow.tenant == tenant)
        .order_by(HandoffEventRow.version)
    )
    return tuple(_entry(session, row, words) for row, words in rows)


def add(session: Session, tenant: str, session_id: str, version: int, new: NewEntry) -> HandoffEntry:
    """Insert row number `version` and set the conversation's status.

    Raises:
        IntegrityError: there is a row of this version, or one of this name.
    """
    event_id, at = new_event_id(), events.now()
    newest = select(func.max(Turn.number)).where(Turn.conversation_id == session_id)
    after_turn = session.scalar(newest) or 0
    session.execute(
        insert(HandoffEventRow).values(
            id=event_id,
            tenant=tenant,
            conversation_id=session_id,
            version=version,
            number=new.number,
            kind=new.kind,
            reason=new.reason,
            at=at,
            by=new.by,
            name=new.name,
            turn_id=new.turn_id,
            after_turn=after_turn,
        )
    )
    if (new.text, new.data, new.contact) != (None, None, None):
        contact = None
        if new.contact is not None:
            contact = HANDOFF_CONTACT.seal(session, new.contact.encode("utf-8", "replace"), tenant, event_id)
        session.execute(
            insert(HandoffPayloadRow).values(
                event_id=event_id,
                tenant=tenant,
                text=clean_or_none(new.text),
                data=clean_json(new.data),
                sealed_contact=contact,
            )
        )
    session.execute(
        update(ConversationRow)
        .where(ConversationRow.id == session_id)
        .values(status=new.status)
        .execution_options(synchronize_session=False)
    )
    return HandoffEntry(
        event_id, version, new.number, new.kind, new.reason, at, new.by, new.name, new.turn_id, after_turn,
        new.text, new.data, new.contact,
    )  # fmt: skip


def name_hash(name: str) -> str:
    """What is kept of a name: callers choose it, and may write anything into it."""
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:32]


def handed_over(
    session: Session, tenant: str, limit: int, status: ConversationStatus | None = None
) -> tuple[Waiting, ...]:
    """Conversations that wait for people or are with them, or those of one `status`; who waits first, then by age."""
    # These first: grouping the tenant's turns to pick a few conversations afterwards reads all of them.
    open_ = select(ConversationRow.id).where(
        ConversationRow.tenant == tenant,
        ConversationRow.status != "bot" if status is None else ConversationRow.status == status,
        ConversationRow.erased_at.is_(None),
    )
    begun = (
        select(HandoffEventRow.conversation_id, func.max(HandoffEventRow.version).label("version"))
        .where(
            HandoffEventRow.conversation_id.in_(open_),
            HandoffEventRow.kind.in_(BEGINS),
            HandoffEventRow.reason.is_not(None),  # taken over while it waited: it began before
        )
        .group_by(HandoffEventRow.conversation_id)
        .subquery()
    )
    last = (
        select(Turn.conversation_id, func.max(Turn.created_at).label("at"))
        .where(Turn.conversation_id.in_(open_))
        .group_by(Turn.conversation_id)
        .subquery()
    )
    rows = session.execute(
        select(ConversationRow, HandoffEventRow, HandoffPayloadRow, last.c.at)
        .join(begun, begun.c.conversation_id == ConversationRow.id)
        .join(
            HandoffEventRow,
            (HandoffEventRow.conversation_id == ConversationRow.id) & (HandoffEventRow.version == begun.c.version),
        )
        .outerjoin(HandoffPayloadRow, HandoffPayloadRow.event_id == HandoffEventRow.id)
        .outerjoin(last, last.c.conversation_id == ConversationRow.id)
        .where(ConversationRow.id.in_(open_))
        .order_by(ConversationRow.status.desc(), HandoffEventRow.at)
        .limit(limit)
    )
    return tuple(
        Waiting(
            talk.id, talk.status, talk.language, event.number, event.reason, event.at,
            max(event.at, spoken) if spoken is not None else event.at,
            None if words is None else words.data,
        )
        for talk, event, words, spoken in rows
    )  # fmt: skip


def forget(session: Session, session_id: str) -> None:
    """Delete the words of a conversation's handoffs."""
    here = select(HandoffEventRow.id).where(HandoffEventRow.conversation_id == session_id)
    session.execute(
        delete(HandoffPayloadRow)
        .where(HandoffPayloadRow.event_id.in_(here))
        .execution_options(synchronize_session=False)
    )


def _entry(session: Session, row: HandoffEventRow, words: HandoffPayloadRow | None) -> HandoffEntry:
    contact = None
    if words is not None and words.sealed_contact is not None:
        contact = HANDOFF_CONTACT.open(session, words.sealed_contact, row.tenant, row.id).decode()
    return HandoffEntry(
        row.id, row.version, row.number, row.kind, row.reason, row.at, row.by, row.name, row.turn_id, row.after_turn,
        None if words is None else words.text,
        None if words is None else words.data,
        contact,
    )  # fmt: skip
