"""What the server keeps in the database for itself: keys and the names of the live index and ranker."""

from __future__ import annotations

import secrets

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.codec import clean_or_none, clean_text
from agent.log.ids import SECRET_BYTES
from agent.log.models import LiveIndex, LiveRanker, Secret
from agent.log.sealing import SECRET


def secret(session: Session, tenant: str, name: str) -> bytes:
    """The key of this name, made at first use; processes that make it at once agree on one.

    Raises:
        DataDirectoryError: it is sealed with a key that is not ours.
    """
    stored = select(Secret.value).where(Secret.tenant == tenant, Secret.name == name)
    found = session.scalar(stored)
    if found is not None:
        return SECRET.open(session, found, tenant, name)
    value = secrets.token_bytes(SECRET_BYTES)
    sealed = SECRET.seal(session, value, tenant, name)
    try:
        with session.begin_nested():
            session.execute(insert(Secret).values(tenant=tenant, name=name, value=sealed))
    except IntegrityError:
        return SECRET.open(session, session.scalars(stored).one(), tenant, name)
    return value


def live_index(session: Session, tenant: str) -> str | None:
    """The newest row's folder."""
    return session.scalar(
        select(LiveIndex.folder).where(LiveIndex.tenant == tenant).order_by(LiveIndex.seq.desc()).limit(1)
    )


def activate_index(session: Session, tenant: str, folder: str) -> None:
    """Add a row that is newer than the others."""
    session.execute(insert(LiveIndex).values(tenant=tenant, folder=clean_text(folder), at=events.now()))


def live_ranker(session: Session, tenant: str) -> str | None:
    """The newest row's ranker."""
    return session.scalar(
        select(LiveRanker.ranker).where(LiveRanker.tenant == tenant).order_by(LiveRanker.seq.desc()).limit(1)
    )


def activate_ranker(session: Session, tenant: str, ranker: str | None) -> None:
    """Add a row that is newer than the others."""
    session.execute(insert(LiveRanker).values(tenant=tenant, ranker=clean_or_none(ranker), at=events.now()))
