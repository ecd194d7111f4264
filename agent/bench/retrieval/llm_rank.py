"""What the language model adds to a ranker's order: three ways to ask it, each alone and weighed in, with its time.

The first `n` of each list are put into a new order, the rest stays. "fused" adds the model's number, put on one scale
list by list, to minus the log of the ranker's place; its weight for a dialogue is chosen on the other dialogues.
Knows nothing of where the lists and the engine come from.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.bench.retrieval.recall import Comparison, Scores, compare, score
from agent.llm.protocol import Engine
from agent.rank.llm import RankSkill, Way
from retrieval.errors import BadRequest, EngineError
from retrieval.items import Item

WEIGHTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Tried for the model's number in "fused"; 0 is the ranker's order."""
FOLDS = 5

Floats = NDArray[np.float64]


class OrderReport(BaseModel):
    """One new order: its scores, and how much more it finds than the ranker's own (paired, by dialogue)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scores: Scores
    gain: Comparison


class WayReport(BaseModel):
    """One way to ask. `ms_p50`, `ms_p95`: of one query; `unanswered`: queries that the model failed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    way: Way
    alone: OrderReport
    fused: OrderReport
    weights: tuple[float, ...]
    ms_p50: float
    ms_p95: float
    unanswered: int


class LlmRankReport(BaseModel):
    """The comparison: `ranker` is the order as it came, `chance` the first `n` shuffled, `ceiling` the best possible.

    `adapter` None: the base model, untuned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    adapter: str | None
    n: int
    rows: int
    ranker: Scores
    chance: Scores
    ceiling: Scores
    ways: tuple[WayReport, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one way said: `numbers` by row id; `ms` of each query."""

    numbers: Mapping[str, Floats]
    ms: tuple[float, ...]


async def compare_ways(
    rows: Sequence[Row],
    items: Mapping[str, Item],
    lists: Sequence[Ranked],
    engine: Engine,
    ways: Sequence[Way],
    n: int = 20,
    told: Callable[[str, int, int], None] = lambda stage, done, of: None,
) -> LlmRankReport:
    """Ask `engine` about the first `n` of the list of each row that has a new target.

    Args:
        rows: of a valid or test file; those without a list keep an empty one and count as missed.
        items: the catalogue by id; list entries that it lacks are taken out.
        lists: of a ranker; what a row has `mentioned` is taken out.
        engine: ready, with the adapter to be measured.
        ways: which ways to ask.
        n: candidates of a shortlist.
        told: progress: (way, done, of).

    Raises:
        BadRequest: no row has a new target.
        EngineError: the engine is not ready.
    """
    status = engine.status()
    if status.state != "ready":
        raise EngineError(f"The language model cannot be compared: {status.detail or status.state}")
    scored = [row for row in rows if row.novel]
    if not scored:
        raise BadRequest("No row has a target that was not mentioned before: there is nothing to compare.")
    by_id = {one.id: one.ranked for one in lists}
    own = {row.id: _kept(row, by_id.get(row.id, ()), items) for row in scored}
    ranker = _ranked(own)
    reports = []
    for way in ways:
        asked = await _ask(RankSkill(engine, way=way, seconds=None), scored, items, own, n, partial(told, way))
        reports.append(_report(way, scored, own, asked))
    return LlmRankReport(
        model=status.model,
        adapter=status.adapter,
        n=n,
        rows=len(scored),
        ranker=score(scored, ranker),
        chance=score(scored, _ranked(_shuffled(own, n))),
        ceiling=score(scored, _ranked(_best(scored, own, n))),
        ways=tuple(reports),
    )


async def _ask(
    skill: RankSkill,
    rows: Sequence[Row],
    items: Mapping[str, Item],
    own: Mapping[str, Sequence[str]],
    n: int,
    told: Callable[[int, int], None],
) -> _Asked:
    """What the model says of the first `n` of each row's own list."""
    numbers: dict[str, Floats] = {}
    ms = []
    for done, row in enumerate(rows, 1):
        shortlist = [items[one] for one in own[row.id][:n]]
        started = time.perf_counter()
        answer = await skill.score([turn.text for turn in row.turns], shortlist)
        ms.append((time.perf_counter() - started) * 1_000)
        if answer is not None:
            numbers[row.id] = np.array(answer)
        told(done, len(rows))
    return _Asked(numbers, tuple(ms))


