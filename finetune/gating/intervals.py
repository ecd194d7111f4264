"""Differences between candidate and champion with their intervals: paired, and by group where rows belong together.

95 % percentile bootstrap; groups (people, dialogues) are drawn again, the same ones for both sides. With few groups
that is too narrow, so it is widened as the t distribution is wider than the normal one and the sample's spread than the
drawn one (Hesterberg 2015, "What teachers should know about the bootstrap"). Knows no rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4_000
LOW, HIGH = 0.025, 0.975
NORMAL = 1.959964
"""Of the normal distribution, at `HIGH`."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A number with its 95 % interval over `n` rows."""

    value: float
    low: float
    high: float
    n: int

    @classmethod
    def exact(cls, value: float, n: int) -> Interval:
        """Of a count: nothing was drawn."""
        return cls(value, value, value, n)


def mean_interval(values: Sequence[float], groups: Sequence[str] | None = None) -> Interval:
    """Of the mean of `values`; those of one of `groups` are drawn together."""
    return ratio_interval(values, [1.0] * len(values), groups)


def ratio_interval(above: Sequence[float], below: Sequence[float], groups: Sequence[str] | None = None) -> Interval:
    """Of the sum of `above` over that of `below`; rows of one of `groups` are drawn together.

    A number that is none makes all of it none, so that no rule takes it for good.

    Raises:
        ValueError: there are no rows.
    """
    if not above:
        raise ValueError("there are no rows to compare")
    over, under = by_group(above, groups), by_group(below, groups)
    if not np.isfinite(over).all():
        return Interval(math.nan, math.nan, math.nan, len(above))
    drawn = draws(len(over))
    value = float(over.sum() / under.sum())
    found = over[drawn].sum(axis=1) / under[drawn].sum(axis=1) - value
    return around(value, found * widening(len(over)), len(above))


def apart_interval(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Of the mean of `ours` minus that of `theirs`: other rows, so both are drawn again, each by itself.

    Raises:
        ValueError: one of them has no rows.
    """
    if not ours or not theirs:
        raise ValueError("there are no rows to compare")
    random, value, moved = np.random.default_rng(0), 0.0, np.zeros(RESAMPLES)
    for sign, side in ((1, ours), (-1, theirs)):
        own = np.asarray(side, dtype=np.float64)
        means = own[random.integers(0, len(own), (RESAMPLES, len(own)))].mean(axis=1)
        value += sign * float(own.mean())
        moved += sign * widening(len(own)) * (means - own.mean())
    return around(value, moved, len(ours) + len(theirs))


def widening(n: int) -> float:
    """By what a percentile interval over `n` groups is too narrow; of less than two groups nothing can be said."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    return float(stdtrit(n - 1, HIGH)) / NORMAL * math.sqrt(n / (n - 1)) if n > 1 else math.nan


def around(value: float, moved: NDArray[np.float64], n: int) -> Interval:
    """A value with how far it moves when its `n` rows are drawn again."""
    low, high = np.quantile(moved, [LOW, HIGH])
    return Interval(value, value + float(low), value + float(high), n)


def by_group(values: Sequence[float], groups: Sequence[str] | None) -> NDArray[np.float64]:
    """Sums of the values of each group, in the order in which groups are first met; float64, (groups,)."""
    if groups is None:
        return np.asarray(values, dtype=np.float64)
    sums: dict[str, float] = {}
    for value, group in zip(values, groups, strict=True):
        sums[group] = sums.get(group, 0.0) + value
    return np.array(list(sums.values()), dtype=np.float64)


def draws(n: int) -> NDArray[np.int64]:
    """Rows of `RESAMPLES` samples, the same for the same `n`: int64, (RESAMPLES, n)."""
    return np.random.default_rng(0).integers(0, n, (RESAMPLES, n))


def gini(shares: Sequence[float]) -> float:
    """How unequal shares are: 0 where all are alike, towards 1 where one has all."""
    ordered = np.sort(np.asarray(shares, dtype=np.float64))
    total, n = ordered.sum(), len(ordered)
    if total <= 0:
        return 0.0
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))
