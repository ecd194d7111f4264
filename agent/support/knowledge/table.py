"""Questions with their answers from a CSV file: each row is an article, its question the title.

A row is the same article as long as its question is the same, wherever it stands in the file.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from agent.support.knowledge.article import Article, Part
from agent.support.knowledge.marks import date_of, language_code, said_yes
from agent.support.knowledge.problems import Problem, UnreadableFile
from retrieval.text import fold, visible

COLUMNS = ("question", "answer", "url", "language", "updated", "exact")
NEEDED = COLUMNS[:2]
DELIMITERS = ",;\t"
MAX_QUESTION_CHARS = 500


def read_table(text: str, name: str) -> Iterator[Article | Problem]:
    """Each row as an article or as the reason why not.

    Raises:
        UnreadableFile: it has no row, or not the columns.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    rows = _Rows(text, max(DELIMITERS, key=first.count))
    try:
        head = [cell.strip().lower() for cell in next((cells for _, cells in rows), [])]
        missing = [column for column in NEEDED if column not in head]
        if missing:
            listed = ", ".join(map(repr, filter(None, head))) or "none"
            raise UnreadableFile(
                f"it has no column {missing[0]!r}; its first line must name the columns question and answer, it names "
                f"{listed}"
            )
        found = list(_articles(rows, head, name))
    except csv.Error as error:
        raise UnreadableFile(f"it is no CSV from line {rows.line} on ({error}); save it as CSV again") from None
    if not found:
        raise UnreadableFile("it has no rows; write some, or take it out of the folder")
    return iter(found)


class _Rows:
    """Rows with anything in them, each with the line that it begins on."""

    def __init__(self, text: str, delimiter: str) -> None:
        self._reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
        self.line = 1

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        for cells in self._reader:
            begun, self.line = self.line, self._reader.line_num + 1
            if any(cell.strip() for cell in cells):
                yield begun, cells


def _articles(rows: _Rows, head: Sequence[str], name: str) -> Iterator[Article | Problem]:
    seen: Counter[str] = Counter()
    for at, cells in rows:
        row = {column: visible(cell).strip() for column, cell in zip(head, cells, strict=False) if column in COLUMNS}
        lacking = next((column for column in NEEDED if not row.get(column)), None)
        if lacking:
            yield Problem(name, f"line {at} has no {lacking}")
        elif len(row["question"]) > MAX_QUESTION_CHARS:
            yield Problem(name, f"the question in line {at} has more than {MAX_QUESTION_CHARS} characters")
        else:
            key = hashlib.sha256(fold(row["question"]).encode()).hexdigest()[:12]
            seen[key] += 1
            yield _article(row, name, key if seen[key] == 1 else f"{key}-{seen[key]}")


def _article(row: Mapping[str, str], name: str, key: str) -> Article:
    return Article(
        id=f"{name}#{key}",
        file=name,
        title=" ".join(row["question"].split()),
        parts=(Part((), row["answer"].replace("\r\n", "\n")),),
        url=row.get("url") or None,
        updated=date_of(row.get("updated", "")),
        language=language_code(row.get("language", "")),
        exact=said_yes(row.get("exact", "")),
    )
