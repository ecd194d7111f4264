"""Near misses of a number: when nothing costs under 2 euros, the cheapest are near, not the most popular.

Knows nothing of words and of how a list is ranked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agent.preferences import Preference
from retrieval.table import ItemTable


def is_number(wish: Preference) -> bool:
    """Whether a wish is about a number, so that items can be more or less far from it."""
    return wish.attribute is not None and bool(wish.values) and all(isinstance(v, int | float) for v in wish.values)


def nearest(table: ItemTable, rows: Sequence[int], bounds: Sequence[Preference], n: int) -> list[int]:
    """The `n` of `rows` that come nearest to the numbers of `bounds`, the nearest first; equal ones keep their order.

    The distance is the share of the number wished for, added up over `bounds`; items without the number come last.
    """
    apart = np.zeros(len(rows))
    for wish in bounds:
        apart += _apart(table.numbers(str(wish.attribute))[list(rows)], [float(value) for value in wish.values])
    return [rows[place] for place in np.argsort(apart, kind="stable")[:n].tolist()]


def _apart(numbers: NDArray[np.float64], wished: Sequence[float]) -> NDArray[np.float64]:
    distances = np.stack([np.abs(numbers - value) / max(abs(value), 1.0) for value in wished]).min(axis=0)
    return np.where(np.isnan(distances), np.inf, distances)
