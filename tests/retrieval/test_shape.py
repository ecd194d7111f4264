"""CatalogueShape: kinds, ranges, values and counts."""

from __future__ import annotations

from decimal import Decimal

from retrieval.items import Item
from retrieval.shape import CatalogueShape

ITEMS = (
    Item(
        "1",
        "Heat",
        attributes={"year": 1995.0, "genre": ("crime", "drama"), "format": "DVD"},
        price=Decimal("9.90"),
        currency="EUR",
    ),
    Item("2", "Up", attributes={"year": 2009.0, "genre": ("family", "drama")}, price=Decimal("4.50"), currency="EUR"),
    Item("3", "Alien", attributes={"format": "DVD"}),
)


def test_numbers_have_a_range() -> None:
    year = CatalogueShape.of(ITEMS).attributes["year"]
    assert (year.kind, year.count, year.minimum, year.maximum, year.values) == ("number", 2, 1995.0, 2009.0, None)


def test_lists_and_texts_have_values_most_frequent_first() -> None:
    shape = CatalogueShape.of(ITEMS)
    genre, media = shape.attributes["genre"], shape.attributes["format"]
    assert (genre.kind, genre.count, genre.values) == ("list", 2, {"drama": 2, "crime": 1, "family": 1})
    assert list(genre.values or ())[0] == "drama"
    assert (media.kind, media.count, media.values) == ("text", 2, {"DVD": 2})


def test_values_as_frequent_as_others_keep_the_order_of_the_catalogue() -> None:
    """A set of texts has another order in each process: what is generated from a seed would differ."""
    names = tuple(f"value {number}" for number in range(40))
    genre = CatalogueShape.of([Item("1", "Heat", attributes={"genre": names})]).attributes["genre"]
    assert tuple(genre.values or ()) == names


def test_the_price_is_among_the_attributes_with_its_one_currency() -> None:
    shape = CatalogueShape.of(ITEMS)
    price = shape.attributes["price"]
    assert (price.kind, price.count, price.minimum, price.maximum, shape.currency) == ("number", 2, 4.5, 9.9, "EUR")


def test_two_currencies_are_no_currency() -> None:
    dollars = Item("4", "Jaws", price=Decimal(3), currency="USD")
    assert CatalogueShape.of((*ITEMS, dollars)).currency is None


def test_an_attribute_called_price_does_not_count_as_the_price() -> None:
    odd = Item("4", "Jaws", attributes={"price": "cheap"}, price=Decimal(3), currency="EUR")
    price = CatalogueShape.of((*ITEMS, odd)).attributes["price"]
    assert (price.kind, price.count) == ("number", 3)


def test_one_stray_text_makes_the_attribute_text_and_no_value_is_lost() -> None:
    stray = Item("4", "Jaws", attributes={"year": "unknown"})
    year = CatalogueShape.of((*ITEMS, stray)).attributes["year"]
    assert (year.kind, year.count, year.values) == ("text", 3, {"unknown": 1, "1995": 1, "2009": 1})


def test_a_value_repeated_in_one_list_counts_its_item_once() -> None:
    shape = CatalogueShape.of([Item("1", "A", attributes={"tag": ("x", "x")})])
    assert shape.attributes["tag"].values == {"x": 1}


def test_an_empty_catalogue_has_an_empty_shape() -> None:
    assert CatalogueShape.of(()) == CatalogueShape(0, {}, None)
