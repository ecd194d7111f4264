"""Past tickets of the team in the log: imported history, each id once, which erasure reaches where a user is named.

Personal data was replaced before. Knows nothing of files and of what is learned.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, insert, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from agent.log import events, people
from agent.log.codec import clean_json
from agent.log.ids import new_event_id
from agent.log.learning import IMPORTED, may_learn
from agent.log.models import Event, EventPayload, Person
from agent.log.people import PersonKey
from agent.log.records import Consent

if TYPE_CHECKING:
    from agent.log.store import EventLog

TICKET = "ticket"
"""What `of` says of an imported ticket."""


@dataclass(frozen=True, slots=True)
class PastTicket:
    """A question that a customer asked the team once, and the best answer to it; personal data replaced.

    `id` is the help desk's, `agent` says who answered, `user` is what the shop's chat requests call the customer; ""
    where nothing is known. `at` None is now.
    """

    id: str
    question: str
    answer: str
    at: datetime | None = None
    agent: str = ""
    language: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class LoggedTicket:
    """A ticket as the log has it; `agent` stands for whoever answered, `person_id` is None for nobody's."""

    event_id: str
    at: datetime
    person_id: str | None
    question: str
    answer: str
    language: str
    agent: str


def record_tickets(log: EventLog, tenant: str, key_id: str, past: Sequence[PastTicket]) -> int:
    """Store past tickets, each id once; how many were not there yet. Whoever answered is kept as a pseudonym.

    `key_id` is that of the API key whose requests name the same users, "" where there are no keys. One transaction:
    give some hundreds at a time.
    """
    secret = log.secret(tenant)
    who = [PersonKey.of(secret, key_id, ticket.user) if ticket.user else None for ticket in past]
    agents = [log.pseudonym(tenant, f"agent {ticket.agent}") if ticket.agent else "" for ticket in past]
    return log.database.write(lambda session: _store(session, tenant, past, who, agents))


def read_tickets(
    log: EventLog, tenant: str, consent: Consent, since: datetime | None = None
) -> tuple[LoggedTicket, ...]:
    """The imported tickets that may be learned from, in the order in which they came."""
    return log.database.read(lambda session: _tickets(session, tenant, consent, since))


def _store(
    session: Session, tenant: str, tickets: Sequence[PastTicket], who: Sequence[PersonKey | None], agents: Sequence[str]
) -> int:
    """Add the tickets whose ids are not there yet, the n-th one of `who[n]`, answered by `agents[n]`; how many."""
    named = [key for key in who if key is not None]
    persons = people.find_or_add_all(session, tenant, named) if named else {}
    moment = events.now()
    rows: dict[str, dict[str, object]] = {}
    words: dict[str, dict[str, object]] = {}
    for ticket, key, agent in zip(tickets, who, agents, strict=True):
        once = hashlib.sha256(json.dumps(["imported", TICKET, tenant, ticket.id]).encode()).hexdigest()
        if once in rows:
            continue
        rows[once] = {
            "id": new_event_id(), "tenant": tenant, "kind": IMPORTED, "of": TICKET, "at": ticket.at or moment,
            "person_id": None if key is None else persons[key.name_hash], "once": once,
        }  # fmt: skip
        said = {"ticket": ticket.id, "question": ticket.question, "answer": ticket.answer}
        words[once] = {**said, "language": ticket.language, "agent": agent}
    known = set(session.scalars(select(Event.once).where(Event.once.in_(list(rows)))))
    new = {once: row for once, row in rows.items() if once not in known}
    if not new:
        return 0
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    session.execute(dialect.insert(Event).on_conflict_do_nothing(index_elements=["once"]), list(new.values()))
    ours = set(session.scalars(select(Event.id).where(Event.id.in_([row["id"] for row in new.values()]))))
    payloads = [
        {"event_id": row["id"], "tenant": tenant, "data": clean_json(words[once])}
        for once, row in new.items()
        if row["id"] in ours  # else another import was first
    ]
    if payloads:
        session.execute(insert(EventPayload), payloads)
    return len(payloads)


def _tickets(session: Session, tenant: str, consent: Consent, since: datetime | None) -> tuple[LoggedTicket, ...]:
    """Those that may be learned from, in the order in which they came."""
    wanted = (
        select(Event.id, Event.at, Event.person_id, EventPayload.data)
        .join(EventPayload, EventPayload.event_id == Event.id)
        .outerjoin(Person, Person.id == Event.person_id)
        .where(*_learnable(tenant, consent, since))
        .order_by(Event.seq)
    )
    return tuple(
        LoggedTicket(event_id, at, person_id, data["question"], data["answer"], data["language"], data["agent"])
        for event_id, at, person_id, data in session.execute(wanted)
        if data
    )


def learnable(
    session: Session, tenant: str, event_ids: Sequence[str], consent: Consent, since: datetime | None
) -> dict[str, str | None]:
    """Those of the events that are tickets which may be learned from, each with its person's id."""
    wanted = (
        select(Event.id, Event.person_id)
        .join(EventPayload, EventPayload.event_id == Event.id)
        .outerjoin(Person, Person.id == Event.person_id)
        .where(Event.id.in_(event_ids), *_learnable(tenant, consent, since))
    )
    return {event_id: person_id for event_id, person_id in session.execute(wanted)}


def _learnable(tenant: str, consent: Consent, since: datetime | None) -> tuple[ColumnElement[bool], ...]:
    return (
        Event.tenant == tenant,
        Event.kind == IMPORTED,
        Event.of == TICKET,
        may_learn(consent),
        true() if since is None else Event.at >= since,
    )
