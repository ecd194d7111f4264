"""Conversations: beginning, finding, reading, editing and erasing them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.orm import InstrumentedAttribute, Session, load_only

from agent.answer import Action
from agent.log import adapters, events, handoffs, inbox, outbox, people, reactions, repeats
from agent.log.codec import facts_from_json, facts_to_json, question_from_json
from agent.log.events import NewEvent
from agent.log.ids import looks_like_session_id, new_session_id
from agent.log.models import ActionState, ConversationRow, Event, EventPayload, Shown, Turn, TurnPayload
from agent.log.people import PersonKey
from agent.log.records import (
    Conversation,
    ConversationState,
    ConversationStatus,
    ConversationSummary,
    EditState,
    PrefixMatch,
    Reaction,
    SessionView,
    ShownList,
    TurnState,
    TurnView,
)
from agent.preferences import Added, Fact, fold
from agent.understand.types import Intent, Language
from retrieval.errors import NotFound

EARLIER = 0
"""The turn that wishes from earlier conversations carry."""
SAME_WORDS = 20
"""So many of the latest turns that ended with the same messages are looked at."""

_FOR_STATE = (TurnPayload.message, TurnPayload.reply, TurnPayload.facts, TurnPayload.question, TurnPayload.focus)
_FOR_VIEW = (TurnPayload.message, TurnPayload.reply, TurnPayload.answer)


def start(session: Session, tenant: str, key_id: str, who: PersonKey | None, language: Language) -> Conversation:
    """Add a conversation; what a named customer wishes is copied into it, so that later changes do not reach back."""
    person_id = None if who is None else people.find_or_add(session, tenant, who)
    row = ConversationRow(
        id=new_session_id(),
        tenant=tenant,
        key_id=key_id,
        person_id=person_id,
        created_at=events.now(),
        language=language,
        status="bot",
        erased_at=None,
    )
    session.add(row)
    session.flush()
    wishes = [Added(replace(wish, turn=EARLIER)) for wish in fold(people.facts(session, tenant, who))]
    if wishes:
        events.add(session, _edit(row, None, tuple(wishes)))
    return _conversation(row, row.language)


def find(session: Session, tenant: str, session_id: str) -> ConversationRow:
    """The row of one that was not erased.

    Raises:
        NotFound: unknown, erased, or of another tenant.
    """
    wanted = select(ConversationRow).where(ConversationRow.tenant == tenant, ConversationRow.id == session_id)
    row = session.scalar(wanted) if looks_like_session_id(session_id) else None
    if row is None or row.erased_at is not None:
        raise _unknown(session_id)
    return row


def get(
    session: Session, tenant: str, session_id: str, *, key_id: str | None, user: str | None, secret: bytes
) -> Conversation:
    """Find one and check who asks, where that is given."""
    row = find(session, tenant, session_id)
    if key_id is not None and row.key_id != key_id:
        raise _unknown(session_id)
    if user is not None and row.person_id is not None:
        asking = people.find(session, tenant, PersonKey.of(secret, row.key_id, user))
        if asking != row.person_id:
            raise _unknown(session_id)
    spoken = select(Turn.language).where(Turn.conversation_id == row.id).order_by(Turn.number.desc()).limit(1)
    return _conversation(row, session.scalar(spoken) or row.language)


def find_by_prefix(
    session: Session, tenant: str, key_id: str, who: PersonKey | None, prefix_hash: str
) -> PrefixMatch | None:
    """Find the turn recorded last that ended with these messages."""
    person_id = people.find(session, tenant, who)
    if who is not None and person_id is None:
        return None
    found = session.execute(
        select(Turn.conversation_id, Turn.number, ConversationRow.status)
        .join(ConversationRow, ConversationRow.id == Turn.conversation_id)
        .where(
            Turn.tenant == tenant,
            Turn.prefix_hash == prefix_hash,
            Turn.undone.is_(False),
            ConversationRow.key_id == key_id,
            ConversationRow.person_id == person_id,  # None compiles to IS NULL
            ConversationRow.erased_at.is_(None),
        )
        .order_by(Turn.seq.desc())
        .limit(SAME_WORDS)
    ).all()
    if not found:
        return None
    held = next(((talk, number) for talk, number, status in found if status != "bot"), None)
    return PrefixMatch(found[0][0], found[0][1], len({row[0] for row in found}) > 1, held)


def history(
    session: Session, tenant: str, key_id: str, who: PersonKey | None, limit: int
) -> tuple[ConversationSummary, ...]:
    """List a customer's conversations, the one with the newest turn first."""
    person_id = people.find(session, tenant, who)
    if who is not None and person_id is None:
        return ()
    # These first: grouping the tenant's turns to pick a few conversations afterwards reads all of them.
    theirs = select(ConversationRow.id).where(
        ConversationRow.tenant == tenant,
        ConversationRow.key_id == key_id,
        ConversationRow.person_id == person_id,
        ConversationRow.erased_at.is_(None),
    )
    spans = (
        select(
            Turn.conversation_id,
            func.count().label("turns"),
            func.min(Turn.number).label("first"),
            func.max(Turn.seq).label("last"),
            func.max(Turn.created_at).label("last_at"),
        )
        .where(Turn.conversation_id.in_(theirs))
        .group_by(Turn.conversation_id)
        .subquery()
    )
    rows = session.execute(
        select(ConversationRow, TurnPayload.message, spans.c.last_at, spans.c.turns)
        .join(spans, spans.c.conversation_id == ConversationRow.id)
        .join(Turn, and_(Turn.conversation_id == ConversationRow.id, Turn.number == spans.c.first))
        .join(TurnPayload, TurnPayload.turn_id == Turn.id)
        .order_by(spans.c.last.desc())
        .limit(limit)
    )
    return tuple(
        ConversationSummary(row.id, title, row.created_at, last_at, count) for row, title, last_at, count in rows
    )


