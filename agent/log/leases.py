"""Who answers in a conversation: one process at a time, for a time that runs out when the process dies.

A row and not a lock of the database: a lock would need a connection of its own for as long as a model speaks, and
SQLite has none. Two owners are possible where a process slept past its time or a clock was set; the numbers of turns,
which are unique, keep both turns then.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import CursorResult, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.log import conversations, events
from agent.log.models import TurnLease

LEASE_SECONDS = 15.0
"""How long others wait for a process that died; one that lives takes its lease again well before."""


def take(session: Session, tenant: str, session_id: str, owner: str) -> bool:
    """Insert the row, or make it ours where it is ours, old, or from a future that a clock set back has left."""
    conversations.find(session, tenant, session_id)
    here = TurnLease.conversation_id == session_id
    held = session.execute(select(TurnLease.owner, TurnLease.expires_at).where(here)).one_or_none()
    now = _clock(session)  # after the row was read: one taken since an earlier look would seem to be of the future
    ends = now + timedelta(seconds=LEASE_SECONDS)
    if held is None:
        try:
            with session.begin_nested():
                session.execute(
                    insert(TurnLease).values(conversation_id=session_id, tenant=tenant, owner=owner, expires_at=ends)
                )
        except IntegrityError:
            return False  # another one was faster
        return True
    if held.owner != owner and now < held.expires_at <= ends:
        return False
    unchanged = (here, TurnLease.owner == held.owner, TurnLease.expires_at == held.expires_at)
    changed = session.execute(update(TurnLease).where(*unchanged).values(owner=owner, expires_at=ends))
    assert isinstance(changed, CursorResult)  # noqa: S101 - narrows for mypy: an UPDATE gives no other
    return changed.rowcount == 1


def drop(session: Session, session_id: str, owner: str) -> None:
    """Delete the row if it is the owner's."""
    session.execute(delete(TurnLease).where(TurnLease.conversation_id == session_id, TurnLease.owner == owner))


def _clock(session: Session) -> datetime:
    """The server's own clock where there is a server: those of two machines differ."""
    if session.get_bind().dialect.name == "sqlite":
        return events.now()
    moment: datetime = session.scalars(select(func.clock_timestamp(type_=TurnLease.expires_at.type))).one()
    return moment
