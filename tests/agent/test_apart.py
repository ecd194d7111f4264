"""Items of one list are told apart: no two reasons the same where the fields differ, and none of them false."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import combinations

import pytest
from small_shop import ranked, wish

from agent.apart import apart
from agent.messages import messages
from agent.ranking import Matched, Ranked
from agent.replying import Replier
from agent.turn import Outcome
from agent.understand.types import Language
from agent.wording import Wording
from retrieval.items import AttributeValue, Item

COMEDY = [wish("genre", "eq", "Comedy")]


def comedy(number: int, price: str = "10.00", **fields: AttributeValue) -> Item:
    return Item(f"c{number}", f"Comedy {number}", "A comedy.", {"genre": ("Comedy",), **fields}, Decimal(price), "EUR")


SIMILAR = [
    comedy(1, "9.00", year=1990.0, director="Ada Lund", mood=("funny", "warm")),
    comedy(2, year=2004.0, director="Ada Lund", mood=("funny", "dry")),
    comedy(3, year=1990.0, runtime_min=80.0, director="Bo Berg", mood=("funny", "warm")),
    comedy(4, year=1990.0, director="Ada Lund", mood=("funny", "wild")),
    comedy(5, "12.00", year=1990.0, director="Ada Lund", mood=("funny", "warm")),
]
PAIRWISE = [comedy(n, year=year, director=who) for n, (year, who) in enumerate(
    [(1990.0, "Ada Lund"), (1990.0, "Bo Berg"), (2000.0, "Ada Lund"), (2000.0, "Bo Berg")], 10)]  # fmt: skip


def words(language: Language = "en") -> Wording:
    return Wording(messages(language), str, "EUR")


def slate_of(items: list[Item]) -> list[Ranked]:
    return [replace(ranked(item), matched=(Matched("genre", ("Comedy",)),)) for item in items]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("items", [SIMILAR, PAIRWISE])
def test_no_two_reasons_are_equal_where_the_fields_differ(items: list[Item], language: Language) -> None:
    slate = slate_of(items)
    said = [words(language).why(entry, COMEDY, slate) for entry in slate]
    assert all(one != other for one, other in combinations(said, 2))
    assert said == [words(language).why(entry, COMEDY, slate) for entry in slate]


def test_what_is_said_is_the_items_alone() -> None:
    said = [
        words().why(entry, COMEDY, slate_of(SIMILAR)).removeprefix("Fits your wish: Comedy. ")
        for entry in slate_of(SIMILAR)
    ]
    assert said == [
        "The cheapest of these.",
        "The newest of these, from 2004.",
        "By Bo Berg.",
        "Sets it apart here: wild.",
        "As against the others: price 12.00 EUR.",
    ]


def test_one_of_its_kind_needs_no_more_words() -> None:
    other = replace(ranked(SIMILAR[1]), matched=(Matched("year", 2004.0),))
    slate = [*slate_of(SIMILAR[:1]), other]
    assert words().why(slate[0], COMEDY, slate) == "Fits your wish: Comedy."


def test_twins_are_said_to_be_nothing_that_they_are_not() -> None:
    slate = slate_of([SIMILAR[0], replace(SIMILAR[0], id="twin", title="Twin")])
    assert {words().why(entry, COMEDY, slate) for entry in slate} == {"Fits your wish: Comedy."}


def test_no_extreme_where_a_number_is_missing_or_another_money() -> None:
    cheap, dear = comedy(1, "5.00"), comedy(2, "6.00")
    unpriced, dollars = replace(dear, id="x", price=None), replace(dear, id="y", currency="USD")
    for others in ([dear, unpriced], [dear, dollars], [dear], [replace(cheap, id="z"), dear]):
        assert "cheapest" not in apart(cheap, others, messages("en"), words().value)
    assert apart(cheap, [dear, replace(dear, id="z")], messages("en"), words().value) == "The cheapest of these."


def test_ids_long_texts_and_bare_answers_are_not_said() -> None:
    item = comedy(1, imdb_id="tt0113277", blurb="long " * 20, subtitled="yes", dubbed="no")
    others = [comedy(n) for n in (2, 3)]
    assert apart(item, others, messages("en"), words().value) == "Sets it apart here: subtitled."


def opening_of(before: list[str], entries: list[Ranked], opening: str = "Here are some others:") -> str:
    outcome = Outcome("recommend", opening=opening)
    outcome = replace(outcome, slate=replace(outcome.slate, entries=tuple(entries)))
    return Replier(words(), None, None, None, before)._opening(outcome)  # type: ignore[arg-type]


def test_here_are_some_others_is_said_once() -> None:
    entries = [ranked(item) for item in SIMILAR]
    first = opening_of(["Hello."], entries)
    again = opening_of(["Hello.", f"{first}\n\n1. x"], entries)
    assert (first, again) == ("Here are some others:", "Here are more, beginning with Comedy 1:")
    assert opening_of([], entries[:1]) == "Here is one more, Comedy 1:"
    noted = opening_of([first], entries, "Noted, I leave X out. Here are some others:")
    assert noted == "Noted, I leave X out. Here are more, beginning with Comedy 1:"
    assert opening_of([first], entries, "12 items fit.") == "12 items fit."