def state(session: Session, tenant: str, session_id: str, *, before: int | None = None) -> ConversationState:
    """Read turns and edits, those before turn number `before` where it is given."""
    (found,) = _states(session, [find(session, tenant, session_id)], before, None)
    return found


def state_at(session: Session, turn: Turn) -> ConversationState:
    """Read what there was when `turn` was recorded: without reactions, edits and undoings that came later."""
    row = session.get_one(ConversationRow, turn.conversation_id)
    (found,) = _states(session, [row], turn.number, turn.events_before)
    return found


def states(session: Session, rows: Sequence[ConversationRow]) -> list[ConversationState]:
    """Read many at once, in the order of `rows`: a few queries in all."""
    return _states(session, rows, None, None)


def facts_of(session: Session, session_ids: Sequence[str]) -> dict[str, tuple[Fact, ...]]:
    """The facts of many conversations as `agent.history.facts_in_force` orders them, without the rest of the turns."""
    rows = session.execute(
        select(Turn.conversation_id, Turn.number, TurnPayload.facts)
        .join(TurnPayload, TurnPayload.turn_id == Turn.id)
        .where(Turn.conversation_id.in_(session_ids), Turn.undone.is_(False))
    )
    found: dict[str, list[tuple[int, bool, tuple[Fact, ...]]]] = defaultdict(list)
    for session_id, number, stored in rows:
        found[session_id].append((number, False, facts_from_json(stored)))
    for session_id, edit in _edits(session, session_ids, None):
        found[session_id].append((edit.after_turn, True, edit.facts))
    return {
        session_id: tuple(fact for *_, facts in sorted(each, key=lambda part: part[:2]) for fact in facts)
        for session_id, each in found.items()
    }


def _states(
    session: Session, rows: Sequence[ConversationRow], before: int | None, until: int | None
) -> list[ConversationState]:
    """The turns before number `before`, and what the events up to sequence number `until` made of them."""
    ids = [row.id for row in rows]
    shown = _shown(session, ids)
    reacted = reactions.in_force(session, ids, until=until)
    undone = None if until is None else _undone(session, ids, until)
    turns: dict[str, list[TurnState]] = defaultdict(list)
    for turn, words in _turns(session, ids, *_FOR_STATE):
        if before is None or turn.number < before:
            listed, said = shown.get((turn.id, "slate"), ()), reacted.get(turn.id, ())
            flag = turn.undone if undone is None else turn.id in undone
            turns[turn.conversation_id].append(_turn_state(turn, words, listed, said, undone=flag))
    edits: dict[str, list[EditState]] = defaultdict(list)
    for session_id, edit in _edits(session, ids, until):
        if before is None or edit.after_turn < before:
            edits[session_id].append(edit)
    return [_state(row, tuple(turns[row.id]), tuple(edits[row.id])) for row in rows]


def _state(row: ConversationRow, turns: tuple[TurnState, ...], edits: tuple[EditState, ...]) -> ConversationState:
    return ConversationState(_conversation(row, turns[-1].language if turns else row.language), turns, edits)


def view(session: Session, conversation: Conversation) -> SessionView:
    """Read a conversation as it is shown to people."""
    shown = _shown(session, [conversation.id])
    reacted = reactions.in_force(session, [conversation.id])
    turns = tuple(
        TurnView(
            turn_id=turn.id,
            number=turn.number,
            created_at=turn.created_at,
            message=words.message,
            reply=words.reply,
            action=cast("Action", turn.action),
            items=shown.get((turn.id, "slate"), ()),
            alternatives=shown.get((turn.id, "alternative"), ()),
            reactions=reacted.get(turn.id, ()),
            answer=words.answer,
            undone=turn.undone,
        )
        for turn, words in _turns(session, [conversation.id], *_FOR_VIEW)
    )
    return SessionView(conversation, turns)


def record_edit(session: Session, tenant: str, session_id: str, facts: tuple[Fact, ...]) -> str:
    """Add the customer's own change after the turns so far."""
    row = find(session, tenant, session_id)
    last = session.scalar(
        select(Turn.id).where(Turn.conversation_id == session_id).order_by(Turn.number.desc()).limit(1)
    )
    return events.add(session, _edit(row, last, facts))


