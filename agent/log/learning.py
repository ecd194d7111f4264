"""What those read that learn: which conversations changed, whole conversations, and who did what with which item.

What was withdrawn, undone or erased is not there, nor are customers who may not be learned from. Knows nothing of what
is made of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import ColumnElement, Executable, func, literal, or_, select, true, union_all
from sqlalchemy.orm import Session

from agent.log import conversations, people, reactions
from agent.log.models import ConversationRow, Event, EventPayload, Person, Turn
from agent.log.records import (
    NOBODY,
    Change,
    Changes,
    Consent,
    ConversationState,
    Deed,
    FeedbackKind,
    OutsideKind,
    PastKind,
    StatedWishes,
)

TAKEN: tuple[FeedbackKind, ...] = ("accept", "buy", "thumb_up")
"""Reactions by which a customer says that an item was right."""
IMPORTED = "imported"

_TELLING = (*TAKEN, "reject", "thumb_down", reactions.WITHDRAW, "undo", "erasure")
_DEEDS = (*TAKEN, "reject", "thumb_down", "click", "view", "dwell", reactions.WITHDRAW, IMPORTED)


def changes(session: Session, tenant: str, after: int) -> Changes:
    """Events with a number above `after` that add to what a conversation teaches, or take from it, oldest first."""
    # Not the columns themselves: SQLite would go through all reactions of the tenant by their index, and not through
    # the few newest events by number.
    tenant_, kind = func.coalesce(Event.tenant, ""), func.coalesce(Event.kind, "")
    of_talk = select(Event.seq, Event.conversation_id).where(
        Event.seq > after, tenant_ == tenant, kind.in_(_TELLING), Event.conversation_id.is_not(None)
    )
    of_somebody = select(Event.seq, literal(NOBODY)).where(
        Event.seq > after, tenant_ == tenant, kind == "erasure", Event.conversation_id.is_(None)
    )
    of_person = (
        select(Event.seq, ConversationRow.id)
        .join(ConversationRow, ConversationRow.person_id == Event.person_id)
        .where(Event.seq > after, Event.tenant == tenant, Event.kind == "consent")
    )
    newest = session.scalar(select(func.max(Event.seq))) or 0
    found = session.execute(union_all(of_talk, of_somebody, of_person).order_by("seq")).mappings()
    return Changes(newest, tuple(Change(row["seq"], row["conversation_id"]) for row in found))


def fruitful(session: Session, tenant: str, limit: int) -> tuple[str, ...]:
    """Ids of the `limit` conversations in which an item was taken last, the oldest of them first."""
    last = func.max(Event.seq)
    rows = session.execute(
        select(Event.conversation_id, last)
        .where(
            Event.tenant == tenant,
            Event.kind.in_(TAKEN),
            Event.item_id.is_not(None),
            Event.turn_id.is_not(None),
        )
        .group_by(Event.conversation_id)
        .order_by(last.desc())
        .limit(limit)
    )
    return tuple(session_id for session_id, _ in rows if session_id)[::-1]


def talks(session: Session, tenant: str, session_ids: Sequence[str], consent: Consent) -> list[ConversationState]:
    """Those of the conversations that may be learned from, oldest first."""
    wanted = (
        select(ConversationRow)
        .outerjoin(Person, Person.id == ConversationRow.person_id)
        .where(
            ConversationRow.id.in_(session_ids),
            ConversationRow.tenant == tenant,
            ConversationRow.erased_at.is_(None),
            may_learn(consent),
        )
        .order_by(ConversationRow.created_at, ConversationRow.id)
    )
    return conversations.states(session, session.scalars(wanted).all())


def stated(session: Session, tenant: str, person_id: str, limit: int, consent: Consent) -> tuple[StatedWishes, ...]:
    """What the person wished for in their `limit` newest conversations, and took back outside of any, oldest first.

    Of those alone that were begun since they had their wishes forgotten.
    """
    forgot = select(func.max(Event.at)).where(
        Event.tenant == tenant, Event.person_id == person_id, Event.kind == people.FORGOTTEN
    )
    since = session.scalar(forgot)
    wanted = (
        select(ConversationRow.id, ConversationRow.created_at)
        .join(Person, Person.id == ConversationRow.person_id)
        .where(
            ConversationRow.tenant == tenant,
            ConversationRow.person_id == person_id,
            ConversationRow.erased_at.is_(None),
            true() if since is None else ConversationRow.created_at > since,
            may_learn(consent),
        )
        .order_by(ConversationRow.created_at.desc(), ConversationRow.id)
        .limit(limit)
    )
    began = {session_id: at for session_id, at in session.execute(wanted)}
    facts = conversations.facts_of(session, list(began))
    talks = [StatedWishes(began[session_id], facts.get(session_id, ())) for session_id in reversed(began)]
    gone = [StatedWishes(at, told) for at, told in people.removals(session, tenant, person_id)] if talks else []
    return tuple(sorted([*talks, *gone], key=lambda one: one.at))


def deeds(session: Session, tenant: str, consent: Consent, person_id: str | None = None) -> tuple[Deed, ...]:
    """In the order they were written down; of one person where `person_id` is given. All of it is held in memory."""
    standing: dict[tuple[str | None, ...], Deed] = {}
    for row in session.execute(_deeds(tenant, consent, person_id)):
        seq, turn_id, customer, item_id, kind, of, value, at, session_id, person, key_id, reason = row
        # A reaction has a life that a withdrawal ends; each other event is a deed of its own.
        if kind == reactions.WITHDRAW:
            standing.pop((turn_id, item_id, of), None)
            continue
        key = (turn_id, item_id, kind) if turn_id is not None else (str(seq),)
        kind_of = cast("FeedbackKind | OutsideKind | PastKind", of if kind == IMPORTED else kind)
        nameless = key_id if person is None else None
        standing.setdefault(key, Deed(customer, item_id, kind_of, value, at, reason, session_id, nameless))
    return tuple(standing.values())


def rating_range(session: Session, tenant: str) -> tuple[float, float] | None:
    """The lowest and the highest rating of the imported history; None where there is none."""
    wanted = select(func.min(Event.value), func.max(Event.value)).where(
        Event.tenant == tenant, Event.kind == IMPORTED, Event.of == "rating"
    )
    low, high = session.execute(wanted).one()
    return None if low is None or high is None else (low, high)


def _deeds(tenant: str, consent: Consent, person_id: str | None) -> Executable:
    customer = func.coalesce(Event.person_id, Event.conversation_id)
    skeleton = (Event.seq, Event.turn_id, customer, Event.item_id, Event.kind, Event.of, Event.value, Event.at)
    whose = (Event.conversation_id, Event.person_id, ConversationRow.key_id)
    wanted = (
        select(*skeleton, *whose, EventPayload.reason)
        .outerjoin(EventPayload, EventPayload.event_id == Event.id)
        .outerjoin(ConversationRow, ConversationRow.id == Event.conversation_id)
        .outerjoin(Turn, Turn.id == Event.turn_id)
        .outerjoin(Person, Person.id == Event.person_id)
        .where(
            Event.tenant == tenant,
            Event.kind.in_(_DEEDS),
            Event.item_id.is_not(None),
            customer.is_not(None),
            ConversationRow.erased_at.is_(None),
            or_(Turn.undone.is_(None), Turn.undone.is_(False)),
            may_learn(consent),
        )
        .order_by(Event.seq)
    )
    return wanted if person_id is None else wanted.where(Event.person_id == person_id)


def may_learn(consent: Consent) -> ColumnElement[bool]:
    """Of the person that was joined; a customer without a name has said neither yes nor no."""
    return Person.consent.is_(True) if consent == "opt_in" else or_(Person.consent.is_(None), Person.consent.is_(True))
