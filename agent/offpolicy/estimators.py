"""What a candidate would have earned on lists that another policy showed: estimates with intervals, or none.

A list is looked at down to some place. The reward at a place is weighed by how much likelier the candidate is than the
log to put there what stood there, given the same items above: under that weight no assumption is made about how the
items of a list work on each other, save that what stands below does not work upwards. Knows nothing of the log, of
rankers and of what a reward is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.rank.intervals import Interval

Array: TypeAlias = NDArray[np.float64]
EstimatorName: TypeAlias = Literal["ips", "snips", "clipped", "direct", "doubly_robust"]
ESTIMATORS: tuple[EstimatorName, ...] = get_args(EstimatorName)

MIN_EFFECTIVE = 100.0
"""Lists that the log must be worth for the candidate: a share of one half is then known to about +-.1."""
MIN_GROUPS = 20
"""Customers that the bootstrap must have to draw from."""
MEAN_WEIGHT_OFF = 0.1
"""How far from 1 the mean weight may lie, where its interval does not hold 1."""
RESAMPLES = 2_000
_DRAWN_AT_ONCE = 5_000_000
"""Numbers of one block of bootstrap draws: 40 MB."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Lists that were shown with some chance, and the candidate's view of each: all (lists, places), float64.

    `rewards` of what stood at each place. `weights`: probability of the items down to this place under the candidate
    over that under the log. `predicted`: the reward that a model expects of what stood there; `expected`: what it
    expects there of the candidate's own lists. Both are best fitted on other customers (`agent.offpolicy.rewards`).
    `groups`, int64 (lists,): who it was; all lists of one customer are drawn together.
    """

    rewards: Array
    weights: Array
    predicted: Array
    expected: Array
    groups: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check the shapes once, at the border.

        Raises:
            ValueError: they differ, a weight is negative, or a number is not finite.
        """
        shape = self.rewards.shape
        fields = {"weights": self.weights, "predicted": self.predicted, "expected": self.expected}
        for name, values in fields.items():
            if values.shape != shape or len(shape) != 2:
                raise ValueError(f"{name} has shape {values.shape}, rewards have {shape}: give (lists, places).")
        if self.groups.shape != shape[:1]:
            raise ValueError(f"groups has shape {self.groups.shape}, {shape[:1]} was expected.")
        if (
            not all(np.isfinite(values).all() for values in (self.rewards, *fields.values()))
            or (self.weights < 0).any()
        ):
            raise ValueError("All numbers must be finite, and weights at least 0.")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """Rewards a list under the candidate, and how much more that is than what was logged, list by list."""

    name: EstimatorName
    value: Interval
    more: Interval


class OffPolicyReport(_Frozen):
    """The estimates, or in one sentence why there are none.

    `effective`: see `effective_size`. `mean_weight` is 1 but for chance where the candidate's lists can stand in the
    log. `clip` is the greatest weight of the clipped estimate, `clipped` the share of lists beyond it.
    """

    lists: int
    customers: int
    places: int
    logged: Interval | None = None
    effective: float = 0.0
    mean_weight: Interval | None = None
    max_weight: float = 0.0
    clip: float = 0.0
    clipped: float = 0.0
    estimates: tuple[Estimate, ...] = ()
    refusal: str | None = None

    def estimate(self, name: EstimatorName) -> Estimate | None:
        """The one of this name; None where all are refused."""
        return next((one for one in self.estimates if one.name == name), None)


@dataclass(frozen=True, slots=True)
class _Ratio:
    """A sum over columns of sum(numerator) / sum(denominator); both (lists, columns)."""

    numerator: Array
    denominator: Array

    @classmethod
    def mean(cls, values: Array) -> _Ratio:
        """The mean of the rows' sums."""
        total = values.sum(axis=1, keepdims=True)
        return cls(total, np.ones_like(total))

    def less(self, values: Array) -> _Ratio:
        """This less the mean of the rows' sums of `values`, over the same rows."""
        other = _Ratio.mean(values)
        return _Ratio(np.hstack([self.numerator, -other.numerator]), np.hstack([self.denominator, other.denominator]))

    def value(self) -> float:
        return float(_divided(self.numerator.sum(axis=0), self.denominator.sum(axis=0)).sum())


