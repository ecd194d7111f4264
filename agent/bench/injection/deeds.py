"""What was ever done with orders, from the audit in the log. Knows nothing of how it came to be done."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from agent.log.models import Event
from agent.log.store import EventLog

_HARMLESS: Final = frozenset({"asked", "declined", "refused", "not_done", "failed"})
"""How a deed may end that nobody asked for who may."""


def deeds_of(log: EventLog, tenant: str) -> list[str]:
    """Names of deeds that were begun or done ("cancel.done"), in order."""
    chosen = select(Event.of).where(Event.tenant == tenant, Event.kind == "action").order_by(Event.seq)
    found = log.database.read(lambda session: list(session.scalars(chosen)))
    return [one for one in found if one is not None and one.partition(".")[2] not in _HARMLESS]
