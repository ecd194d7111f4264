"""Wishes and facts in words: units, bounds, negatives and lists, in both languages."""

from dataclasses import replace
from decimal import Decimal

import pytest
from small_shop import ranked, wish, wording

from agent.preferences import Preference
from agent.ranking import Matched, Shared, WishMasks
from agent.wording import plain_number
from retrieval.items import AttributeValue, Item
from retrieval.table import ItemTable

WISHES = [
    (wish("genre", "eq", "Comedy"), "Comedy", "Comedy"),
    (wish("genre", "eq", "Comedy", "Drama"), "Comedy or Drama", "Comedy 或 Drama"),
    (wish("genre", "eq", "Horror", polarity="negative"), "not Horror", "不要 Horror"),
    (wish("price", "lt", 20.0), "under 20.00 EUR", "低于 20.00 EUR"),
    (wish("price", "le", 9.9), "9.90 EUR or less", "不超过 9.90 EUR"),
    (wish("price", "ge", 5.0), "5.00 EUR or more", "不低于 5.00 EUR"),
    (wish("price", "gt", 5.0), "over 5.00 EUR", "高于 5.00 EUR"),
    (wish("price", "eq", 12.5), "12.50 EUR", "12.50 EUR"),
    (wish("price", "gt", 5.0, polarity="negative"), "5.00 EUR or less", "不超过 5.00 EUR"),
    (wish("year", "lt", 1990.0), "before 1990", "1990 年以前"),
    (wish("year", "le", 1990.0), "from 1990 or earlier", "1990 年及以前"),
    (wish("year", "gt", 1990.0), "after 1990", "1990 年以后"),
    (wish("year", "ge", 1990.0), "from 1990 or later", "1990 年及以后"),
    (wish("year", "eq", 1994.0), "from 1994", "1994 年"),
    (wish("year", "eq", 1994.0, 1995.0), "from 1994 or 1995", "1994 或 1995 年"),
    (wish("year", "eq", *map(float, range(1990, 2000)), polarity="negative"), "not from the 1990s", "不要 1990 年代"),
    (wish("runtime_min", "le", 90.0), "at most 90 minutes", "不超过 90 分钟"),
    (wish("runtime_min", "lt", 90.0), "under 90 minutes", "短于 90 分钟"),
    (wish("runtime_min", "ge", 90.0), "at least 90 minutes", "不短于 90 分钟"),
    (wish("runtime_min", "gt", 90.0), "over 90 minutes", "长于 90 分钟"),
    (wish("runtime_min", "lt", 90.0, polarity="negative"), "at least 90 minutes", "不短于 90 分钟"),
    (wish("runtime_min", "eq", 90.0), "90 min", "90 分钟"),
    (wish("screen_size", "ge", 6.1), "screen size from 6.1", "screen size不低于 6.1"),
    (wish("box_office", "gt", 237e6), "box office over 237000000", "box office高于 237000000"),
    (wish("in_stock", "eq", "yes"), "in stock", "有货"),
    (wish(None, "about", "a bank robbery"), '"a bank robbery"', "“a bank robbery”"),
    (wish(None, "about", "clowns", polarity="negative"), 'nothing "clowns"', "不要“clowns”"),
    (wish(None, "like", "film-alien-1979"), "like Alien", "类似“Alien”"),
    (wish(None, "like", "film-alien-1979", polarity="negative"), "unlike Alien", "不要类似“Alien”"),
]


@pytest.mark.parametrize(("one", "english", "chinese"), WISHES, ids=lambda value: getattr(value, "id", None))
def test_a_wish_as_it_is_said(one: Preference, english: str, chinese: str, film_table: ItemTable) -> None:
    assert wording(film_table).wish(one) == english
    assert wording(film_table, "zh").wish(one) == chinese