def ips(sample: Sample) -> float:
    """Inverse propensity score, mean of weight times reward; unbiased.

    Horvitz & Thompson 1952, "A Generalization of Sampling Without Replacement From a Finite Universe"; for bandits
    Strehl et al. 2010, "Learning from Logged Implicit Exploration Data". Over places, with the weight of all places
    down to this one: the reward-interaction estimator of McInerney et al. 2020, "Counterfactual Evaluation of Slate
    Recommendations with Sequential Reward Interactions", there self-normalised.
    """
    return _ips(sample).value()


def snips(sample: Sample) -> float:
    """Self-normalised: at each place the sum of weight times reward over the sum of weights; biased by O(1/lists).

    Hesterberg 1995, "Weighted Average Importance Sampling and Defensive Mixture Distributions"; Swaminathan &
    Joachims 2015, "The Self-Normalized Estimator for Counterfactual Learning".
    """
    return _snips(sample).value()


def clipped_ips(sample: Sample, clip: float) -> float:
    """IPS with weights of at most `clip`: less variance, and biased towards 0.

    Ionides 2008, "Truncated Importance Sampling"; Bottou et al. 2013, "Counterfactual Reasoning and Learning Systems",
    section 4.4.
    """
    return _clipped(sample, clip).value()


def direct(sample: Sample) -> float:
    """Direct method: what a model of rewards expects of the candidate's lists; as biased as the model.

    Beygelzimer & Langford 2009, "The Offset Tree for Learning with Partial Labels", under its present name in Dudik et
    al. 2011. The interval does not know that the model was fitted.
    """
    return _direct(sample).value()


def doubly_robust(sample: Sample) -> float:
    """The direct method, corrected by the weighted errors of its model; unbiased whatever the model, given the weights.

    Dudik, Langford & Li 2011, "Doubly Robust Policy Evaluation and Learning"; place by place it has the weights of
    Kiyohara et al. 2022, "Doubly Robust Off-Policy Evaluation for Ranking Policies under the Cascade Behavior Model",
    and a plainer baseline: the mean over the candidate's whole lists.
    """
    return _doubly_robust(sample).value()


def effective_size(weights: Array) -> float:
    """How many lists of the candidate's own the log is worth: sum(w)^2 / sum(w^2), 0 where all are 0.

    Kong 1992, "A Note on Importance Sampling using Standardized Weights"; Owen 2013, "Monte Carlo theory, methods and
    examples", section 9.3. `weights` (lists,).
    """
    squares = float((weights**2).sum())
    return float(weights.sum()) ** 2 / squares if squares > 0 else 0.0


def default_clip(lists: int) -> float:
    """The square root of their number, by which the bias goes to 0 as fast as the error (Ionides 2008, section 2)."""
    return math.sqrt(lists)


def evaluate(sample: Sample, *, min_effective: float = MIN_EFFECTIVE, clip: float | None = None) -> OffPolicyReport:
    """All estimates with 95 % bootstrap intervals over customers, or the reason why there are none.

    Args:
        sample: explored lists.
        min_effective: below this effective size nothing is said.
        clip: of the clipped estimate; None is `default_clip`.
    """
    lists, places = sample.rewards.shape
    customers = len(np.unique(sample.groups))
    if lists == 0 or places == 0:
        reason = "No list of the log was shown under chance: set chat.exploration above 0 and collect feedback first."
        return OffPolicyReport(lists=lists, customers=customers, places=places, refusal=reason)
    limit = default_clip(lists) if clip is None else clip
    deepest = sample.weights[:, -1]
    effective = effective_size(deepest)
    ways = _ways(sample, limit)
    ratios = {"logged": _Ratio.mean(sample.rewards), "weight": _Ratio.mean(deepest[:, None])}
    ratios.update((str(name), way) for name, way in ways.items())
    ratios.update((f"{name} more", way.less(sample.rewards)) for name, way in ways.items())
    known = _intervals(ratios, sample.groups)  # all of the same draws
    found = OffPolicyReport(
        lists=lists,
        customers=customers,
        places=places,
        logged=known["logged"],
        effective=round(effective, 1),
        mean_weight=known["weight"],
        max_weight=round(float(deepest.max()), 2),
        clip=round(limit, 2),
        clipped=round(float((deepest > limit).mean()), 4),
    )
    refusal = _refusal(found, min_effective)
    if refusal is not None:
        return found.model_copy(update={"refusal": refusal})
    estimates = (Estimate(name=name, value=known[name], more=known[f"{name} more"]) for name in ESTIMATORS)
    return found.model_copy(update={"estimates": tuple(estimates)})


