"""Named users: the row that stands for one, and the wishes they keep across conversations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.codec import clean_text, facts_from_json, facts_to_json
from agent.log.events import NewEvent, OwnKind
from agent.log.ids import keyed_hash, new_person_id
from agent.log.models import Event, EventPayload, Person, PersonPayload
from agent.log.sealing import PERSON_NAME
from agent.preferences import Dropped, Fact

PAGE_KEY: Final = ""
"""`key_id` of the people who come to the page that the server itself has: it has no API key."""
VISITOR: Final = "visitor:"
"""What their names begin with; the rest of a name is a hash of what only their browser knows."""
FORGOTTEN: OwnKind = "user_forget"
"""What is noted where somebody had their wishes forgotten."""


@dataclass(frozen=True, slots=True)
class PersonKey:
    """What finds a person: the name as the client of `key_id` gave it, and its keyed hash."""

    key_id: str
    name_hash: str
    name: str

    @classmethod
    def of(cls, secret: bytes, key_id: str, name: str) -> PersonKey:
        """The hash covers the key too: the same name under two keys is two people."""
        return cls(key_id, keyed_hash(secret, key_id, name), name)


def find(session: Session, tenant: str, who: PersonKey | None) -> str | None:
    """The person's id, or None for one whom we do not know."""
    if who is None:
        return None
    return session.scalar(
        select(Person.id).where(Person.tenant == tenant, Person.key_id == who.key_id, Person.name_hash == who.name_hash)
    )


def find_or_add(session: Session, tenant: str, who: PersonKey) -> str:
    """The person's id; two processes that meet a new name at once agree on one row."""
    found = find(session, tenant, who)
    if found is not None:
        return found
    person_id = new_person_id()
    try:
        with session.begin_nested():
            session.execute(
                insert(Person).values(
                    id=person_id,
                    tenant=tenant,
                    key_id=who.key_id,
                    name_hash=who.name_hash,
                    created_at=events.now(),
                    consent=None,
                )
            )
            sealed = PERSON_NAME.seal(session, clean_text(who.name).encode(), tenant, person_id)
            session.execute(insert(PersonPayload).values(person_id=person_id, tenant=tenant, sealed_name=sealed))
    except IntegrityError:
        found = find(session, tenant, who)
        if found is None:
            raise
        return found
    return person_id


def name_of(session: Session, tenant: str, person_id: str) -> str | None:
    """The name as their client gave it; None for one whom we do not know.

    Raises:
        DataDirectoryError: it is sealed with a key that is not ours.
    """
    this = PersonPayload.tenant == tenant, PersonPayload.person_id == person_id
    sealed = session.scalar(select(PersonPayload.sealed_name).where(*this))
    return None if sealed is None else PERSON_NAME.open(session, sealed, tenant, person_id).decode()


def find_or_add_all(session: Session, tenant: str, who: Sequence[PersonKey]) -> dict[str, str]:
    """Person ids by name hash, as `find_or_add` gives them one by one; all of `who` are of one key."""
    by_hash = {one.name_hash: one for one in who}
    rows = session.execute(
        select(Person.name_hash, Person.id).where(
            Person.tenant == tenant, Person.key_id.in_({one.key_id for one in who}), Person.name_hash.in_(list(by_hash))
        )
    )
    found = {name_hash: person_id for name_hash, person_id in rows}
    return {name_hash: found.get(name_hash) or find_or_add(session, tenant, one) for name_hash, one in by_hash.items()}


def facts(session: Session, tenant: str, who: PersonKey | None) -> tuple[Fact, ...]:
    """The stored wishes, oldest first; those that were forgotten have no payload any more."""
    person_id = find(session, tenant, who)
    if person_id is None:
        return ()
    rows = session.scalars(
        select(EventPayload.data)
        .join(Event, Event.id == EventPayload.event_id)
        .where(Event.tenant == tenant, Event.person_id == person_id, Event.kind == "user_edit")
        .order_by(Event.seq)
    )
    return tuple(fact for data in rows if data for fact in facts_from_json(data["facts"]))


def removals(session: Session, tenant: str, person_id: str) -> list[tuple[datetime, tuple[Fact, ...]]]:
    """When the person took which wishes back outside of conversations, oldest first."""
    rows = session.execute(
        select(Event.at, EventPayload.data)
        .join(EventPayload, EventPayload.event_id == Event.id)
        .where(Event.tenant == tenant, Event.person_id == person_id, Event.kind == "user_edit")
        .order_by(Event.seq)
    )
    found = ((at, facts_from_json(data["facts"])) for at, data in rows if data)
    return [(at, gone) for at, told in found if (gone := tuple(fact for fact in told if isinstance(fact, Dropped)))]


def record_edit(session: Session, tenant: str, who: PersonKey, new: tuple[Fact, ...]) -> str:
    """Add wishes to those of the person, who is made where unknown."""
    person_id = find_or_add(session, tenant, who)
    return events.add(session, NewEvent(tenant, "user_edit", person_id=person_id, data={"facts": facts_to_json(new)}))


def forget_facts(session: Session, tenant: str, who: PersonKey) -> None:
    """Delete the words of every stored wish; nothing to do for a person whom we do not know."""
    person_id = find(session, tenant, who)
    if person_id is None:
        return
    theirs = select(Event.id).where(Event.tenant == tenant, Event.person_id == person_id, Event.kind == "user_edit")
    session.execute(
        delete(EventPayload).where(EventPayload.event_id.in_(theirs)).execution_options(synchronize_session=False)
    )
    events.add(session, NewEvent(tenant, FORGOTTEN, person_id=person_id))


def consent_of(session: Session, tenant: str, who: PersonKey) -> bool | None:
    """What the person said last; None for one who said nothing, or whom we do not know."""
    return session.scalar(select(Person.consent).where(Person.id == find(session, tenant, who)))


def set_consent(session: Session, tenant: str, who: PersonKey, consent: bool) -> str:
    """Note whether the person, who is made where unknown, may be learned from; gives the event id."""
    person_id = find_or_add(session, tenant, who)
    session.execute(update(Person).where(Person.id == person_id).values(consent=consent))
    return events.add(session, NewEvent(tenant, "consent", person_id=person_id, value=float(consent)))
