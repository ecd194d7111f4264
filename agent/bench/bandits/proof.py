"""Are the estimates right? Real ratings know every reward, so each estimate of a log can be held against the truth.

Visitors are drawn again for each log, the log chooses by what others liked with some chance, and candidates are
estimated from it. Separately: what a replay says of those who learn, against what they did when they really chose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.bandits.contest import Arm, Contest, Luck, features_of, learner_of
from agent.bench.bandits.visitors import OPTIONS, ROUNDS
from agent.offpolicy.estimators import ESTIMATORS, EstimatorName, OffPolicyReport, Sample, evaluate
from agent.offpolicy.replaying import LoggedChoice, replay
from agent.offpolicy.rewards import fit_rewards
from agent.rank.intervals import Interval, intervals

Array: TypeAlias = NDArray[np.float64]
Say: TypeAlias = Callable[[str], None]

LOGS = 40
SIZES = (60, 300)
"""Visitors of a log, at most those that there are."""
SURE, SURER = 1.0, 3.0
"""How much a standard deviation of the sorted column is worth, in log-odds: to the log, and to a candidate."""
REPLAYED: tuple[Arm, ...] = ("chance", "sorted", "model", "bandit", "bandit, model as prior")
REPLAYS = 60


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EstimatorProof(_Frozen):
    """Over all logs that were not refused: mean error, root mean squared error, share of intervals with the truth."""

    estimator: EstimatorName
    bias: float
    rmse: float
    covered: float


class CandidateProof(_Frozen):
    """One candidate on logs of one size; `effective` is the median effective size, `logged` the log's own value."""

    candidate: str
    lists: int
    logs: int
    refused: int
    effective: float
    truth: float
    logged: float
    estimators: list[EstimatorProof]


class ReplayProof(_Frozen):
    """`replayed` by the log's agreements, of which there were `kept` on average; `played`: in as many real rounds."""

    arm: Arm
    kept: float
    replayed: Interval
    played: Interval
    difference: Interval


class ProofReport(_Frozen):
    """What the estimates and the replay are worth."""

    candidates: list[CandidateProof]
    replays: list[ReplayProof]


@dataclass(frozen=True, slots=True)
class _Choices:
    """All offers of seed 0: features (offers, OPTIONS, columns), liking (offers, OPTIONS), whose offer (offers,)."""

    features: Array
    liking: Array
    owner: NDArray[np.int64]

    @classmethod
    def of(cls, contest: Contest, seed: int) -> _Choices:
        features, liking = [], []
        for number, visitor in enumerate(contest.stream.visitors):
            pools = Luck.of(seed, number, len(visitor.items)).pools
            seen = features_of(visitor, contest.opinions[visitor.name], visitor.profile, np.zeros_like(visitor.profile))
            features.append(seen[pools])
            liking.append(visitor.liking[pools])
        owner = np.repeat(np.arange(len(liking)), ROUNDS)
        return cls(np.concatenate(features), np.concatenate(liking), owner)


def prove(contest: Contest, say: Say) -> ProofReport:
    """Both parts."""
    choices = _Choices.of(contest, 0)
    column = contest.columns().index(contest.stream.by)
    logged = _shares(SURE * choices.features[:, :, column])
    model = choices.features[:, :, -1]
    candidates = {
        "the log's order, surer": _shares(SURER * choices.features[:, :, column]),
        "the model's opinion": _shares(SURE * model),
        "a line fitted to likings": _shares(10 * _fitted(choices)),
    }
    proofs = []
    for size in sorted({min(one, len(contest.stream.visitors)) for one in SIZES}):
        for name, shares in candidates.items():
            say(f"{contest.stream.name}: {LOGS} logs of {size} visitors, {name}")
            proofs.append(_candidate(name, choices, logged, shares, size, LOGS))
    return ProofReport(candidates=proofs, replays=[_replayed(contest, arm, REPLAYS) for arm in REPLAYED])


def _shares(logits: Array) -> Array:
    shares: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _fitted(choices: _Choices) -> Array:
    rows = choices.features.reshape(-1, choices.features.shape[2])
    weights, *_ = np.linalg.lstsq(rows, choices.liking.ravel(), rcond=None)
    told: Array = choices.features @ weights
    return told