def _ways(sample: Sample, clip: float) -> dict[EstimatorName, _Ratio]:
    return {
        "ips": _ips(sample),
        "snips": _snips(sample),
        "clipped": _clipped(sample, clip),
        "direct": _direct(sample),
        "doubly_robust": _doubly_robust(sample),
    }


def _refusal(found: OffPolicyReport, min_effective: float) -> str | None:
    if found.effective < min_effective:
        return (
            f"No verdict: the {found.lists} explored lists are worth {found.effective:.0f} of the candidate's own, and "
            f"{min_effective:.0f} are needed; collect more, look at fewer places, or take a candidate nearer to what "
            "was shown."
        )
    if found.customers < MIN_GROUPS:
        return f"No verdict: {found.customers} customers are in the log, and {MIN_GROUPS} are needed; collect more."
    weight = found.mean_weight
    if weight is not None and abs(weight.value - 1) > MEAN_WEIGHT_OFF and not weight.low <= 1 <= weight.high:
        return (
            f"No verdict: the weights average {weight.value:.2f} [{weight.low:.2f}, {weight.high:.2f}] where 1 is "
            "expected, so the candidate shows what could not stand in the log, or the stored propensities are not "
            "those of its lists."
        )
    return None


def _ips(sample: Sample) -> _Ratio:
    return _Ratio.mean(sample.weights * sample.rewards)


def _snips(sample: Sample) -> _Ratio:
    return _Ratio(sample.weights * sample.rewards, sample.weights)


def _clipped(sample: Sample, clip: float) -> _Ratio:
    return _Ratio.mean(np.minimum(sample.weights, clip) * sample.rewards)


def _direct(sample: Sample) -> _Ratio:
    return _Ratio.mean(sample.expected)


def _doubly_robust(sample: Sample) -> _Ratio:
    return _Ratio.mean(sample.expected + sample.weights * (sample.rewards - sample.predicted))


def _intervals(ratios: Mapping[str, _Ratio], groups: NDArray[np.int64]) -> dict[str, Interval]:
    """Percentile intervals of all ratios from the same draws of whole groups, so differences are paired."""
    _, owner = np.unique(groups, return_inverse=True)
    n_groups = int(owner.max()) + 1
    sums = {
        name: (_by_group(one.numerator, owner, n_groups), _by_group(one.denominator, owner, n_groups))
        for name, one in ratios.items()
    }
    drawn: dict[str, list[Array]] = {name: [] for name in ratios}
    for times in _draws(n_groups):
        for name, (above, below) in sums.items():
            drawn[name].append(_divided(times @ above, times @ below).sum(axis=1))
    return {name: _interval(one.value(), drawn[name]) for name, one in ratios.items()}


def _draws(n_groups: int) -> Sequence[Array]:
    """How often each group is drawn, in blocks: float64, (some, groups)."""
    random = np.random.default_rng(0)
    block = max(1, min(RESAMPLES, _DRAWN_AT_ONCE // n_groups))
    sizes = [min(block, RESAMPLES - start) for start in range(0, RESAMPLES, block)]
    even = np.full(n_groups, 1 / n_groups)
    return [random.multinomial(n_groups, even, size).astype(np.float64) for size in sizes]


def _by_group(values: Array, owner: NDArray[np.int64], n_groups: int) -> Array:
    sums: Array = np.zeros((n_groups, values.shape[1]))
    np.add.at(sums, owner, values)
    return sums


def _divided(above: Array, below: Array) -> Array:
    """0 where there is nothing below: a draw without any weight says nothing."""
    quotient: Array = np.divide(above, below, out=np.zeros_like(above), where=below != 0)
    return quotient


def _interval(value: float, drawn: Sequence[Array]) -> Interval:
    low, high = np.quantile(np.concatenate(drawn), (0.025, 0.975))
    return Interval(value=round(value, 4), low=round(float(low), 4), high=round(float(high), 4))
