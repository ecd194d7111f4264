"""For whom listings are, who asks, and that search puts what is for somebody else last."""

from __future__ import annotations

import pytest

from retrieval.audience import CLOSE, MAX_TURN_CHARS, Audience, Audiences, asking
from retrieval.fusion import RankedList, fuse
from retrieval.items import Item
from retrieval.query import Query, WeightedText
from retrieval.table import ItemTable

SHOES = ItemTable(
    [
        Item("m1", "Ghost Men's Running Shoe"),
        Item("m2", "Mens Trail Shoe"),
        Item("m3", "Man Runner"),
        Item("w1", "Peregrine Women’s Trail Running Shoe"),
        Item("w2", "Ladies' Racer", attributes={"gender": "male"}),
        Item("typed", "Adrenaline", attributes={"department": ("Womens",)}),
        Item("both", "Shoe for Men and Women"),
        Item("any", "Unisex Men's Trainer"),
        Item("socks", "Socks"),
    ]
)


@pytest.mark.parametrize(
    ("turns", "who"),
    [
        (("running shoes", "i'm a man in my 40s"), "men"),
        (("Show me men's shoes", "no wait, women's please"), "women"),
        (("I don't wear women's shoes",), "men"),
        (("Please stop recommending women's shoes!",), "men"),
        (("I don't need anything fancy for men",), "men"),
        (("a gift for my wife",), "women"),
        (("my wife runs a lot",), None),
        (("I am a female", "it compares to the Salomon Men's Speedcross"), "women"),
        (("the difference between mens and womens?",), None),
        (("oh man, that is pricey", "man-made soles"), None),
        (("a woman's trail shoe",), "women"),
        (("I am a woman", "I like the third", "ok"), "women"),
        ((), None),
    ],
)
def test_who_asks_is_read_from_the_latest_words_that_mean_it(turns: tuple[str, ...], who: Audience | None) -> None:
    assert asking(turns) == who


def test_little_is_read_of_a_long_message() -> None:
    assert asking(("shoes " * MAX_TURN_CHARS + "for men",)) is None
    far = "I want " + "very " * CLOSE + "good men's shoes"
    assert asking((far,)) == "men"
    assert asking(("I am a woman", far)) == "women", "what is meant is said near it"


def test_listings_say_whose_they_are_by_title_then_by_attribute() -> None:
    audiences = Audiences(SHOES)
    for_men = audiences.against(Query(turns=("I am a man",)))
    for_women = audiences.against(Query(texts=(WeightedText("women's shoes"),)))
    assert for_men is not None
    assert for_women is not None
    assert {SHOES.ids[row] for row in for_men.nonzero()[0]} == {"w1", "w2", "typed"}
    assert {SHOES.ids[row] for row in for_women.nonzero()[0]} == {"m1", "m2", "m3"}
    assert audiences.against(Query(turns=("shoes",))) is None


def test_the_customers_own_words_decide_where_they_are_known() -> None:
    query = Query(turns=("men's or women's?", "these are men's shoes"), own=("I am a woman",))
    against = Audiences(SHOES).against(query)
    assert against is not None
    assert against[SHOES.row_of("m1")]


def test_a_catalogue_of_films_has_no_audiences() -> None:
    films = ItemTable([Item("1", "Men in Black"), Item("2", "Wonder Woman"), Item("3", "Little Women")])
    assert Audiences(films).against(Query(turns=("I am a man",))) is None
    few = ItemTable([*SHOES.items, *(Item(f"film {n}", f"Film {n}") for n in range(200))])
    assert Audiences(few).against(Query(turns=("I am a man",))) is None


def test_what_is_not_meant_comes_after_what_is_and_is_not_lost() -> None:
    lists = [RankedList("lexical", [("a", 3.0), ("b", 2.0), ("c", 1.0)])]
    assert [one.item_id for one in fuse(lists, k=3, behind=lambda item: item == "a")] == ["b", "c", "a"]
    assert [one.item_id for one in fuse(lists, k=2, behind=lambda item: item == "a")] == ["b", "c"]
