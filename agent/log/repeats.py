"""Answers kept for a day for requests that name an idempotency key, so that a repeat is answered and not done again.

Bodies and names stand here as keyed hashes; an answer has words of a customer and goes with their conversation. Knows
nothing of HTTP but its status and content type.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.api_models import IdempotentAnswerRow
from agent.log.database import Database
from agent.log.models import ConversationRow

KEPT: Final = timedelta(hours=24)
ABANDONED: Final = timedelta(minutes=10)
"""After so long without an end a request is taken for one whose process died; longer than any is allowed to take."""

_Row = IdempotentAnswerRow


@dataclass(frozen=True, slots=True)
class Named:
    """A request: whose, and the hashes of its idempotency key and of what was asked."""

    tenant: str
    owner: str
    name_hash: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer as it was sent."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Begun:
    """Nobody has asked this before: it is ours to answer, then to `finish` or to `drop`."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """The same request is being answered at this moment."""


@dataclass(frozen=True, slots=True)
class AnotherBody:
    """The same key was used for something else."""


class KeptAnswers:
    """The kept answers of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, asked: Named) -> KeptAnswer | Begun | UnderWay | AnotherBody:
        """What there is to this request; deletes what is older than a day."""
        return self._database.write(lambda session: _begin(session, asked))

    def finish(self, asked: Named, answer: KeptAnswer, conversation_id: str | None) -> None:
        """Keep the answer, unless its conversation was erased meanwhile."""

        def work(session: Session) -> None:
            values = {
                "status": answer.status,
                "content_type": answer.content_type,
                "answer": answer.body,
                "conversation_id": conversation_id,
            }
            if conversation_id is not None:
                # The lock (SQLite: writers are alone anyway) keeps an erasure from passing between look and write.
                row = session.get(ConversationRow, conversation_id, with_for_update=True)
                if row is None or row.erased_at is not None:
                    _drop(session, asked)
                    return
            session.execute(update(_Row).where(*_place(asked)).values(values))

        self._database.write(work)

    def prune(self) -> None:
        """Delete what is older than a day, also where nobody asks any more."""
        self._database.write(_prune)

    def drop(self, asked: Named) -> None:
        """Forget that it was asked: it came to nothing, and may be tried again."""
        self._database.write(lambda session: _drop(session, asked))


def forget_conversation(session: Session, session_id: str) -> None:
    """Delete the kept answers of a conversation."""
    session.execute(delete(_Row).where(_Row.conversation_id == session_id).execution_options(synchronize_session=False))


def _begin(session: Session, asked: Named) -> KeptAnswer | Begun | UnderWay | AnotherBody:
    now = events.now()
    _prune(session)
    row = session.scalar(select(_Row).where(*_place(asked)).with_for_update())
    if row is None:
        return _reserve(session, asked)
    if row.body_hash != asked.body_hash:
        return AnotherBody()
    if row.status is not None and row.answer is not None:
        return KeptAnswer(row.status, row.content_type or "", row.answer)
    if now - row.created_at < ABANDONED:
        return UnderWay()
    row.created_at = now
    return Begun()


def _prune(session: Session) -> None:
    old = delete(_Row).where(_Row.created_at < events.now() - KEPT)
    session.execute(old.execution_options(synchronize_session=False))


def _reserve(session: Session, asked: Named) -> Begun | UnderWay:
    fresh = {
        "tenant": asked.tenant,
        "owner": asked.owner,
        "name_hash": asked.name_hash,
        "body_hash": asked.body_hash,
        "created_at": events.now(),
    }
    try:
        with session.begin_nested():
            session.execute(insert(_Row).values(fresh))
    except IntegrityError:  # another replica was faster
        return UnderWay()
    return Begun()


def _drop(session: Session, asked: Named) -> None:
    pending = (*_place(asked), _Row.status.is_(None))
    session.execute(delete(_Row).where(*pending).execution_options(synchronize_session=False))


def _place(asked: Named) -> tuple[ColumnElement[bool], ...]:
    return _Row.tenant == asked.tenant, _Row.owner == asked.owner, _Row.name_hash == asked.name_hash
