"""The catalogue in memory, in columns: exact filters, counts and superlatives over every item.

Knows nothing of words, vectors or dialogues. Row numbers are positions in `items`; they mean
something only together with the table that gave them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import NotFound
from retrieval.items import AttributeValue, Item
from retrieval.query import Filter
from retrieval.shape import CatalogueShape
from retrieval.text import fold

BoolArray: TypeAlias = NDArray[np.bool_]
RowArray: TypeAlias = NDArray[np.int32]
NumberArray: TypeAlias = NDArray[np.float64]

YES, NO = "yes", "no"
_TRUE_WORDS = frozenset({"yes", "true", "1"})
_FALSE_WORDS = frozenset({"no", "false", "0"})


class ItemTable:
    """Read-only columns over items; safe to share between threads."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items: tuple[Item, ...] = tuple(items)
        self.ids: tuple[str, ...] = tuple(item.id for item in self.items)
        self._rows = {item_id: row for row, item_id in enumerate(self.ids)}
        self.shape = CatalogueShape.of(self.items)
        self._columns: dict[str, _Column] = {}

    def __len__(self) -> int:
        return len(self.items)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows

    def row_of(self, item_id: str) -> int:
        """The row of an item.

        Raises:
            NotFound: no item has this id.
        """
        row = self._rows.get(item_id)
        if row is None:
            raise NotFound(
                f"There is no item {item_id!r} in this catalogue of {len(self)} items: use an id that it gave."
            )
        return row

    def get(self, item_id: str) -> Item:
        """The item with this id.

        Raises:
            NotFound: no item has this id.
        """
        return self.items[self.row_of(item_id)]

    def rows_of(self, item_ids: Iterable[str]) -> RowArray:
        """Rows of those ids that exist, in the order given; unknown ids are left out."""
        return np.array([self._rows[i] for i in item_ids if i in self._rows], dtype=np.int32)

    def mask(self, filters: Iterable[Filter]) -> BoolArray:
        """Which items meet every filter: bool, (len(self),). Semantics as in `retrieval.query.Filter`."""
        keep = np.ones(len(self), dtype=np.bool_)
        for one in filters:
            keep &= self._mask_of(one)
        return keep

    def count(self, filters: Iterable[Filter]) -> int:
        """How many items meet every filter."""
        return int(np.count_nonzero(self.mask(filters)))

    def relaxed_counts(self, filters: Iterable[Filter]) -> dict[str, int]:
        """For each distinct `Filter.key`: how many items would match if its filters were dropped."""
        by_key: dict[str, BoolArray] = {}
        for one in filters:
            passed = self._mask_of(one)
            by_key[one.key] = by_key[one.key] & passed if one.key in by_key else passed
        failures = np.zeros(len(self), dtype=np.int32)
        for passed in by_key.values():
            failures += ~passed
        # An item counts for a key when that key is the only one that it fails, or none is.
        return {key: int(np.count_nonzero(failures == ~passed)) for key, passed in by_key.items()}

    def order_by(
        self, attribute: str, *, descending: bool, filters: Iterable[Filter] = (), limit: int | None = None
    ) -> list[Item]:
        """Items that meet the filters by a number, best first; [] where no item has such a number.

        Items without the attribute are left out; ties go to the more popular item, then by id.
        `attribute` may be `price`, `popularity` or any attribute that holds numbers; of a list
        the largest (smallest) number counts.
        """
        numbers = self.numbers(attribute, largest=descending)
        rows = np.flatnonzero(self.mask(filters) & ~np.isnan(numbers))
        keys = -numbers[rows] if descending else numbers[rows]
        ordered = rows[np.lexsort((self.popularity_rank[rows], keys))]
        return [self.items[row] for row in ordered[:limit]]

    def numbers(self, attribute: str, *, largest: bool = False) -> NumberArray:
        """One number for each row, NaN where the item has none: float64, (len(self),)."""
        column = self._column(attribute)
        return np.full(len(self), np.nan) if column is None else column.as_numbers(len(self), largest=largest)

    @cached_property
    def id_rank(self) -> RowArray:
        """Each row's place when sorted by id; breaks ties the same way whatever the file's order."""
        return _places(np.array(sorted(range(len(self)), key=lambda row: self.ids[row]), dtype=np.int32))

    @cached_property
    def popularity_rank(self) -> RowArray:
        """Each row's place by falling popularity, ties by id."""
        return _places(self.by_popularity)

    @cached_property
    def by_popularity(self) -> RowArray:
        """All rows, the most popular first, ties by id."""
        popularity = np.nan_to_num(np.array([item.popularity for item in self.items], dtype=np.float64))
        return np.lexsort((self.id_rank, -popularity)).astype(np.int32)

    def _mask_of(self, one: Filter) -> BoolArray:
        """The rows that meet one filter."""
        column = self._column(one.attribute)
        if one.op == "ne":
            return ~self._equal(column, one)
        if one.op == "eq":
            return self._equal(column, one)
        passed = np.zeros(len(self), dtype=np.bool_)
        if column is not None:
            for value in one.values:
                column.mark_compared(passed, one.op, _number(value))
        return passed

    def _equal(self, column: _Column | None, one: Filter) -> BoolArray:
        passed = np.zeros(len(self), dtype=np.bool_)
        if column is not None:
            for value in one.values:
                column.mark_equal(passed, _stock_word(value) if one.attribute == "in_stock" else value)
        return passed

    def _column(self, name: str) -> _Column | None:
        """The column of an attribute or own field, made on first use; None where no item has it.

        Two threads may make it twice; both results are equal and either may stay.
        """
        column = self._columns.get(name)
        if column is None:
            if name in _OWN_FIELDS:
                pairs = [(row, value) for row, item in enumerate(self.items) for value in _own_values(item, name)]
            elif name in self.shape.attributes:
                pairs = [
                    (row, value) for row, item in enumerate(self.items) for value in _values(item.attributes, name)
                ]
            else:
                return None
            column = _Column(pairs)
            self._columns[name] = column
        return column


