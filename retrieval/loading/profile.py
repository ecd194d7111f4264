"""What each column of a file holds, learned in one pass over the rows, in bounded memory.

Knows nothing of what a column means for an item: guess.py decides that.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from retrieval.loading.mapping import AttributeRule
from retrieval.loading.readers import RawRow
from retrieval.loading.values import has_names, is_date, is_missing, is_url, parse_cell, to_number, to_yes_no

SAMPLE_CELLS: Final = 2_000
SAMPLE_CELL_CHARS: Final = 500
MAX_DISTINCT: Final = 50_000
"""Values that are told apart; a column with more is a column of names or codes anyway."""
SEPARATORS: Final = ("|", ";", ", ")

_MIN_SPLIT_CELLS: Final = 5
_MIN_SPLIT_SHARE: Final = 0.02
_MAX_PART_CHARS: Final = 30.0
"""Mean length of the parts: beyond it the separator belongs to sentences."""
_STANDING_SHARE: Final = 0.15
"""Of the parts, how many must stand alone somewhere: measured .17 (writers), .19 (directors), .9 (genres); titles 0."""
_SUFFIX_SHARE: Final = 0.5
_SENTENCE_END: Final = re.compile(r"[.!?]$")


@dataclass(slots=True)
class ColumnProfile:
    """Counts of one column; each cell with a value is counted in exactly one of the kinds below `count`."""

    name: str
    typed: bool = True
    decimal_comma: bool = False
    own: bool = False
    """An entry of our own format: texts are never read as lists."""
    count: int = 0
    numbers: int = 0
    yes_nos: int = 0
    lists: int = 0
    nameless: int = 0
    """Lists of objects without a name, bytes, objects nested too deep: nothing that can be said in words."""
    urls: int = 0
    dates: int = 0
    texts: int = 0
    chars: int = 0
    """Characters of all texts, and of the values in lists."""
    words: int = 0
    """Values that `chars` were counted over."""
    sample: list[str] = field(default_factory=list)
    _distinct: set[int] = field(default_factory=set)
    _distinct_of: int = 0

    def add(self, value: object) -> None:
        """Count one cell."""
        if is_missing(value):
            return
        self.count += 1
        if isinstance(value, str):
            self._add_text(value.strip())
        elif isinstance(value, bool):
            self.yes_nos += 1
        elif isinstance(value, int | float | Decimal):
            self.numbers += 1
        elif isinstance(value, list | tuple):
            self._add_list(value)
        else:
            self.nameless += 1

    def _add_text(self, text: str) -> None:
        parsed = None if self.own else parse_cell(text)
        if isinstance(parsed, list):
            self._add_list(parsed)
        elif not self.typed and to_number(text, decimal_comma=self.decimal_comma) is not None:
            self.numbers += 1
            self._keep(text)
        elif not self.typed and to_yes_no(text) is not None and len(text) > 1:
            self.yes_nos += 1
            self._keep(text)
        else:
            self._add_words(text)

    def _add_words(self, text: str) -> None:
        if is_url(text):
            self.urls += 1
        elif is_date(text):
            self.dates += 1
        else:
            self.texts += 1
        self.chars += len(text)
        self.words += 1
        self._keep(text)

    def _keep(self, text: str) -> None:
        if len(self._distinct) < MAX_DISTINCT:
            self._distinct.add(hash(text))
            self._distinct_of += 1
        if len(self.sample) < SAMPLE_CELLS:
            self.sample.append(text[:SAMPLE_CELL_CHARS])

    def _add_list(self, parts: list[object] | tuple[object, ...]) -> None:
        if parts and not any(has_names(part) for part in parts):
            self.nameless += 1
            return
        self.lists += 1
        for part in parts:
            if isinstance(part, str):
                self.chars += len(part)
                self.words += 1

    @property
    def distinct_share(self) -> float:
        """Different texts among the texts: 1 where no two are equal."""
        return len(self._distinct) / self._distinct_of if self._distinct_of else 0.0

    @property
    def mean_chars(self) -> float:
        """Mean length of a text, or of a value in a list."""
        return self.chars / self.words if self.words else 0.0

    def rule(self) -> AttributeRule:
        """How the column becomes an attribute: one kind for all of its cells."""
        if self.lists:
            return AttributeRule(self.name, "list", self._separator())
        if self.numbers == self.count:
            return AttributeRule(self.name, "number")
        if self.yes_nos == self.count:
            return AttributeRule(self.name, "yes_no")
        separator = self._separator()
        return AttributeRule(self.name, "list" if separator else "text", separator)

    def _separator(self) -> str | None:
        return next((mark for mark in SEPARATORS if _parts_clearly(self.sample, mark)), None)


def _parts_clearly(cells: list[str], mark: str) -> bool:
    """Whether the whole column shows that `mark` parts its cells into lists.

    "|" and ";" do when they stand in enough short cells. A comma stands in names and sentences too, so that the parts
    must prove to be values: enough of them also stand alone in a cell ("Drama" beside "Drama, Crime"), or the cells are
    long lists of varying length (a cast). "Portland, OR" and "Smith, John" prove nothing and stay whole, and so does
    "Acme, Inc." beside "Acme": a part that comes often and never alone is no value.
    """
    split = [[part.strip() for part in cell.split(mark)] for cell in cells if mark in cell.strip(mark + " ")]
    if len(split) < max(_MIN_SPLIT_CELLS, _MIN_SPLIT_SHARE * len(cells)):
        return False
    parts = [part for row in split for part in row if part]
    sentences = sum(1 for row in split if _SENTENCE_END.search(row[-1]) and row[-1].count(" ") > 2)
    if sum(map(len, parts)) > _MAX_PART_CHARS * len(parts) or sentences > len(split) * 0.1:
        return False
    if mark != ", ":
        return True
    alone = {cell.strip() for cell in cells if mark not in cell}
    standing = sum(1 for part in parts if part in alone)
    counts = Counter(parts)
    suffix = any(count > _SUFFIX_SHARE * len(split) and part not in alone for part, count in counts.items())
    if standing >= _STANDING_SHARE * len(parts) and not suffix:
        return True
    lengths = {len(row) for row in split}
    return len(parts) >= 3 * len(split) and len(lengths) >= 3 and len(counts) < 0.9 * len(parts)


@dataclass(slots=True)
class FileProfile:
    """Every column of a file in the order of appearance; `own` are the names inside the attributes column."""

    n_rows: int = 0
    columns: dict[str, ColumnProfile] = field(default_factory=dict)
    own: dict[str, ColumnProfile] = field(default_factory=dict)


def profile_rows(rows: Iterable[RawRow], *, typed: bool, decimal_comma: bool, attributes_column: str) -> FileProfile:
    """Read every row once.

    Args:
        rows: rows with a problem are passed over.
        typed: whether the file tells numbers from texts (CSV does not).
        decimal_comma: whether its numbers are written 12,90.
        attributes_column: the column that holds an item's attributes in our own format.
    """
    profile = FileProfile()
    for row in rows:
        if row.problem:
            continue
        profile.n_rows += 1
        for name, value in flatten(row.fields, attributes_column):
            if name == attributes_column and isinstance(value, dict):
                for key, entry in value.items():
                    if key not in profile.own:
                        profile.own[key] = ColumnProfile(key, own=True)
                    profile.own[key].add(entry)
            column = profile.columns.get(name)
            if column is None:
                column = profile.columns[name] = ColumnProfile(name, typed, decimal_comma)
            column.add(value)
    return profile


def flatten(fields: Mapping[str, object], attributes_column: str) -> Iterator[tuple[str, object]]:
    """Columns of a row; an object gives one column for each entry (`dimensions.width`), one level deep."""
    for name, value in fields.items():
        if isinstance(value, str) and value[:1] == "{":
            value = _object_in(value)
        if isinstance(value, dict) and name != attributes_column:
            for key, entry in value.items():
                yield f"{name}.{key}", entry
        else:
            yield name, value


def _object_in(cell: str) -> object:
    parsed = parse_cell(cell.strip())
    return parsed if isinstance(parsed, dict) else cell
