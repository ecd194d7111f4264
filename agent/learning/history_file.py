"""A shop's own history as a file: who did what with which item, row by row, checked.

    every = "buy"                  # what each row is, for a file without a column that says so
    [fields]
    user = "visitorid"
    item = "itemid"
    kind = "event"
    value = "rating"
    time = "timestamp"
    [kinds]                        # words of the kind column that are not ours
    addtocart = "click"

What the mapping leaves open is guessed by the columns' names. Nothing is dropped in silence: a row that cannot be used
is given with its line and the reason. Knows nothing of the log and of what is learned.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final, get_args

from agent.log.records import PastDeed, PastKind
from retrieval.errors import CatalogueError
from retrieval.loading import RejectedRow
from retrieval.loading.readers import EXPECTED, RawRow, Source, open_source
from retrieval.loading.values import is_missing, to_number

KINDS: Final[tuple[PastKind, ...]] = get_args(PastKind)
SYNONYMS: Final[Mapping[str, PastKind]] = {
    "viewed": "view",
    "pageview": "view",
    "clicked": "click",
    "purchase": "buy",
    "purchased": "buy",
    "bought": "buy",
    "order": "buy",
    "ordered": "buy",
    "transaction": "buy",
    "rate": "rating",
    "rated": "rating",
    "liked": "like",
    "favorite": "like",
    "favourite": "like",
}
MAX_ID_CHARS: Final = 512
EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
CLOCK_AHEAD: Final = timedelta(days=1)

_FIELDS: Final = ("user", "item", "kind", "value", "time")
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "user": ("user", "userid", "customer", "customerid", "visitor", "visitorid", "client", "clientid", "reviewerid"),
    "item": ("item", "itemid", "product", "productid", "movie", "movieid", "film", "filmid", "book", "bookid")
    + ("article", "articleid", "sku", "asin", "isbn"),
    "kind": ("kind", "event", "eventtype", "type", "action", "interaction"),
    "value": ("value", "rating", "stars", "score", "amount"),
    "time": ("time", "timestamp", "at", "datetime", "date", "eventtime", "createdat", "ts"),
}
_RATING_COLUMNS: Final = frozenset({"rating", "stars", "score"})
_LOOKED_AT: Final = 200  # rows whose columns are known before the first is read
_MILLISECONDS_FROM: Final = 1e11  # as seconds the year 5138, as milliseconds 1973


@dataclass(frozen=True, slots=True)
class HistoryMapping:
    """Which column says what; None where none does. `every` is the kind of all rows of a file without `kind`."""

    user: str | None = None
    item: str | None = None
    kind: str | None = None
    value: str | None = None
    time: str | None = None
    every: PastKind | None = None
    kinds: Mapping[str, PastKind] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """A file whose mapping is settled; `rows` reads it anew each time."""

    source: Source
    mapping: HistoryMapping

    def rows(self) -> Iterator[PastDeed | RejectedRow]:
        """Each row as a deed or as the reason why not, in the file's order.

        Raises:
            CatalogueError: the file breaks off.
        """
        latest = datetime.now(UTC) + CLOCK_AHEAD
        for row in self.source.rows():
            try:
                yield self._deed(row, latest)
            except _BadRow as error:
                yield RejectedRow(row.line, str(error))

    def _deed(self, row: RawRow, latest: datetime) -> PastDeed:
        if row.problem:
            raise _BadRow(row.problem)
        mapping = self.mapping
        cells = {name: row.fields.get(column) for name in _FIELDS if (column := getattr(mapping, name)) is not None}
        kind = mapping.every or _kind(cells.get("kind"), mapping.kinds)
        value = _value(cells.get("value"), self.source)
        if kind == "rating" and value is None:
            raise _BadRow("a rating without a value")
        at = _moment(cells.get("time"))
        if at is not None and not EARLIEST <= at <= latest:
            raise _BadRow(f"its time {at:%Y-%m-%d} is not between {EARLIEST:%Y-%m-%d} and tomorrow")
        return PastDeed(_id("user", cells.get("user")), _id("item", cells.get("item")), kind, value, at)


def open_history(path: Path, mapping: HistoryMapping | None = None) -> HistoryFile:
    """Find out what a file is and settle its mapping.

    Raises:
        CatalogueError: there is no such file, it is of no format that we read, or it does not say who did what.
    """
    if not path.is_file():
        raise CatalogueError(f"there is no file {str(path)!r}: give the path of a history ({EXPECTED})")
    source = open_source(path)
    columns = list(dict.fromkeys(name for row in islice(source.rows(), _LOOKED_AT) for name in row.fields))
    return HistoryFile(source, _settled(path, mapping or HistoryMapping(), columns))


def read_history_mapping(path: Path) -> HistoryMapping:
    """Read a mapping from TOML.

    Raises:
        CatalogueError: it cannot be read, or a key or kind is unknown.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogueError(f"the mapping {str(path)!r} cannot be read as TOML ({error}): correct it") from None
    fields, kinds = found.pop("fields", {}), found.pop("kinds", {})
    every = found.pop("every", None)
    unknown = [*found, *(name for name in fields if name not in _FIELDS)]
    if unknown:
        raise CatalogueError(
            f"the mapping {path.name} has an unknown key {unknown[0]!r}: expected 'every', a table [kinds], and in "
            f"[fields] any of {', '.join(_FIELDS)}"
        )
    for kind in (*kinds.values(), *([] if every is None else [every])):
        if kind not in KINDS:
            raise CatalogueError(f"the mapping {path.name} names the kind {kind!r}: expected {_any_of(KINDS)}")
    return HistoryMapping(**fields, every=every, kinds={word.lower(): kind for word, kind in kinds.items()})


