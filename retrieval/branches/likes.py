"""What went together: items that the same dialogues or customers liked or accepted.

Knows nothing of words. Not covered: factorised tastes, see `retrieval.branches.collaborative`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from retrieval.branches.vocabulary import Counts
from retrieval.encoder import FloatArray
from retrieval.table import RowArray

DAMPING = 5.0
"""Added to how many like an item, so that the rare ones do not win by one coincidence."""
MAX_GROUPS = 2_000
"""Groups that are looked at for one item, the latest."""


class Likes:
    """Groups and the items that they like, both ways. Read-only; safe to share between threads."""

    def __init__(self, by_group: Counts) -> None:
        """`by_group`: the weight of the group where it likes the item, (groups, items)."""
        self._by_group = by_group
        by_item = by_group.tocsc()
        self._starts, self._groups, self._weights = by_item.indptr, by_item.indices, by_item.data
        self._total = np.asarray(by_group.sum(axis=0), dtype=np.float32).ravel()

    @staticmethod
    def together(parts: Sequence[Likes], seeds: Mapping[int, float]) -> FloatArray:
        """How much each item is liked by those who like the seeds, the much liked damped: float32, (items,).

        Args:
            parts: at least one, over the same items; their groups are taken for different ones.
            seeds: row -> weight with sign.
        """
        n_items = len(parts[0]._total)
        rows: list[RowArray] = [np.zeros(0, dtype=np.int32)]
        values: list[FloatArray] = [np.zeros(0, dtype=np.float32)]
        for part in parts:
            for seed, weight in seeds.items():
                part._step(seed, weight, rows, values)
        summed = np.bincount(np.concatenate(rows), np.concatenate(values), minlength=n_items)
        damped: FloatArray = (summed / np.sqrt(DAMPING + sum(part._total for part in parts))).astype(np.float32)
        return damped

    def _step(self, seed: int, weight: float, rows: list[RowArray], values: list[FloatArray]) -> None:
        """Walk from an item to the groups that like it and on to their other items."""
        first, end = self._starts[seed], self._starts[seed + 1]
        groups = self._groups[first:end][-MAX_GROUPS:]
        if not len(groups):
            return
        liked = self._by_group[groups]
        shares = np.repeat(self._weights[first:end][-MAX_GROUPS:] * np.float32(weight), np.diff(liked.indptr))
        others = liked.indices != seed
        rows.append(liked.indices[others])
        values.append(shares[others])
