"""Past tickets as a file: what a customer asked and what the team answered best, row by row, checked.

JSON lines, CSV or Parquet with the columns question and answer (or best_answer), and optionally id, date, agent,
language and user (as the shop's chat requests name the customer: what is erased of them reaches their tickets, too).
Nothing is dropped in silence: a row that cannot be used is given with its line and the reason. Personal data is still
in it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from agent.log.tickets import PastTicket
from agent.support.knowledge.languages import language_of
from agent.support.knowledge.marks import language_code
from retrieval.errors import CatalogueError
from retrieval.loading import RejectedRow
from retrieval.loading.readers import RawRow, Source, open_source
from retrieval.loading.values import is_missing
from retrieval.text import visible

MAX_QUESTION_CHARS: Final = 4_000
MAX_ANSWER_CHARS: Final = 8_000
MAX_NAME_CHARS: Final = 512
CLOCK_AHEAD: Final = timedelta(days=1)
_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "question": ("question", "customerquestion", "request", "message"),
    "answer": ("bestanswer", "answer", "reply", "response", "resolution"),
    "id": ("id", "ticketid", "ticket", "number"),
    "date": ("date", "time", "at", "timestamp", "createdat", "closedat", "solvedat"),
    "agent": ("agent", "agentname", "assignee", "answeredby"),
    "language": ("language", "lang", "locale"),
    "user": ("user", "userid", "customer", "customerid"),
}
_LOOKED_AT: Final = 200  # rows whose columns are known before the first is read


@dataclass(frozen=True, slots=True)
class TicketFile:
    """A file whose columns are known; `rows` reads it anew each time.

    Attributes:
        source: the file.
        columns: which one says what.
        since: older tickets are not taken; None takes all.
    """

    source: Source
    columns: Mapping[str, str]
    since: datetime | None = None

    def rows(self) -> Iterator[PastTicket | RejectedRow]:
        """Each row as a ticket or as the reason why not, in the file's order.

        Raises:
            CatalogueError: the file breaks off.
        """
        latest = datetime.now(UTC) + CLOCK_AHEAD
        for row in self.source.rows():
            try:
                yield self._ticket(row, latest)
            except _BadRow as error:
                yield RejectedRow(row.line, str(error))

    def _ticket(self, row: RawRow, latest: datetime) -> PastTicket:
        if row.problem:
            raise _BadRow(row.problem)
        cells = {name: row.fields.get(column) for name, column in self.columns.items()}
        question = _words("question", cells.get("question"), MAX_QUESTION_CHARS)
        answer = _words("answer", cells.get("answer"), MAX_ANSWER_CHARS)
        at = _moment(cells.get("date"))
        if at is not None and at > latest:
            raise _BadRow(f"its date {at:%Y-%m-%d} has not come yet")
        if self.since is not None and at is not None and at < self.since:
            raise _BadRow(f"its date {at:%Y-%m-%d} is older than 'learning.retention_days' allows")
        ticket_id = _name(cells.get("id"))
        if not ticket_id:  # the same words on the same day are the same ticket
            told = json.dumps([question, answer, at.isoformat() if at else None])
            ticket_id = f"words-{hashlib.sha256(told.encode()).hexdigest()[:20]}"
        language = language_code(_name(cells.get("language"))) or language_of(f"{question}\n{answer}")
        return PastTicket(
            ticket_id, question, answer, at, _name(cells.get("agent")), language, _name(cells.get("user"))
        )


def open_tickets(path: Path, since: datetime | None = None) -> TicketFile:
    """Find out what a file is and which column says what.

    Raises:
        CatalogueError: there is no such file, it is of no format that we read, or it has no question or no answer.
    """
    if not path.is_file():
        raise CatalogueError(f"There is no file {str(path)!r}; give the path of your tickets as JSON lines or CSV.")
    source = open_source(path)
    columns = list(dict.fromkeys(name for row in islice(source.rows(), _LOOKED_AT) for name in row.fields))
    plain = {column: re.sub(r"[^a-z]", "", column.lower()) for column in columns}
    found = {
        name: next((column for known in names for column in columns if plain[column] == known), None)
        for name, names in _NAMES.items()
    }
    for name in ("question", "answer"):
        if found[name] is None:
            listed = ", ".join(map(repr, columns)) or "no columns"
            raise CatalogueError(f"{path.name} has no column {name!r}: give it one; it has {listed}.")
    return TicketFile(source, {name: column for name, column in found.items() if column is not None}, since)


class _BadRow(Exception):
    """Why a row cannot be used."""


def _words(name: str, cell: object, most: int) -> str:
    text = "" if is_missing(cell) or not isinstance(cell, str) else visible(cell).strip()
    if not text:
        raise _BadRow(f"no {name}")
    if len(text) > most:
        raise _BadRow(f"the {name} has more than {most} characters")
    return text


def _name(cell: object) -> str:
    if is_missing(cell) or isinstance(cell, bool | list | dict):
        return ""
    if isinstance(cell, float) and cell.is_integer():  # a column of whole numbers with a hole in it
        cell = int(cell)
    return visible(str(cell)).strip()[:MAX_NAME_CHARS]


def _moment(cell: object) -> datetime | None:
    """A date or time; UTC where no zone is said."""
    if is_missing(cell):
        return None
    if isinstance(cell, str):
        try:
            moment = datetime.fromisoformat(cell.strip())
        except ValueError:
            pass
        else:
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    raise _BadRow(f"its date {str(cell)[:40]!r} is not like 2026-01-31 or 2026-01-31T12:00:00Z")
