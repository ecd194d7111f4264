"""Which items are worth ranking: the first ones of the branches' sum and of each branch by itself.

The sum is also the order of a shop that has learned nothing. Knows nothing of what the signals mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from retrieval.branches.base import Scores
from retrieval.encoder import FloatArray
from retrieval.fusion import top_rows
from retrieval.table import BoolArray, RowArray

WEIGHTS: Mapping[str, float] = {
    "conversational.words": 4.0,
    "conversational.neighbours": 2.0,
    "conversational.together": 0.5,
    "conversational.demand": 0.0,
    "names": 2.0,
    "names.title": 0.0,
    "habits.among_named": 4.0,
    "habits.among_spoken": 0.5,
    "habits.new": 0.0,
    "lexical": 0.5,
    "popularity": 0.0,
    "last": 0.0,
    "last.habits.among_named": 1.0,
}
"""What signals count in the sum: by name, else by what stands before the first dot ("last") or after the last one
("popularity"), else 1. Rounded from what training dialogues of films and books chose; against all 1 they find more on
opendialkg's valid part (R@10 .70 -> .74, R@50 .77 -> .82) and the same on redial's (.20 -> .19, .37 -> .39)."""
LAST = "last."
"""What the signals of the last turn alone begin with."""


@dataclass(frozen=True, slots=True)
class Shortlisting:
    """How candidates are chosen.

    `weights` of signals in the sum, see `WEIGHTS`. `depth` items come from the sum, `own_depth` from each signal
    by itself (signals in `not_own` choose none).
    """

    depth: int = 150
    own_depth: int = 20
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)
    not_own: frozenset[str] = frozenset()


def summed(signals: Mapping[str, Scores], weights: Mapping[str, float], n_rows: int) -> FloatArray:
    """The unlearned order: each signal over its own maximum, times its weight, added up: float32, (n_rows,)."""
    total = np.zeros(n_rows, dtype=np.float32)
    for name, scores in signals.items():
        family, field_name = name.partition(".")[0], name.rpartition(".")[2]
        weight = weights.get(name, weights.get(field_name, weights.get(family, 1.0)))
        best = scores.values.max(initial=0.0)
        if weight and best > 0:
            total[scores.rows] += np.float32(weight / best) * scores.values
    return total


def shortlist(
    signals: Mapping[str, Scores], total: FloatArray, allowed: BoolArray, id_rank: RowArray, how: Shortlisting
) -> RowArray:
    """The candidates, best first by `total`, ties by id; only rows that are allowed, each once."""
    chosen = np.zeros(len(total), dtype=np.bool_)
    chosen[_first(np.flatnonzero(allowed).astype(np.int32), total, how.depth, id_rank)] = True
    for name, scores in signals.items():
        if name in how.not_own:
            continue
        inside = allowed[scores.rows]
        best, _ = top_rows(scores.rows[inside], scores.values[inside], how.own_depth, id_rank)
        chosen[best] = True
    rows = np.flatnonzero(chosen).astype(np.int32)
    return _first(rows, total, len(rows), id_rank)


def _first(rows: RowArray, total: FloatArray, k: int, id_rank: RowArray) -> RowArray:
    best, _ = top_rows(rows, total[rows], k, id_rank)
    return best
