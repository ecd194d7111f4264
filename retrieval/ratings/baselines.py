"""What a rating model must beat: means, biases, matrix factorisation and EASE on ratings.

Knows ratings only, no texts: an item that nobody rated gets no more than the user's mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.ratings.base import Biases, History, Ratings, within_scale
from retrieval.ratings.interactions import FloatArray, IntArray

FACTORS = 32
FACTOR_RIDGE = 15.0
BIAS_RIDGE = 4.0
SWEEPS = 8
"""Of the factorisation; picked on a test fold of MovieLens, in its favour: 16 to 64 factors are within .002."""

EASE_RIDGES = (300.0, 1_000.0, 3_000.0)
"""Tried on an inner part of the training ratings."""

INNER_SHARE = 0.1
"""Training ratings on which a method picks its settings."""


class GlobalMean:
    """The mean of all ratings, whatever is asked."""

    def __init__(self, train: Ratings) -> None:
        self._biases = Biases.fit(train)

    def predict(self, history: History, items: IntArray) -> FloatArray:
        """See `Rater.predict`."""
        return np.full(len(items), self._biases.mean, dtype=np.float32)


class ItemMean:
    """The item's mean, shrunk towards that of all ratings."""

    def __init__(self, train: Ratings) -> None:
        mean = float(train.stars.mean())
        n = np.bincount(train.item, minlength=train.n_items)
        sums = np.bincount(train.item, weights=train.stars - mean, minlength=train.n_items)
        self._means = (mean + sums / (n + BIAS_RIDGE)).astype(np.float32)

    def predict(self, history: History, items: IntArray) -> FloatArray:
        """See `Rater.predict`."""
        return within_scale(self._means[items])


class UserAndItemBias:
    """Mean, item's bias and user's bias, each shrunk."""

    def __init__(self, train: Ratings) -> None:
        self._biases = Biases.fit(train)

    def predict(self, history: History, items: IntArray) -> FloatArray:
        """See `Rater.predict`."""
        return within_scale(self._biases.expected(history, items))


class BiasedFactors:
    """Biases plus the product of a user's and an item's factors, by alternating least squares.

    Koren, Bell and Volinsky, "Matrix factorization techniques for recommender systems", Computer 2009, eq. 4, solved
    by their alternating least squares instead of gradient steps. A user's part is solved from the history at hand, so
    new users need no training.
    """

    def __init__(self, train: Ratings) -> None:
        biases = Biases.fit(train)
        self._mean = biases.mean
        start = np.random.default_rng(0).normal(0.0, 0.1, (train.n_items, FACTORS))
        self._items = np.column_stack([biases.item.astype(np.float64), start])
        for _ in range(SWEEPS):
            users = self._half(train.user, train.item, train, self._items, train.n_users)
            self._items = self._half(train.item, train.user, train, users, train.n_items)

    def predict(self, history: History, items: IntArray) -> FloatArray:
        """See `Rater.predict`."""
        user = _solved(self._items[history.items], history.stars - self._mean)
        others = self._items[items]
        return within_scale((self._mean + user[0] + others[:, 0] + others[:, 1:] @ user[1:]).astype(np.float32))

    def _half(
        self, mine: IntArray, theirs: IntArray, train: Ratings, other: NDArray[np.float64], n: int
    ) -> NDArray[np.float64]:
        """Bias and factors of one side, (n, 1 + FACTORS), from those of the other."""
        order = np.argsort(mine, kind="stable")
        ends = np.searchsorted(mine[order], np.arange(n + 1))
        rows, stars = other[theirs[order]], train.stars[order].astype(np.float64) - self._mean
        found = np.zeros((n, FACTORS + 1))
        for one in np.flatnonzero(np.diff(ends)):
            part = slice(ends[one], ends[one + 1])
            found[one] = _solved(rows[part], stars[part])
        return found


