"""What one customer's deeds say of every item: the rating that they would give, and how many of their tastes it meets.

The rule by which deeds are ratings: an opinion's attitude, -2 .. 2, is so many stars from `MIDDLE`: bought 5, accepted,
liked or thumb up 4, rejected or thumb down 2, an imported rating by its place on the shop's scale. Who only looked
rated nothing. The rating model is learned from a shop's own customers. Knows nothing of the log and of how a list is
ranked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from agent.learning.deeds import opinions
from agent.learning.interactions import Range, attitudes_of
from agent.learning.profile import tastes_of
from agent.log.records import Deed
from retrieval.encoder import FloatArray
from retrieval.query import Filter
from retrieval.ratings.base import MIDDLE, History, Ratings
from retrieval.ratings.interactions import Interactions
from retrieval.ratings.model import RatingModel
from retrieval.table import ItemTable

MIN_RATINGS, MIN_RATERS = 1_000, 50
"""Fewer ratings, or fewer customers with two or more, and there is no model. Not tuned."""
MIN_SPREAD = 0.5
"""Stars of standard deviation: where all customers say the same, as where all that is known is purchases, there are no
tastes to be learned."""
MAX_RATINGS = 100_000
"""More are not learned from, whole customers are left out by chance. For the time: 64,000 take 11 s of one core."""
LONGEST_HISTORY = 100
"""Ratings of a customer that a prediction looks at, the latest: it takes time for each of them and each item."""
MOST_TASTES = 100
"""Tastes that count, those with most items."""
ROWS_AT_ONCE = 4_096
"""Bounds the memory of a prediction to 3 MB for each head of attention."""


def fit_taste(deeds: Sequence[Deed], scale: Range | None, table: ItemTable, vectors: FloatArray) -> RatingModel | None:
    """Train on deeds with the table's items, oldest first; None where there is too little to learn from.

    `scale` is that of the shop's ratings, `vectors` float32 (items, dim). Needs torch, and seconds.
    """
    ratings = _bounded(_ratings(deeds, scale, table))
    raters = int((np.bincount(ratings.user, minlength=1) >= 2).sum())
    if len(ratings) < MIN_RATINGS or raters < MIN_RATERS or float(ratings.stars.std()) < MIN_SPREAD:
        return None
    from retrieval.ratings.training import train  # torch takes seconds to import

    return train(ratings, vectors)


def history_of(
    deeds: Sequence[Deed], scale: Range | None, table: ItemTable, before: datetime | None = None
) -> History | None:
    """One customer's ratings before a moment, at most `LONGEST_HISTORY`; None where they rated nothing of the table."""
    told = [one for one in opinions(deeds) if one.item_id in table and (before is None or one.at < before)]
    last = {one.item_id: one.at for one in told}
    latest = sorted(last, key=lambda item_id: (last[item_id], item_id))[-LONGEST_HISTORY:]
    if not latest:
        return None
    return _history(attitudes_of(told, scale), latest, table)


def predicted(model: RatingModel, history: History, n_rows: int) -> FloatArray:
    """Stars for every row of the table: float32, (n_rows,)."""
    rows = np.arange(n_rows, dtype=np.int32)
    parts = [model.predict(history, rows[start : start + ROWS_AT_ONCE]) for start in range(0, n_rows, ROWS_AT_ONCE)]
    return np.concatenate(parts)


def agreement(
    deeds: Sequence[Deed], scale: Range | None, table: ItemTable, before: datetime | None = None
) -> FloatArray | None:
    """How many values an item has that this customer likes, less those they dislike: float32, (table,).

    None where no taste shows in what they did before the moment.
    """
    told = [one for one in opinions(deeds) if one.item_id in table and (before is None or one.at < before)]
    tastes = tastes_of({item: value for item, value in attitudes_of(told, scale).items() if value}, table)
    if not tastes:
        return None
    found = np.zeros(len(table), dtype=np.float32)
    for taste in tastes[:MOST_TASTES]:
        found[table.mask([Filter(taste.attribute, "eq", (taste.value,))])] += 1 if taste.likes else -1
    return found


def _ratings(deeds: Sequence[Deed], scale: Range | None, table: ItemTable) -> Ratings:
    by_customer: dict[str, list[Deed]] = {}
    for deed in opinions(deeds):
        by_customer.setdefault(deed.customer, []).append(deed)
    found = Interactions.of(
        (customer, item_id, value)
        for customer, theirs in by_customer.items()
        for item_id, value in attitudes_of(theirs, scale).items()
    )
    return Ratings.of(found, table)


def _bounded(ratings: Ratings) -> Ratings:
    """Those of as many customers, drawn by a fixed seed, as have `MAX_RATINGS` together."""
    if len(ratings) <= MAX_RATINGS:
        return ratings
    order = np.random.default_rng(0).permutation(ratings.n_users)
    together = np.bincount(ratings.user, minlength=ratings.n_users)[order].cumsum()
    return ratings.only(np.isin(ratings.user, order[together <= MAX_RATINGS]))


def _history(values: Mapping[str, float], item_ids: Sequence[str], table: ItemTable) -> History:
    stars = np.array([values[item_id] + MIDDLE for item_id in item_ids], dtype=np.float32)
    return History(np.array([table.row_of(item_id) for item_id in item_ids], dtype=np.int32), stars)
