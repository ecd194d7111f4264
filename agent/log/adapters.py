"""Adapters in the database: what was done with each of a tenant, who they were trained on, how a canary fares.

A move is a row that is only ever added; its number is the tenant's own, so that of two operators who saw the same state
one is told. What the moves come to is told elsewhere (agent/adapters/standing.py). Knows no files and no engines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, cast

from sqlalchemy import ColumnElement, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.log import events, system
from agent.log.codec import clean_or_none, clean_text
from agent.log.ids import keyed_hash
from agent.log.models import AdapterMoveRow, AdapterSourceRow, Event, Turn, TurnPayload
from retrieval.errors import ChatalogueError

MoveKind: TypeAlias = Literal["begun", "canary", "withdrawn", "promoted", "rolled_back", "rejected"]
"""begun: its id is taken, training goes on. withdrawn: a canary is a candidate again. rolled_back: champion again."""


class MoveConflict(ChatalogueError):
    """Somebody else changed the tenant's adapters meanwhile; tell the operator."""


@dataclass(frozen=True, slots=True)
class Move:
    """One thing that was done. `adapter` None: the one of the settings (the starter), which no tenant owns.

    `share` of the conversations that a canary answers, 0 for other moves. `reason` is a sentence or empty. What the log
    fills in: `version` (1, 2, ... in a tenant), `at`, and `after_turn`, the number of the newest turn at that moment.
    """

    kind: MoveKind
    adapter: str | None
    reason: str = ""
    share: float = 0.0
    version: int = 0
    at: datetime | None = None
    after_turn: int = 0


@dataclass(frozen=True, slots=True)
class Source:
    """Whom an adapter learned from: the customer (as in `Deed`), and the conversation where it was one of the chat."""

    customer: str
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """Of one adapter: customers and conversations that it learned from, and those of them that were erased since."""

    customers: int = 0
    conversations: int = 0
    erased_customers: int = 0
    erased_conversations: int = 0


@dataclass(frozen=True, slots=True)
class SessionSigns:
    """What went well or wrong in one conversation since some moment; each is "at least once".

    `error`: the model could not be used. `ungrounded`: a sentence of the model was refused. `whole`: the model wrote,
    and none was. `adapters`: that answered turns of it.
    """

    session_id: str
    error: bool = False
    thumb_down: bool = False
    ungrounded: bool = False
    whole: bool = False
    adapters: frozenset[str] = frozenset()


def newest_version(session: Session, tenant: str) -> int:
    """The number of the last move; 0 before the first."""
    return session.scalar(select(func.max(AdapterMoveRow.version)).where(AdapterMoveRow.tenant == tenant)) or 0


def moves(session: Session, tenant: str) -> tuple[Move, ...]:
    """All of the tenant, the oldest first."""
    rows = session.scalars(
        select(AdapterMoveRow).where(AdapterMoveRow.tenant == tenant).order_by(AdapterMoveRow.version)
    )
    return tuple(
        Move(cast("MoveKind", row.kind), row.adapter, row.reason, row.share, row.version, row.at, row.after_turn)
        for row in rows
    )


def add_move(session: Session, tenant: str, seen: int, move: Move) -> int:
    """Add `move` behind move number `seen`, the last one that its maker knew; its own number.

    Raises:
        MoveConflict: there is a newer one.
    """
    row = {
        "tenant": tenant,
        "version": seen + 1,
        "kind": move.kind,
        "adapter": clean_or_none(move.adapter),
        "share": move.share,
        "reason": clean_text(move.reason),
        "at": events.now(),
        "after_turn": session.scalar(select(func.max(Turn.seq))) or 0,
    }
    try:
        # The key decides and not a look before: two processes may look at once.
        with session.begin_nested():
            session.execute(insert(AdapterMoveRow).values(row))
    except IntegrityError:
        raise MoveConflict(
            "The adapters were changed by somebody else meanwhile; see `chatalogue adapters list` and try again."
        ) from None
    return seen + 1


def add_sources(session: Session, tenant: str, adapter: str, sources: Collection[Source]) -> None:
    """Note whom `adapter` is trained on, each once, as keyed hashes; once more adds what is new."""
    secret = system.secret(session, tenant, "signing")
    wanted = {(_hashed(secret, one.customer), _hashed(secret, one.session_id)) for one in sources}
    known = select(AdapterSourceRow.customer, AdapterSourceRow.conversation).where(
        AdapterSourceRow.tenant == tenant, AdapterSourceRow.adapter == adapter
    )
    new = wanted - {(customer, conversation) for customer, conversation in session.execute(known)}
    if new:
        row = {"tenant": tenant, "adapter": clean_text(adapter), "erased_at": None}
        session.execute(
            insert(AdapterSourceRow),
            [{**row, "customer": customer, "conversation": conversation} for customer, conversation in sorted(new)],
        )


