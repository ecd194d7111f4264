"""What the language model adds to a ranker's order: three ways to ask it, each alone and weighed in, with its time.

The first `n` of each list are put into a new order, the rest stays. "fused" adds the model's number, put on one scale
list by list, to minus the log of the ranker's place; its weight for a dialogue is chosen on the other dialogues.
"trained" is weighed as the adapter's training learned on train: nothing of it is chosen on the rows that are scored.
`reordered` is what `bench retrieval --llm on` does with its lists. Knows nothing of where lists and engine come from.
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
from agent.bench.retrieval.figures import ModelOrder
from agent.bench.retrieval.recall import Comparison, Scores, compare, score
from agent.llm.protocol import Engine
from agent.rank.blend import blended, standardised
from agent.rank.llm import SECONDS, SHORTLIST, LabelReading, RankSkill, Way
from retrieval.errors import BadRequest, EngineError
from retrieval.items import Item

WEIGHTS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
"""Tried for the model's number in "fused"; 0 is the ranker's order."""
FOLDS = 5
MIN_GAIN = 0.01
"""A way is kept from so much more mean reciprocal rank on, where the whole interval is above zero: what it finds must
be worth a second of a customer's time."""
MAX_MS = SECONDS * 1_000
"""And where 95 % of the queries are answered within the budget of a turn."""
TUNED_WAY: Way = "verdicts"
"""What `python -m finetune` trains."""

Floats = NDArray[np.float64]


class OrderReport(BaseModel):
    """One new order: its scores, and how much more it finds than the ranker's own (paired, by dialogue)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scores: Scores
    gain: Comparison


class PositionBias(BaseModel):
    """How often each label of a shuffled list came first, from the first label on: shares of `readings`.

    `before` what a label gets anyway is taken off, and `after`. Without a bias all labels come first equally often.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    readings: int
    before: tuple[float, ...]
    after: tuple[float, ...]


class WayReport(BaseModel):
    """One way to ask. `ms_p50`, `ms_p95`: of one query; `unanswered`: queries that the model failed.

    `trained` is None for what the adapter was not trained for. `kept`: the rule of the house (`MIN_GAIN`, `MAX_MS`),
    applied to the order that a conversation would have, with the weights of the training or the untuned model's; to
    `fused` for the ways that no conversation takes. `bias`: of labels alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    way: Way
    alone: OrderReport
    fused: OrderReport
    weights: tuple[float, ...]
    trained: OrderReport | None
    ms_p50: float
    ms_p95: float
    unanswered: int
    kept: bool
    bias: PositionBias | None


class LlmRankReport(BaseModel):
    """The comparison: `ranker` is the order as it came, `chance` the first `n` shuffled, `ceiling` the best possible.

    `adapter` None: the base model, untuned. `prior`: what the adapter's training learned.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    adapter: str | None
    prior: float | None
    n: int
    rows: int
    ranker: Scores
    chance: Scores
    ceiling: Scores
    ways: tuple[WayReport, ...]


@dataclass(frozen=True, slots=True)
class Reordered:
    """Lists in the order of the rows, `ms` with the model's part, and how it went."""

    lists: tuple[Ranked, ...]
    order: ModelOrder


@dataclass(frozen=True, slots=True)
class _Asked:
    """What one way said, row by row: `numbers`, None where it failed, and `ms`. `readings` are of labels."""

    numbers: tuple[Floats | None, ...]
    ms: tuple[float, ...]
    readings: tuple[LabelReading, ...]

    @property
    def unanswered(self) -> int:
        return sum(one is None for one in self.numbers)


