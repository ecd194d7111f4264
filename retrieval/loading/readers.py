"""Rows of a file, whatever its format: JSON lines, JSON array, CSV or TSV, Parquet, each plain or gzipped.

What a file is, is told by its content; its name only decides between text formats that look alike. Files are read
in a stream. Knows nothing of what the columns mean. Line numbers are those of the physical (unzipped) file; the
line of a Parquet row is its number, from 1.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias, cast

from retrieval.errors import CatalogueError

FileFormat: TypeAlias = Literal["jsonl", "json", "csv", "parquet"]

EXPECTED: Final = "JSON lines, a JSON array of objects, CSV, TSV or Parquet, plain or gzipped"
MAX_LINE_BYTES: Final = 16 * 2**20
HEAD_BYTES: Final = 64 * 2**10
CHUNK_CHARS: Final = 2**20
PARQUET_BATCH_ROWS: Final = 2_000
_DELIMITERS: Final = (",", ";", "\t", "|")
_BINARY: Final = {
    b"PK\x03\x04": "a zip or Excel file",
    b"%PDF": "a PDF",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"SQLite format 3": "an SQLite database",
}


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as the file has it; `problem` says why it has no fields."""

    line: int
    fields: dict[str, object]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A file whose format is known. `delimiter` is that of a CSV; CSV cells are untyped: a number is text there."""

    path: Path
    format: FileFormat
    gzipped: bool = False
    delimiter: str = ","

    @property
    def typed(self) -> bool:
        """Whether the file tells numbers from texts."""
        return self.format != "csv"

    @property
    def decimal_comma(self) -> bool:
        """Whether numbers are written 12,90: the custom of the programs that part cells by semicolons."""
        return self.format == "csv" and self.delimiter == ";"

    def rows(self) -> Iterator[RawRow]:
        """Every row, in order; blank lines are no rows.

        Raises:
            CatalogueError: the file cannot be read to its end.
        """
        read = {"jsonl": _json_lines, "json": _json_array, "csv": _csv_rows, "parquet": _parquet_rows}[self.format]
        with _readable(self.path):
            yield from read(self)


def open_source(path: Path) -> Source:
    """Find out what a file is.

    Raises:
        CatalogueError: there is no such file, it is empty, or it is of no format that we read.
    """
    if not path.exists():
        raise CatalogueError(f"there is no file {str(path)!r}: give the path of a catalogue ({EXPECTED})")
    if not path.is_file():
        raise CatalogueError(f"{str(path)!r} is not a file: give the path of a catalogue ({EXPECTED})")
    with _readable(path):
        with path.open("rb") as plain:
            gzipped = plain.read(2) == b"\x1f\x8b"
        with _open(path, gzipped=gzipped) as file:
            head = file.read(HEAD_BYTES)
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        raise CatalogueError(f"{path.name} is empty: expected {EXPECTED}; check the export that wrote it")
    name = path.name.lower().removesuffix(".gz")
    if head.startswith(b"PAR1"):
        return Source(path, "parquet", gzipped)
    _refuse_binary(path, head)
    return _text_source(path, name, head.removeprefix(b"\xef\xbb\xbf"), gzipped=gzipped)


def _refuse_binary(path: Path, head: bytes) -> None:
    kind = next((kind for magic, kind in _BINARY.items() if head.startswith(magic)), "")
    if not kind and b"\0" in head[:1_000]:
        kind = "a binary file"
    if kind:
        raise CatalogueError(f"{path.name} is {kind}: expected {EXPECTED}; export it in one of these (text as UTF-8)")


def _text_source(path: Path, name: str, head: bytes, *, gzipped: bool) -> Source:
    first_line = head.lstrip().split(b"\n", 1)[0].strip()
    if name.endswith((".csv", ".tsv", ".tab")):
        return Source(path, "csv", gzipped, _delimiter(name, first_line))
    if first_line.startswith(b"["):
        return Source(path, "json", gzipped)
    if first_line.startswith(b"{") or name.endswith((".jsonl", ".ndjson")):
        if first_line.startswith(b"{") and not first_line.endswith(b"}") and len(first_line) < HEAD_BYTES // 2:
            if name.endswith(".json") or first_line == b"{":
                raise CatalogueError(
                    f"{path.name} holds one JSON object: expected one object for each line, or an array of objects; "
                    "write the list of items to a file of its own"
                )
        return Source(path, "jsonl", gzipped)
    delimiter = _delimiter(name, first_line)
    if name.endswith(".json") or delimiter.encode() not in first_line:
        raise CatalogueError(f"{path.name} has an unknown format: expected {EXPECTED}; export it in one of these")
    return Source(path, "csv", gzipped, delimiter)


def _delimiter(name: str, header: bytes) -> str:
    if name.endswith((".tsv", ".tab")):
        return "\t"
    text = header.decode("utf-8", "replace")
    counts = {mark: len(next(csv.reader([text], delimiter=mark), [])) for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: counts[mark])  # the first of equals: the comma


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in one sentence what keeps a file from being read."""
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CatalogueError(
            f"{path.name} is a damaged or cut off gzip file ({error}): write or copy it again"
        ) from error
    except UnicodeDecodeError as error:
        raise CatalogueError(_not_utf8(path, "text", error)) from error
    except OSError as error:
        raise CatalogueError(
            f"{path.name} cannot be read ({error.strerror or error}): check its rights and disk"
        ) from error