def inherit_sources(session: Session, tenant: str, adapter: str, other: str) -> None:
    """`adapter` begins with the weights of `other`, so it is trained on all whom that one was trained on."""
    theirs = select(AdapterSourceRow).where(AdapterSourceRow.tenant == tenant)
    known = {
        (row.customer, row.conversation) for row in session.scalars(theirs.where(AdapterSourceRow.adapter == adapter))
    }
    rows = [
        {
            "tenant": tenant,
            "adapter": clean_text(adapter),
            "customer": row.customer,
            "conversation": row.conversation,
            "erased_at": row.erased_at,
        }
        for row in session.scalars(theirs.where(AdapterSourceRow.adapter == other))
        if (row.customer, row.conversation) not in known
    ]
    if rows:
        session.execute(insert(AdapterSourceRow), rows)


def source_counts(session: Session, tenant: str) -> dict[str, SourceCounts]:
    """By adapter; those that learned from nobody (or are unknown) are not there."""
    found: dict[str, list[tuple[str, str, bool]]] = defaultdict(list)
    rows = session.execute(
        select(
            AdapterSourceRow.adapter,
            AdapterSourceRow.customer,
            AdapterSourceRow.conversation,
            AdapterSourceRow.erased_at.is_not(None),
        ).where(AdapterSourceRow.tenant == tenant)
    )
    for adapter, customer, conversation, erased in rows:
        found[adapter].append((customer, conversation, bool(erased)))
    return {adapter: _counts(each) for adapter, each in found.items()}


def trained_on(session: Session, tenant: str, customer: str) -> tuple[str, ...]:
    """Ids of the adapters that learned from a customer or a conversation, in order; also of those erased since."""
    hashed = _hashed(system.secret(session, tenant, "signing"), customer)
    rows = session.scalars(
        select(AdapterSourceRow.adapter)
        .where(AdapterSourceRow.tenant == tenant, _is_of(hashed))
        .distinct()
        .order_by(AdapterSourceRow.adapter)
    )
    return tuple(rows)


def note_erasure(session: Session, tenant: str, customer: str) -> None:
    """The person or the conversation with this id is erased: adapters trained on them have to be made again."""
    hashed = _hashed(system.secret(session, tenant, "signing"), customer)
    session.execute(
        update(AdapterSourceRow)
        .where(AdapterSourceRow.tenant == tenant, _is_of(hashed), AdapterSourceRow.erased_at.is_(None))
        .values(erased_at=events.now())
        .execution_options(synchronize_session=False)
    )


def signs(session: Session, tenant: str, after_turn: int) -> tuple[SessionSigns, ...]:
    """What happened in each conversation in turns with a number above `after_turn`, by the first of those turns."""
    refused = func.coalesce(func.json_array_length(TurnPayload.trace["refused_sentences"]), 0)
    wrote = and_(Turn.completion_tokens > 0, Turn.degraded.is_(False))
    since = and_(Turn.tenant == tenant, Turn.seq > after_turn)
    disliked = select(Event.conversation_id).where(
        Event.tenant == tenant,
        Event.kind == "thumb_down",
        Event.turn_id.in_(select(Turn.id).where(since)),
    )
    thumbs = set(session.scalars(disliked))
    rows = session.execute(
        select(Turn.conversation_id, Turn.degraded, and_(wrote, refused > 0), and_(wrote, refused == 0), Turn.adapter)
        .outerjoin(TurnPayload, TurnPayload.turn_id == Turn.id)
        .where(since)
        .order_by(Turn.seq)
    )
    found: dict[str, SessionSigns] = {}
    for session_id, degraded, bad, good, adapter in rows:
        one = found.get(session_id) or SessionSigns(session_id, thumb_down=session_id in thumbs)
        found[session_id] = SessionSigns(
            session_id,
            one.error or bool(degraded),
            one.thumb_down,
            one.ungrounded or bool(bad),
            one.whole or bool(good),
            one.adapters | {adapter} if adapter else one.adapters,
        )
    return tuple(found.values())


def _hashed(secret: bytes, name: str | None) -> str:
    return "" if name is None else keyed_hash(secret, "adapter source", name)


def _is_of(hashed: str) -> ColumnElement[bool]:
    return or_(AdapterSourceRow.customer == hashed, AdapterSourceRow.conversation == hashed)


def _counts(rows: Sequence[tuple[str, str, bool]]) -> SourceCounts:
    gone = [row for row in rows if row[2]]
    return SourceCounts(
        len({row[0] for row in rows}),
        len({row[1] for row in rows} - {""}),
        len({row[0] for row in gone}),
        len({row[1] for row in gone} - {""}),
    )
