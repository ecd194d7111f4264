"""Taking a person out of the log, and telling them first what it has of them.

Erased with a person: every conversation of theirs (as by itself), what they did outside of conversations, their name,
and what they said to being learned from. What stays of conversations are numbers that nobody's name leads to, and one
line that says that somebody was erased. A name that comes back later is somebody new.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from agent.log import adapters, conversations, events, outbox, people
from agent.log.events import NewEvent
from agent.log.models import ConversationRow, Event, EventPayload, Person, PersonPayload
from agent.log.people import PersonKey
from agent.log.records import ErasedPerson, PersonRecord, RecordedEvent

TableKind: TypeAlias = Literal["words", "skeleton", "shop"]

TABLES: Final[Mapping[str, TableKind]] = {
    "turn_payload": "words",
    "event_payload": "words",
    "person_payload": "words",
    "action_state": "words",
    "handoff_payload": "words",
    "webhook_payload": "words",
    "inbox_payload": "words",
    "idempotent_answer": "words",
    "person": "skeleton",
    "conversation": "skeleton",
    "turn": "skeleton",
    "shown": "skeleton",
    "event": "skeleton",
    "turn_lease": "skeleton",
    "handoff_event": "skeleton",
    "webhook_delivery": "skeleton",
    "inbox_delivery": "skeleton",
    "door_talk": "skeleton",
    "wrong_proof": "skeleton",
    "adapter_source": "skeleton",
    "adapter_move": "shop",
    "live_index": "shop",
    "live_ranker": "shop",
    "secret": "shop",
    "api_key": "shop",
    "api_usage": "shop",
    "webhook_endpoint": "shop",
}
"""What every table holds. words: what persons said or how they are called, each row of somebody, which an erasure
deletes; skeleton: ids, times, numbers and keyed hashes of what happened; shop: nothing of customers.

A test holds this against the models, plants words in each table of words through the API, and finds none afterwards.
"""


def erase_person(session: Session, tenant: str, who: PersonKey) -> ErasedPerson | None:
    """Erase whom `who` names; None for one whom we do not know: then nothing is left to erase."""
    named = (Person.tenant == tenant, Person.key_id == who.key_id, Person.name_hash == who.name_hash)
    # The lock keeps a conversation that begins just now from passing between this look and the end (SQLite: writers are
    # alone anyway): it finds nobody to belong to, and is refused.
    person_id = session.scalar(select(Person.id).where(*named).with_for_update())
    if person_id is None:
        return None
    adapters.note_erasure(session, tenant, person_id)
    trained = adapters.trained_on(session, tenant, person_id)
    open_ = select(ConversationRow.id).where(
        ConversationRow.person_id == person_id, ConversationRow.erased_at.is_(None)
    )
    sessions = tuple(session.scalars(open_.order_by(ConversationRow.created_at, ConversationRow.id)))
    for session_id in sessions:
        conversations.erase(session, tenant, session_id)
    outbox.forget_person(session, person_id)
    theirs = select(Event.id).where(Event.person_id == person_id)
    # Before rows go: SQLite gives the number of the newest one again, and readers go by numbers that only rise.
    events.add(session, NewEvent(tenant, "erasure"))
    outside = Event.person_id == person_id, Event.conversation_id.is_(None)
    for statement in (
        delete(EventPayload).where(EventPayload.event_id.in_(theirs)),
        delete(Event).where(*outside),
        update(Event).where(Event.person_id == person_id).values(person_id=None),
        update(ConversationRow).where(ConversationRow.person_id == person_id).values(person_id=None),
        delete(PersonPayload).where(PersonPayload.person_id == person_id),
        delete(Person).where(Person.id == person_id),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    return ErasedPerson(person_id, sessions, trained)


def person_record(session: Session, tenant: str, who: PersonKey) -> PersonRecord | None:
    """Everything of them but what conversations have; None for one whom we do not know."""
    person_id = people.find(session, tenant, who)
    if person_id is None:
        return None
    row = session.get_one(Person, person_id)
    sessions = session.scalars(
        select(ConversationRow.id)
        .where(ConversationRow.person_id == person_id, ConversationRow.erased_at.is_(None))
        .order_by(ConversationRow.created_at, ConversationRow.id)
    )
    rows = session.execute(
        select(Event, EventPayload)
        .outerjoin(EventPayload, EventPayload.event_id == Event.id)
        .outerjoin(ConversationRow, ConversationRow.id == Event.conversation_id)
        .where(
            Event.tenant == tenant,
            # What is done with a conversation by others (a human's label) names the conversation alone.
            func.coalesce(Event.person_id, ConversationRow.person_id) == person_id,
            ConversationRow.erased_at.is_(None),
        )
        .order_by(Event.seq)
    )
    found = tuple(_recorded(event, words) for event, words in rows)
    name = people.name_of(session, tenant, person_id) or ""
    return PersonRecord(
        name, row.created_at, row.consent, tuple(sessions), found, adapters.trained_on(session, tenant, person_id)
    )


def _recorded(event: Event, words: EventPayload | None) -> RecordedEvent:
    return RecordedEvent(
        event.id,
        event.at,
        event.kind,
        event.conversation_id,
        event.turn_id,
        event.item_id,
        event.value,
        event.of,
        None if words is None else words.reason,
        None if words is None else words.text,
        None if words is None else words.data,
    )
