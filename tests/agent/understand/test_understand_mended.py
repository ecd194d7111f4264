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
