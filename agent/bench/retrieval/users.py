"""User-based collaborative filtering: what those take who had to do with the same items. In no served list.

Here because the ablation table has a row for it, beside the item-item models of the product
(`retrieval.branches.collaborative`). Not covered: cold items, which it has nothing to say of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.branches.base import Cues, Scores
from retrieval.encoder import FloatArray
from retrieval.ratings.interactions import Interactions
from retrieval.table import ItemTable

if TYPE_CHECKING:
    from scipy.sparse import csr_array  # type: ignore[import-untyped]

NEIGHBOURS = 50
"""Users that speak for an item; 20 to 50 are the usual choice (Herlocker et al. 2002). Not tuned."""


class UserBranch:
    """Signals `users.<source>`: the cosines of the nearest users who had to do with an item, summed.

    Who asks is a user of the items spoken of, each with its weight; disliked ones are left out, on both sides. The
    first of the collaborative methods: Resnick et al., "GroupLens: an open architecture for collaborative filtering
    of netnews", CSCW 1994; with cosines, and without grades, which most sources do not have.
    """

    def __init__(self, table: ItemTable, sources: Mapping[str, Interactions]) -> None:
        """Read each source once; a source of which the table knows no item is left out."""
        self._n_items = len(table)
        fitted = {name: _Users.of(table, interactions) for name, interactions in sources.items()}
        self._sources = {name: users for name, users in fitted.items() if users is not None}

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`."""
        asking = np.zeros(self._n_items, dtype=np.float32)
        for row, weight in cues.seeds.items():
            asking[row] = max(0.0, weight)
        if not asking.any():
            return {}
        found = {f"users.{name}": Scores.of(users.near(asking)) for name, users in self._sources.items()}
        return {name: scores for name, scores in found.items() if len(scores.rows)}


@dataclass(frozen=True, slots=True)
class _Users:
    """One source: `taken` is 1 where a user took an item, (users, items); `length` of each user's row: (users,)."""

    taken: csr_array
    length: FloatArray

    @classmethod
    def of(cls, table: ItemTable, interactions: Interactions) -> _Users | None:
        from scipy.sparse import csr_array

        row_of = {item_id: row for row, item_id in enumerate(table.ids)}
        rows = np.array([row_of.get(item_id, -1) for item_id in interactions.items], dtype=np.int32)
        items = rows[interactions.item]
        kept = (items >= 0) & (interactions.value >= 0)
        if not kept.any():
            return None
        ones = np.ones(int(kept.sum()), dtype=np.float32)
        shape = (len(interactions.users), len(table))
        taken = csr_array((ones, (interactions.user[kept], items[kept])), shape=shape)
        return cls(taken, np.sqrt(taken.sum(axis=1)).astype(np.float32))

    def near(self, asking: FloatArray) -> FloatArray:
        """For every item the cosines of the `NEIGHBOURS` users nearest to `asking`, (items,), who took it, summed."""
        cosines = (self.taken @ asking) / np.maximum(self.length * np.linalg.norm(asking), np.float32(1e-12))
        nearest = np.argsort(-cosines, kind="stable")[:NEIGHBOURS]
        nearest = nearest[cosines[nearest] > 0]
        sums: FloatArray = (cosines[nearest] @ self.taken[nearest]).astype(np.float32)
        return sums
