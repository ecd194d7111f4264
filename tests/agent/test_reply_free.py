"""The check of replies against sentences in free wording: no planted lie passes, and most true ones do.

The first half of the sentences was written before the check was mended for such words, the second half after that, to
be met unseen: 23 of its 42 true sentences passed then, and no lie. Items and wishes: pitched_items.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pitched_items import PITCHES

_ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "data" / "free_sentences.jsonl").read_text("utf-8").splitlines()
]
LIES = [(row["about"], row["sentence"]) for row in _ROWS if not row["true"]]
TRUE_OF_ALL_FILMS = {"It comes on Blu-ray and is in stock."}
PASSING = {1: 0.85, 2: 0.75}
"""Share of the true sentences of each half that must pass."""


@pytest.mark.parametrize("about", sorted(PITCHES))
def test_no_lie_passes(about: str) -> None:
    passed = [sentence for name, sentence in LIES if name == about and not PITCHES[about].judge(sentence).objection]
    assert passed == []


@pytest.mark.parametrize("half", [1, 2])
def test_most_true_sentences_pass(half: int, record_property: Callable[[str, object], None]) -> None:
    true = [(row["about"], row["sentence"]) for row in _ROWS if row["true"] and row["half"] == half]
    passed = [sentence for about, sentence in true if not PITCHES[about].judge(sentence).objection]
    record_property("passed", f"{len(passed)} of {len(true)}")
    assert PASSING[half] * len(true) <= len(passed) < len(true)


def test_there_are_enough_of_every_kind() -> None:
    assert len(_ROWS) - len(LIES) >= 80
    assert len(LIES) >= 200
    assert {about for about, _ in LIES} == set(PITCHES)


@pytest.mark.parametrize("about", sorted(PITCHES))
def test_what_is_true_of_one_item_is_not_said_of_another(about: str) -> None:
    item = PITCHES[about].item
    theirs = [row["sentence"] for row in _ROWS if row["true"] and row["about"] != about]
    passed = [one for one in theirs if not PITCHES[about].judge(one).objection]
    assert set(passed) <= TRUE_OF_ALL_FILMS, item.title


@pytest.mark.parametrize(
    ("about", "sentence", "passes"),
    [
        ("heat", "Heat: a Los Angeles detective and a lifelong criminal are locked in a contest.", True),
        ("heat", "In this crime drama, a Los Angeles detective and a lifelong criminal are locked in a contest.", True),
        ("heat", "With Al Pacino, a Los Angeles detective and a lifelong criminal are locked in a contest.", False),
        ("heat", "Al Pacino follows a Los Angeles detective and a lifelong criminal locked in a contest.", False),
        ("heat", "In this comedy, a Los Angeles detective and a lifelong criminal are locked in a contest.", False),
        ("heat", "It is a Los Angeles detective and a lifelong criminal locked in a contest.", False),
        (
            "heat",
            "As you asked, it follows a Los Angeles detective and a lifelong criminal locked in a contest.",
            False,
        ),
        ("lamp", "This is a light head lamp for running at night.", True),
        ("lamp", "This is a battery that lasts 30 hours.", False),
    ],
)
def test_claims_may_lead_to_the_items_own_words(about: str, sentence: str, passes: bool) -> None:
    """Where what follows is then said of the item, and not of a person or of nothing."""
    assert (not PITCHES[about].judge(sentence).objection) is passes


@pytest.mark.parametrize(
    ("about", "sentence", "passes"),
    [
        ("heat", "It could be a good choice.", False),
        ("heat", "It is worth a look.", False),
        ("heat", "This crime drama is worth a look.", True),
        ("heat", "This crime drama could suit a rainy evening.", True),
        ("heat", "This crime drama could suit children.", False),
        ("heat", "This crime drama is the best choice.", False),
        ("heat", "If you like crime, it is a crime film.", True),
        ("heat", "If you like crime, you will love it.", False),
    ],
)
def test_an_opinion_is_no_claim_and_may_stand_beside_one(about: str, sentence: str, passes: bool) -> None:
    assert (not PITCHES[about].judge(sentence).objection) is passes
