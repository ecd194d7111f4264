"""Past tickets as a file: what is taken, and why what is not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.learning.ticket_file import open_tickets
from agent.log.tickets import PastTicket
from retrieval.errors import CatalogueError
from retrieval.loading import RejectedRow

FULL = {
    "ticket_id": 17,
    "question": " Where is my parcel?\u200b ",
    "best_answer": "On its way.",
    "date": "2026-05-04T10:00:00+02:00",
    "agent": "Ann",
    "lang": "en-GB",
    "customer": "c1",
}


def rows(path: Path, *lines: dict[str, object], since: datetime | None = None) -> list[PastTicket | RejectedRow]:
    file = path / "tickets.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return list(open_tickets(file, since).rows())


def test_a_whole_ticket(tmp_path: Path) -> None:
    (ticket,) = rows(tmp_path, FULL)
    at = datetime(2026, 5, 4, 8, tzinfo=UTC)
    assert ticket == PastTicket("17", "Where is my parcel?", "On its way.", at, "Ann", "en", "c1")


def test_question_and_answer_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text("question,answer\nWhere is my parcel?,It is on its way.\n", encoding="utf-8")
    (ticket,) = open_tickets(file).rows()
    (again,) = open_tickets(file).rows()
    assert isinstance(ticket, PastTicket)
    assert ticket == again  # its id, too
    assert ticket.id.startswith("words-")
    assert (ticket.language, ticket.user, ticket.at) == ("en", "", None)


def test_rows_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        FULL,
        {**FULL, "question": " "},
        {**FULL, "best_answer": None},
        {**FULL, "date": "yesterday"},
        {**FULL, "date": "2199-01-01"},
        {**FULL, "date": "2020-01-01"},
        {**FULL, "question": "a" * 4_001},
        since=datetime(2026, 1, 1, tzinfo=UTC),
    )
    reasons = [one.reason for one in found if isinstance(one, RejectedRow)]
    assert [one.line for one in found if isinstance(one, RejectedRow)] == [2, 3, 4, 5, 6, 7]
    assert reasons[:2] == ["no question", "no answer"]
    assert "'yesterday' is not like 2026-01-31" in reasons[2]
    assert "has not come yet" in reasons[3]
    assert "older than 'learning.retention_days' allows" in reasons[4]
    assert "more than 4000 characters" in reasons[5]


def test_a_file_without_the_columns_says_which_it_has(tmp_path: Path) -> None:
    file = tmp_path / "tickets.csv"
    file.write_text("question,solved\na,b\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"no column 'answer': .* 'question', 'solved'"):
        open_tickets(file)
    with pytest.raises(CatalogueError, match="There is no file"):
        open_tickets(tmp_path / "none.csv")
