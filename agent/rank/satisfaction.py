"""How likely it is that a customer is content with an item, from what they did with it: looked, stayed, took, declined.

A logistic regression on counts and the logarithm of the time, calibrated on predictions for customers whom it had not
seen: by a line (Platt 1999) where labels are few, by steps (isotonic) where they are many; Niculescu-Mizil & Caruana
2005, "Predicting Good Probabilities with Supervised Learning". The labels are purchases and thumbs, so it speaks of
customers who buy or press thumbs; who leaves no label teaches nothing. Knows nothing of the log and of what is ranked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.log.records import Deed

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

Array: TypeAlias = NDArray[np.float64]

MIN_LABELS, MIN_EACH = 200, 30
"""Fewer labels, or fewer of one kind, and there is no model: calibration would be an accident."""
STEPS_FROM = 1_000
"""Labels from which the calibration is isotonic; with fewer it overfits."""
FOLDS = 5
BINS = 10
"""Bins of equal size of the calibration error."""
LONGEST_SECONDS = 1_800.0
"""A longer stay is a tab that was left open."""

_LABELS: Mapping[str, bool] = {"buy": True, "thumb_up": True, "thumb_down": False}


@dataclass(frozen=True, slots=True)
class Signals:
    """What one customer did with one item, apart from what is predicted; `dwell_s` are seconds in all."""

    clicks: int = 0
    dwell_s: float = 0.0
    accepted: bool = False
    rejected: bool = False

    def numbers(self) -> tuple[float, ...]:
        """In the order of `SatisfactionModel.weights`."""
        seconds = min(max(self.dwell_s, 0.0), LONGEST_SECONDS)
        return math.log1p(self.clicks), math.log1p(seconds), float(self.accepted), float(self.rejected)


@dataclass(frozen=True, slots=True)
class Labelled:
    """`satisfied` is None where the customer neither bought nor pressed a thumb."""

    customer: str
    item_id: str
    signals: Signals
    satisfied: bool | None


class Calibration(BaseModel):
    """Predictions for customers whom the model had not seen, against what they did.

    `ece` is the expected calibration error over `BINS` bins of equal size, `brier` the mean squared error, and
    `brier_of_rate` that of always saying the share of the satisfied.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    satisfied: int
    ece: float
    brier: float
    brier_of_rate: float


class SatisfactionModel(BaseModel):
    """Weights of `Signals.numbers`, then a calibration of the log-odds: points of a rising curve, or a line.

    `knots` are pairs of log-odds and probability; without any, log-odds go through `slope` and `offset`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: tuple[float, ...]
    bias: float
    slope: float = 1.0
    offset: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    calibration: Calibration | None = None

    def probability(self, signals: Sequence[Signals]) -> Array:
        """That each is satisfied: float64, (signals,)."""
        odds = _numbers(signals) @ np.array(self.weights) + self.bias
        if self.knots:
            places, heights = np.array(self.knots).T
            steps: Array = np.interp(odds, places, heights)
            return steps
        line: Array = 1 / (1 + np.exp(-(self.slope * odds + self.offset)))
        return line


def labelled_of(deeds: Iterable[Deed]) -> tuple[Labelled, ...]:
    """Deeds, oldest first, by customer and item. The latest thumb decides, else a purchase.

    What was done after the first label is not a signal of it: who has bought a thing looks at it again.
    """
    by_pair: dict[tuple[str, str], list[Deed]] = {}
    for deed in deeds:
        by_pair.setdefault((deed.customer, deed.item_id), []).append(deed)
    return tuple(_labelled(customer, item_id, theirs) for (customer, item_id), theirs in by_pair.items())


def _labelled(customer: str, item_id: str, deeds: Sequence[Deed]) -> Labelled:
    labels = [deed for deed in deeds if deed.kind in _LABELS]
    first = min((deed.at for deed in labels), default=None)
    before = [deed for deed in deeds if first is None or deed.at <= first]
    kinds = [deed.kind for deed in before]
    thumbs = [deed.kind for deed in labels if deed.kind != "buy"]
    decisive = thumbs[-1] if thumbs else "buy" if labels else None
    signals = Signals(
        clicks=kinds.count("click"),
        dwell_s=sum(deed.value or 0.0 for deed in before if deed.kind == "dwell"),
        accepted="accept" in kinds,
        rejected="reject" in kinds,
    )
    return Labelled(customer, item_id, signals, _LABELS[decisive] if decisive else None)


def fit_satisfaction(examples: Sequence[Labelled]) -> SatisfactionModel | None:
    """Train and calibrate; None with fewer than `MIN_LABELS` labels, `MIN_EACH` of a kind, or too few customers.

    The calibration reported is of models that never saw the customer, calibration included.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    known = [one for one in examples if one.satisfied is not None]
    labels = np.array([bool(one.satisfied) for one in known])
    groups = _groups(known)
    if len(known) < MIN_LABELS or min(labels.sum(), (~labels).sum()) < MIN_EACH:
        return None
    if any(sum(bool((labels[test] == kind).any()) for _, test in _folds(groups)) < 3 for kind in (True, False)):
        return None  # two folds at a time are left out, and what trains has to have both kinds
    numbers = _numbers([one.signals for one in known])
    predicted = np.empty(len(known))
    with threadpool_limits(1):  # for products of four columns threads only wait for each other
        model = _fitted(numbers, labels, groups)
        for train, test in _folds(groups):
            held_out = _fitted(numbers[train], labels[train], groups[train])
            predicted[test] = held_out.probability([known[row].signals for row in test])
    return model.model_copy(update={"calibration": _calibration(predicted, labels)})


