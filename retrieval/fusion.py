"""Reciprocal-rank fusion of ranked lists, and the one way in which rows are put in order.

Knows nothing of what the lists mean. Not covered: learned weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.query import BranchHit, BranchName, Candidate

RRF_K = 60
"""The constant of Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and
individual Rank Learning Methods", SIGIR 2009: found in a pilot there and kept in all its experiments."""

BEHIND = 0.25
"""What an item counts that is known not to be meant: it comes behind those that may be, and can still be found."""

RowArray: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class RankedList:
    """What one branch found for one text: (item id, score) best first, ids unique, `weight` > 0.

    `places` are what the hits count as in the fusion, from `shared_places`; empty: 1, 2, 3 ...
    """

    branch: BranchName
    hits: Sequence[tuple[str, float]]
    weight: float = 1.0
    places: Sequence[float] = ()


def fuse(lists: Iterable[RankedList], *, k: int, behind: Callable[[str], bool] | None = None) -> tuple[Candidate, ...]:
    """The best `k` items by the sum of weight / (60 + place) over the lists, ties by id.

    An item that `behind` says yes to counts `BEHIND` times that.
    Where a branch appears in several lists (one for each text), a candidate carries its best rank there.
    """
    lists = tuple(lists)
    scores: dict[str, float] = {}
    for one in lists:
        places = one.places or range(1, len(one.hits) + 1)
        for (item_id, _), place in zip(one.hits, places, strict=True):
            scores[item_id] = scores.get(item_id, 0.0) + one.weight / (RRF_K + place)
    if behind is not None:
        scores = {item_id: score * BEHIND if behind(item_id) else score for item_id, score in scores.items()}
    best = sorted(scores, key=lambda item_id: (-scores[item_id], item_id))[: max(k, 0)]
    branches: dict[str, dict[BranchName, BranchHit]] = {item_id: {} for item_id in best}
    for one in lists:
        for rank, (item_id, score) in enumerate(one.hits, start=1):
            seen = branches.get(item_id)
            if seen is not None and (one.branch not in seen or rank < seen[one.branch].rank):
                seen[one.branch] = BranchHit(float(score), rank)
    return tuple(Candidate(item_id, scores[item_id], branches[item_id]) for item_id in best)


def shared_places(best: NDArray[np.float32], everything: NDArray[np.float32]) -> list[float]:
    """The place of each of the `best` scores among `everything`, where equal scores share the mean of their places.

    Of a thousand items that have the value that was named, none is the first. `best` are the highest scores, falling.
    """
    if not len(best):
        return []
    _, first, sizes = np.unique(-best, return_index=True, return_counts=True)
    sizes[-1] = np.count_nonzero(everything == best[-1])  # those behind the cut share, too
    return np.repeat(first + (sizes + 1) / 2, np.diff([*first, len(best)])).tolist()


def top_rows(
    rows: RowArray, scores: NDArray[np.float32], k: int, id_rank: RowArray
) -> tuple[RowArray, NDArray[np.float32]]:
    """The `k` rows of the highest score, best first, ties by `id_rank` also at the cut.

    Args:
        rows: row numbers, (n,).
        scores: one for each of `rows`, (n,), no NaN.
        k: how many, may exceed n.
        id_rank: the tie-break of every row of the table.

    Returns:
        Rows and their scores, (min(k, n),) each.
    """
    if k <= 0 or not len(rows):
        return rows[:0], scores[:0]
    if k < len(rows):
        # Everything that ties with the k-th score stays until the tie is broken: argpartition alone would pick any.
        threshold = np.partition(scores, len(scores) - k)[len(scores) - k]
        keep = scores >= threshold
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((id_rank[rows], -scores))[:k]
    return rows[order], scores[order]
