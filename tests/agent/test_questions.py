"""A question is asked only when it pays, never about what is known, with answers from the candidates."""

import pytest
from small_shop import ranked, wish, wording

from agent.preferences import Preference
from agent.questions import MANY, N_OPTIONS, question_for
from agent.ranking import Ranked
from retrieval.items import AttributeValue, Item
from retrieval.table import ItemTable

KINDS = ("comedy", "drama", "horror", "crime", "war")
COLOURS = ("red", "blue", "green")


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
CONSIDERED = [ranked(item) for item in ITEMS]


def ask(wishes: list[Preference], n: int = 60, considered: list[Ranked] | None = None) -> str | None:
    question = question_for(wishes, CONSIDERED if considered is None else considered, n, TABLE, wording(TABLE))
    return question.attribute if question else None


def test_the_best_splitting_attribute_is_asked() -> None:
    assert ask([]) == "kind"


def test_few_matching_items_are_shown_instead() -> None:
    assert ask([], n=MANY) == "kind"
    assert ask([], n=MANY - 1) is None


def test_a_known_attribute_is_never_asked_about() -> None:
    assert ask([wish("kind", "eq", "comedy")]) == "colour"
    assert ask([wish("kind", "eq", "comedy", polarity="negative")]) == "colour"


@pytest.mark.parametrize("specific", [wish(None, "about", "a robbery"), wish(None, "like", "i01")])
def test_a_specific_wish_is_answered(specific: Preference) -> None:
    assert ask([specific]) is None


def test_enough_wishes_are_enough() -> None:
    assert ask([wish("size", "lt", 50.0), wish("colour", "eq", "red")]) is None


def test_options_are_the_commonest_values_of_the_candidates_and_a_way_out() -> None:
    question = question_for([], CONSIDERED[:50], 60, TABLE, wording(TABLE))
    assert question is not None
    assert question.options[:-1] == list(KINDS[:N_OPTIONS])
    assert question.options[-1] == "Show me anyway"
    assert question.text == "Which kind would you like: comedy, drama, horror or crime?"


def test_candidates_that_agree_make_no_question() -> None:
    same = [entry for entry in CONSIDERED if entry.item.attributes["kind"] == ("comedy",)]
    same = [entry for entry in same if entry.item.attributes["colour"] == "red"]
    assert len(same) == 4
    assert ask([], considered=same) is None


def test_nothing_considered_makes_no_question() -> None:
    assert ask([], considered=[]) is None


def test_an_attribute_with_a_value_for_each_item_is_no_question_to_tap() -> None:
    makers = ItemTable([Item(item.id, item.title, attributes={"maker": item.attributes["maker"]}) for item in ITEMS])
    considered = [ranked(item) for item in makers.items]
    assert question_for([], considered, 60, makers, wording(makers)) is None


def test_an_attribute_that_most_items_lack_is_not_asked_about() -> None:
    items = [Item(i.id, i.title, attributes=i.attributes if n < 40 else {}) for n, i in enumerate(ITEMS)]
    table = ItemTable(items)
    assert question_for([], [ranked(item) for item in items], 60, table, wording(table)) is None


def test_it_asks_in_the_customers_language() -> None:
    question = question_for([], CONSIDERED, 60, TABLE, wording(TABLE, "zh"))
    assert question is not None
    assert question.options[-1] == "直接给我看"
    assert "comedy、drama" in question.text
