"""What a bot says of items: planted false claims are found, true ones are not, titles in prose are linked."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.answer import Answer, shown_item
from agent.bench.dialogue.claims import ClaimCheck, Heard, sentences_of
from agent.bench.dialogue.reading import Reader, Reply
from retrieval.items import Item
from retrieval.table import ItemTable

HEAT = Item(
    "heat",
    "Heat",
    "A thief in Los Angeles plans a last robbery.",
    {"year": 1995.0, "runtime_min": 170.0, "director": "Michael Mann", "genre": ("Crime",)},
    Decimal("19.95"),
    "EUR",
    True,
    "https://shop.example/heat",
)
COOL = Item("cool", "Cool Hand Luke", "A prisoner refuses to give in.", {"year": 1967.0, "genre": ("Drama",)})
AFTER = Item("after", "After Hours", "A night in Soho.", {"year": 1985.0, "genre": ("Comedy",)})
TABLE = ItemTable((HEAT, COOL, AFTER))
LINE = "1. Heat (1995) · 19.95 EUR\n   Matches Crime.\n   https://shop.example/heat"


def ours(text: str, *items: Item) -> Reply:
    shown = [shown_item(item, rank) for rank, item in enumerate(items, 1)]
    return Reply(text, Answer(session_id="s", turn_id="t", action="recommend", items=shown, model="stub"))


def heard(words: str = "Crime, please") -> Heard:
    return Heard(words, "genre Crime", {"heat"})


def claims(text: str, words: str = "Crime, please") -> list[str]:
    return ClaimCheck(Reader(TABLE)).unsupported(ours(text, HEAT), ["heat"], heard(words))


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"{LINE}\n\nTo begin with Heat: A thief in Los Angeles plans a last robbery.",
        f"{LINE}\n\nHeat: it runs 170 minutes.",
        f"{LINE}\n\nWhich year would you like, 1960 or 1970?",
    ],
)
def test_what_a_field_backs_is_no_claim_too_many(text: str) -> None:
    assert claims(text) == []


@pytest.mark.parametrize(
    ("false", "found"),
    [
        (LINE.replace("1995", "1996"), "1996"),
        (LINE.replace("19.95", "9.95"), "9.95"),
        (LINE.replace("19.95", "1,995.00"), "1,995.00"),
        (LINE.replace("Matches Crime.", "Only 3 left."), "3"),
        (LINE.replace("shop.example", "elsewhere.example"), "elsewhere"),
        (f"{LINE}\n\nHeat: it runs 90 minutes.", "90"),
        (f"{LINE}\n\nHeat: directed by Ridley Scott.", "Ridley Scott"),
        (f"{LINE}\n\nHeat: it won an Oscar.", "Oscar"),
    ],
)
def test_planted_claims_are_found(false: str, found: str) -> None:
    assert any(found in one for one in claims(false))


def test_a_number_of_the_customer_may_be_said_again() -> None:
    line = LINE.replace("Matches Crime.", "Under 25 EUR.")
    assert claims(line, "Crime under 25 EUR") == []
    assert claims(line)


def test_an_item_that_was_not_shown_must_not_be_named() -> None:
    check = ClaimCheck(Reader(TABLE))
    reply = ours(f"{LINE}\n\nHeat is like Cool Hand Luke.", HEAT)
    assert check.not_shown(reply, heard()) == ["Cool Hand Luke"]
    assert check.not_shown(reply, Heard("like Cool Hand Luke", "", {"heat"})) == []
    assert check.not_shown(reply, Heard("", "", {"heat", "cool"})) == []
    assert check.not_shown(ours(f"{LINE}\n\nOpen after hours.", HEAT), heard()) == []


def test_titles_in_prose_are_offers_of_a_bot_without_object() -> None:
    reader = Reader(TABLE)
    text = "You might enjoy After Hours, or “Heat”.\n- **Cool Hand Luke** (1967), a classic\n- bring popcorn"
    seen = reader.read(Reply(text))
    assert seen.offered == ("cool", "after", "heat")
    assert seen.invented == ()
    assert reader.read(Reply("The heat is on after hours.")).offered == ()
    assert reader.read(Reply("Heat (1995) is fine.")).offered == ("heat",)


@pytest.mark.parametrize(
    ("text", "invented"),
    [
        ("Try Lost Causes (2001), it is great.", ("Try Lost Causes (2001)",)),
        ("Heat (1996) is fine.", ("Heat (1996)",)),
        ("I love Heat (1995).", ()),
        ("- **Nobody Knows It**: a gem", ("**Nobody Knows It**: a gem",)),
        ("- a gem for the family", ()),
    ],
)
def test_invented_titles_in_prose(text: str, invented: tuple[str, ...]) -> None:
    assert Reader(TABLE).read(Reply(text)).invented == invented


def test_an_invented_title_beside_the_object_counts() -> None:
    assert Reader(TABLE).read(ours(f"{LINE}\n\nSee also Lost Causes (2001).", HEAT)).invented
    assert not Reader(TABLE).read(ours(LINE, HEAT)).invented


def test_sentences_are_those_outside_of_the_list() -> None:
    text = f"I found three that fit.\n\n{LINE}\n\nTo begin with Heat: a thief plans. Do you like that one?\nOf course."
    assert sentences_of(text) == ["I found three that fit.", "To begin with Heat: a thief plans."]


def test_items_whose_titles_differ_by_a_sign_are_not_confused() -> None:
    first = Item("a", "Shoes Red & White", attributes={"year": 1999.0})
    second = Item("b", "Shoes Red White", attributes={"year": 2001.0})
    check = ClaimCheck(Reader(ItemTable((first, second))))
    reply = ours("1. Shoes Red & White (1999)\n2. Shoes Red White (2001)", first, second)
    assert check.unsupported(reply, ["a", "b"], Heard("", "", {"a", "b"})) == []
    wrong = ours("1. Shoes Red & White (2001)\n2. Shoes Red White (2001)", first, second)
    assert len(check.unsupported(wrong, ["a", "b"], Heard("", "", {"a", "b"}))) == 1
