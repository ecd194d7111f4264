"""Which items have which values: inverted lists over every text attribute, numbers by decade where they are years.

Knows nothing of dialogues; values are folded texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray
from retrieval.lexical import terms
from retrieval.table import ItemTable, RowArray
from retrieval.text import fold, plain

DECADE_YEARS = 10


@dataclass(frozen=True, slots=True)
class ValueLists:
    """One attribute. Value number v is `values[v]`; its items are rows[starts[v]:starts[v + 1]].

    `numbers` and `number_starts` are the other way round: the value numbers of each row. All int32, starts int64.
    """

    values: Sequence[str]
    number_of: Mapping[str, int]
    rows: RowArray
    starts: NDArray[np.int64]
    numbers: RowArray
    number_starts: NDArray[np.int64]

    def having(self, number: int) -> RowArray:
        """The rows of the items that have a value."""
        return self.rows[self.starts[number] : self.starts[number + 1]]

    def of(self, row: int) -> RowArray:
        """The numbers of the values of one item."""
        return self.numbers[self.number_starts[row] : self.number_starts[row + 1]]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many items have each value: (values,)."""
        return np.diff(self.starts)

    def rarity(self, n_items: int) -> FloatArray:
        """log(1 + N / n) of each value: float32, (values,)."""
        return np.log1p(n_items / np.maximum(self.counts, 1)).astype(np.float32)


def read_values(table: ItemTable) -> Mapping[str, ValueLists]:
    """The lists of every text attribute, and of years by decade ("1990s")."""
    found: dict[str, ValueLists] = {}
    for name, shape in table.shape.attributes.items():
        if shape.values is not None:
            found[name] = _listed(table, name)
        elif shape.kind == "number" and "year" in name:
            found[name] = _decades(table, name)
    return found


def title_words(table: ItemTable) -> ValueLists:
    """The words of the titles as values: a series shares them."""
    number_of: dict[str, int] = {}
    numbers: list[int] = []
    starts = [0]
    for item in table.items:
        numbers.extend(sorted({number_of.setdefault(word, len(number_of)) for word in terms(plain(item.title))}))
        starts.append(len(numbers))
    return _lists(number_of, np.array(numbers, dtype=np.int32), np.array(starts, dtype=np.int64))


def _listed(table: ItemTable, name: str) -> ValueLists:
    folded: dict[str, str] = {}  # each spelling is folded once
    number_of: dict[str, int] = {}
    numbers: list[int] = []
    starts = [0]
    for item in table.items:
        value = item.attributes.get(name)
        texts = value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()
        seen = set()
        for text in texts:
            if (form := folded.get(text)) is None:
                form = folded[text] = fold(text)
            seen.add(number_of.setdefault(form, len(number_of)))
        numbers.extend(sorted(seen))
        starts.append(len(numbers))
    return _lists(number_of, np.array(numbers, dtype=np.int32), np.array(starts, dtype=np.int64))


def _decades(table: ItemTable, name: str) -> ValueLists:
    years = table.numbers(name)
    has = ~np.isnan(years)
    decades = (years[has] // DECADE_YEARS * DECADE_YEARS).astype(np.int64)
    known, numbers = np.unique(decades, return_inverse=True)
    starts = np.concatenate([[0], np.cumsum(has)]).astype(np.int64)
    return _lists({f"{decade}s": number for number, decade in enumerate(known.tolist())}, numbers, starts)


def _lists(number_of: Mapping[str, int], numbers: NDArray[np.integer], starts: NDArray[np.int64]) -> ValueLists:
    own = numbers.astype(np.int32)
    order = np.argsort(numbers, kind="stable")
    owners = np.repeat(np.arange(len(starts) - 1, dtype=np.int32), np.diff(starts))
    value_starts = np.searchsorted(numbers[order], np.arange(len(number_of) + 1)).astype(np.int64)
    return ValueLists(tuple(number_of), number_of, owners[order], value_starts, own, starts)
