"""Ratings by position, one user's history, and what every method of prediction is.

Knows nothing of how ratings are predicted. A user is only what the user rated: nobody is known by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.ratings.interactions import FloatArray, IntArray, Interactions
from retrieval.table import ItemTable

LOWEST, HIGHEST = 0.5, 5.0
"""The scale of a rating, in stars."""

MIDDLE = 3.0
"""The rating that reads as attitude 0; a star is one step of attitude."""

USER_SHRINKAGE, ITEM_SHRINKAGE = 5.0, 3.0
"""Ratings at the mean that a user's and an item's bias start with. On MovieLens 3 to 10 differ by .002 in RMSE."""

_BIAS_SWEEPS = 10


@dataclass(frozen=True, slots=True)
class History:
    """What one user rated: distinct `items` int32 (n,), `stars` float32 (n,)."""

    items: IntArray
    stars: FloatArray


@dataclass(frozen=True, slots=True)
class Ratings:
    """Ratings of `n_items` items by `n_users` users: `user`, `item` int32 (n,), `stars` float32 (n,)."""

    user: IntArray
    item: IntArray
    stars: FloatArray
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.stars)

    @classmethod
    def of(cls, interactions: Interactions, table: ItemTable) -> Ratings:
        """Attitudes as stars around `MIDDLE`, items by their row; those that the table does not have are left out."""
        row_of = {item_id: row for row, item_id in enumerate(table.ids)}
        rows = np.array([row_of.get(item_id, -1) for item_id in interactions.items], dtype=np.int32)
        items = rows[interactions.item]
        keep = items >= 0
        stars = (interactions.value[keep] + MIDDLE).astype(np.float32)
        return cls(interactions.user[keep], items[keep], stars, len(interactions.users), len(table))

    def only(self, keep: NDArray[np.bool_]) -> Ratings:
        """Those that `keep`, (n,), marks; the numbers of users and items stay."""
        return Ratings(self.user[keep], self.item[keep], self.stars[keep], self.n_users, self.n_items)

    def histories(self) -> list[History]:
        """One for each user, () for a user without ratings."""
        order = np.argsort(self.user, kind="stable")
        ends = np.searchsorted(self.user[order], np.arange(self.n_users + 1))
        items, stars = self.item[order], self.stars[order]
        return [History(items[start:end], stars[start:end]) for start, end in zip(ends[:-1], ends[1:], strict=True)]


@dataclass(frozen=True, slots=True)
class Biases:
    """The mean of all ratings, how far each item lies from it, and how many ratings it has: float32 (n_items,)."""

    mean: float
    item: FloatArray
    count: FloatArray

    @classmethod
    def fit(cls, ratings: Ratings) -> Biases:
        """Alternate between users and items, each shrunk towards 0 (Koren, KDD 2008, section 2.1)."""
        mean = float(ratings.stars.mean()) if len(ratings) else MIDDLE
        rest = ratings.stars.astype(np.float64) - mean
        n_user = np.bincount(ratings.user, minlength=ratings.n_users)
        n_item = np.bincount(ratings.item, minlength=ratings.n_items)
        user, item = np.zeros(ratings.n_users), np.zeros(ratings.n_items)
        for _ in range(_BIAS_SWEEPS):
            item = _sums(ratings.item, rest - user[ratings.user], ratings.n_items) / (n_item + ITEM_SHRINKAGE)
            user = _sums(ratings.user, rest - item[ratings.item], ratings.n_users) / (n_user + USER_SHRINKAGE)
        return cls(mean, item.astype(np.float32), n_item.astype(np.float32))

    def surprises(self, history: History) -> FloatArray:
        """Stars above what the items have from everybody: float32 (n,)."""
        surprises: FloatArray = history.stars - np.float32(self.mean) - self.item[history.items]
        return surprises

    def of_user(self, history: History) -> float:
        """How far the user lies from everybody, shrunk; 0 for a new one."""
        return float(self.surprises(history).sum() / (len(history.items) + USER_SHRINKAGE))

    def expected(self, history: History, items: IntArray) -> FloatArray:
        """Mean, user's and items' biases together, not cut to the scale: float32 (len(items),)."""
        expected: FloatArray = np.float32(self.mean + self.of_user(history)) + self.item[items]
        return expected


class Rater(Protocol):
    """Predicts what a user would rate; safe to share between threads."""

    def predict(self, history: History, items: IntArray) -> FloatArray:
        """Stars for each of `items`, `LOWEST` .. `HIGHEST`: float32 (len(items),). An empty history is a new user."""
        ...


def within_scale(stars: FloatArray) -> FloatArray:
    """`stars` cut to the scale, float32."""
    return np.clip(stars, LOWEST, HIGHEST).astype(np.float32)


def _sums(of: IntArray, values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    return np.bincount(of, weights=values, minlength=length).astype(np.float64)
