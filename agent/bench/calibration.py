"""How good stated probabilities are, and the small logistic model that states them.

Knows nothing of what the probabilities are of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.personal import RESAMPLES, Mean

Array = NDArray[np.float64]

BINS = 10
COVERAGES = (1.0, 0.8, 0.6, 0.4, 0.2)
RIDGE = 1.0
"""The penalty on standardised weights, in units of one example."""
STEPS = 50
SAME = 1e-9
"""A standard deviation that is rounding."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Risk(_Frozen):
    """The share of failures among the surest `coverage` of the turns."""

    coverage: float
    risk: float


class Calibration(_Frozen):
    """Expected calibration error over ten bins of equal size, Brier score, area under risk against coverage.

    Intervals are 95 % bootstrap over groups (conversations, questions). `least_aurc` is that of somebody who knows.
    """

    n: int
    groups: int
    served: float
    ece: Mean
    brier: Mean
    constant_brier: float
    aurc: Mean
    least_aurc: float
    risks: list[Risk]


def expected_error(stated: Array, happened: Array) -> float:
    """The expected calibration error (Naeini et al. 2015), bins of equal size: both (n,)."""
    order = np.argsort(stated, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    return float(sum(len(part) * abs(stated[part].mean() - happened[part].mean()) for part in parts) / len(order))


def brier(stated: Array, happened: Array) -> float:
    """The mean squared difference (Brier 1950): both (n,)."""
    return float(((stated - happened) ** 2).mean())


def risk_area(stated: Array, happened: Array) -> float:
    """The area under risk against coverage (Geifman et al. 2019), the surest first: both (n,)."""
    failed = 1 - happened[np.argsort(-stated, kind="stable")]
    return float((failed.cumsum() / np.arange(1, len(failed) + 1)).mean())


def calibration_of(stated: Sequence[float], happened: Sequence[bool], groups: Sequence[int]) -> Calibration:
    """All figures; entries of one group are drawn together."""
    said, did, group = np.array(stated), np.array(happened, dtype=np.float64), np.array(groups)
    names = np.unique(group)
    members = [np.flatnonzero(group == name) for name in names]
    random = np.random.default_rng(0)
    picks = random.integers(0, len(names), (RESAMPLES // 4, len(names)))
    draws = [np.concatenate([members[one] for one in pick]) for pick in picks]

    def mean(figure: Callable[[Array, Array], float]) -> Mean:
        low, high = np.quantile([figure(said[draw], did[draw]) for draw in draws], [0.025, 0.975])
        return Mean(value=round(figure(said, did), 4), low=round(float(low), 4), high=round(float(high), 4))

    order = np.argsort(-said, kind="stable")
    firsts = [(share, order[: max(1, round(share * len(order)))]) for share in COVERAGES]
    base = float(did.mean())
    return Calibration(
        n=len(said),
        groups=len(names),
        served=round(base, 4),
        ece=mean(expected_error),
        brier=mean(brier),
        constant_brier=round(base * (1 - base), 4),
        aurc=mean(risk_area),
        least_aurc=round(risk_area(did, did), 4),
        risks=[Risk(coverage=share, risk=round(float(1 - did[first].mean()), 4)) for share, first in firsts],
    )


def fit_logistic(
    rows: Sequence[Mapping[str, float]], happened: Sequence[bool], names: Sequence[str]
) -> tuple[float, dict[str, float]]:
    """Bias and weights by name, by Newton's method with a ridge on the standardised weights, none on the bias.

    A feature that never varies gets no weight.
    """
    numbers = np.array([[row.get(name, 0.0) for name in names] for row in rows], dtype=np.float64)
    centre, scale = numbers.mean(axis=0), numbers.std(axis=0)
    used = scale > SAME
    design = np.hstack([np.ones((len(rows), 1)), (numbers[:, used] - centre[used]) / scale[used]])
    labels = np.array(happened, dtype=np.float64)
    penalty = np.diag([1e-6] + [RIDGE] * int(used.sum()))
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        stated = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (labels - stated) - penalty @ weights
        curve = (design * (stated * (1 - stated))[:, None]).T @ design + penalty
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-9:
            break
    by_unit = weights[1:] / scale[used]
    bias = float(weights[0] - by_unit @ centre[used])
    kept = [name for name, one in zip(names, used, strict=True) if one]
    return bias, dict(zip(kept, by_unit.tolist(), strict=True))