def _not_utf8(path: Path, where: str, error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return (
        f"{path.name}: {where} is not UTF-8 (byte 0x{byte:02x}): save the file as UTF-8, "
        "for example with `iconv -f WINDOWS-1252 -t UTF-8`"
    )


def _open(path: Path, *, gzipped: bool) -> IO[bytes]:
    file = gzip.open(path, "rb") if gzipped else path.open("rb")
    return cast(IO[bytes], file)  # typeshed gives GzipFile no IO of its own


def _lines(source: Source) -> Iterator[tuple[int, str | None]]:
    """Physical lines with their numbers, from 1, line ends kept; None stands for a line that is too long."""
    with _open(source.path, gzipped=source.gzipped) as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES):
            number += 1
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield number, None
                continue
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError as error:
                raise CatalogueError(_not_utf8(source.path, f"line {number}", error)) from error
            yield number, text.removeprefix("\ufeff") if number == 1 else text


def _object_row(line: int, value: object) -> RawRow:
    if isinstance(value, dict):
        return RawRow(line, value)
    kind = {list: "a list", str: "a text", type(None): "null"}.get(type(value), "a number or flag")
    return RawRow(line, {}, f"not an object: the row is {kind}")


def _json_lines(source: Source) -> Iterator[RawRow]:
    for number, text in _lines(source):
        if text is None:
            yield RawRow(number, {}, f"the line is longer than {MAX_LINE_BYTES // 2**20} MiB")
        elif not text.isspace():
            try:
                value: object = json.loads(text)
            except RecursionError:
                yield RawRow(number, {}, "not valid JSON: nested too deeply")
            except ValueError as error:  # also an integer of too many digits
                yield RawRow(number, {}, f"not valid JSON: {error}")
            else:
                yield _object_row(number, value)


def _json_array(source: Source) -> Iterator[RawRow]:
    with _open(source.path, gzipped=source.gzipped) as binary:
        text = _ArrayText(source.path, io.TextIOWrapper(binary, encoding="utf-8-sig", newline=""))
        text.expect("[")
        if text.peek() == "]":
            return
        while True:
            text.peek()
            line = text.line
            yield _object_row(line, text.value())
            if text.peek() == "]":
                return
            text.expect(",")


