"""Answers that are no list: why these, which values there are, what was asked for, and somebody in need."""

from collections import Counter

import pytest
from small_shop import wish
from test_decisions import CHEAP, COMEDY, film, outcome

from agent.messages import messages
from agent.ranking import value_of
from agent.shop import Shop
from agent.understand.types import DialogueContext, Language


@pytest.mark.parametrize(("language", "number"), [("en", "112"), ("zh", "12356")])
def test_somebody_in_need_is_shown_help_and_no_items(film_shop: Shop, language: Language, number: str) -> None:
    result = outcome(film_shop, "distress", COMEDY)
    assert result.action == "chat"
    assert not result.slate.entries
    assert result.opening == messages("en").text("reply.distress")
    assert number in messages(language).text("reply.distress")


def test_why_names_the_wish_that_each_item_meets(film_shop: Shop) -> None:
    comedies = [i for i in film_shop.table.items if "Comedy" in i.attributes["genre"]][:2]  # type: ignore[operator]
    context = DialogueContext(turn=2, shown=(tuple(item.id for item in comedies),))
    lines = outcome(film_shop, "why", COMEDY, context=context).opening.splitlines()
    assert [line.partition(":")[0] for line in lines] == [item.title for item in comedies]
    assert all("Comedy" in line for line in lines)
    one = outcome(film_shop, "why", COMEDY, context=context, item_ids=(comedies[1].id,))
    assert one.opening.startswith(f"{comedies[1].title}: ")
    assert one.focus == (comedies[1].id,)


def test_why_says_what_an_item_misses(film_shop: Shop) -> None:
    alien = film(film_shop, "Alien")
    said = outcome(film_shop, "why", COMEDY, item_ids=(alien,)).opening
    assert "Not matched: Comedy." in said or "Out of stock" in said


def test_why_without_any_item_asks_which(film_shop: Shop) -> None:
    assert outcome(film_shop, "why").opening.startswith("Which one")


def test_the_values_are_counted(film_shop: Shop) -> None:
    counts = Counter(genre for item in film_shop.table.items for genre in item.attributes["genre"])  # type: ignore[union-attr]
    said = outcome(film_shop, "values", attribute="genre").opening
    name, n = counts.most_common(1)[0]
    assert f"{name} ({n})" in said
    years = [float(value) for i in film_shop.table.items if isinstance(value := value_of(i, "year"), float | int)]
    assert outcome(film_shop, "values", attribute="year").opening == (
        f"The year goes from {min(years):.0f} to {max(years):.0f}."
    )


def test_the_wishes_are_said_back(film_shop: Shop) -> None:
    assert outcome(film_shop, "wishes", COMEDY, CHEAP).opening.startswith("So far you have asked for: Comedy")
    assert "not asked for anything" in outcome(film_shop, "wishes").opening


def test_a_yes_or_no_question_is_answered_from_the_field(film_shop: Shop) -> None:
    alien = film(film_shop, "Alien")
    yes = outcome(film_shop, "item_question", item_ids=(alien,), attribute="genre", said="Horror")
    assert yes.opening == "Yes: the catalogue lists Alien with “Horror”."
    no = outcome(film_shop, "item_question", item_ids=(alien,), attribute="genre", said="Comedy").opening
    assert no.startswith("The catalogue does not list Alien with “Comedy”. ")
    assert "Horror" in no


def test_a_field_that_no_item_has_is_said_to_be_missing(film_shop: Shop) -> None:
    alien = film(film_shop, "Alien")
    result = outcome(film_shop, "item_question", wish("genre", "eq", "Horror"), item_ids=(alien,), attribute="ending")
    assert result.opening == "The catalogue does not say the ending of Alien."