def _candidate(name: str, choices: _Choices, logged: Array, shares: Array, size: int, logs: int) -> CandidateProof:
    truth = float((shares * choices.liking).sum(axis=1).mean())
    reports = [evaluate(_log(choices, logged, shares, size, seed)) for seed in range(logs)]
    told = [one for one in reports if one.refusal is None]
    return CandidateProof(
        candidate=name,
        lists=size * ROUNDS,
        logs=logs,
        refused=logs - len(told),
        effective=float(np.median([one.effective for one in reports])),
        truth=round(truth, 4),
        logged=round(float((logged * choices.liking).sum(axis=1).mean()), 4),
        estimators=[_estimator(one, told, truth) for one in ESTIMATORS] if told else [],
    )


def _log(choices: _Choices, logged: Array, shares: Array, size: int, seed: int) -> Sample:
    """Visitors drawn with replacement, each one a customer of its own, and one choice an offer."""
    random = np.random.default_rng([seed, size])
    drawn = random.integers(0, int(choices.owner.max()) + 1, size)
    offers = (drawn[:, None] * ROUNDS + np.arange(ROUNDS)).ravel()
    groups = np.repeat(np.arange(size), ROUNDS)
    place = (random.random((len(offers), 1)) > np.cumsum(logged[offers], axis=1)[:, :-1]).sum(axis=1)
    reward = choices.liking[offers, place][:, None]
    weight = (shares[offers, place] / logged[offers, place])[:, None]
    chosen = choices.features[offers, place]
    # The same visitor drawn twice must not be on both sides of a fold.
    models = fit_rewards(chosen[:, None, :], reward, drawn.repeat(ROUNDS))
    expected = [
        shares[offer] @ models.predict(row, choices.features[offer], 0) for row, offer in enumerate(offers.tolist())
    ]
    predicted = [models.predict(row, chosen[[row]], 0)[0] for row in range(len(offers))]
    return Sample(reward, weight, np.array(predicted)[:, None], np.array(expected)[:, None], groups)


def _estimator(name: EstimatorName, reports: Sequence[OffPolicyReport], truth: float) -> EstimatorProof:
    found = [one.value for report in reports for one in report.estimates if one.name == name]
    errors = np.array([one.value - truth for one in found])
    return EstimatorProof(
        estimator=name,
        bias=round(float(errors.mean()), 4),
        rmse=round(float(np.sqrt((errors**2).mean())), 4),
        covered=round(float(np.mean([one.low <= truth <= one.high for one in found])), 3),
    )


def _replayed(contest: Contest, arm: Arm, replays: int) -> ReplayProof:
    """One uniform log a seed; the same learner then chooses for itself among other offers, for as many rounds."""
    told, kept = np.zeros((replays, 2)), []
    for seed in range(replays):
        choices = _Choices.of(contest, seed)
        random = np.random.default_rng([seed, 3])
        order = random.permutation(len(choices.liking))
        picks = random.integers(0, OPTIONS, len(order))
        events = [
            LoggedChoice(choices.features[offer], pick, float(choices.liking[offer, pick]))
            for offer, pick in zip(order.tolist(), picks.tolist(), strict=True)
        ]
        done = replay(learner_of(arm, contest, np.random.default_rng([seed, 4])), events)
        played = _played(contest, arm, seed, len(done.rewards))
        kept.append(len(done.rewards))
        told[seed] = done.value, played
    by_seed = intervals(np.column_stack([told, told[:, 0] - told[:, 1]]), np.arange(replays))
    return ReplayProof(
        arm=arm, kept=float(np.mean(kept)), replayed=by_seed[0], played=by_seed[1], difference=by_seed[2]
    )


def _played(contest: Contest, arm: Arm, seed: int, rounds: int) -> float:
    """The mean liking of a learner's own first rounds."""
    choices = _Choices.of(contest, 1_000 + seed)
    learner = learner_of(arm, contest, np.random.default_rng([seed, 5]))
    order = np.random.default_rng([seed, 6]).permutation(len(choices.liking))[:rounds]
    earned = []
    for offer in order.tolist():
        pick = learner.choose(choices.features[offer])
        earned.append(float(choices.liking[offer, pick]))
        learner.learn(choices.features[offer, pick], earned[-1])
    return float(np.mean(earned)) if earned else 0.0
