"""From a catalogue file to items: find out what it is, profile it, complete the mapping, convert row by row.

Nothing is dropped in silence: rows that give no item are listed with line and reason, and notes say which columns
were used, renamed or left out. Knows nothing of indexes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from retrieval.errors import CatalogueError
from retrieval.items import Item
from retrieval.loading.convert import BadRow, Converter
from retrieval.loading.guess import complete
from retrieval.loading.mapping import AttributeRuleKind, Mapping, read_mapping
from retrieval.loading.prices import currency_of
from retrieval.loading.profile import ColumnProfile, FileProfile, profile_rows
from retrieval.loading.readers import Source, open_source

SHOWN_REJECTS: Final = 3
SHOWN_COLUMNS: Final = 40


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that gave no item. `line`: where it starts in the (unzipped) file; in Parquet the row's number, from 1."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class LoadedCatalogue:
    """A file as items in its order; `mapping` is the effective one, `notes` are sentences for the operator."""

    items: tuple[Item, ...]
    rejected: tuple[RejectedRow, ...]
    mapping: Mapping
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckedCatalogue:
    """A file that was read once and found usable; iterating reads it again, one item at a time.

    The rest is as in `LoadedCatalogue`; memory holds the ids alone.
    """

    file: CatalogueFile
    n_items: int
    rejected: tuple[RejectedRow, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return self.n_items

    def __iter__(self) -> Iterator[Item]:
        return (row for row in self.file.rows() if isinstance(row, Item))


class CatalogueFile:
    """A catalogue that is read in a stream; `load_catalogue` is the same in one call.

    `mapping` is known at once (the file was profiled); `notes` are complete when `rows` has come to its end.
    """

    def __init__(
        self, source: Source, profile: FileProfile, mapping: Mapping, notes: list[str], *, keep_first: bool = False
    ) -> None:
        self.mapping = mapping
        self._keep_first = keep_first
        self._source = source
        self._notes = notes
        self._kinds = {name: _own_kind(column) for name, column in profile.own.items()}
        self._converter = self._new_converter()

    def _new_converter(self) -> Converter:
        return Converter(self.mapping, self._kinds, self._source.decimal_comma)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen, and how often something was left out of an item."""
        lost = (f"{message} ({count:,} times)" for message, count in self._converter.lost.items())
        return (*self._notes, *lost)

    def rows(self) -> Iterator[Item | RejectedRow]:
        """Each row as an item or as the reason why not, in the file's order; each call reads the file anew.

        Raises:
            CatalogueError: an id stands twice (told at the end, with the number of such rows), or the file breaks off.
        """
        lines: dict[str, int] = {}
        first_pair: tuple[str, int, int] | None = None
        n_repeated = 0
        converter = self._converter = self._new_converter()  # it counts what it leaves out
        for row in self._source.rows():
            try:
                item = converter.item(row)
            except BadRow as error:
                yield RejectedRow(row.line, str(error))
                continue
            if item.id in lines and self._keep_first:
                yield RejectedRow(row.line, f"id {item.id!r} stands in line {lines[item.id]} already")
                continue
            if item.id in lines:
                first_pair = first_pair or (item.id, lines[item.id], row.line)
                n_repeated += 1
                continue
            lines[item.id] = row.line
            yield item
        if first_pair:
            raise CatalogueError(self._repeated(*first_pair, n_repeated - 1))

    def _repeated(self, item_id: str, first: int, second: int, n_more: int) -> str:
        more = f", and {n_more:,} more rows repeat an id" if n_more else ""
        if self.mapping.id is None:
            return (
                f"{self._source.path.name} has no id column, and the titles in lines {first} and {second} give "
                f"the same id {item_id!r}{more}: name a column of unique ids in a mapping ([fields] id)"
            )
        return (
            f"{self._source.path.name}: id {item_id!r} stands in line {first} and in line {second}{more}: "
            "ids must be unique; remove the repeated rows, map another column as id, or ask to keep the first of each"
        )


def open_catalogue(
    path: Path, *, mapping: Path | Mapping | None = None, currency: str | None = None, keep_first: bool = False
) -> CatalogueFile:
    """Profile a file and settle its mapping; the rows are read when they are asked for.

    Args:
        path: JSON lines, JSON array, CSV, TSV or Parquet, plain or gzipped.
        mapping: a TOML file or a mapping; what it leaves open is guessed unless it says `guess = false`.
        currency: ISO 4217 code for prices without one; wins over the mapping's `currency_code`.
        keep_first: of rows with one id the first is kept and the others are rejected; otherwise they are an error.

    Raises:
        CatalogueError: the file or the mapping cannot be used.
    """
    given = read_mapping(mapping) if isinstance(mapping, Path) else mapping or Mapping()
    if currency is not None:
        code = currency_of(currency)
        if code is None:
            raise CatalogueError(f'currency is {currency!r}: expected a code of ISO 4217 such as "EUR"')
        given = dataclasses.replace(given, currency_code=code)
    source = open_source(path)
    attributes_column = given.attributes_column or "attributes"
    profile = profile_rows(
        source.rows(), typed=source.typed, decimal_comma=source.decimal_comma, attributes_column=attributes_column
    )
    if not profile.n_rows:
        return CatalogueFile(source, profile, given, [], keep_first=keep_first)
    _check_columns(path, given, profile)
    effective, notes = complete(given, profile, attributes_column)
    _check_usable(path, effective, profile)
    if effective.id is None:
        notes.insert(
            0, "there is no id column: ids are made from the titles (and years); a changed title is a new item"
        )
    return CatalogueFile(source, profile, effective, notes, keep_first=keep_first)