def _fitted(numbers: Array, labels: NDArray[np.bool_], groups: NDArray[np.int64]) -> SatisfactionModel:
    """Weights of all rows; the calibration is of log-odds from models that had not seen the row's customer."""
    odds = np.empty(len(labels))
    for train, test in _folds(groups):
        odds[test] = _logistic(numbers[train], labels[train]).decision_function(numbers[test])
    whole = _logistic(numbers, labels)
    weights, bias = tuple(whole.coef_[0].tolist()), float(whole.intercept_[0])
    if len(labels) < STEPS_FROM:
        line = _logistic(odds[:, None], labels)
        return SatisfactionModel(
            weights=weights, bias=bias, slope=float(line.coef_[0, 0]), offset=float(line.intercept_[0])
        )
    from sklearn.isotonic import IsotonicRegression  # type: ignore[import-untyped]

    # One more of each kind at the ends, after Platt: no handful of lucky cases makes a certainty.
    low, high = odds.min() - 1, odds.max() + 1
    steps = IsotonicRegression(y_min=0.0, y_max=1.0)
    steps.fit(np.append(odds, [low, low, high, high]), np.append(labels, [0, 1, 0, 1]).astype(np.float64))
    points = zip(steps.X_thresholds_.tolist(), steps.y_thresholds_.tolist(), strict=True)
    return SatisfactionModel(weights=weights, bias=bias, knots=tuple(points))


def _logistic(numbers: Array, labels: NDArray[np.bool_]) -> LogisticRegression:
    """Hardly regularised: a handful of numbers and hundreds of labels.

    Newton steps do not converge where nothing was done but label: a shop of nothing but ratings.
    """
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=100.0, solver="lbfgs", max_iter=1_000).fit(numbers, labels)


def _folds(groups: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows to train on and rows to try on; all of a customer's on one side, in a fixed order."""
    fold = np.random.default_rng(0).permutation(int(groups.max()) + 1)[groups] % FOLDS
    return [(np.flatnonzero(fold != n), np.flatnonzero(fold == n)) for n in np.unique(fold)]


def _groups(examples: Sequence[Labelled]) -> NDArray[np.int64]:
    """A number for each example's customer, by first appearance."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(one.customer for one in examples))}
    return np.array([numbers[one.customer] for one in examples], dtype=np.int64)


def _numbers(signals: Sequence[Signals]) -> Array:
    return np.array([one.numbers() for one in signals], dtype=np.float64).reshape(-1, len(Signals().numbers()))


def _calibration(predicted: Array, labels: NDArray[np.bool_]) -> Calibration:
    rate = labels.mean()
    return Calibration(
        n=len(labels),
        satisfied=int(labels.sum()),
        ece=round(calibration_error(predicted, labels), 4),
        brier=round(float(np.mean((predicted - labels) ** 2)), 4),
        brier_of_rate=round(float(np.mean((rate - labels) ** 2)), 4),
    )


def calibration_error(predicted: Array, labels: NDArray[np.bool_]) -> float:
    """Mean distance of what is said from what happens, over `BINS` bins with equally many predictions.

    Naeini et al. 2015, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", with bins of equal size.
    """
    parts = np.array_split(np.argsort(predicted, kind="stable"), BINS)
    gaps = [abs(predicted[part].mean() - labels[part].mean()) * len(part) for part in parts if len(part)]
    return float(sum(gaps) / len(predicted))
