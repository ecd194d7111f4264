"""What every branch is: cues in, scored rows out. Knows nothing of filters, fusion and ranking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray
from retrieval.query import Query
from retrieval.table import RowArray

RECENCY = 0.6
"""What a turn counts against the turn after it: the latest words say most of what is wanted now."""
SPARSE = 20
"""Where less than one in so many rows has a value, values are summed by sorting."""


@dataclass(frozen=True, slots=True)
class Links:
    """What a dialogue names: rows of items and values of attributes, each with its weight, 0 < weight <= 1.

    `items`: row -> weight. `values`: (attribute, folded value) -> weight. The weight falls with the turns since
    (`RECENCY`) and with the doubt about the match.
    """

    items: Mapping[int, float]
    values: Mapping[tuple[str, str], float]


@dataclass(frozen=True, slots=True)
class Cues:
    """One query, read once for all branches.

    `text` is what the word-based branches read (the last turns, else the query's texts), `links` what it names,
    `vector` the unit vector of `text`: float32, (dim,), None where nothing was said or the encoder failed. `seeds` are
    the items spoken of, row -> weight with sign: the query's own, and those of `links` (a mention is a mild liking).
    """

    query: Query
    text: str
    links: Links
    seeds: Mapping[int, float]
    vector: FloatArray | None


@dataclass(frozen=True, slots=True)
class Scores:
    """The rows that a branch has something to say of: `rows` int32 (n,), unique; `values` float32 (n,), > 0.

    Not cut and not filtered: values compare only inside one branch, and a row that is missing has none. `strength`,
    0 < strength <= 1, is what the signal counts in a fusion by rank, which sees nothing of the values: less where all
    of it rests on what was named long ago or perhaps not meant.
    """

    rows: RowArray
    values: NDArray[np.float32]
    strength: float = 1.0

    @classmethod
    def of(cls, dense: NDArray[np.float32]) -> Scores:
        """The positive entries of a value for each row of the table."""
        rows = np.flatnonzero(dense > 0).astype(np.int32)
        return cls(rows, dense[rows].astype(np.float32))

    @classmethod
    def summed(cls, rows: RowArray, values: NDArray[np.float32], n_items: int) -> Scores:
        """The positive sums of values by row: `rows` may repeat, (n,) each."""
        if len(rows) * SPARSE < n_items:  # sorting a few beats filling a line of a million
            unique, places = np.unique(rows, return_inverse=True)
            sums = np.bincount(places, values, minlength=len(unique)).astype(np.float32)
            return cls(unique[sums > 0].astype(np.int32), sums[sums > 0])
        return cls.of(np.bincount(rows, values, minlength=n_items).astype(np.float32))


class Branch(Protocol):
    """One way of finding items; safe to share between threads."""

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """Scores by name, "names.title", "metapath.director": a branch with several signals gives each its own.

        Names are stable for one catalogue: the ranker's features are called after them. A signal that has nothing
        to say may be left out.
        """
        ...