def load_catalogue(
    path: Path,
    *,
    mapping: Path | Mapping | None = None,
    strict: bool = False,
    currency: str | None = None,
    keep_first: bool = False,
) -> LoadedCatalogue:
    """Read a whole catalogue.

    A file with no rows at all (`[]`, a header alone) gives no items and a note.

    Args:
        path: see `open_catalogue`, as for `mapping` and `currency`.
        mapping: which column means what.
        strict: refuse the file when a single row is rejected.
        currency: for prices without one.
        keep_first: whether repeated ids are rejected rows instead of an error.

    Raises:
        CatalogueError: the file or mapping cannot be used, an id stands twice, every row is rejected, or, when strict,
            any row is.
    """
    file = open_catalogue(path, mapping=mapping, currency=currency, keep_first=keep_first)
    items: list[Item] = []
    rejected: list[RejectedRow] = []
    for row in file.rows():
        if isinstance(row, Item):
            items.append(row)
        else:
            rejected.append(row)
    notes = _accepted(path, file, len(items), rejected, strict=strict)
    return LoadedCatalogue(tuple(items), tuple(rejected), file.mapping, notes)


def check_catalogue(
    path: Path, *, mapping: Path | Mapping | None = None, strict: bool = False, keep_first: bool = False
) -> CheckedCatalogue:
    """Read a whole catalogue without keeping it; arguments and errors are those of `load_catalogue`.

    What is wrong with the file is thus said before the first item is embedded, and a large file needs little memory.
    """
    file = open_catalogue(path, mapping=mapping, keep_first=keep_first)
    n_items, rejected = 0, []
    for row in file.rows():
        if isinstance(row, Item):
            n_items += 1
        else:
            rejected.append(row)
    return CheckedCatalogue(file, n_items, tuple(rejected), _accepted(path, file, n_items, rejected, strict=strict))


def _accepted(
    path: Path, file: CatalogueFile, n_items: int, rejected: Sequence[RejectedRow], *, strict: bool
) -> tuple[str, ...]:
    """The notes of a file that was read to its end; an error when it must be refused."""
    if rejected and (strict or not n_items):
        shown = "; ".join(f"line {row.line}: {row.reason}" for row in rejected[:SHOWN_REJECTS])
        how_many = f"{len(rejected):,} of {n_items + len(rejected):,} rows"
        next_step = (
            "mend them, or load without strict to leave them out" if n_items else "mend them or map other columns"
        )
        raise CatalogueError(f"{path.name}: {how_many} cannot be used ({shown}): {next_step}")
    return file.notes if n_items else (*file.notes, f"{path.name} has no rows: the catalogue is empty")


def _own_kind(column: ColumnProfile) -> AttributeRuleKind:
    """Types of our own format stay as they are; only a name of mixed types is made one kind."""
    if column.lists:
        return "list"
    if column.numbers == column.count:
        return "number"
    return "yes_no" if column.yes_nos == column.count else "text"


def _check_columns(path: Path, mapping: Mapping, profile: FileProfile) -> None:
    missing = [name for name in (*mapping.columns(), *mapping.drop) if name not in profile.columns]
    if missing:
        raise CatalogueError(
            f"the mapping names columns that {path.name} lacks: {', '.join(map(repr, missing))}; "
            f"it has {_listed(profile)}"
        )


def _check_usable(path: Path, mapping: Mapping, profile: FileProfile) -> None:
    if mapping.title is None and not mapping.text:
        raise CatalogueError(
            f"{path.name} has no column that looks like a title or a description: name one in a mapping "
            f"([fields] title); it has {_listed(profile)}"
        )
    if mapping.id is None and mapping.title is None:
        raise CatalogueError(
            f"{path.name} has no column that looks like an id: name one in a mapping ([fields] id); "
            f"it has {_listed(profile)}"
        )


def _listed(profile: FileProfile) -> str:
    names = list(profile.columns)
    more = f" and {len(names) - SHOWN_COLUMNS} more" if len(names) > SHOWN_COLUMNS else ""
    return ", ".join(map(repr, names[:SHOWN_COLUMNS])) + more