async def compare_ways(
    rows: Sequence[Row],
    items: Mapping[str, Item],
    lists: Sequence[Ranked],
    engine: Engine,
    ways: Sequence[Way],
    n: int = SHORTLIST,
    prior: float | None = None,
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
        prior: that the adapter was trained with (`agent.rank.blend.read_tuned`); None where none was.
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
        asked = await _ask(engine, way, scored, items, [own[row.id] for row in scored], n, partial(told, way))
        reports.append(_report(way, scored, own, asked, prior if way == TUNED_WAY else None))
    return LlmRankReport(
        model=status.model,
        adapter=status.adapter,
        prior=prior,
        n=n,
        rows=len(scored),
        ranker=score(scored, ranker),
        chance=score(scored, _ranked(_shuffled(own, n))),
        ceiling=score(scored, _ranked(_best(scored, own, n))),
        ways=tuple(reports),
    )


async def reordered(
    rows: Sequence[Row],
    items: Mapping[str, Item],
    lists: Sequence[Ranked],
    engine: Engine,
    prior: float | None,
    n: int = SHORTLIST,
    told: Callable[[int, int], None] = lambda done, of: None,
) -> Reordered:
    """The lists with their first `n` ordered by ranker and model together; the ranker's where the model fails.

    Args:
        rows: what the lists answer, in their order.
        items: the catalogue by id; every listed id is in it.
        lists: of a ranker.
        engine: with the adapter in use.
        prior: as for `compare_ways`; None: untuned.
        n: candidates of a shortlist.
        told: progress: (done, of).
    """
    asked = await _ask(engine, TUNED_WAY, rows, items, [one.ranked for one in lists], n, told)
    turned = [
        Ranked(one.id, _trained(one.ranked, numbers, prior), one.ms + ms)
        for one, numbers, ms in zip(lists, asked.numbers, asked.ms, strict=True)
    ]
    status = engine.status()
    order = ModelOrder(model=status.model, adapter=status.adapter, prior=prior, n=n, unanswered=asked.unanswered)
    return Reordered(tuple(turned), order)


async def _ask(
    engine: Engine,
    way: Way,
    rows: Sequence[Row],
    items: Mapping[str, Item],
    lists: Sequence[Sequence[str]],
    n: int,
    told: Callable[[int, int], None],
) -> _Asked:
    """What the model says of the first `n` of each row's list."""
    numbers: list[Floats | None] = []
    ms = []
    readings: list[LabelReading] = []
    skill = RankSkill(engine, way=way, seconds=None, read=readings.append)
    for done, (row, ranked) in enumerate(zip(rows, lists, strict=True), 1):
        shortlist = [items[one] for one in ranked[:n]]
        started = time.perf_counter()
        answer = await skill.score([turn.text for turn in row.turns], shortlist)
        ms.append((time.perf_counter() - started) * 1_000)
        numbers.append(None if answer is None else np.array(answer))
        told(done, len(rows))
    return _Asked(tuple(numbers), tuple(ms), tuple(readings))


def _report(
    way: Way, rows: Sequence[Row], own: Mapping[str, Sequence[str]], asked: _Asked, prior: float | None
) -> WayReport:
    ranker = _ranked(own)
    named = [(row.id, own[row.id], numbers) for row, numbers in zip(rows, asked.numbers, strict=True)]
    alone = {name: _reordered(order, numbers) for name, order, numbers in named}
    tried = [{name: _fused(order, numbers, weight) for name, order, numbers in named} for weight in WEIGHTS]
    worth = np.array([[_reciprocal(row, orders[row.id]) for row in rows] for orders in tried])  # (weights, rows)
    fold_of = np.array([_fold(row.dialogue_id) for row in rows])
    # A weight is chosen on the dialogues that it is not used for; without any, on all there are.
    kept = [worth[:, fold_of != fold].sum(axis=1) for fold in range(FOLDS)]
    chosen = [int(np.argmax(total)) for total in kept]
    fused = _order(rows, ranker, {row.id: tried[chosen[fold]][row.id] for row, fold in zip(rows, fold_of, strict=True)})
    served = fused
    if way == TUNED_WAY:
        served = _order(rows, ranker, {name: _trained(order, numbers, prior) for name, order, numbers in named})
    ms_p95 = round(float(np.percentile(asked.ms, 95)), 1)
    return WayReport(
        way=way,
        alone=_order(rows, ranker, alone),
        fused=fused,
        weights=tuple(WEIGHTS[one] for one in chosen),
        trained=served if prior is not None else None,
        ms_p50=round(float(np.percentile(asked.ms, 50)), 1),
        ms_p95=ms_p95,
        unanswered=asked.unanswered,
        kept=_is_kept(served, ms_p95),
        bias=_bias(asked.readings),
    )


def _is_kept(order: OrderReport, ms_p95: float) -> bool:
    gain = order.gain.mrr
    return gain.low > 0 and gain.value >= MIN_GAIN and ms_p95 <= MAX_MS


def _bias(readings: Sequence[LabelReading]) -> PositionBias | None:
    """Of the shuffled orders alone: the list's own order has what fits best in front."""
    length = max((reading.logs.shape[1] for reading in readings), default=0)
    if length < 2:
        return None
    first = np.concatenate([reading.logs[1:].argmax(axis=1) for reading in readings])
    corrected = np.concatenate([reading.corrected()[1:].argmax(axis=1) for reading in readings])

    def shares(places: NDArray[np.int64]) -> tuple[float, ...]:
        counts = np.bincount(places, minlength=length) / len(places)
        return tuple(round(float(share), 4) for share in counts)

    return PositionBias(readings=len(first), before=shares(first), after=shares(corrected))


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
    places = np.arange(1, len(numbers) + 1)
    return _reordered(own, weight * standardised(numbers.tolist()) - np.log(places))


def _trained(own: Sequence[str], numbers: Floats | None, prior: float | None) -> tuple[str, ...]:
    return _reordered(own, None if numbers is None else blended(numbers.tolist(), prior))


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
