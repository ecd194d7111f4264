"""What a turn decides: every hard wish is met, nothing is claimed that the catalogue does not hold."""

from typing import Any

import numpy as np
import pytest
from small_shop import wish, wording

from agent.answering import decide
from agent.preferences import Preference
from agent.querying import filters_of
from agent.questions import Choice, Moment
from agent.shop import Shop
from agent.turn import Outcome, Situation
from agent.understand.types import AskedQuestion, DialogueContext, Intent, Understanding
from retrieval.items import Item

COMEDY = wish("genre", "eq", "Comedy")
CHEAP = wish("price", "lt", 10.0)
BEFORE_1970 = wish("year", "lt", 1970.0)


def outcome(shop: Shop, intent: Intent = "recommend", *wishes: Preference, **fields: Any) -> Outcome:  # noqa: ANN401
    """The outcome of one turn; `fields` of the understanding or of the situation."""
    read = {name: fields.pop(name) for name in ("item_ids", "attribute", "descending", "said") if name in fields}
    view = Situation(
        text="said",
        shop=shop,
        context=fields.pop("context", DialogueContext()),
        understanding=Understanding(intent, **read),
        wishes=wishes,
        lasting=wishes,
        wording=wording(shop.table),
        **fields,
    )
    return decide(view)


def shown(result: Outcome) -> list[Item]:
    return [entry.item for entry in result.slate.entries]


def film(shop: Shop, title: str) -> str:
    return next(item.id for item in shop.table.items if item.title == title)


def test_items_meet_every_hard_wish(film_shop: Shop) -> None:
    result = outcome(film_shop, "recommend", COMEDY, wish("year", "ge", 1980.0))
    assert result.action == "recommend"
    assert 0 < len(shown(result)) <= 5
    for item in shown(result):
        assert "Comedy" in item.attributes["genre"]  # type: ignore[operator]
        assert item.attributes["year"] >= 1980  # type: ignore[operator]
    assert result.focus == tuple(item.id for item in shown(result))
    assert result.pitch == result.slate.entries[0]


def test_the_opening_counts_what_fits(film_shop: Shop) -> None:
    fits = [i for i in film_shop.table.items if "Comedy" in i.attributes["genre"]]  # type: ignore[operator]
    said = outcome(film_shop, "recommend", COMEDY).opening
    assert said.startswith(f"{len(fits)} items fit ")
    assert "Comedy" in said
    assert outcome(film_shop, "recommend", wish("title", "eq", "Alien")).opening.startswith("One item fits ")
    soft = outcome(film_shop, "recommend", wish(None, "about", "sharks", kind="soft"))
    assert soft.opening.startswith("This is what comes closest")
    assert outcome(film_shop).opening == "Here is something to start with:"


def test_nothing_fits_says_which_wish_to_drop(film_shop: Shop) -> None:
    result = outcome(film_shop, "recommend", wish("genre", "eq", "War"), BEFORE_1970, wish("price", "lt", 5.0, key="p"))
    assert result.action == "ask"
    assert result.question is not None
    assert result.question.options[0] == "Forget the price"
    assert result.question.options[-1] == "Start over"
    assert result.no_match is not None
    assert result.no_match.kind == "filtered_out"
    counts = {entry.preference_id: entry.relaxed_count for entry in result.no_match.blocking}
    assert counts["p"] == 1
    assert max(counts.values()) == result.no_match.blocking[0].relaxed_count
    assert shown(result) == []
    assert result.near[0].entry.item.title == "Casablanca"
    assert [one.id for one in result.near[0].breaks] == ["p"]


def test_what_is_nearest_to_a_number_is_the_near_miss(film_shop: Shop) -> None:
    """Not the most popular one."""
    years = film_shop.table.numbers("year")
    newest = sorted(years[~np.isnan(years)].tolist(), reverse=True)[:3]
    result = outcome(film_shop, "recommend", wish("year", "gt", 2100.0, key="y"))
    assert [miss.entry.item.attributes["year"] for miss in result.near] == newest
    prices = film_shop.table.numbers("price")
    cheap = outcome(film_shop, "recommend", wish("price", "lt", 0.5, key="p"))
    assert float(cheap.near[0].entry.item.price or 0) == np.nanmin(prices)


def test_wishes_that_rule_each_other_out_are_called_so(film_shop: Shop) -> None:
    result = outcome(film_shop, "recommend", COMEDY, wish("brand", "eq", "x"), wish("country", "eq", "y"))
    assert "rule each other out" in result.opening
    assert result.near
    assert all(miss.breaks for miss in result.near)


