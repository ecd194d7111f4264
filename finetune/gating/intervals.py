"""Differences between candidate and champion with their intervals: paired, and by group where rows belong together.

95 % percentile bootstrap; groups (people, dialogues) are drawn again, the same ones for both sides. Knows no rules.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 4_000
LOW, HIGH = 0.025, 0.975


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
    found = over[drawn].sum(axis=1) / under[drawn].sum(axis=1)
    low, high = np.quantile(found, [LOW, HIGH])
    return Interval(float(over.sum() / under.sum()), float(low), float(high), len(above))


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
