"""Items that the dialogue names, and items that have a value that it names: "something with Emma Stone".

Learns nothing. Knows nothing of wishes: a value counts whether it was praised or not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from retrieval.branches.base import Cues, Scores
from retrieval.branches.values import ValueLists, read_values
from retrieval.table import ItemTable

PREFIX = "names."
TITLE = "names.title"


class NamesBranch:
    """Signals `names.title` and `names.<attribute>`. Read-only; safe to share between threads."""

    def __init__(self, table: ItemTable, lists: Mapping[str, ValueLists] | None = None) -> None:
        """Take the catalogue; `lists` from `read_values` where somebody else has made them already."""
        self._n_items = len(table)
        self._lists = read_values(table) if lists is None else lists

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`; a value counts the more, the fewer items have it."""
        by_attribute: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
        for (attribute, value), weight in cues.links.values.items():
            by_attribute[attribute].append((value, weight))
        found = {f"{PREFIX}{name}": self._having(name, said) for name, said in by_attribute.items()}
        if cues.links.items:
            rows = np.array(sorted(cues.links.items), dtype=np.int32)
            weights = np.array([cues.links.items[row] for row in rows.tolist()], dtype=np.float32)
            found[TITLE] = Scores(rows, weights, min(float(weights.max()), 1.0))
        return found

    def _having(self, attribute: str, said: list[tuple[str, float]]) -> Scores:
        lists = self._lists[attribute]
        rows = [lists.having(lists.number_of[value]) for value, _ in said]
        worth = [weight * np.log1p(self._n_items / len(having)) for having, (_, weight) in zip(rows, said, strict=True)]
        repeated = np.repeat(np.array(worth, dtype=np.float32), [len(having) for having in rows])
        strength = min(max(weight for _, weight in said), 1.0)
        return replace(Scores.summed(np.concatenate(rows), repeated, self._n_items), strength=strength)