class _ArrayText:
    """A cursor over JSON text that is read in chunks and knows its line."""

    def __init__(self, path: Path, file: io.TextIOWrapper) -> None:
        self.line = 1
        self._path, self._file = path, file
        self._buffer, self._at, self._ended = "", 0, False
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in " \t\r\n":
                self.line += self._buffer[self._at] == "\n"
                self._at += 1
            if self._at < len(self._buffer) or not self._more(CHUNK_CHARS):
                return self._buffer[self._at : self._at + 1]

    def expect(self, sign: str) -> None:
        """Step over one character."""
        if self.peek() != sign:
            raise self._broken(f"expected {sign!r}")
        self._at += 1

    def value(self) -> object:
        """The value at the cursor; more text is read, in growing pieces, until it is whole."""
        size = CHUNK_CHARS
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
                if end == len(self._buffer) and self._more(size):
                    continue  # a number may go on in the next chunk
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._more(size):
                    raise self._broken(str(error)) from error
                size *= 2
                continue
            self.line += self._buffer.count("\n", self._at, end)
            self._at = end
            return value

    def _more(self, size: int) -> bool:
        chunk = "" if self._ended else self._file.read(size)
        self._ended = not chunk
        self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        return bool(chunk)

    def _broken(self, why: str) -> CatalogueError:
        return CatalogueError(
            f"{self._path.name}: the JSON array breaks in the value that starts in line {self.line} ({why}): "
            "mend it, or write one object for each line, where a bad row costs only itself"
        )


def _csv_rows(source: Source) -> Iterator[RawRow]:
    # Process-wide, and only ever raised: the default refuses cells of more than 128 KiB.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_LINE_BYTES))
    reader = csv.reader(_csv_text(source), delimiter=source.delimiter, strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            if header is None or "end of data" in str(error):
                raise CatalogueError(
                    f"{source.path.name}: the CSV row that starts in line {line} cannot be read ({error}): "
                    "check the quotes there"
                ) from error
            yield RawRow(line, {}, f"not valid CSV: {error}")
            continue
        if cells is None:
            return
        if header is None:
            header = _column_names(cells) if any(cells) else None
        elif cells and any(cells):
            yield _csv_row(line, header, cells)


def _csv_text(source: Source) -> Iterator[str]:
    for number, text in _lines(source):
        if text is None:
            raise CatalogueError(
                f"{source.path.name}: line {number} is longer than {MAX_LINE_BYTES // 2**20} MiB: check the export"
            )
        yield text


def _column_names(cells: list[str]) -> list[str]:
    """Names of the header; a name that is blank or used twice gets its position."""
    names: list[str] = []
    for position, cell in enumerate(cells, start=1):
        name = cell.strip() or f"column_{position}"
        names.append(name if name not in names else f"{name}_{position}")
    return names


def _csv_row(line: int, header: list[str], cells: list[str]) -> RawRow:
    if len(cells) > len(header) and not any(cells[len(header) :]):
        cells = cells[: len(header)]
    if len(cells) != len(header):
        return RawRow(line, {}, f"has {len(cells)} cells, the header has {len(header)}")
    return RawRow(line, dict(zip(header, cells, strict=True)))


def _plain(value: object) -> object:
    """Dates as JSON and CSV write them, also inside an object."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return {name: _plain(entry) for name, entry in value.items()} if isinstance(value, dict) else value


def _parquet_rows(source: Source) -> Iterator[RawRow]:
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        import pyarrow.parquet as pq  # type: ignore[import-untyped]
    except ImportError as error:
        raise CatalogueError("reading Parquet needs 'pyarrow': pip install 'chatalogue[serve]'") from error
    with tempfile.TemporaryFile() as unzipped, _open(source.path, gzipped=source.gzipped) as file:
        if source.gzipped:  # Parquet is read from its end: a stream will not do
            while chunk := file.read(CHUNK_CHARS):
                unzipped.write(chunk)
        number = 0
        try:
            for batch in pq.ParquetFile(unzipped if source.gzipped else file).iter_batches(PARQUET_BATCH_ROWS):
                for fields in batch.to_pylist():
                    number += 1
                    yield RawRow(number, {name: _plain(value) for name, value in fields.items()})
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0]
            raise CatalogueError(
                f"{source.path.name} is not a whole Parquet file ({reason}): write it again"
            ) from error