def erase(session: Session, tenant: str, session_id: str) -> None:
    """Delete the words; keep ids, times and numbers; the hashes of the words go too, for they can be guessed."""
    turn_ids = select(Turn.id).where(Turn.conversation_id == session_id)
    event_ids = select(Event.id).where(Event.conversation_id == session_id)
    here = Turn.conversation_id == session_id
    for statement in (
        update(ConversationRow).where(ConversationRow.id == session_id).values(erased_at=events.now()),
        delete(TurnPayload).where(TurnPayload.turn_id.in_(turn_ids)),
        delete(EventPayload).where(EventPayload.event_id.in_(event_ids)),
        delete(ActionState).where(ActionState.conversation_id == session_id),
        update(Turn).where(here).values(prefix_hash=None),
    ):
        session.execute(statement.execution_options(synchronize_session=False))
    handoffs.forget(session, session_id)
    outbox.forget_conversation(session, session_id)
    inbox.forget_conversation(session, session_id)
    repeats.forget_conversation(session, session_id)
    adapters.note_erasure(session, tenant, session_id)
    events.add(session, NewEvent(tenant, "erasure", conversation_id=session_id))


def _unknown(session_id: str) -> NotFound:
    return NotFound(f"The session {session_id!r} is unknown; use a session_id from an answer, or none to begin anew.")


def _conversation(row: ConversationRow, language: str) -> Conversation:
    """`language` is that of the last turn; the row's own until there is one."""
    return Conversation(
        id=row.id,
        tenant=row.tenant,
        key_id=row.key_id,
        person_id=row.person_id,
        created_at=row.created_at,
        language=cast("Language", language),
        status=cast("ConversationStatus", row.status),
    )


def _edit(row: ConversationRow, last_turn_id: str | None, facts: tuple[Fact, ...]) -> NewEvent:
    return NewEvent(
        row.tenant,
        "edit",
        turn_id=last_turn_id,
        conversation_id=row.id,
        person_id=row.person_id,
        data={"facts": facts_to_json(facts)},
    )


def _turns(
    session: Session, session_ids: Sequence[str], *columns: InstrumentedAttribute[Any]
) -> list[tuple[Turn, TurnPayload]]:
    """By number, with these columns of the payload: traces are long, and parsing all of them takes longest."""
    rows = session.execute(
        select(Turn, TurnPayload)
        .join(TurnPayload, TurnPayload.turn_id == Turn.id)
        .where(Turn.conversation_id.in_(session_ids))
        .order_by(Turn.number)
        .options(load_only(*columns, raiseload=True))
    )
    return [(turn, words) for turn, words in rows]


def _shown(session: Session, session_ids: Sequence[str]) -> dict[tuple[str, ShownList], tuple[str, ...]]:
    rows = session.execute(
        select(Shown.turn_id, Shown.list, Shown.item_id)
        .join(Turn, Turn.id == Shown.turn_id)
        .where(Turn.conversation_id.in_(session_ids))
        .order_by(Shown.position)
    )
    lists: dict[tuple[str, ShownList], list[str]] = defaultdict(list)
    for turn_id, name, item_id in rows:
        lists[turn_id, cast("ShownList", name)].append(item_id)
    return {key: tuple(items) for key, items in lists.items()}


def _undone(session: Session, session_ids: Sequence[str], until: int) -> frozenset[str | None]:
    wanted = select(Event.turn_id).where(
        Event.conversation_id.in_(session_ids), Event.kind == "undo", events.up_to(until)
    )
    return frozenset(session.scalars(wanted))


def _edits(session: Session, session_ids: Sequence[str], until: int | None) -> list[tuple[str, EditState]]:
    rows = session.execute(
        select(Event.conversation_id, Turn.number, EventPayload.data)
        .select_from(Event)
        .join(EventPayload, EventPayload.event_id == Event.id)
        .outerjoin(Turn, Turn.id == Event.turn_id)
        .where(Event.conversation_id.in_(session_ids), Event.kind == "edit", events.up_to(until))
        .order_by(Event.seq)
    )
    return [
        (session_id or "", EditState(number or EARLIER, facts_from_json(data["facts"])))
        for session_id, number, data in rows
        if data
    ]


def _turn_state(
    turn: Turn, words: TurnPayload, shown: tuple[str, ...], reacted: tuple[Reaction, ...], *, undone: bool
) -> TurnState:
    return TurnState(
        turn_id=turn.id,
        number=turn.number,
        message=words.message,
        reply=words.reply,
        language=cast("Language", turn.language),
        intent=cast("Intent", turn.intent),
        action=cast("Action", turn.action),
        facts=facts_from_json(words.facts),
        shown=shown,
        focus=tuple(words.focus),
        question=question_from_json(words.question),
        undone=undone,
        reactions=reacted,
    )