class _BadRow(Exception):
    """Why a row cannot be used."""


def _settled(path: Path, given: HistoryMapping, columns: list[str]) -> HistoryMapping:
    """The mapping with what could be guessed."""
    listed = ", ".join(map(repr, columns)) or "no columns"
    changes: dict[str, Any] = {}
    for name in _FIELDS:
        column = getattr(given, name)
        if column is None:
            changes[name] = next((c for known in _NAMES[name] for c in columns if _plain(c) == known), None)
        elif column not in columns:
            raise CatalogueError(f"the mapping names a column {column!r} that {path.name} lacks: it has {listed}")
    if given.every is not None:
        changes["kind"] = None
    mapping = replace(given, **changes)
    for name in ("user", "item"):
        if getattr(mapping, name) is None:
            raise CatalogueError(
                f"{path.name} has no column that looks like the {name}: name it in a mapping ([fields] {name}); it "
                f"has {listed}"
            )
    if mapping.every is None and mapping.kind is None:
        if mapping.value is None or _plain(mapping.value) not in _RATING_COLUMNS:
            raise CatalogueError(
                f"{path.name} does not say what was done: name a column of {_any_of(KINDS)} in a mapping ([fields] "
                f'kind), or say what every row is (every = "buy"); it has {listed}'
            )
        mapping = replace(mapping, every="rating")
    return mapping


def _plain(column: str) -> str:
    return re.sub(r"[^a-z]", "", column.lower())


def _any_of(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _id(name: str, cell: object) -> str:
    number = to_number(cell) if isinstance(cell, float) else None
    if number is not None and number.is_integer():  # a column of whole numbers with a hole in it
        cell = int(number)
    if is_missing(cell):
        raise _BadRow(f"no {name}")
    text = str(cell).strip() if isinstance(cell, str | int) and not isinstance(cell, bool) else ""
    if not text or len(text) > MAX_ID_CHARS:
        raise _BadRow(f"the {name} is not a text or number of at most {MAX_ID_CHARS} characters")
    return text


def _kind(cell: object, kinds: Mapping[str, PastKind]) -> PastKind:
    word = cell.strip().lower() if isinstance(cell, str) else ""
    if word in kinds:
        return kinds[word]
    if word in KINDS:
        return word
    if word in SYNONYMS:
        return SYNONYMS[word]
    raise _BadRow(f"its kind is {str(cell)[:40]!r}: expected {_any_of(KINDS)}, or a word of [kinds] in a mapping")


def _value(cell: object, source: Source) -> float | None:
    if is_missing(cell):
        return None
    number = to_number(cell, decimal_comma=source.decimal_comma)
    if number is None:
        raise _BadRow(f"its value {str(cell)[:40]!r} is not a number")
    return number


def _moment(cell: object) -> datetime | None:
    """A date, a time (UTC where no zone is said), or seconds or milliseconds since 1970."""
    if is_missing(cell):
        return None
    number = to_number(cell)
    try:
        if number is not None:
            return datetime.fromtimestamp(number / 1e3 if number >= _MILLISECONDS_FROM else number, UTC)
        if isinstance(cell, str):
            moment = datetime.fromisoformat(cell.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise _BadRow(f"its time {str(cell)[:40]!r} is neither a date (2026-01-31T12:00:00Z) nor seconds since 1970")