def test_rejected_items_do_not_come_back(film_shop: Shop) -> None:
    first = outcome(film_shop, "recommend", COMEDY)
    gone = frozenset(first.focus)
    again = outcome(film_shop, "recommend", COMEDY, rejected=gone)
    assert not gone & set(again.focus)
    everything = frozenset(film_shop.table.ids)
    assert "nothing else" in outcome(film_shop, "recommend", COMEDY, rejected=everything).opening


def test_more_shows_others_until_there_are_none(film_shop: Shop) -> None:
    context, seen = DialogueContext(), set[str]()
    for _ in range(10):
        result = outcome(film_shop, "more", COMEDY, context=context)
        if not result.slate.entries:
            break
        assert not seen & set(result.focus)
        seen |= set(result.focus)
        context = DialogueContext(shown=(*context.shown, result.focus), focus=result.focus)
    fits = {i.id for i in film_shop.table.items if "Comedy" in i.attributes["genre"]}  # type: ignore[operator]
    assert seen == fits
    assert result.action == "answer"


@pytest.mark.parametrize(("intent", "kind"), [("recommend", "not_carried"), ("unknown_item", "unknown")])
def test_what_is_not_carried_is_said_and_titles_near_it_are_alternatives(
    film_shop: Shop, intent: Intent, kind: str
) -> None:
    result = outcome(film_shop, intent, said="Alien 9")
    assert result.no_match is not None
    assert (result.no_match.kind, result.no_match.said) == (kind, "Alien 9")
    assert "“Alien 9”" in result.opening
    assert shown(result) == []
    assert "Alien" in [miss.entry.item.title for miss in result.near]
    assert [m.entry.item.title for m in outcome(film_shop, intent, said="The Godfather Part 9").near] == [
        "The Godfather"
    ]
    assert outcome(film_shop, intent, said="The Heatwave").near == ()
    far = outcome(film_shop, intent, said="Zyzzyva Quartet")
    assert far.near == ()
    assert "“Zyzzyva Quartet”" in far.opening


@pytest.mark.parametrize(
    ("attribute", "descending", "title"),
    [("price", False, "Airplane!"), ("year", False, "Casablanca"), ("runtime_min", True, "Titanic")],
)
def test_a_superlative_is_over_the_whole_catalogue(
    film_shop: Shop, attribute: str, descending: bool, title: str
) -> None:
    result = outcome(film_shop, "superlative", attribute=attribute, descending=descending)
    numbers = film_shop.table.numbers(attribute)
    best = numbers.max() if descending else numbers.min()
    rows = [film_shop.table.row_of(item.id) for item in shown(result)]
    assert numbers[rows[0]] == best
    assert shown(result)[0].title in (title, "The Sting")  # two films share the lowest price
    assert all(entry.log_propensity is None for entry in result.slate.entries)


def test_a_superlative_of_what_no_item_has_is_not_guessed(film_shop: Shop) -> None:
    result = outcome(film_shop, "superlative", attribute="weight")
    assert result.opening == "I cannot tell which is highest in weight: the catalogue does not say."


def test_counts_come_from_the_whole_catalogue(film_shop: Shop) -> None:
    assert outcome(film_shop, "count").opening == "There are 30 items in the catalogue."
    old = [i for i in film_shop.table.items if i.attributes["year"] < 1970]  # type: ignore[operator]
    assert outcome(film_shop, "count", BEFORE_1970).opening == f"{len(old)} items fit: before 1970."
    assert outcome(film_shop, "count", wish("title", "eq", "Alien")).opening.startswith("One item fits: Alien")
    assert outcome(film_shop, "count", CHEAP, wish("price", "gt", 11.0)).no_match is not None


def test_facts_are_read_out(film_shop: Shop) -> None:
    alien = film(film_shop, "Alien")
    assert outcome(film_shop, "item_question", item_ids=(alien,), attribute="price").opening == "Alien costs 14.50 EUR."
    assert "does not say" in outcome(film_shop, "item_question", item_ids=(alien,), attribute="awards").opening
    assert outcome(film_shop, "item_question").opening.startswith("Which one do you mean?")
    assert outcome(film_shop, "item_question", item_ids=("gone",)).opening.startswith("Which one do you mean?")


def test_a_comparison_stands_side_by_side(film_shop: Shop) -> None:
    pair = (film(film_shop, "Alien"), film(film_shop, "Jaws"))
    result = outcome(film_shop, "compare", item_ids=pair)
    assert "price: Alien: 14.50 EUR; Jaws: 15.90 EUR" in result.opening
    assert "runtime: Alien: 117 min; Jaws: 124 min" in result.opening
    assert [item.id for item in shown(result)] == list(pair)
    assert outcome(film_shop, "compare", item_ids=pair[:1]).opening.startswith("Which one do you mean?")


