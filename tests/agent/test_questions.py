"""A question is asked only when its answer is worth a turn, never about what is known, with answers to tap."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from small_shop import ranked, wish, wording

from agent.preferences import Added, Preference
from agent.questions import MAX_VALUE_CHARS, N_OPTIONS, Band, Choice, Moment, choose, put, way_out
from agent.ranking import Ranked, Slate
from agent.thresholds import Asking
from agent.understand.lexicon import Lexicon
from agent.understand.rules import Rules
from agent.understand.types import AskedQuestion, DialogueContext, Language
from retrieval.items import AttributeValue, Item
from retrieval.table import ItemTable

KINDS = ("comedy", "drama", "horror", "crime", "war")
COLOURS = ("red", "blue", "green")
ASKING = Asking(temperature=0.3, no_preference=0.5, no_preference_after_more=0.2, patience=0.8, min_gain=0.01)


def catalogue(n: int = 60) -> tuple[Item, ...]:
    """Kind splits best, colour a little, maker is a different one each time, unit says nothing."""

    def attributes(i: int) -> dict[str, AttributeValue]:
        return {
            "kind": (KINDS[i % 5],),
            "colour": COLOURS[i % 3],
            "maker": f"maker {i}",
            "unit": "piece",
            "size": float(i),
        }

    return tuple(Item(f"i{i:02}", f"Thing {i}", attributes=attributes(i)) for i in range(n))


ITEMS = catalogue()
TABLE = ItemTable(ITEMS)


def moment(
    wishes: Sequence[Preference] = (),
    considered: Sequence[Ranked] | None = None,
    table: ItemTable = TABLE,
    seen: Sequence[str] = (),
    asked: Sequence[str] = (),
) -> Moment:
    entries = tuple(ranked(item) for item in table.items) if considered is None else tuple(considered)
    slate = Slate(entries[:5], entries)
    return Moment(tuple(wishes), slate, len(entries), table, frozenset(seen), frozenset(asked))


def asked(here: Moment, asking: Asking = ASKING) -> str | None:
    choice = choose(here, asking)
    return choice.attribute if choice else None


def gain(here: Moment, asking: Asking = ASKING) -> float:
    choice = choose(here, replace(asking, min_gain=-1.0))
    assert choice is not None
    return choice.gain


def test_the_best_splitting_attribute_is_asked() -> None:
    assert asked(moment()) == "kind"


def test_the_gain_is_that_of_the_formula() -> None:
    """Twelve equal items, two values, lists of two: by hand."""
    items = [Item(f"i{i:02}", "x", attributes={"half": "ab"[i % 2]}) for i in range(12)]
    table = ItemTable(items)
    entries = tuple(ranked(item) for item in items)
    here = Moment((), Slate(entries[:2], entries), 12, table)
    # Not asked: five further lists of two. Asked: lists of one value, without what was shown.
    by_more = sum(2 / 12 * 0.8**page for page in range(5))
    by_answer = 2 * (2 / 12 + 2 / 12 * 0.8 + 1 / 12 * 0.8**2)
    choice = choose(here, ASKING)
    assert choice is not None
    assert choice.gain == pytest.approx(0.5 * (by_answer - by_more))
    assert choice.options == ("a", "b")


def test_a_list_that_will_do_is_shown_without_a_question() -> None:
    sure = [ranked(item, 3.0 - n if n < 2 else 0.0) for n, item in enumerate(ITEMS)]
    assert gain(moment(considered=sure)) < 0.01 < gain(moment())
    assert asked(moment(considered=sure)) is None


def test_nothing_is_asked_where_one_more_list_shows_all() -> None:
    assert asked(moment(considered=[ranked(item) for item in ITEMS[:9]])) is None


def test_a_question_that_nobody_minds_is_worth_nothing() -> None:
    assert gain(moment(), replace(ASKING, no_preference=0.9)) == pytest.approx(0.2 * gain(moment()))
    assert asked(moment(), replace(ASKING, no_preference=1.0)) is None


def test_a_turn_has_its_price() -> None:
    assert asked(moment(), replace(ASKING, min_gain=gain(moment()))) is None


def test_what_was_shown_before_does_not_count() -> None:
    """With all comedies and dramas gone, horror, crime and war are left to ask for."""
    gone = [item.id for item in ITEMS if item.attributes["kind"] in (("comedy",), ("drama",))]
    choice = choose(moment(seen=gone), ASKING)
    assert choice is not None
    assert (choice.attribute, set(choice.options)) == ("kind", {"horror", "crime", "war"})


def test_a_known_attribute_is_never_asked_about() -> None:
    assert asked(moment([wish("kind", "eq", "comedy")])) == "colour"
    assert asked(moment([wish("kind", "eq", "comedy", polarity="negative")])) == "colour"


def test_no_question_is_asked_twice() -> None:
    assert asked(moment(asked=["kind"])) == "colour"
    assert asked(moment(asked=["kind", "colour"])) == "size"
    assert asked(moment(asked=["kind", "colour", "size"])) is None


@pytest.mark.parametrize("specific", [wish(None, "about", "a robbery"), wish(None, "like", "i01")])
def test_a_specific_wish_is_answered(specific: Preference) -> None:
    assert asked(moment([specific])) is None


def test_options_are_the_likeliest_values_and_a_way_out() -> None:
    liked = [ranked(item, 0.2 * (item.attributes["kind"] == ("war",))) for item in ITEMS]
    choice = choose(moment(considered=liked), ASKING)
    assert choice is not None
    assert (choice.options[0], len(choice.options)) == ("war", N_OPTIONS)
    question = put(choice, wording(TABLE))
    assert question.options == [*choice.options, "Show me anyway"]
    assert question.text == f"Which kind would you like: {', '.join(choice.options[:3])} or {choice.options[3]}?"


def test_values_too_long_to_tap_are_not_offered() -> None:
    def named(item: Item, n: int) -> Item:
        value = "x" * (MAX_VALUE_CHARS + 1) if n % 5 == 0 else KINDS[n % 5]
        return Item(item.id, item.title, attributes={"kind": (value,)})

    table = ItemTable([named(item, n) for n, item in enumerate(ITEMS)])
    choice = choose(moment(table=table), ASKING)
    assert choice is not None
    assert set(choice.options) == set(KINDS[1:])


@pytest.mark.parametrize(
    "considered", [[], [ranked(item) for item in ITEMS if item.attributes["kind"] == ("war",)][:4]]
)
def test_candidates_that_agree_or_are_none_make_no_question(considered: list[Ranked]) -> None:
    assert asked(moment(considered=considered)) is None


def test_an_attribute_with_a_value_for_each_item_is_no_question_to_tap() -> None:
    table = ItemTable([Item(item.id, item.title, attributes={"maker": item.attributes["maker"]}) for item in ITEMS])
    assert asked(moment(table=table)) is None


def test_an_attribute_that_most_items_lack_is_not_asked_about() -> None:
    table = ItemTable([Item(i.id, i.title, attributes=i.attributes if n < 40 else {}) for n, i in enumerate(ITEMS)])
    assert asked(moment(table=table)) is None


def test_it_asks_in_the_customers_language() -> None:
    question = put(Choice("kind", ("comedy", "drama"), 0.1), wording(TABLE, "zh"))
    assert question.options[-1] == "直接给我看"
    assert "comedy" in question.text


def test_after_nothing_fits_the_wishes_may_go() -> None:
    question = way_out(["kind", "colour", "kind"], wording(TABLE))
    assert question.options == ["Forget the kind", "Forget the colour", "Start over"]


def test_where_too_few_are_new_the_list_after_an_answer_has_all_that_fit() -> None:
    """Lists of five; of six of each value two or three were shown, so that four or three are new."""
    items = [Item(f"i{i:02}", "x", attributes={"half": "ab"[i % 2]}) for i in range(12)]
    table = ItemTable(items)
    entries = tuple(ranked(item) for item in items)
    choice = choose(Moment((), Slate(entries[:5], entries), 12, table), replace(ASKING, min_gain=-1.0))
    assert choice is not None
    by_more = 5 / 12 + 2 / 12 * 0.8
    by_answer = (2 + 3) / 12 + 2 / 12 * 0.8  # of the first five of a value two and three are new, then one of each
    assert choice.gain == pytest.approx(0.5 * (by_answer - by_more))


def test_who_only_wants_others_has_told_everything_else() -> None:
    told, untold = moment(), replace(moment(), told=False)
    assert gain(untold) == pytest.approx(gain(told) * 0.8 / 0.5)
    dear = replace(ASKING, min_gain=1.0)
    assert asked(told, dear) is None
    assert asked(untold, dear) == "kind", "no turn is lost by it"
    assert asked(untold, replace(ASKING, no_preference_after_more=0.9999)) is None


def priced(n: int = 60) -> ItemTable:
    return ItemTable(
        [Item(f"i{i:02}", "x", "", {"year": 1960.0 + i, "runtime_min": 80.0 + i}, Decimal(5 + i)) for i in range(n)]
    )


def test_a_number_is_asked_about_in_bands_with_round_ends() -> None:
    choice = choose(moment(table=priced(), asked=["year", "runtime_min"]), ASKING)
    assert choice is not None
    assert choice.attribute == "price"
    low, middle, high = choice.options
    assert (low.low, high.high) == (None, None)  # type: ignore[union-attr]
    assert low.high == middle.low == 30  # type: ignore[union-attr]
    assert middle.high == high.low == 45  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["rating", "review_score", "popularity"])
def test_nobody_is_asked_for_a_rating(name: str) -> None:
    table = ItemTable([Item(f"i{i:02}", "x", attributes={name: float(i)}) for i in range(60)])
    assert asked(moment(table=table)) is None


def test_a_number_that_all_share_makes_no_question() -> None:
    table = ItemTable([Item(f"i{i:02}", "x", attributes={"size": 3.0}) for i in range(60)])
    assert asked(moment(table=table)) is None


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", ["price", "year", "runtime_min", "weight_kg"])
def test_what_is_offered_of_a_number_is_read_back(name: str, language: Language) -> None:
    """Each tapped answer sets the bounds that it stands for, after that question."""
    items = [
        Item(
            f"i{i:02}",
            "x",
            "",
            {"year": 1960.0 + i, "runtime_min": 80.0 + i, "weight_kg": i / 10},
            Decimal(5 + i),
            "EUR",
        )
        for i in range(60)
    ]
    table = ItemTable(items)
    rules = Rules(Lexicon.of(items, table.shape), table.get)
    others = [one for one in table.shape.attributes if one != name]
    choice = choose(moment(table=table, asked=others), ASKING)
    assert choice is not None
    question = put(choice, wording(table, language))
    context = DialogueContext(turn=2, asked=AskedQuestion(name, tuple(question.options)))
    for band, text in zip(choice.options, question.options, strict=False):
        assert isinstance(band, Band)
        facts = rules.understand(text, context).facts
        found = {
            (one.preference.attribute, one.preference.op, *one.preference.values)
            for one in facts
            if isinstance(one, Added)
        }
        assert found == {(name, op, n) for op, n in (("ge", band.low), ("le", band.high)) if n is not None}
