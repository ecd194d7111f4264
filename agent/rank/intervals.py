"""Means with 95 % intervals by a bootstrap that draws whole groups: what a dialogue says hangs together.

Knows nothing of what is measured.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

RESAMPLES = 2_000
"""Draws of the bootstrap; the seed is fixed, so equal numbers give equal intervals."""


class Interval(BaseModel):
    """A mean with its 95 % bootstrap interval over groups."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


def intervals(columns: NDArray[np.float64], groups: NDArray[np.int64]) -> list[Interval]:
    """Mean of each column, (n, columns), with the percentile interval of a bootstrap that draws whole groups, (n,)."""
    _, owner = np.unique(groups, return_inverse=True)
    n_groups = int(owner.max()) + 1
    sums = np.zeros((n_groups, columns.shape[1]))
    np.add.at(sums, owner, columns)
    counts = np.bincount(owner, minlength=n_groups).astype(np.float64)
    drawn = np.random.default_rng(0).multinomial(n_groups, np.full(n_groups, 1 / n_groups), RESAMPLES)
    means = (drawn @ sums) / (drawn @ counts)[:, None]
    low, high = np.quantile(means, (0.025, 0.975), axis=0)
    return [
        Interval(value=round(float(value), 4), low=round(float(below), 4), high=round(float(above), 4))
        for value, below, above in zip(columns.mean(axis=0), low, high, strict=True)
    ]
