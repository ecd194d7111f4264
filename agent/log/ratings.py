"""How content customers were with a conversation: scores of the bot and of people, apart; the newest of each counts.

Knows nothing of who may score what.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias, cast

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from agent.log import events
from agent.log.database import Database
from agent.log.events import NewEvent, OwnKind
from agent.log.models import ConversationRow, Event, EventPayload

Rated: TypeAlias = Literal["bot", "human"]
KIND: Final[OwnKind] = "csat"


@dataclass(frozen=True, slots=True)
class Rating:
    """One score, 1 to 5; `agent` is whose work it was, where it was a person's; None where they gave no name."""

    session_id: str
    of: Rated
    score: int
    text: str | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class StoredRating:
    """A score as it stands; its words are None once they are erased."""

    rating: Rating
    at: datetime


@dataclass(frozen=True, slots=True)
class Mean:
    """Of all scores that count; `mean` None where there are none."""

    scores: int
    mean: float | None


class Ratings:
    """The scores of one database. Every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, tenant: str, rating: Rating) -> str:
        """Add a score, which takes the place of an earlier one; gives the event id.

        Raises:
            NotFound: the conversation was erased meanwhile.
        """
        return self._database.write(lambda session: _store(session, tenant, rating))

    def newest(self, tenant: str, limit: int) -> tuple[StoredRating, ...]:
        """Those that count, the newest first."""
        return self._database.read(lambda session: _newest(session, tenant, limit))

    def mean(self, tenant: str, of: Rated) -> Mean:
        """What they come to."""
        counted = select(func.count(), func.avg(Event.value)).where(Event.seq.in_(_that_count(tenant)), Event.of == of)
        n, mean = self._database.read(lambda session: session.execute(counted).one())
        return Mean(n, None if mean is None else float(mean))


def _store(session: Session, tenant: str, rating: Rating) -> str:
    whose = select(ConversationRow.person_id).where(
        ConversationRow.tenant == tenant, ConversationRow.id == rating.session_id
    )
    new = NewEvent(
        tenant,
        KIND,
        conversation_id=rating.session_id,
        person_id=session.scalar(whose),
        value=float(rating.score),
        of=rating.of,
        text=rating.text,
        data={"agent": rating.agent} if rating.agent else None,
    )
    return events.add(session, new)


def _that_count(tenant: str) -> Select[int]:
    return (
        select(func.max(Event.seq))
        .where(Event.tenant == tenant, Event.kind == KIND)
        .group_by(Event.conversation_id, Event.of)
    )


def _newest(session: Session, tenant: str, limit: int) -> tuple[StoredRating, ...]:
    rows = session.execute(
        select(Event, EventPayload)
        .outerjoin(EventPayload, EventPayload.event_id == Event.id)
        .where(Event.seq.in_(_that_count(tenant)))
        .order_by(Event.seq.desc())
        .limit(limit)
    )
    return tuple(
        StoredRating(
            Rating(
                event.conversation_id or "",
                cast("Rated", event.of),
                round(event.value or 0),
                None if words is None else words.text,
                None if words is None else (words.data or {}).get("agent"),
            ),
            event.at,
        )
        for event, words in rows
    )