def test_why_not_names_the_reason(film_shop: Shop) -> None:
    alien, jaws = film(film_shop, "Alien"), film(film_shop, "Jaws")

    def why(*wishes: Preference, item: str = alien, **fields: Any) -> str:  # noqa: ANN401
        return outcome(film_shop, "why_not", *wishes, item_ids=(item,), **fields).opening

    assert why(COMEDY) == "Alien was not offered because it is not Comedy."
    never = wish("genre", "eq", "Horror", polarity="negative")
    assert why(never, BEFORE_1970) == "Alien was not offered because it is Horror and not before 1970."
    assert "you asked me to" in why(rejected=frozenset({alien}))
    assert why(context=DialogueContext(shown=((jaws, alien),))) == "Alien is in the list above, at number 2."
    assert "not named a wish" in why()
    assert "out of stock" in why(wish("genre", "eq", "Horror"), item=film(film_shop, "Ghostbusters"))
    assert "came at place" in why(wish("genre", "eq", "Horror"), item=jaws) or "closer" in why(
        wish("genre", "eq", "Horror"), item=jaws
    )


def test_accepting_gives_the_address(film_shop: Shop) -> None:
    alien = film(film_shop, "Alien")
    said = outcome(film_shop, "accept", item_ids=(alien,)).opening
    assert said == "Good choice: Alien. You find it at https://reelshop.example/films/film-alien-1979."


def test_rejecting_goes_on_without_it(film_shop: Shop) -> None:
    alien = film(film_shop, "Alien")
    result = outcome(film_shop, "reject", wish("genre", "eq", "Horror"), item_ids=(alien,), rejected=frozenset({alien}))
    assert result.opening.startswith("Noted, I leave Alien out.")
    assert result.focus
    assert alien not in result.focus


def test_a_question_is_not_put_twice_nor_after_show_anyway(film_shop: Shop) -> None:
    moments: list[Moment] = []

    def asks(moment: Moment) -> Choice:
        moments.append(moment)
        return Choice("mood", ("dark", "light"), 0.1)

    asked = DialogueContext(asked=AskedQuestion("genre", ("Comedy",)), shown=(("film-alien-1979",),))
    result = outcome(film_shop, "recommend", COMEDY, context=asked, asked=frozenset({"year"}), choose=asks)
    assert (result.action, result.question and result.question.attribute) == ("ask", "mood")
    assert result.closing.startswith("Which mood")
    (moment,) = moments
    assert moment.asked == {"genre", "year"}
    assert moment.seen == {"film-alien-1979"}
    assert (moment.wishes, moment.n_matching) == ((COMEDY,), film_shop.table.count(filters_of([COMEDY])))
    assert outcome(film_shop, "show_anyway", choose=asks).question is None
    assert outcome(film_shop, "recommend", waved_off=True, choose=asks).question is None


def test_show_me_anyway_goes_on_after_a_list(film_shop: Shop) -> None:
    first = outcome(film_shop, "show_anyway", COMEDY)
    assert first.focus
    assert not set(
        outcome(film_shop, "show_anyway", COMEDY, context=DialogueContext(shown=(first.focus,))).focus
    ) & set(first.focus)


def test_without_articles_nothing_is_guessed(film_shop: Shop) -> None:
    result = outcome(film_shop, "support")
    assert result.citations == ()
    assert "not in our help articles" in result.opening


def test_greetings_name_the_shop(film_shop: Shop) -> None:
    assert "welcome to The Reel Shop" in outcome(film_shop, "greeting", shop_name=film_shop.name).opening
    assert outcome(film_shop, "greeting").opening.startswith("Hello! Tell me")


INTENTS: tuple[Intent, ...] = Intent.__args__  # type: ignore[attr-defined]


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_has_an_answer_in_words(film_shop: Shop, intent: Intent) -> None:
    assert outcome(film_shop, intent, COMEDY).opening


def test_exploration_is_off_where_the_order_is_a_claim(film_shop: Shop) -> None:
    for intent in ("superlative", "count"):
        result = outcome(film_shop, intent, COMEDY, attribute="price", temperature=5.0)
        assert all(entry.log_propensity is None for entry in result.slate.entries)
    explored = outcome(film_shop, "recommend", COMEDY, temperature=5.0)
    assert all(entry.log_propensity is not None for entry in explored.slate.entries)
