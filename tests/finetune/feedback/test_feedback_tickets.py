"""Past tickets become rows to learn from: once, masked, bounded, and gone with their customer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.datadir import DataDirectory
from agent.learning.forgetting import erase_customer
from agent.log.records import Consent
from agent.log.store import EventLog
from agent.log.tickets import PastTicket, read_tickets, record_tickets
from agent.settings import LearningSettings
from agent.support.actions.desk import order_number
from finetune.dataset import FeedbackData, FeedbackRequest, feedback_data, read_rows, write_rows
from finetune.feedback.masking import CatalogueNames, masker
from finetune.feedback.ticket_masking import masked_ticket
from finetune.feedback.trust import NAMELESS_CAP, USER_CAP
from finetune.memory import ReplayMemory
from finetune.withdrawn import forget_withdrawn

NOW = datetime(2026, 11, 20, tzinfo=UTC)
MASK = masker(CatalogueNames(()))


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path / "var")
    yield opened
    opened.close()


def ticket(number: int, **fields: object) -> PastTicket:
    told = {"question": f"Where is parcel {number}?", "answer": f"Parcel {number} is on its way.", "language": "en"}
    at = NOW - timedelta(days=number)
    return PastTicket(**({"id": f"T-{number}", "at": at, "agent": "Ann"} | told | fields))  # type: ignore[arg-type]


def data(log: EventLog, *, consent: Consent = "opt_out", retention_days: int = 0) -> FeedbackData:
    request = FeedbackRequest("default", consent, retention_days=retention_days)
    return feedback_data(log, request, MASK, None, NOW)


def test_a_ticket_is_stored_once_and_becomes_a_row(log: EventLog, tmp_path: Path) -> None:
    assert record_tickets(log, "default", "", [ticket(1), ticket(2), ticket(1)]) == 2
    assert record_tickets(log, "default", "", [ticket(1, answer="Another one."), ticket(3)]) == 1
    assert record_tickets(log, "other", "", [ticket(1)]) == 1  # the same id of another tenant is another ticket
    stored = read_tickets(log, "default", "opt_out")
    assert [one.answer for one in stored] == [f"Parcel {n} is on its way." for n in (1, 2, 3)]
    assert {one.agent for one in stored} == {log.pseudonym("default", "agent Ann")}

    found = data(log)
    assert len(found.rows) == 3
    row = next(row for row in found.rows if row.events == (stored[0].event_id,))
    assert (row.kind, row.skill, row.signal, row.good, row.answers) == (
        "sft", "support", "ticket", (0,), ("Parcel 1 is on its way.",),
    )  # fmt: skip
    assert row.prompt.messages[-1].text == "Where is parcel 1?"
    assert (row.at, row.period) == (NOW - timedelta(days=1), "2026-W47")
    assert len(found.lessons()) == 3
    write_rows(found.rows, tmp_path / "rows.jsonl")
    assert read_rows(tmp_path / "rows.jsonl") == found.rows


def test_tickets_are_bounded_as_everything_is(log: EventLog) -> None:
    named = [ticket(n, user="ann") for n in range(30)]
    nobodys = [ticket(n + 100, question=f"What about thing {n}?") for n in range(500)]
    copies = [ticket(1_000 + n, question="Same?", answer="Same.") for n in range(10)]
    for start in range(0, 540, 180):
        record_tickets(log, "default", "", [*named, *nobodys, *copies][start : start + 180])
    rows = data(log).rows
    ann = log.pseudonym("default", str(log.person_id("default", "", "ann")))
    assert sum(row.weight for row in rows if row.user == ann) == pytest.approx(USER_CAP, abs=1e-3)
    assert sum(row.weight for row in rows if row.user != ann) == pytest.approx(NAMELESS_CAP, abs=1e-3)
    same = [row.weight for row in rows if row.answers == ("Same.",)]
    assert max(same) > 5 * min(same)


def test_old_tickets_and_other_languages_teach_nothing(log: EventLog) -> None:
    record_tickets(log, "default", "", [ticket(1), ticket(40), ticket(2, id="zh", language="zh")])
    found = data(log, retention_days=30)
    assert [row.answers[0] for row in found.rows] == ["Parcel 1 is on its way."]
    assert found.left_out == {"tickets in a language that the model does not read": 1}


def test_consent_says_whose_tickets_teach(log: EventLog) -> None:
    record_tickets(log, "default", "", [ticket(1, user="ann"), ticket(2, user="bob"), ticket(3)])
    log.record_consent("default", "", "ann", consent=True)
    log.record_consent("default", "", "bob", consent=False)
    told = {rule: sorted(row.answers[0] for row in data(log, consent=rule).rows) for rule in ("opt_out", "opt_in")}
    assert told == {
        "opt_out": ["Parcel 1 is on its way.", "Parcel 3 is on its way."],
        "opt_in": ["Parcel 1 is on its way."],  # nobody said yes for the third
    }


def test_a_ticket_goes_with_its_customer(log: EventLog, tmp_path: Path) -> None:
    folder = DataDirectory(tmp_path / "var")
    record_tickets(log, "default", "", [ticket(1, user="ann"), ticket(2)])
    rows, memory = data(log), ReplayMemory(50)
    write_rows(rows.rows, folder.root / "export.jsonl")
    memory.offer(rows.lessons())
    log.add_adapter_sources("default", "ada-000001", rows.sources)
    assert "parcel 1" in str(log.person("default", "", "ann"))
    erased = erase_customer(folder, log, "default", "", "ann")
    assert erased is not None
    assert erased.adapters == ("ada-000001",)
    assert [one.answer for one in read_tickets(log, "default", "opt_out")] == ["Parcel 2 is on its way."]
    assert [row.answers[0] for row in read_rows(folder.root / "export.jsonl")] == ["Parcel 2 is on its way."]
    gone = forget_withdrawn(memory, log, "default", LearningSettings(), NOW)
    assert len(gone) == 1
    assert [lesson.answers[0] for lesson in memory.lessons] == ["Parcel 2 is on its way."]


def test_history_that_is_not_a_ticket_is_left_alone(log: EventLog) -> None:
    record_tickets(log, "default", "", [ticket(1, user="ann")])
    assert log.deeds("default", "opt_out") == ()
    assert log.rating_range("default") is None


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Dear Anna, it is sent.", "Dear [person], it is sent."),
        ("Hello Mr. Smith! Order RS-10023 is sent.", "Hello [person]! Order [order] is sent."),
        ("Hi there, it is sent. Best, Thomas Miller", "Hi there, it is sent. Best, [person]"),
        ("It is sent.\nKind regards\nTom", "It is sent.\nKind regards\n[person]"),
        ("I, Zoe Quill of the team, sent it in 2024.", "I, [person] of the team, sent it in 2024."),
        ("Thank you. Region 2 plays everywhere.", "Thank you. Region 2 plays everywhere."),
        ("my order rs-10056 and order 1234567890", "my order [order] and order [order]"),
        ("Order no. 12345, shipped in 2024", "Order no. [order], shipped in 2024"),
        ("Dear anna\nit is sent", "Dear [person]\nit is sent"),
        ("hi tom! hi there, hello my order is late.", "hi [person]! hi there, hello my order is late."),
    ],
)
def test_names_of_letters_and_order_numbers_are_masked(said: str, left: str) -> None:
    clean = masked_ticket(PastTicket("1", said, said, agent="Zoe Quill"), MASK)
    assert (clean.question, clean.answer) == (left, left)


def test_the_shops_own_order_numbers_are_masked() -> None:
    said = "It is K.1/77 and k.2/78, not K.1."
    clean = masked_ticket(PastTicket("1", said, said), MASK, order_number(r"K\.\d/\d\d"))
    assert clean.question == "It is [order] and [order], not K.1."


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("i'm anna schmidt", "i'm [person]"),
        ("i am anna schmidt and wait", "i am [person] and wait"),
        ("i'm not sure", "i'm not sure"),
    ],
)
def test_a_name_without_capitals_is_one_where_it_would_be_with_them(said: str, left: str) -> None:
    def find(text: str) -> list[tuple[int, int, str]]:
        return [(*match.span(), "PERSON") for match in re.finditer("Anna Schmidt", text)]

    clean = masked_ticket(PastTicket("1", said, said), masker(CatalogueNames(()), find))
    assert clean.question == left
