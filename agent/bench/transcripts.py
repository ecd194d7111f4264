"""Scripted conversations through the real turn, written down as they come out, good and bad.

Knows nothing of how the parts are made or how the record is printed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict

from agent.answer import Answer, PreferenceView, ShownItem
from agent.bench.scripts import Script, ScriptedTurn
from agent.bench.turn import StepTimes, TimedTurn, WatchedEngine, timed_turn
from agent.log.store import EventLog
from agent.services import Chat, TurnRequest
from retrieval.errors import ChatalogueError


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NamedItem(_Frozen):
    """An item as the reader of a record needs it."""

    id: str
    title: str


class Refused(_Frozen):
    """A sentence of the model that the grounding check did not let through, and why."""

    sentence: str
    objection: str


class RecordedTurn(_Frozen):
    """One turn as it came. `error` is set where the turn ended with a sentence for a person instead of an answer."""

    shows: str
    said: str
    reply: str = ""
    intent: str = ""
    action: str = ""
    items: tuple[NamedItem, ...] = ()
    alternatives: tuple[NamedItem, ...] = ()
    wishes: tuple[PreferenceView, ...] = ()
    model_asked: bool = False
    refused: tuple[Refused, ...] = ()
    degraded: bool = False
    times: StepTimes | None = None
    error: str = ""


class Transcript(_Frozen):
    """A conversation as it came; `model` and `adapter` wrote, over `n_items` items."""

    title: str
    n_items: int
    model: str
    adapter: str | None
    turns: tuple[RecordedTurn, ...]


async def run_script(
    chat: Chat,
    engine: WatchedEngine,
    log: EventLog,
    script: Script,
    *,
    tenant: str = "default",
    n_items: int,
    progress: Callable[[str], None] = lambda line: None,
) -> Transcript:
    """Say the script's lines one after the other in one conversation of `chat`, which speaks through `engine`.

    `progress` is told each line before it is sent. A turn that ends in an error stands in the record with its
    sentence, and the conversation goes on.
    """
    session_id: str | None = None
    recorded: list[RecordedTurn] = []
    for line in script.turns:
        progress(line.say)
        try:
            timed = await timed_turn(chat, engine, TurnRequest(line.say, tenant=tenant, session_id=session_id))
        except ChatalogueError as error:
            recorded.append(RecordedTurn(shows=line.shows, said=line.say, error=str(error)))
            continue
        session_id = timed.finished.answer.session_id
        recorded.append(await asyncio.to_thread(_record, line, timed, log, tenant))
    status = engine.status()
    return Transcript(
        title=script.title, n_items=n_items, model=status.model, adapter=status.adapter, turns=tuple(recorded)
    )


def _record(line: ScriptedTurn, timed: TimedTurn, log: EventLog, tenant: str) -> RecordedTurn:
    answer: Answer = timed.finished.answer
    logged = log.trace(tenant, answer.turn_id).record
    return RecordedTurn(
        shows=line.shows,
        said=line.say,
        reply=timed.finished.reply,
        intent=logged.intent,
        action=answer.action,
        items=_named(answer.items),
        alternatives=_named([near.item for near in answer.alternatives]),
        wishes=tuple(answer.preferences),
        model_asked=timed.model_asked,
        refused=tuple(Refused.model_validate(one) for one in logged.trace.get("refused_sentences", ())),
        degraded=answer.degraded,
        times=timed.times,
    )


def _named(items: list[ShownItem]) -> tuple[NamedItem, ...]:
    return tuple(NamedItem(id=item.id, title=item.title) for item in items)
