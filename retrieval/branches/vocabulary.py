"""Terms as numbers: the words of texts, and names (items, values of attributes) as terms of their own.

Knows nothing of scores and of how names are found.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from retrieval.branches.base import RECENCY, Links
from retrieval.encoder import FloatArray
from retrieval.items import Item
from retrieval.lexical import terms
from retrieval.table import ItemTable
from retrieval.text import fold, plain

Counts: TypeAlias = csr_array
"""Sparse float32 counts, a row for each document, context or item."""

WORD_TURNS = 8
"""So many last turns are read, each counting `RECENCY` of the one after it."""
NAME_WEIGHT = 2.0
"""How many words a name counts that is certainly meant."""
_MARK = "\x1f"
"""Stands in every name and in no word."""


def word_counts(text: str) -> Mapping[str, float]:
    """How often a text has each of its words."""
    return Counter(terms(plain(text)))


def said_counts(turns: Sequence[str], links: Links, seeds: Mapping[int, float], table: ItemTable) -> dict[str, float]:
    """The words of the last turns and the names of values and liked items, each with what it counts.

    Args:
        turns: what was said, oldest first.
        links: what it names.
        seeds: row -> weight with sign of the items spoken of; a mere mention has 0.5.
        table: the catalogue of `links` and `seeds`.
    """
    counts: defaultdict[str, float] = defaultdict(float)
    for age, turn in enumerate(reversed(turns[-WORD_TURNS:])):
        for word, count in word_counts(turn).items():
            counts[word] += count * RECENCY**age
    for (attribute, value), weight in links.values.items():
        counts[_value_name(attribute, value)] = NAME_WEIGHT * weight
    for row, weight in seeds.items():
        if weight > 0:
            counts[_MARK + table.ids[row]] = NAME_WEIGHT * min(2 * weight, 1.0)
    return counts


def name_counts(item: Item) -> Mapping[str, float]:
    """The names that an item has: its own, and those of its values."""
    counts = {_MARK + item.id: NAME_WEIGHT}
    for attribute, value in item.attributes.items():
        texts = value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()
        counts |= {_value_name(attribute, fold(text)): NAME_WEIGHT for text in texts}
    return counts


class Vocabulary:
    """Terms by number, in the order in which they came; grows, never renumbers."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self.numbers: dict[str, int] = {word: number for number, word in enumerate(words)}

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, documents: Iterable[Mapping[str, float]]) -> Counts:
        """The counts of each document's terms, new terms included: (documents, len(self) afterwards)."""
        numbers = self.numbers
        starts, columns, values = [0], list[int](), list[float]()
        for counts in documents:
            columns.extend([numbers.setdefault(word, len(numbers)) for word in counts])
            values.extend(counts.values())
            starts.append(len(columns))
        return sparse_rows(starts, columns, values, len(numbers))

    def asked(self, text: str) -> tuple[NDArray[np.int64], FloatArray]:
        """`known` of the words of a text."""
        return self.known(word_counts(text))

    def known(self, counts: Mapping[str, float]) -> tuple[NDArray[np.int64], FloatArray]:
        """The known terms of a query and what each counts: the root of its count; (terms,) each."""
        known = [(number, count) for word, count in counts.items() if (number := self.numbers.get(word)) is not None]
        ids = np.array([number for number, _ in known], dtype=np.int64)
        return ids, np.sqrt(np.array([count for _, count in known], dtype=np.float32))


def sparse_rows(starts: Sequence[int], columns: Sequence[int], values: Sequence[float], width: int) -> Counts:
    """Row i has values[starts[i]:starts[i + 1]] in the columns of the same places."""
    return csr_array(
        (np.array(values, dtype=np.float32), np.array(columns, dtype=np.int32), np.array(starts, dtype=np.int64)),
        shape=(len(starts) - 1, width),
    )


def scaled(matrix: Counts, weights: FloatArray) -> Counts:
    """Each row times its weight: `weights` (rows,)."""
    result = matrix.copy()
    result.data = result.data * np.repeat(weights, np.diff(matrix.indptr))
    return result


def widened(matrix: Counts, width: int) -> Counts:
    """The same counts with columns for terms that came later."""
    if matrix.shape[1] == width:
        return matrix
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], width))


def _value_name(attribute: str, value: str) -> str:
    return f"{attribute}{_MARK}{value}"
