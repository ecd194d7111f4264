"""Personal data goes, names of the catalogue stay; by rules alone, and with presidio where it is installed."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator

import pytest
from feedback_talks import Rows

from agent.log.records import Feedback
from finetune.dataset import FeedbackRequest, feedback_data
from finetune.feedback.masking import CatalogueNames, Mask, masker, presidio_finder
from finetune.feedback.types import line_of
from retrieval.errors import ModelUnavailable

NAMES = CatalogueNames(
    ["Erin Brockovich", "Anna", "This Is Spinal Tap", "Tom Hanks", "Julia Roberts", "Alien", "1917", "美丽人生"]
)


def test_rules_mask_and_titles_stay() -> None:
    mask = masker(NAMES)
    assert mask("write to jo.x@example.com about erin brockovich") == "write to   about erin brockovich"
    assert mask("This is Spinal Tap, and my name is John Smith.") == "This is Spinal Tap, and my name is ."
    assert mask("my wife Anna liked 1917") == "my wife  liked 1917"
    assert mask("call 0171 555 0134 about Alien") == "call   about Alien"
    assert mask("我叫王小明，想看美丽人生") == "我叫 ，想看美丽人生"
    assert mask("\ue0000\ue001 stays text") == " 0  stays text"


def test_what_a_finder_finds_is_named_unless_it_is_of_the_catalogue() -> None:
    def find(given: str) -> list[tuple[int, int, str]]:
        assert "Julia" not in given  # a title of two words is not even looked at
        found = ("Peter Miller", "Hanks", "Anna")
        return [(given.index(name), given.index(name) + len(name), "PERSON") for name in found]

    text = "Peter Miller likes Julia Roberts, Hanks and Anna"
    assert masker(NAMES, find)(text) == "[person] likes Julia Roberts, Hanks and Anna"


def test_of_overlapping_finds_the_longest_counts() -> None:
    def find(given: str) -> list[tuple[int, int, str]]:
        return [(5, 9, "PERSON"), (5, 21, "EMAIL_ADDRESS"), (12, 21, "URL")]

    assert masker(NAMES, find)("mail anna@example.com now") == "mail [email] now"


@pytest.fixture(scope="module")
def presidio() -> Iterator[Mask]:
    pytest.importorskip("presidio_analyzer")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spaCy's and thinc's own imports
        yield masker(NAMES, presidio_finder())


def test_presidio_finds_names_that_are_merely_said(presidio: Mask) -> None:
    assert presidio("Peter Miller told me about Erin Brockovich") == "[person] told me about Erin Brockovich"
    assert presidio("something with Hanks or Julia Roberts") == "something with Hanks or Julia Roberts"
    assert presidio("I am at 12 Baker Street, jo@example.com") == "I am at [address], [email]"
    assert presidio("card 4111 1111 1111 1111") == "card [card]"
    assert presidio("my number is 020 7946 0958") == "my number is [phone]"


def test_without_presidio_nothing_is_masked_by_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ModelUnavailable, match=r"'presidio_analyzer' is missing.*chatalogue\[train\]"):
        presidio_finder()


async def test_no_row_has_what_was_planted_and_the_title_is_there(rows: Rows, presidio: Mask) -> None:
    mask = presidio
    talk = rows.visitor("ann")
    await talk.say("My name is John Smith, mail john.smith@example.com, phone 020 7946 0958, I loved Erin Brockovich")
    turn = await talk.say("something funny that Peter Miller would like")
    rows.react(turn, "accept", turn.ids[0])
    rows.react(turn, "reject", turn.ids[1])
    text = "Peter Miller, 020 7946 0958, says it is fine."
    event = rows.log.record_feedback("default", "", Feedback(turn.answer.turn_id, "correct", turn.ids[0], text=text))
    assert event.event_id is not None
    rows.log.record_label("default", event.event_id, good=True)
    data = feedback_data(rows.log, FeedbackRequest("default"), mask, rows.shop.table)
    lines = "\n".join(map(line_of, data.rows))
    assert {(row.kind, row.skill) for row in data.rows} >= {("sft", "rank"), ("sft", "understand"), ("dpo", "reply")}
    for planted in ("John", "Smith", "example.com", "7946", "Peter", "Miller"):
        assert planted not in lines
    assert "Erin Brockovich" in lines
