"""The same visitors, offers and luck for everybody who chooses: who is liked more, and how soon.

At each round one of a few items is offered and liked or not. Regret is how much likelier the best of those few would
have been liked. What was liked and not liked in a visit is a feature of the next round: a bandit learns over visits
what features are worth, and within a visit what is like that. The model's opinions are asked before the visit. The
widths of all beliefs were set before anything was measured. Knows nothing of where visitors come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.bandits.learners import Belief, ByChance, ByColumn, LinearBandit
from agent.bench.bandits.visitors import OPTIONS, ROUNDS, Stream, Visitor
from agent.offpolicy.replaying import Learner
from agent.rank.intervals import Interval, intervals

Array: TypeAlias = NDArray[np.float64]
Say: TypeAlias = Callable[[str], None]
Arm: TypeAlias = Literal[
    "chance", "sorted", "model", "linucb", "bandit", "bandit, model as a feature", "bandit, model as prior"
]
ARMS: tuple[Arm, ...] = get_args(Arm)
REFERENCE: Arm = "bandit"
"""What the others are compared with, visitor by visitor."""

SEEDS = 20
POINTS = 30
"""Of a curve."""
WEIGHT_SD = 0.15
"""How much a standard deviation of a feature may be worth, in liking."""
CONSTANT, CONSTANT_SD = 0.3, 0.3
OPINION, OPINION_SD = 0.1, 0.05
"""The model as prior: a standard deviation of its opinion is worth a tenth of liking, or about that."""
UNSEEN = 1e-6
"""Of a weight that is 0 and stays so."""
_OFFERS, _LEARNERS, _ORDERS = 11, 12, 13
"""Kinds of chance, so that no two share their numbers."""
CLOSENESS = 0.3
"""A cosine of so much is a feature of 1."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ArmReport(_Frozen):
    """`regret` is cumulative after each of the stream's `points`, `liked` a share of the offers: intervals over seeds.

    `saved`: regret of the bandit without a model less this one's, a visit, with its interval over visitors; the same
    over the first quarter of the visits in `saved_early`.
    """

    arm: Arm
    regret: list[Interval]
    liked: Interval
    saved: Interval
    saved_early: Interval


class StreamReport(_Frozen):
    """One stream. `points`: rounds. `opinion_auc`: that an item more liked has the higher opinion than one less liked.

    `best`: share of liked offers of somebody who knows; `asked` visits were put to the model in `model_seconds`.
    """

    name: str
    visitors: int
    rounds: int
    options: int
    seeds: int
    model: str
    asked: int
    model_seconds: float
    opinion_auc: Interval
    best: float
    points: list[int]
    arms: list[ArmReport]


@dataclass(frozen=True, slots=True)
class Contest:
    """A stream and an opinion for each of its visitors."""

    stream: Stream
    opinions: Mapping[str, Array]

    def columns(self) -> tuple[str, ...]:
        """Of the features that learners see, in order; the last one is the model's opinion."""
        return ("constant", *self.stream.features, "like what was liked", "like what was not", "opinion")


def learner_of(arm: Arm, contest: Contest, random: np.random.Generator) -> Learner:
    """Whoever chooses, knowing nothing yet."""
    columns = contest.columns()
    if arm == "chance":
        return ByChance(random)
    if arm in ("sorted", "model"):
        return ByColumn(columns.index(contest.stream.by if arm == "sorted" else "opinion"))
    mean, sd = np.zeros(len(columns)), np.full(len(columns), WEIGHT_SD)
    mean[0], sd[0] = CONSTANT, CONSTANT_SD
    if arm == "bandit, model as prior":
        mean[-1], sd[-1] = OPINION, OPINION_SD
    elif arm != "bandit, model as a feature":
        sd[-1] = UNSEEN
    return LinearBandit(Belief(mean, sd), random, "ucb" if arm == "linucb" else "thompson")


def features_of(visitor: Visitor, opinion: Array, liked: Array, disliked: Array) -> Array:
    """What learners see of the items: float64, (items, columns); `liked` and `disliked` are directions, (dim,)."""
    near, far = visitor.vectors @ liked / CLOSENESS, visitor.vectors @ disliked / CLOSENESS
    return np.column_stack([np.ones(len(opinion)), visitor.features, near, far, opinion])


@dataclass(frozen=True, slots=True)
class Luck:
    """Of one visitor under one seed: which items are offered together, (ROUNDS, OPTIONS), and one number an item."""

    pools: NDArray[np.int64]
    draws: Array

    @classmethod
    def of(cls, seed: int, visitor: int, items: int) -> Luck:
        """The same for everybody who chooses."""
        random = np.random.default_rng([_OFFERS, seed, visitor])
        order = random.permutation(items)
        return cls(order.reshape(ROUNDS, OPTIONS), random.random(items))


