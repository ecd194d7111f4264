"""An outcome in the forms that leave the turn: the answer object, the log's record, the trace.

Values only: decides nothing, stores nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.answer import Alternative, Answer, PreferenceView, ShownItem, shown_item
from agent.llm.protocol import EngineStatus
from agent.log.records import ShownRow, TurnRecord
from agent.rank.session import PREFIX, SESSION
from agent.ranking import Ranked, WishMasks
from agent.replying import Pitched, ReplyState
from agent.turn import Confidence, Outcome, Situation, lasting_facts
from agent.understand.types import AskedQuestion

TRACED = 50
"""Ranked candidates kept in the trace of a turn."""
TRACED_PARTS = 12
"""Contributions that each of them keeps: a learned ranker has two hundred."""
OTHER = "other"


def answer_of(
    session_id: str, turn_id: str, view: Situation, outcome: Outcome, status: EngineStatus, degraded: bool
) -> Answer:
    """The `chatalogue` object, without timings."""
    return Answer(
        session_id=session_id,
        turn_id=turn_id,
        action=outcome.action,
        items=_items(view, outcome),
        alternatives=[
            Alternative(
                item=_card(n, miss.entry, view, view.wording.why(miss.entry, view.wishes)),
                breaks=[wish.id for wish in miss.breaks],
            )
            for n, miss in enumerate(outcome.near, 1)
        ],
        citations=list(outcome.citations),
        preferences=[PreferenceView.of(wish) for wish in view.lasting],
        no_match=outcome.no_match,
        question=outcome.question,
        handoff=outcome.handoff,
        model=status.model,
        adapter=status.adapter,
        degraded=degraded or outcome.degraded,
    )


def _items(view: Situation, outcome: Outcome) -> list[ShownItem]:
    masks = WishMasks.of([wish for wish in view.wishes if wish.kind == "soft"], view.shop.table)
    entries = outcome.slate.entries
    cards = []
    for n, entry in enumerate(entries, 1):
        missed = masks.broken(view.shop.table.row_of(entry.item.id))
        trade_off = view.wording.trade_off(entry, entries, missed)
        why = view.wording.why(entry, view.wishes, entries)
        cards.append(_card(n, entry, view, why, trade_off))
    return cards


def _card(n: int, entry: Ranked, view: Situation, why: str, trade_off: str | None = None) -> ShownItem:
    matched = tuple(f"{m.attribute}: {view.wording.value(m.attribute, m.value)}" for m in entry.matched)
    return shown_item(entry.item, n, why=why, matched=matched, trade_off=trade_off)


def turn_record(
    view: Situation, outcome: Outcome, answer: Answer, reply: ReplyState, trace: Mapping[str, Any]
) -> TurnRecord:
    """Everything about the turn but who, when and its number."""
    question = outcome.question
    return TurnRecord(
        tenant="",
        session_id=answer.session_id,
        turn_id=answer.turn_id,
        number=0,
        message=view.text,
        reply=reply.text,
        intent=view.understanding.intent,
        action=outcome.action,
        language=view.understanding.language,
        model=answer.model,
        adapter=answer.adapter,
        degraded=answer.degraded,
        timings=answer.timings_ms.model_dump(),
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        exploration=outcome.slate.temperature,
        index_name=view.shop.index_name,
        facts=lasting_facts(view.understanding),
        shown=_shown(answer, outcome),
        focus=outcome.focus,
        question=AskedQuestion(question.attribute, tuple(question.options)) if question else None,
        trace=trace,
        answer=answer.model_dump(mode="json"),
    )


def _shown(answer: Answer, outcome: Outcome) -> tuple[ShownRow, ...]:
    rows = [
        ShownRow(
            item_id=card.id,
            position=card.rank,
            score=entry.score,
            log_propensity=entry.log_propensity,
            features=entry.features,
            contributions=entry.contributions,
            matched=tuple(card.matched),
        )
        for card, entry in zip(answer.items, outcome.slate.entries, strict=True)
    ]
    rows += [
        ShownRow(item_id=miss.entry.item.id, position=n, list="alternative", score=miss.entry.score)
        for n, miss in enumerate(outcome.near, 1)
    ]
    return tuple(rows)


def trace_of(view: Situation, outcome: Outcome, reply: ReplyState) -> dict[str, Any]:
    """Why the turn came out as it did: what was understood, how the candidates ranked, what was refused."""
    understanding = view.understanding
    return {
        "intent": understanding.intent,
        "item_ids": list(understanding.item_ids),
        "attribute": understanding.attribute,
        "said": understanding.said,
        "support_text": understanding.support_text,
        "ranker": outcome.slate.ranker or None,
        "confidence": _confidence(outcome.confidence),
        "wishes": [PreferenceView.of(wish).model_dump() for wish in view.wishes],
        "considered": [
            {"item_id": entry.item.id, "score": round(entry.score, 4), "contributions": _condensed(entry.contributions)}
            for entry in outcome.slate.considered[:TRACED]
        ],
        "pitch": _pitch(reply.pitch),
        "refused_sentences": [{"sentence": sentence, "objection": why} for sentence, why in reply.refused],
    }


def _pitch(pitch: Pitched | None) -> dict[str, Any] | None:
    """Without the prompt's constant part, which is in the code."""
    if pitch is None:
        return None
    asked = {"asked": pitch.prompt.messages[-1].text, "prefill": pitch.prompt.prefill}
    return {"item_id": pitch.item_id, **asked, "said": pitch.text, "own": pitch.own}


def _confidence(confidence: Confidence | None) -> dict[str, Any] | None:
    if confidence is None:
        return None
    features = {name: round(value, 4) for name, value in confidence.features.items()}
    return {
        "step": confidence.step,
        "probability": round(confidence.probability, 4),
        "features": features,
        "lost": confidence.lost,
    }


def _condensed(contributions: Mapping[str, float]) -> dict[str, float]:
    """Rounded; what the session learned as one, and of a ranker with many features all but the largest as one.

    All parts stand with the items that were shown.
    """
    of_ranker = {name: value for name, value in contributions.items() if not name.startswith(PREFIX)}
    largest = set(sorted(of_ranker, key=lambda name: (-abs(of_ranker[name]), name))[:TRACED_PARTS])
    short = {name: value for name, value in of_ranker.items() if name in largest}
    if len(short) < len(of_ranker):
        short[OTHER] = sum(value for name, value in of_ranker.items() if name not in largest)
    learned = [value for name, value in contributions.items() if name.startswith(PREFIX)]
    if learned:
        short[SESSION] = sum(learned)
    return {name: round(value, 4) for name, value in short.items()}
