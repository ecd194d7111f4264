"""Many times of one thing as a few numbers that can be printed. Knows nothing of what was timed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

RESAMPLES = 2_000
"""Draws of the bootstrap; the seed is fixed, so equal times give equal intervals."""


class Spread(BaseModel):
    """`n` numbers in one unit: range, median with its 95 % bootstrap interval, 95th percentile."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    low: float
    high: float
    p50: float
    p50_low: float
    p50_high: float
    p95: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread | None:
        """None of no numbers: nothing was measured, which is not the same as zero."""
        if not numbers:
            return None
        values = np.asarray(numbers, dtype=np.float64)
        draws = np.random.default_rng(0).choice(values, (RESAMPLES, len(values)))
        medians = np.median(draws, axis=1)
        return cls(
            n=len(values),
            low=_short(values.min()),
            high=_short(values.max()),
            p50=_short(np.median(values)),
            p50_low=_short(np.quantile(medians, 0.025)),
            p50_high=_short(np.quantile(medians, 0.975)),
            p95=_short(np.quantile(values, 0.95)),
        )


class Quartiles(BaseModel):
    """`n` numbers in one unit, too few for an interval of their median: median and quartiles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    q1: float
    median: float
    q3: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Quartiles:
        """At least one number."""
        q1, median, q3 = (round(float(value), 2) for value in np.quantile(numbers, (0.25, 0.5, 0.75)))
        return cls(n=len(numbers), q1=q1, median=median, q3=q3)


def _short(value: float) -> float:
    return round(float(value), 3)