def _report(way: Way, rows: Sequence[Row], own: Mapping[str, Sequence[str]], asked: _Asked) -> WayReport:
    ranker = _ranked(own)
    alone = {row.id: _reordered(own[row.id], asked.numbers.get(row.id)) for row in rows}
    tried = [{row.id: _fused(own[row.id], asked.numbers.get(row.id), weight) for row in rows} for weight in WEIGHTS]
    worth = np.array([[_reciprocal(row, orders[row.id]) for row in rows] for orders in tried])  # (weights, rows)
    fold_of = np.array([_fold(row.dialogue_id) for row in rows])
    # A weight is chosen on the dialogues that it is not used for; without any, on all there are.
    kept = [worth[:, fold_of != fold].sum(axis=1) for fold in range(FOLDS)]
    chosen = [int(np.argmax(total)) for total in kept]
    fused = {row.id: tried[chosen[fold]][row.id] for row, fold in zip(rows, fold_of, strict=True)}
    return WayReport(
        way=way,
        alone=_order(rows, ranker, alone),
        fused=_order(rows, ranker, fused),
        weights=tuple(WEIGHTS[one] for one in chosen),
        ms_p50=round(float(np.percentile(asked.ms, 50)), 1),
        ms_p95=round(float(np.percentile(asked.ms, 95)), 1),
        unanswered=len(rows) - len(asked.numbers),
    )


def _order(rows: Sequence[Row], ranker: Sequence[Ranked], orders: Mapping[str, Sequence[str]]) -> OrderReport:
    lists = _ranked(orders)
    return OrderReport(scores=score(rows, lists), gain=compare(rows, ranker, lists))


def _kept(row: Row, ranked: Sequence[str], items: Mapping[str, Item]) -> tuple[str, ...]:
    gone = set(row.mentioned)
    return tuple(dict.fromkeys(one for one in ranked if one in items and one not in gone))


def _reordered(own: Sequence[str], numbers: Floats | None) -> tuple[str, ...]:
    """The list with its beginning in the model's order; as it came where the model said nothing."""
    if numbers is None:
        return tuple(own)
    order = np.argsort(-numbers, kind="stable")
    return (*(own[place] for place in order), *own[len(numbers) :])


def _fused(own: Sequence[str], numbers: Floats | None, weight: float) -> tuple[str, ...]:
    if numbers is None or not len(numbers):
        return tuple(own)
    spread = float(numbers.std()) or 1.0
    places = np.arange(1, len(numbers) + 1)
    return _reordered(own, weight * (numbers - numbers.mean()) / spread - np.log(places))


def _reciprocal(row: Row, order: Sequence[str]) -> float:
    """Sum over the row's labels of one by their place."""
    place = {one: rank for rank, one in enumerate(order, 1)}
    return sum(1 / place[label] for label in row.novel if label in place)


def _fold(dialogue: str) -> int:
    return int.from_bytes(hashlib.sha256(dialogue.encode()).digest()[:8], "big") % FOLDS


def _ranked(orders: Mapping[str, Sequence[str]]) -> list[Ranked]:
    return [Ranked(name, tuple(order), 0.0) for name, order in orders.items()]


def _shuffled(own: Mapping[str, Sequence[str]], n: int) -> dict[str, tuple[str, ...]]:
    random = np.random.default_rng(0)
    return {name: _reordered(order, random.random(len(order[:n]))) for name, order in own.items()}


def _best(rows: Sequence[Row], own: Mapping[str, Sequence[str]], n: int) -> dict[str, tuple[str, ...]]:
    """What was recommended first, where it is among the first `n`."""
    labels = {row.id: set(row.novel) for row in rows}
    return {
        name: _reordered(order, np.array([float(one in labels[name]) for one in order[:n]]))
        for name, order in own.items()
    }
