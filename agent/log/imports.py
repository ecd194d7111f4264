"""A shop's own history goes into the log: what customers did before there was a chat, each deed once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from agent.log import events, people
from agent.log.codec import clean_text, finite
from agent.log.ids import new_event_id
from agent.log.learning import IMPORTED
from agent.log.models import Event
from agent.log.people import PersonKey
from agent.log.records import PastDeed


def store(session: Session, tenant: str, deeds: Sequence[PastDeed], who: Sequence[PersonKey]) -> int:
    """Add the deeds that are not there yet, the n-th one of `who[n]`; how many were added.

    The same one (customer, item, kind, value and time) is stored once, however often it is given.
    """
    persons = people.find_or_add_all(session, tenant, who)
    moment = events.now()
    rows: dict[str, dict[str, object]] = {}
    for deed, key in zip(deeds, who, strict=True):
        row = _row(tenant, deed, persons[key.name_hash])
        rows.setdefault(str(row["once"]), {**row, "id": new_event_id(), "at": deed.at or moment})
    known = set(session.scalars(select(Event.once).where(Event.once.in_(list(rows)))))
    new = [row for once, row in rows.items() if once not in known]
    if new:
        # Another import of the same file may run beside this one: the unique key decides between them.
        dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
        session.execute(dialect.insert(Event).on_conflict_do_nothing(index_elements=["once"]), new)
    return len(new)


def _row(tenant: str, deed: PastDeed, person_id: str) -> dict[str, object]:
    value, item_id = finite(deed.value), clean_text(deed.item_id)
    told = [tenant, person_id, item_id, deed.kind, value, deed.at.timestamp() if deed.at else None]
    return {
        "tenant": tenant,
        "kind": IMPORTED,
        "of": deed.kind,
        "person_id": person_id,
        "item_id": item_id,
        "value": value,
        # The person's id is random, so that this tells nobody who did what.
        "once": hashlib.sha256(json.dumps(["imported", *told]).encode()).hexdigest(),
    }