@dataclass(frozen=True, slots=True)
class Run:
    """One learner under one seed.

    `regret` and `liking` of what was chosen are (visitors, ROUNDS); `order` says who came when.
    """

    regret: Array
    liking: Array
    order: NDArray[np.int64]


def run(contest: Contest, arm: Arm, seed: int) -> Run:
    """All visitors, one after the other in an order of the seed's."""
    visitors = contest.stream.visitors
    learner = learner_of(arm, contest, np.random.default_rng([_LEARNERS, seed, ARMS.index(arm)]))
    order = np.random.default_rng([_ORDERS, seed]).permutation(len(visitors))
    regret, liking = np.zeros((len(visitors), ROUNDS)), np.zeros((len(visitors), ROUNDS))
    for number in order.tolist():
        visitor = visitors[number]
        luck = Luck.of(seed, number, len(visitor.items))
        chosen = _visit(learner, visitor, contest.opinions[visitor.name], luck)
        liking[number] = visitor.liking[chosen]
        regret[number] = visitor.liking[luck.pools].max(axis=1) - liking[number]
    return Run(regret, liking, order)


def _visit(learner: Learner, visitor: Visitor, opinion: Array, luck: Luck) -> list[int]:
    """The items chosen, round by round."""
    liked, disliked = [visitor.profile], [np.zeros_like(visitor.profile)]
    chosen = []
    for pool in luck.pools:
        features = features_of(visitor, opinion, np.mean(liked, axis=0), np.mean(disliked, axis=0))[pool]
        place = learner.choose(features)
        item = int(pool[place])
        reward = float(luck.draws[item] < visitor.liking[item])
        learner.learn(features[place], reward)
        (liked if reward else disliked).append(visitor.vectors[item])
        chosen.append(item)
    return chosen


def measure(contest: Contest, say: Say, *, seeds: int = SEEDS) -> list[ArmReport]:
    """Everybody under every seed."""
    runs: dict[Arm, list[Run]] = {}
    for arm in ARMS:
        say(f"{contest.stream.name}: {arm}")
        runs[arm] = [run(contest, arm, seed) for seed in range(seeds)]
    return [_arm(arm, runs[arm], runs[REFERENCE]) for arm in ARMS]


def points_of(visitors: int) -> list[int]:
    """Rounds at which a curve is told, the last one among them."""
    every = visitors * ROUNDS
    return sorted({round(every * (n + 1) / POINTS) for n in range(POINTS)} - {0})


def _arm(arm: Arm, runs: Sequence[Run], reference: Sequence[Run]) -> ArmReport:
    visitors = len(runs[0].order)
    in_time = np.array([one.regret[one.order].ravel().cumsum() for one in runs])
    by_visitor = _by_visitor(runs, reference)
    each, seeds = np.arange(visitors), np.arange(len(runs))
    return ArmReport(
        arm=arm,
        regret=intervals(in_time[:, np.array(points_of(visitors)) - 1], seeds),
        liked=intervals(np.array([[one.liking.mean()] for one in runs]), seeds)[0],
        saved=intervals(by_visitor.all[:, None], each)[0],
        saved_early=intervals(by_visitor.early[:, None], each)[0],
    )


@dataclass(frozen=True, slots=True)
class _Saved:
    """Regret of the reference less this one's by visitor, mean over seeds, both (visitors,)."""

    all: Array
    early: Array


def _by_visitor(runs: Sequence[Run], reference: Sequence[Run]) -> _Saved:
    """`early`: over the seeds under which the visitor came in the first quarter, 0 where there is none."""
    saved = np.array(
        [other.regret.sum(axis=1) - one.regret.sum(axis=1) for one, other in zip(runs, reference, strict=True)]
    )
    first = np.zeros(saved.shape)
    for row, one in enumerate(runs):
        first[row, one.order[: max(1, len(one.order) // 4)]] = 1.0
    times = first.sum(axis=0)
    early: Array = np.divide((saved * first).sum(axis=0), times, out=np.zeros_like(times), where=times > 0)
    return _Saved(saved.mean(axis=0), early)


def best_of(contest: Contest, *, seeds: int = SEEDS) -> float:
    """The expected liking of somebody who knows each visitor's."""
    best = [
        visitor.liking[Luck.of(seed, number, len(visitor.items)).pools].max(axis=1).mean()
        for seed in range(seeds)
        for number, visitor in enumerate(contest.stream.visitors)
    ]
    return round(float(np.mean(best)), 4)


def opinion_auc(contest: Contest) -> Interval:
    """Over visitors: of two items of a visit, how often the more liked one has the higher opinion (ties are half)."""
    told = []
    for visitor in contest.stream.visitors:
        opinion = contest.opinions[visitor.name]
        more = visitor.liking[:, None] > visitor.liking[None, :] + 1e-9
        if more.any():
            higher = np.sign(opinion[:, None] - opinion[None, :]) / 2 + 0.5
            told.append(float(higher[more].mean()))
    return intervals(np.array(told)[:, None], np.arange(len(told)))[0]
