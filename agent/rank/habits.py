"""What people take when a value is named or an item is spoken of: the usual choice among a director's films.

A branch learned from experiences, beside the conversational one: it goes by what is named, not by words. Knows
nothing of who took it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.sparse import csr_array  # type: ignore[import-untyped]

from retrieval.branches.base import Cues, Links, Scores
from retrieval.branches.values import ValueLists, read_values
from retrieval.encoder import FloatArray
from retrieval.table import ItemTable, RowArray

AMONG_NAMED: Final = "habits.among_named"
AMONG_SPOKEN: Final = "habits.among_spoken"
AFTER_NAMED: Final = "habits.after_named"
NEW: Final = "habits.new"

UNSEEN = 0.3
"""What an item that nobody took counts beside one that was taken once."""
MAX_LISTED = 400
"""A value that more items have is a genre or a language: which of its items is usual says little."""
AFTER_DAMPING = 3.0
"""Added to how often a value was named, so that one coincidence does not win."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one experience teaches here: what was named before, and the rows taken that nobody had spoken of."""

    links: Links
    taken: RowArray


class HabitsBranch:
    """Signals by how often items were newly taken. Read-only; safe to share between threads.

    `habits.among_named`: the item's share of what is taken among the items that have a named value;
    `habits.among_spoken`: the same for the values of items spoken of; `habits.after_named`: how often it was taken
    after that very value was named; `habits.new`: log of 1 + how often it was taken, the same in each query.
    """

    def __init__(
        self, table: ItemTable, lessons: Sequence[Lesson], lists: Mapping[str, ValueLists] | None = None
    ) -> None:
        """Learn from lessons; `lists` from `read_values` where somebody else has made them already."""
        self._n_items = len(table)
        self._lists = read_values(table) if lists is None else lists
        self._offsets = _offsets(self._lists)
        self._taken = np.zeros(self._n_items, dtype=np.float32)
        for lesson in lessons:
            self._taken[lesson.taken] += 1
        self._after, self._named = self._counted(lessons)

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`."""
        named = dict(self._known(cues.links))
        found = {NEW: Scores.of(np.log1p(self._taken))}
        if named:
            found[AMONG_NAMED] = self._among(named.items())
            found[AFTER_NAMED] = self._following(named)
        spoken = list(self._spoken(cues.seeds))
        if spoken:
            found[AMONG_SPOKEN] = self._among(spoken)
        return found

    def _among(self, values: Iterable[tuple[tuple[str, int], float]]) -> Scores:
        """The best share of each item over weighted values."""
        best = np.zeros(self._n_items, dtype=np.float32)
        for (attribute, number), weight in values:
            rows = self._lists[attribute].having(number)
            if len(rows) <= MAX_LISTED:
                counted = self._taken[rows] + np.float32(UNSEEN)
                best[rows] = np.maximum(best[rows], np.float32(weight) * counted / counted.sum())
        return Scores.of(best)

    def _following(self, named: Mapping[tuple[str, int], float]) -> Scores:
        summed = np.zeros(self._n_items, dtype=np.float32)
        for (attribute, number), weight in named.items():
            column = self._offsets[attribute] + number
            first, end = self._after.indptr[column], self._after.indptr[column + 1]
            damped = weight / np.sqrt(AFTER_DAMPING + self._named[column])
            summed[self._after.indices[first:end]] += np.float32(damped) * self._after.data[first:end]
        return Scores.of(summed)

    def _known(self, links: Links) -> Iterator[tuple[tuple[str, int], float]]:
        for (attribute, value), weight in links.values.items():
            number = self._lists[attribute].number_of.get(value) if attribute in self._lists else None
            if number is not None:
                yield (attribute, number), weight

    def _spoken(self, seeds: Mapping[int, float]) -> Iterator[tuple[tuple[str, int], float]]:
        for row, weight in seeds.items():
            if weight > 0:
                for attribute, lists in self._lists.items():
                    for number in lists.of(row).tolist():
                        yield (attribute, number), weight

    def _counted(self, lessons: Sequence[Lesson]) -> tuple[csr_array, FloatArray]:
        """How often each item was taken after each value was named, (values, items), and how often it was named."""
        width = sum(len(lists.values) for lists in self._lists.values())
        named = np.zeros(width, dtype=np.float32)
        columns: list[int] = []
        rows: list[int] = []
        for lesson in lessons:
            for (attribute, number), _ in self._known(lesson.links):
                column = self._offsets[attribute] + number
                named[column] += 1
                columns += [column] * len(lesson.taken)
                rows += lesson.taken.tolist()
        ones = np.ones(len(rows), dtype=np.float32)
        after = csr_array((ones, (np.array(columns, dtype=np.int64), rows)), shape=(width, self._n_items))
        after.sum_duplicates()
        return after, named


def _offsets(lists: Mapping[str, ValueLists]) -> Mapping[str, int]:
    """Where the values of each attribute begin when all are numbered one after the other."""
    starts = np.cumsum([0, *(len(one.values) for one in lists.values())]).tolist()
    return dict(zip(lists, starts, strict=False))
