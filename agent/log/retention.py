"""Words that are older than they may get: which there are, and taking them out of the log.

A conversation is as old as its last turn or its last step between bot and people; its words go as a whole, as by an
erasure. Of what somebody did or wished outside of conversations the words go; of somebody of whom nothing newer is
there the name goes, too. Skeletons stay, with what they said to being learned from. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, delete, exists, func, select, union
from sqlalchemy.orm import Session

from agent.log import conversations
from agent.log.database import Database
from agent.log.handoff_models import HandoffEventRow
from agent.log.models import ConversationRow, Event, EventPayload, Person, PersonPayload, Turn


@dataclass(frozen=True, slots=True)
class Old:
    """What is too old; `owners` are persons, or conversations of nobody, whose words may have been copied."""

    conversations: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    events: int = 0
    names: int = 0


class Retention:
    """The old words of one database. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tenants(self) -> tuple[str, ...]:
        """Those of whose customers something is stored, in order."""
        every = union(select(ConversationRow.tenant), select(Person.tenant))
        return self._database.read(lambda session: tuple(sorted(session.scalars(every))))

    def find(self, tenant: str, before: datetime, limit: int) -> Old:
        """What is older than `before`, of at most `limit` conversations, the oldest first."""
        return self._database.read(lambda session: _find(session, tenant, before, limit))

    def erase(self, tenant: str, before: datetime, found: Old) -> Old:
        """Take out what `found` names, where it is still too old; what went. `forget_deleted` comes after all."""
        return self._database.write(lambda session: _erase(session, tenant, before, found))

    def forget_deleted(self) -> None:
        """Take what was deleted off the disk."""
        self._database.forget_deleted()


def _find(session: Session, tenant: str, before: datetime, limit: int) -> Old:
    talks = session.execute(
        select(ConversationRow.id, ConversationRow.person_id)
        .where(*_old_talk(tenant, before))
        .order_by(ConversationRow.created_at, ConversationRow.id)
        .limit(limit)
    ).all()
    owners = tuple(dict.fromkeys(person_id or talk_id for talk_id, person_id in talks))
    events = session.scalar(_count(_old_events(tenant, before))) or 0
    names = session.scalar(_count(_old_names(tenant, before))) or 0
    return Old(tuple(talk_id for talk_id, _ in talks), owners, events, names)


def _erase(session: Session, tenant: str, before: datetime, found: Old) -> Old:
    """A customer may have come back since it was found."""
    still = select(ConversationRow.id).where(ConversationRow.id.in_(found.conversations), *_old_talk(tenant, before))
    talks = tuple(session.scalars(still.with_for_update()))
    for talk_id in talks:
        conversations.erase(session, tenant, talk_id)
    events, names = _old_events(tenant, before), _old_names(tenant, before)
    n_events, n_names = session.scalar(_count(events)) or 0, session.scalar(_count(names)) or 0
    for statement in (
        delete(EventPayload).where(EventPayload.event_id.in_(events)),
        delete(PersonPayload).where(PersonPayload.person_id.in_(names)),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    return Old(talks, found.owners, n_events, n_names)


def _old_talk(tenant: str, before: datetime) -> tuple[ColumnElement[bool], ...]:
    newer = (
        exists().where(Turn.conversation_id == ConversationRow.id, Turn.created_at >= before),
        exists().where(HandoffEventRow.conversation_id == ConversationRow.id, HandoffEventRow.at >= before),
    )
    return (
        ConversationRow.tenant == tenant,
        ConversationRow.erased_at.is_(None),
        ConversationRow.created_at < before,
        *(~one for one in newer),
    )


def _old_events(tenant: str, before: datetime) -> Select[str]:
    """Those outside of conversations whose words are there."""
    return (
        select(Event.id)
        .join(EventPayload, EventPayload.event_id == Event.id)
        .where(Event.tenant == tenant, Event.conversation_id.is_(None), Event.at < before)
    )


def _old_names(tenant: str, before: datetime) -> Select[str]:
    """People of whom nothing newer is there."""
    talks = exists().where(
        ConversationRow.person_id == Person.id,
        ConversationRow.erased_at.is_(None),
        ConversationRow.created_at >= before,
    )
    turns = exists().where(
        ConversationRow.person_id == Person.id, Turn.conversation_id == ConversationRow.id, Turn.created_at >= before
    )
    events = exists().where(Event.person_id == Person.id, Event.at >= before)
    return (
        select(Person.id)
        .join(PersonPayload, PersonPayload.person_id == Person.id)
        .where(Person.tenant == tenant, Person.created_at < before, ~talks, ~turns, ~events)
    )


def _count(chosen: Select[str]) -> Select[int]:
    return select(func.count()).select_from(chosen.subquery())