class _Column:
    """The values of one attribute: numbers by row, texts as inverted lists (text -> rows).

    A row may have several values. Texts that read as numbers are both, so that "1994" in a
    column that a stray word made text still compares with 1994.
    """

    def __init__(self, pairs: Sequence[tuple[int, float | str]]) -> None:
        rows = np.array([row for row, _ in pairs], dtype=np.int32)
        self._number_rows = rows
        self._numbers = np.array([_number(value) for _, value in pairs], dtype=np.float64)
        self._codes: dict[str, int] = {}
        self._is_text = any(isinstance(value, str) for _, value in pairs)
        if self._is_text:
            self._invert(rows, [value for _, value in pairs])
        keep = ~np.isnan(self._numbers)
        self._number_rows, self._numbers = rows[keep], self._numbers[keep]

    def _invert(self, rows: RowArray, values: Sequence[float | str]) -> None:
        raw_codes: dict[float | str, int] = {}  # so that each spelling is folded once
        codes = np.empty(len(values), dtype=np.int32)
        for position, value in enumerate(values):
            code = raw_codes.get(value)
            if code is None:
                code = raw_codes[value] = self._codes.setdefault(_folded(value), len(self._codes))
            codes[position] = code
        order = np.argsort(codes, kind="stable")
        self._listed_rows = rows[order]
        self._starts = np.searchsorted(codes[order], np.arange(len(self._codes) + 1)).astype(np.int64)

    def mark_equal(self, passed: BoolArray, value: str | float) -> None:
        """Set the rows that have `value`: texts by their folded form, numbers by value."""
        if isinstance(value, str) and self._is_text:
            code = self._codes.get(_folded(value))
            if code is not None:
                passed[self._listed_rows[self._starts[code] : self._starts[code + 1]]] = True
        else:
            passed[self._number_rows[self._numbers == _number(value)]] = True

    def mark_compared(self, passed: BoolArray, op: str, bound: float) -> None:
        """Set the rows that have a number on the right side of `bound`; NaN sets none."""
        numbers = self._numbers
        if op == "lt":
            hits = numbers < bound
        elif op == "le":
            hits = numbers <= bound
        elif op == "gt":
            hits = numbers > bound
        else:
            hits = numbers >= bound
        passed[self._number_rows[hits]] = True

    def as_numbers(self, n_rows: int, *, largest: bool) -> NumberArray:
        """One number for each row, NaN where there is none."""
        numbers = np.full(n_rows, np.nan)
        (np.fmax if largest else np.fmin).at(numbers, self._number_rows, self._numbers)
        return numbers


_OWN_FIELDS = frozenset({"price", "in_stock", "popularity", "title", "id"})


def _own_values(item: Item, name: str) -> tuple[float | str, ...]:
    if name == "price":
        return () if item.price is None else (float(item.price),)
    if name == "in_stock":
        return () if item.in_stock is None else (YES if item.in_stock else NO,)
    if name == "popularity":
        return (float(item.popularity),)
    return (item.title if name == "title" else item.id,)


def _values(attributes: Mapping[str, AttributeValue], name: str) -> tuple[float | str, ...]:
    value = attributes.get(name)
    if value is None:
        return ()
    if isinstance(value, tuple):
        return value
    return (value,)


def _stock_word(value: str | float) -> str | float:
    """`in_stock` may be asked with yes/no, true/false or 1/0."""
    word = fold(value) if isinstance(value, str) else f"{value:g}"
    return YES if word in _TRUE_WORDS else NO if word in _FALSE_WORDS else value


def _folded(value: float | str) -> str:
    if isinstance(value, str):
        return fold(value)
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))


def _number(value: float | str) -> float:
    """The value as a number, NaN where it is none ("nan" and "inf" are words, not numbers)."""
    if not isinstance(value, str):
        return float(value)
    try:
        number = float(value)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _places(order: RowArray) -> RowArray:
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order), dtype=np.int32)
    return places
