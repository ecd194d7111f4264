"""Turns: recording one whole, taking one back, reading one again."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from agent.answer import Action
from agent.log import events
from agent.log.codec import (
    clean_json,
    clean_or_none,
    clean_text,
    facts_from_json,
    facts_to_json,
    finite,
    question_from_json,
    question_to_json,
)
from agent.log.events import NewEvent
from agent.log.models import ConversationRow, Shown, Turn, TurnPayload
from agent.log.records import LoggedTurn, ShownList, ShownRow, TurnConflict, TurnRecord
from agent.understand.types import Intent, Language
from retrieval.errors import NotFound


def record(session: Session, new: TurnRecord) -> None:
    """Insert skeleton, words and shown lists, unless this very turn is there."""
    here = select(ConversationRow.id).where(
        ConversationRow.id == clean_text(new.session_id),
        ConversationRow.tenant == new.tenant,
        ConversationRow.erased_at.is_(None),
    )
    # The lock keeps an erasure from passing between this look and the insert (SQLite: writers are alone anyway).
    if session.scalar(here.with_for_update()) is None:
        raise NotFound(f"The session {new.session_id!r} is unknown; begin a new one.")
    skeleton = _skeleton(new) | {"events_before": events.last_seq(session, new.session_id)}
    try:
        with session.begin_nested():
            session.execute(insert(Turn).values(skeleton))
    except IntegrityError:
        # The unique key decides and not a look before: an answer that was lost on its way may have been a success.
        if session.scalar(select(Turn.id).where(Turn.id == new.turn_id, Turn.conversation_id == new.session_id)):
            return
        taken = select(Turn.id).where(Turn.conversation_id == new.session_id, Turn.number == new.number)
        if session.scalar(taken) is None:
            raise
        raise TurnConflict(
            f"Turn {new.number} of {new.session_id!r} was recorded by another process; read the state and try again."
        ) from None
    session.execute(insert(TurnPayload).values(_words(new)))
    if new.shown:
        session.execute(insert(Shown), [_shown(new, row) for row in new.shown])


def undo(session: Session, tenant: str, turn_id: str) -> None:
    """Set the flag, and write down that it happened."""
    turn = find(session, tenant, turn_id)
    if turn.undone:
        return
    session.execute(update(Turn).where(Turn.id == turn_id).values(undone=True))
    events.add(session, NewEvent(tenant, "undo", turn_id=turn_id, conversation_id=turn.conversation_id))


def find(session: Session, tenant: str, turn_id: str, *, key_id: str | None = None) -> Turn:
    """The skeleton of a turn whose conversation was not erased.

    Raises:
        NotFound: unknown, erased, or of another tenant or key.
    """
    wanted = (
        select(Turn)
        .join(ConversationRow, ConversationRow.id == Turn.conversation_id)
        .where(Turn.id == clean_text(turn_id), Turn.tenant == tenant, ConversationRow.erased_at.is_(None))
    )
    if key_id is not None:
        wanted = wanted.where(ConversationRow.key_id == key_id)
    turn = session.scalar(wanted)
    if turn is None:
        raise NotFound(f"The turn {turn_id!r} is unknown; use a turn_id from an answer.")
    return turn


def logged(session: Session, tenant: str, turn_id: str, *, key_id: str | None = None) -> LoggedTurn:
    """Put a turn together again as it was recorded."""
    turn = find(session, tenant, turn_id, key_id=key_id)
    words = session.get_one(TurnPayload, turn.id)
    rows = session.scalars(select(Shown).where(Shown.turn_id == turn.id).order_by(Shown.seq))
    shown = tuple(_shown_row(row, matched) for row, matched in zip(rows, words.matched, strict=True))
    return LoggedTurn(_record(turn, words, shown), turn.undone)


def since(session: Session, tenant: str, moment: datetime) -> tuple[str, ...]:
    """Ids in the order of recording."""
    wanted = (
        select(Turn.id)
        .join(ConversationRow, ConversationRow.id == Turn.conversation_id)
        .where(Turn.tenant == tenant, Turn.created_at >= moment, ConversationRow.erased_at.is_(None))
        .order_by(Turn.seq)
    )
    return tuple(session.scalars(wanted))


def _skeleton(new: TurnRecord) -> dict[str, object]:
    return {
        "id": new.turn_id,
        "tenant": new.tenant,
        "conversation_id": new.session_id,
        "number": new.number,
        "created_at": new.created_at or events.now(),
        "intent": new.intent,
        "action": new.action,
        "language": new.language,
        "model": clean_text(new.model),
        "adapter": clean_or_none(new.adapter),
        "degraded": new.degraded,
        "timings": clean_json(new.timings),
        "prompt_tokens": new.prompt_tokens,
        "completion_tokens": new.completion_tokens,
        "seed": new.seed,
        "exploration": new.exploration,
        "undone": False,
        "prefix_hash": new.prefix_hash,
        "index_name": clean_or_none(new.index_name),
    }


def _words(new: TurnRecord) -> dict[str, object]:
    return {
        "turn_id": new.turn_id,
        "tenant": new.tenant,
        "message": clean_text(new.message),
        "reply": clean_text(new.reply),
        "facts": facts_to_json(new.facts),
        "trace": clean_json(new.trace),
        "question": question_to_json(new.question),
        "focus": clean_json(new.focus),
        "answer": clean_json(new.answer),
        "matched": [clean_json(row.matched) for row in new.shown],
    }


def _shown(new: TurnRecord, row: ShownRow) -> dict[str, object]:
    return {
        "tenant": new.tenant,
        "turn_id": new.turn_id,
        "item_id": clean_text(row.item_id),
        "position": row.position,
        "list": row.list,
        "score": finite(row.score),
        "log_propensity": finite(row.log_propensity),
        "features": clean_json(row.features),
        "contributions": clean_json(row.contributions),
    }


def _shown_row(row: Shown, matched: list[str]) -> ShownRow:
    return ShownRow(
        item_id=row.item_id,
        position=row.position,
        list=cast("ShownList", row.list),
        score=row.score,
        log_propensity=row.log_propensity,
        features=row.features,
        contributions=row.contributions,
        matched=tuple(matched),
    )


def _record(turn: Turn, words: TurnPayload, shown: tuple[ShownRow, ...]) -> TurnRecord:
    return TurnRecord(
        tenant=turn.tenant,
        session_id=turn.conversation_id,
        turn_id=turn.id,
        number=turn.number,
        message=words.message,
        reply=words.reply,
        intent=cast("Intent", turn.intent),
        action=cast("Action", turn.action),
        language=cast("Language", turn.language),
        model=turn.model,
        adapter=turn.adapter,
        degraded=turn.degraded,
        timings=turn.timings,
        prompt_tokens=turn.prompt_tokens,
        completion_tokens=turn.completion_tokens,
        seed=turn.seed,
        exploration=turn.exploration,
        prefix_hash=turn.prefix_hash,
        index_name=turn.index_name,
        facts=facts_from_json(words.facts),
        shown=shown,
        focus=tuple(words.focus),
        question=question_from_json(words.question),
        trace=words.trace,
        answer=words.answer,
        created_at=turn.created_at,
    )
