"""Readings that need another catalogue than the films: words of service that are values, fields called by name."""

from __future__ import annotations

from decimal import Decimal

import pytest
from understand_catalogues import notation, rules_for, wish

from agent.understand.rules import Rules
from agent.understand.types import DialogueContext
from retrieval.items import AttributeValue, Item

LISTED = DialogueContext(turn=2, shown=(("c1", "c2", "c3"),))
WISHED = DialogueContext(turn=2, preferences=(wish("t1-1", "warranty", "eq", "2 year warranty"),))


def course(n: int, title: str, **attributes: AttributeValue) -> Item:
    fields: dict[str, AttributeValue] = {
        "warranty": f"{n} year warranty",
        "style": ("hands-on",) if n % 2 else ("academic",),
        "rating": 3.0 + n / 10,
        "year": 2010.0 + n,
        "depth_of_shelf": 10.0 * n,
    }
    return Item(f"c{n}", title, f"About {title}.", fields | attributes, Decimal(10 * n), "EUR", True)


def goods_of(n: int, title: str, **attributes: AttributeValue) -> Item:
    return Item(f"g{n}", title, f"A {title}.", attributes, Decimal(n), "EUR", True)


@pytest.fixture(scope="module")
def stall() -> Rules:
    """Values that are titles, verbs, parts of names, several attributes' or begin with a no."""
    return rules_for(
        [
            goods_of(1, "Apple", category="groceries", tags=("family", "fruit"), warranty="No warranty"),
            goods_of(2, "Smart Phone", brand="Apple", category="smart-phones", audience=("Family",), year=1950.0),
            goods_of(3, "Womens Evening Dress", category="womens-dresses", warranty="1 year warranty", rating=4.0),
            goods_of(4, "Leather Bag", category="womens-bags", format="in person", year=2010.0),
            goods_of(5, "Longines", category="mens-watches", warranty="No warranty", rating=3.0),
            goods_of(6, "Old Loom", category="crafts", format="online", instructor="R.D. Reid"),
            goods_of(7, "New Loom", category="crafts", format="online", instructor="Max Reid"),
            goods_of(8, "Wheel", subject_area="Pottery", director="R.D. Reid", cast=("J. K. Simmons", "Vincent Price")),
        ]
    )


SHOWN = DialogueContext(
    turn=2, preferences=(wish("t1-1", "category", "eq", "womens-dresses"),), shown=(("g3", "g1", "g2"),)
)
CAST = DialogueContext(turn=2, preferences=(wish("t1-1", "cast", "eq", "J. K. Simmons"),))
DENIED = DialogueContext(turn=2, preferences=(wish("t1-1", "warranty", "eq", "No warranty", polarity="negative"),))


@pytest.mark.parametrize(
    ("text", "context", "reading"),
    [
        ("And not in person.", DialogueContext(), {"recommend", "-H format=in person"}),
        ("I'd like Apple and under 10, please.", DialogueContext(), {"recommend", "H brand=Apple", "H price<10"}),
        ("something like Apple", DialogueContext(), {"recommend", "S like g1"}),
        ("Do you have Pottery?", DialogueContext(), {"recommend", "H subject_area=Pottery"}),
        ("Actually, womens-bags.", SHOWN, {"recommend", "H category=womens-bags", "drop t1-1"}),
        (
            "Mens-watches and no warranty",
            DialogueContext(),
            {"recommend", "H category=mens-watches", "H warranty=No warranty"},
        ),
        ("no family", DialogueContext(), {"recommend", "-H tags=family", "-H audience=Family"}),
        ("no audience family", DialogueContext(), {"recommend", "-H audience=Family"}),
        (
            "starring Vincent Price and no later than 1955",
            DialogueContext(),
            {"recommend", "H cast=Vincent Price", "H year<=1955"},
        ),
        (
            "from 1955 or earlier and rating at least 3.5",
            DialogueContext(),
            {"recommend", "H year<=1955", "H rating>=3.5"},
        ),
        (
            "from 1955 or earlier. Rating at least 3.5 would be nice.",
            DialogueContext(),
            {"recommend", "H year<=1955", "S rating>=3.5"},
        ),
        (
            "Sorry, I meant with Vincent Price, not with J. K. Simmons.",
            CAST,
            {"recommend", "H cast=Vincent Price", "drop t1-1"},
        ),
        ("Please, not no warranty.", DENIED, {"recommend", "-H warranty=No warranty"}),
    ],
)
def test_reading_of_values(stall: Rules, text: str, context: DialogueContext, reading: set[str]) -> None:
    found = notation(stall.understand(text, context))
    assert {part for part in found if not part.startswith("ids")} == reading


@pytest.fixture(scope="module")
def rules() -> Rules:
    titles = ("The Curious Botany Primer 13", "The Modern Botany Seminar 75", "Pottery Lab", "Glass Studio", "Loom")
    return rules_for([course(n, title) for n, title in enumerate(titles, 1)])


@pytest.mark.parametrize(
    ("text", "context", "reading"),
    [
        ("something with 2 year warranty", DialogueContext(), {"recommend", "H warranty=2 year warranty"}),
        (
            "No, 3 year warranty, not 2 year warranty",
            WISHED,
            {"recommend", "H warranty=3 year warranty", "drop t1-1"},
        ),
        ("what is the warranty of the second one?", LISTED, {"item_question", "ids c2", "attr warranty"}),
        ("any warranty is fine", WISHED, {"recommend", "drop t1-1"}),
        ("how long is your warranty?", DialogueContext(), {"support"}),
        ("less hands-on", LISTED, {"recommend", "-S style=hands-on"}),
        ("rated at least 3.2 made after 2011", DialogueContext(), {"recommend", "H rating>=3.2", "H year>2011"}),
        ("with a depth of shelf of less than 30", DialogueContext(), {"recommend", "H depth_of_shelf<30"}),
        (
            "similar to The Cuious Botany Primer 13 but cheaper",
            DialogueContext(),
            {"recommend", "S like c1", "H price<10"},
        ),
        ("something like the modern botany seminar 75", LISTED, {"recommend", "S like c2"}),
    ],
)
def test_reading(rules: Rules, text: str, context: DialogueContext, reading: set[str]) -> None:
    found = notation(rules.understand(text, context))
    assert {part for part in found if not part.startswith("ids") or part in reading} == reading
