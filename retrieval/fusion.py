"""Reciprocal-rank fusion of ranked lists, and the one way in which rows are put in order.

Knows nothing of what the lists mean. Not covered: learned weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.query import BranchHit, BranchName, Candidate

RRF_K = 60
"""The constant of Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and
individual Rank Learning Methods", SIGIR 2009: found in a pilot there and kept in all its experiments."""

RowArray: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class RankedList:
    """What one branch found for one text: (item id, score) best first, ids unique, `weight` > 0."""

    branch: BranchName
    hits: Sequence[tuple[str, float]]
    weight: float = 1.0


def fuse(lists: Iterable[RankedList], *, k: int) -> tuple[Candidate, ...]:
    """The best `k` items by the sum of weight / (60 + rank) over the lists, ties by id.

    Where a branch appears in several lists (one for each text), a candidate carries its best rank there.
    """
    scores: dict[str, float] = {}
    branches: dict[str, dict[BranchName, BranchHit]] = {}
    for one in lists:
        for rank, (item_id, score) in enumerate(one.hits, start=1):
            scores[item_id] = scores.get(item_id, 0.0) + one.weight / (RRF_K + rank)
            seen = branches.setdefault(item_id, {})
            known = seen.get(one.branch)
            if known is None or rank < known.rank:
                seen[one.branch] = BranchHit(float(score), rank)
    best = sorted(scores, key=lambda item_id: (-scores[item_id], item_id))[: max(k, 0)]
    return tuple(Candidate(item_id, scores[item_id], branches[item_id]) for item_id in best)


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