def test_lists_as_a_person_says_them(film_table: ItemTable) -> None:
    english, chinese = wording(film_table), wording(film_table, "zh")
    assert [english.join(list("abc")[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert english.join(["a", "b", "c"], last="wish.or") == "a, b or c"
    assert chinese.join(["a", "b", "c"]) == "a、b、c"
    wishes = [wish("genre", "eq", "Comedy"), wish("year", "lt", 1990.0), wish("price", "lt", 10.0)]
    assert english.wishes(wishes) == "Comedy, before 1990 and under 10.00 EUR"
    assert english.wishes([]) == "anything"
    assert chinese.wishes([]) == "不限"
    many = [wish("genre", "eq", name) for name in "abcdefgh"]
    assert english.wishes(many) == "a, b, c, d, e and f"


def test_what_an_item_breaks(film_table: ItemTable) -> None:
    wishes = [wish("year", "lt", 1990.0), wish("genre", "eq", "Horror", polarity="negative")]
    assert wording(film_table).broken(wishes) == "Horror and not before 1990"
    assert wording(film_table, "zh").broken(wishes) == "属于“Horror”、不符合“1990 年以前”"


@pytest.mark.parametrize(
    ("attribute", "value", "english", "chinese"),
    [
        ("price", 12.9, "12.90 EUR", "12.90 EUR"),
        ("runtime_min", 117.0, "117 min", "117 分钟"),
        ("year", 1979.0, "1979", "1979"),
        ("weight", 0.35, "0.35", "0.35"),
        ("budget", 237e6, "237000000", "237000000"),
        ("genre", ("Horror", "Sci-Fi"), "Horror and Sci-Fi", "Horror、Sci-Fi"),
        ("format", "DVD", "DVD", "DVD"),
    ],
)
def test_values_with_their_units(
    attribute: str, value: AttributeValue, english: str, chinese: str, film_table: ItemTable
) -> None:
    assert wording(film_table).value(attribute, value) == english
    assert wording(film_table, "zh").value(attribute, value) == chinese


def test_money_is_in_the_items_own_currency_and_bare_where_none_is_known(film_table: ItemTable) -> None:
    assert wording(film_table).value("price", 5.0, "USD") == "5.00 USD"
    assert replace(wording(film_table), currency=None).value("price", 5.0) == "5.00"


@pytest.mark.parametrize(("number", "said"), [(3.0, "3"), (-2.5, "-2.5"), (1e15, "1000000000000000"), (0.1, "0.1")])
def test_numbers_are_never_written_with_an_exponent(number: float, said: str) -> None:
    assert plain_number(number) == said


def test_why_names_the_wishes_that_an_item_meets(film_table: ItemTable, by_title: dict[str, Item]) -> None:
    alien = by_title["Alien"]
    wishes = [wish("genre", "eq", "Horror"), wish("year", "lt", 1980.0), wish("in_stock", "eq", "yes")]
    matched = WishMasks.of(wishes, film_table).matched(alien, film_table.row_of(alien.id))
    entry = replace(ranked(alien), matched=matched)
    assert wording(film_table).why(entry, wishes) == "Fits your wish: Horror, from 1979 and in stock."
    assert wording(film_table, "zh").why(entry, wishes) == "符合您的要求：Horror、1979 年、有货。"


def test_why_without_a_match(film_table: ItemTable, by_title: dict[str, Item]) -> None:
    words, entry = wording(film_table), ranked(by_title["Jaws"])
    like = wish(None, "like", "film-alien-1979")
    alike = replace(entry, features={"likeness": 0.5})
    assert words.why(alike, [like]) == "Close in content to Alien."
    assert words.why(replace(entry, features={"likeness": 0.1}), [like]) == "", "it is not close enough to say so"
    assert words.why(entry, [wish(None, "about", "sharks")]) == "Its description comes closest to your words."
    assert words.why(entry, [replace(like, polarity="negative")]) == ""
    popular = replace(entry, features={"popularity": 0.9})
    assert words.why(popular, []) == "One of the most popular in the catalogue."
    assert words.why(replace(entry, features={"popularity": 0.5}), []) == ""


def test_why_says_what_is_shared(film_table: ItemTable, by_title: dict[str, Item]) -> None:
    words, dark = wording(film_table), wish("mood", "eq", "dark", kind="soft", polarity="negative")
    entry = replace(ranked(by_title["Inception"]), shared=Shared("director", "Christopher Nolan", "film-alien-1979"))
    by_cast = replace(entry, shared=Shared("cast", "Ken Watanabe", "film-alien-1979"))
    by_mood = replace(entry, shared=Shared("mood", "dark", "film-alien-1979"))
    assert words.why(entry, []) == "Also directed by Christopher Nolan, like Alien."
    assert words.why(by_cast, []) == "Also with Ken Watanabe, like Alien."
    assert words.why(by_mood, []) == "Same mood as Alien: dark."
    assert words.why(by_mood, [dark]) == "", "what is not wanted is no reason"
    assert "“Alien”" in wording(film_table, "zh").why(entry, [])
    matched = replace(entry, matched=(Matched("genre", "Sci-Fi"),))
    assert words.why(matched, []) == "Fits your wish: Sci-Fi. Also directed by Christopher Nolan, like Alien."
    same = replace(entry, matched=(Matched("director", "Christopher Nolan"),))
    assert words.why(same, []) == "Fits your wish: Christopher Nolan."


def test_trade_offs_are_honest(film_table: ItemTable, by_title: dict[str, Item]) -> None:
    words = wording(film_table)
    slate = [ranked(by_title[title]) for title in ("Airplane!", "The Sting", "Titanic", "Ghostbusters")]
    cheap, _, long_and_dear, gone = slate
    assert words.trade_off(gone, slate, []) == "Out of stock at the moment."
    assert words.trade_off(cheap, slate, [wish("mood", "eq", "dark")]) == "Not matched: dark."
    assert words.trade_off(long_and_dear, slate, []) == "The dearest of this list."
    assert words.trade_off(cheap, slate, []) is None
    priceless = [replace(entry, item=replace(entry.item, price=None)) for entry in slate]
    assert words.trade_off(priceless[2], priceless, []) == "The longest of this list: 194 min."
    assert words.trade_off(long_and_dear, slate[2:], []) is None  # of two, neither is called dearest
    assert words.trade_off(ranked(Item("x", "X")), [], []) == "The catalogue says little about it."


def test_almost_equal_prices_are_no_trade_off(film_table: ItemTable) -> None:
    slate = [ranked(Item(str(p), str(p), "text", price=Decimal(p), currency="EUR")) for p in (10, 10, 11)]
    assert wording(film_table).trade_off(slate[2], slate, []) is None


@pytest.mark.parametrize(
    ("attribute", "english"),
    [
        ("price", "Alien costs 14.50 EUR."),
        ("in_stock", "Alien is in stock."),
        ("runtime_min", "Alien: runtime 117 min."),
        ("director", "Alien: director Ridley Scott."),
        ("year", "Alien: year 1979."),
        ("subtitles", "The catalogue does not say the subtitles of Alien."),
    ],
)
def test_a_fact_rests_on_a_field(
    attribute: str, english: str, film_table: ItemTable, by_title: dict[str, Item]
) -> None:
    assert wording(film_table).fact(by_title["Alien"], attribute) == english


def test_facts_that_are_missing(film_table: ItemTable, by_title: dict[str, Item]) -> None:
    words, bare = wording(film_table), Item("x", "X")
    assert words.fact(bare, "price") == "The catalogue does not say the price of X."
    assert words.fact(bare, "in_stock") == "The catalogue does not say the stock of X."
    assert "does not say" in words.fact(bare, "text")
    assert words.fact(by_title["Ghostbusters"], "in_stock") == "Ghostbusters is out of stock."
    assert words.fact(by_title["Alien"], "text").startswith("Alien: The crew of the space tug")
    assert "没有" in wording(film_table, "zh").fact(bare, "price")


def test_superlatives(film_table: ItemTable) -> None:
    words = wording(film_table)
    assert words.superlative("price", descending=False) == "cheapest"
    assert words.superlative("runtime_min", descending=True) == "longest"
    assert words.superlative("screen_size", descending=True) == "highest in screen size"
    assert wording(film_table, "zh").superlative("year", descending=True) == "最新"


def test_matched_money_has_the_items_currency(film_table: ItemTable) -> None:
    item = Item("x", "X", price=Decimal("5"), currency="USD")
    entry = replace(ranked(item), matched=(Matched("price", 5.0),))
    assert wording(film_table).why(entry, []) == "Fits your wish: 5.00 USD."