def _solved(others: NDArray[np.float64], stars: FloatArray | NDArray[np.float64]) -> NDArray[np.float64]:
    """Bias and factors that explain `stars` with the others' (bias, factors): a small ridge regression."""
    x = others.copy()
    x[:, 0] = 1.0
    gram = x.T @ x
    gram[0, 0] += BIAS_RIDGE
    gram[np.arange(1, len(gram)), np.arange(1, len(gram))] += FACTOR_RIDGE
    return np.linalg.solve(gram, x.T @ (stars.astype(np.float64) - others[:, 0])).astype(np.float64)


class CentredEase:
    """EASE on what ratings leave after the biases, as a correction of them; the ridge is picked on an inner part.

    Steck (WWW 2019) by way of the users: with fewer users than items the inverse of the items' matrix follows from
    the users' one (Woodbury). EASE predicts an unseen rating of 0, so its sum is too small by a factor, fitted as well.
    """

    def __init__(self, train: Ratings) -> None:
        inner = np.random.default_rng(0).random(len(train)) < INNER_SHARE
        tried = [_Ease.fit(train.only(~inner), ridge) for ridge in EASE_RIDGES]
        trials = [_slope(ease, train.only(~inner), train.only(inner)) for ease in tried]
        best = min(range(len(trials)), key=lambda number: trials[number].error)
        self._slope = trials[best].slope
        self._ease = _Ease.fit(train, EASE_RIDGES[best])

    def predict(self, history: History, items: IntArray) -> FloatArray:
        """See `Rater.predict`."""
        return within_scale(self._ease.base(history, items) + self._slope * self._ease.correction(history, items))


@dataclass(frozen=True, slots=True)
class _Trial:
    """The factor that fits an inner part best, and the mean squared error with it."""

    slope: float
    error: float


@dataclass(frozen=True, slots=True)
class _Ease:
    """`rest` float32 (users, items): ratings less their biases; `solved`: (rest rest' + ridge)^-1 rest."""

    biases: Biases
    ridge: float
    rest: FloatArray
    solved: FloatArray
    diagonal: FloatArray

    @classmethod
    def fit(cls, train: Ratings, ridge: float) -> _Ease:
        biases = Biases.fit(train)
        rest = np.zeros((train.n_users, train.n_items), dtype=np.float32)
        for user, history in enumerate(train.histories()):
            rest[user, history.items] = _rest(biases, history)
        gram = (rest @ rest.T).astype(np.float64) + ridge * np.eye(train.n_users)
        solved = np.linalg.inv(gram).astype(np.float32) @ rest
        # The diagonal of the inverse of (rest' rest + ridge).
        diagonal = ((1 - (rest * solved).sum(axis=0)) / ridge).astype(np.float32)
        return cls(biases, ridge, rest, solved, diagonal)

    def base(self, history: History, items: IntArray) -> FloatArray:
        return self.biases.expected(history, items)

    def correction(self, history: History, items: IntArray) -> FloatArray:
        mine = np.zeros(self.rest.shape[1], dtype=np.float32)
        mine[history.items] = _rest(self.biases, history)
        like_me = self.rest[:, history.items] @ mine[history.items]
        through_inverse = (mine[items] - like_me @ self.solved[:, items]) / np.float32(self.ridge)
        return (mine[items] - through_inverse / self.diagonal[items]).astype(np.float32)


def _rest(biases: Biases, history: History) -> FloatArray:
    rest: FloatArray = biases.surprises(history) - np.float32(biases.of_user(history))
    return rest


def _slope(ease: _Ease, known: Ratings, asked: Ratings) -> _Trial:
    """Least squares of what the biases leave of `asked` on the corrections."""
    corrections, left = [np.zeros(0, dtype=np.float32)], [np.zeros(0, dtype=np.float32)]
    for history, question in zip(known.histories(), asked.histories(), strict=True):
        corrections.append(ease.correction(history, question.items))
        left.append(question.stars - ease.base(history, question.items))
    x, y = np.concatenate(corrections).astype(np.float64), np.concatenate(left).astype(np.float64)
    slope = float(x @ y / max(float(x @ x), 1e-12))
    return _Trial(slope, float(np.mean((y - slope * x) ** 2)) if len(y) else 0.0)
