"""How long single turns take, with the language model and without it, side by side in one run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.bench.spread import Spread
from agent.bench.turn import TimedTurn, WatchedEngine, timed_turn
from agent.log.store import EventLog
from agent.services import Chat, TurnRequest

WARM_UP_TURNS = 3
"""Turns of each side before the first that counts: caches fill, the model's code is compiled."""


class SideTimes(BaseModel):
    """One side's times in milliseconds; see `StepTimes`. Counts are turns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    side: Literal["on", "off"]
    n: int
    cards: Spread | None
    first_word: Spread | None
    sentence: Spread | None
    total: Spread | None
    model_asked: int
    refused: int
    degraded: int


class TurnTimes(BaseModel):
    """Both sides over the same messages, taken in turns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_items: int
    model: str
    sides: tuple[SideTimes, ...]


@dataclass(slots=True)
class Side:
    """One way of answering; `chat` speaks through `engine`."""

    name: Literal["on", "off"]
    chat: Chat
    engine: WatchedEngine
    turns: list[TimedTurn] = field(default_factory=list)


async def time_turns(
    sides: Sequence[Side],
    log: EventLog,
    messages: Sequence[str],
    *,
    tenant: str = "default",
    n_items: int,
    progress: Callable[[str], None] = lambda line: None,
) -> TurnTimes:
    """Send each message to each side, as the first of a conversation; the side that starts changes with the message.

    Raises:
        ChatalogueError: a turn could not be answered at all.
    """
    for message in messages[:WARM_UP_TURNS]:
        for side in sides:
            await timed_turn(side.chat, side.engine, TurnRequest(message, tenant=tenant))
    for number, message in enumerate(messages):
        progress(message)
        for side in sides if number % 2 == 0 else reversed(sides):
            side.turns.append(await timed_turn(side.chat, side.engine, TurnRequest(message, tenant=tenant)))
    summed = [await asyncio.to_thread(_sum_up, side, log, tenant) for side in sides]
    return TurnTimes(n_items=n_items, model=sides[0].engine.status().model, sides=tuple(summed))


def _sum_up(side: Side, log: EventLog, tenant: str) -> SideTimes:
    times = [turn.times for turn in side.turns]
    answers = [turn.finished.answer for turn in side.turns]
    refused = [bool(log.trace(tenant, one.turn_id).record.trace.get("refused_sentences")) for one in answers]
    return SideTimes(
        side=side.name,
        n=len(times),
        cards=Spread.of([one.cards for one in times]),
        first_word=Spread.of([one.first_word for one in times if one.first_word is not None]),
        sentence=Spread.of([one.sentence for one in times if one.sentence is not None]),
        total=Spread.of([one.total for one in times]),
        model_asked=sum(turn.model_asked for turn in side.turns),
        refused=sum(refused),
        degraded=sum(one.degraded for one in answers),
    )
