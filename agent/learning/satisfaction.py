"""How content customers were with each item: what they said of it, else what their deeds make likely.

Each customer has one vote on an item: 1 or 0 where they bought it or pressed a thumb, else the satisfaction model's
probability. An item's number is a credibility mean (Buehlmann & Straub 1970; Buehlmann & Gisler 2005, section 4.2, all
weights 1), so that few votes say little: with n votes of mean m

    (n m + k M) / (n + k)

M is the mean of all votes and k = s / a: s is the variance of votes within items and a that between items' true means,

    s = sum_i sum_j (vote_ij - m_i)^2 / sum_i (n_i - 1)
    a = (sum_i n_i (m_i - M)^2 - (I - 1) s) / (N - sum_i n_i^2 / N)

for I items and N votes in all. Where a is not above 0 votes tell no items apart, and each gets M. What labels there are
come from those who buy or press thumbs, so the probability of somebody who never does is that of such a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.learning.deeds import counts_as
from agent.log.records import Deed
from agent.rank.satisfaction import Array, fit_satisfaction, labelled_of
from retrieval.encoder import FloatArray
from retrieval.table import ItemTable, RowArray

Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Votes:
    """The votes on a catalogue's items, made of what somebody did with an item: one entry for each such pair.

    `value` float64 (pairs,): how content they are. `vote` int64 (pairs,): the vote that it is a part of; those
    without a name share one. `row` int32 (votes,): the vote's item. `at` float64 (pairs,): seconds since 1970 of the
    last deed.
    """

    value: Array
    vote: Numbers
    row: RowArray
    at: Array
    n_rows: int

    @classmethod
    def fit(cls, deeds: Sequence[Deed], table: ItemTable) -> Votes | None:
        """Learn from deeds with the table's items, oldest first; None where there are too few labels."""
        pairs = labelled_of(deeds)
        whose = {(deed.customer, deed.item_id): counts_as(deed) for deed in deeds}
        voters = [whose[one.customer, one.item_id] for one in pairs]
        # Of those without a name as of one customer: caps and folds hold for them together.
        model = fit_satisfaction([replace(one, customer=voter) for one, voter in zip(pairs, voters, strict=True)])
        if model is None:
            return None
        said = np.array([np.nan if one.satisfied is None else float(one.satisfied) for one in pairs])
        value = np.where(np.isnan(said), model.probability([one.signals for one in pairs]), said)
        rows = [table.row_of(one.item_id) for one in pairs]
        votes: dict[tuple[str, int], int] = {}
        vote = [votes.setdefault(key, len(votes)) for key in zip(voters, rows, strict=True)]
        last = {(deed.customer, deed.item_id): deed.at.timestamp() for deed in deeds}
        at = np.array([last[one.customer, one.item_id] for one in pairs])
        row = np.array([row for _, row in votes], dtype=np.int32)
        return cls(value, np.array(vote, dtype=np.int64), row, at, len(table))

    def contentment(self, before: datetime | None = None) -> FloatArray:
        """Of each item: float32, (table,), NaN where nobody did anything.

        `before`: a pair counts that was over by then; one that went on is left out, not cut.
        """
        told = slice(None) if before is None else self.at < before.timestamp()
        parts = np.bincount(self.vote[told], minlength=len(self.row))
        sums = np.bincount(self.vote[told], weights=self.value[told], minlength=len(self.row))
        cast = parts > 0
        return credible(self.row[cast], sums[cast] / parts[cast], self.n_rows)


def credible(rows: RowArray, values: Array, n_rows: int) -> FloatArray:
    """The credibility mean of each row: float32, (n_rows,), NaN for rows without values.

    Args:
        rows: of each value, (n,).
        values: one for each distinct customer and item, float64, (n,).
        n_rows: items of the catalogue.
    """
    found = np.full(n_rows, np.nan, dtype=np.float32)
    if not len(values):
        return found
    items, item, count = np.unique(rows, return_inverse=True, return_counts=True)
    n: Array = count.astype(np.float64)
    means: Array = np.bincount(item, weights=values) / n
    mean = float(values.mean())
    k = _prior_votes(n, means, float(((values - means[item]) ** 2).sum()), mean)
    # As a share, because k may be infinite.
    found[items] = mean + n / (n + k) * (means - mean)
    return found


def _prior_votes(n: Array, means: Array, squares: float, mean: float) -> float:
    """The k of the module's formula: inf where items cannot be told apart, or no item has two votes."""
    total, items = float(n.sum()), len(n)
    if total <= items or items < 2:
        return float("inf")
    within = squares / (total - items)
    between = float((n * (means - mean) ** 2).sum()) - (items - 1) * within
    return within * (total - float((n**2).sum()) / total) / between if between > 0 else float("inf")
