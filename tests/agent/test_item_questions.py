"""Questions about an item: from its fields, or said to be unknown."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from small_shop import HashingEncoder
from talking import talk_over

from agent.item_questions import asks_what_is_not_said, field_named, is_question, measure_asked
from agent.log.store import EventLog
from agent.shop import Shop, open_shop
from retrieval.index import build_index
from retrieval.items import Item
from retrieval.shape import CatalogueShape

LAMP = Item(
    "l", "Trail Lamp", "A light head lamp of steel that keeps the rain out.", {"weight_g": 90.0, "use": ("camping",)}
)
SHAPE = CatalogueShape.of([LAMP])


@pytest.mark.parametrize(
    ("text", "unsaid"),
    [
        ("does it have hdmi?", True),
        ("Is the first one waterproof?", True),
        ("and can it float?", True),
        ("is it made of steel?", False),
        ("is number 2 good for camping?", True),  # "good" is said nowhere
        ("does it keep the rain out", False),
        ("what is it about?", False),
        ("when does it start?", True),
        ("who painted it?", True),
        ("how does it keep the rain out?", False),
        ("tell me about the first one", False),
        ("它防水吗？", True),
        ("介绍一下第一个", False),
    ],
)
def test_a_yes_or_no_question_about_what_no_field_says_is_known_for_one(text: str, unsaid: bool) -> None:
    assert asks_what_is_not_said(text, LAMP) is unsaid


@pytest.mark.parametrize(
    ("text", "attribute"),
    [
        ("how heavy is it?", "weight_g"),
        ("how much does number 2 weigh?", "weight_g"),
        ("how big is it?", "size"),
        ("how much is it?", None),
        ("它有多重？", "weight_g"),
    ],
)
def test_measures_in_everyday_words(text: str, attribute: str | None) -> None:
    assert measure_asked(text, SHAPE) == attribute


CLOCK = Item(
    "c",
    "Wall Clock",
    "A clock of oak.",
    {"brand": "Norvik", "battery_hours": 900.0, "wireless": "yes", "year": 1999.0, "instructor": "Ines Novak"},
    Decimal("20.00"),
    "EUR",
    True,
)
LOUD = Item("d", "Loud Clock", "A loud clock.", {"year": 2001.0, "wireless": "no"}, Decimal("30.00"), "EUR", True)
BARE = Item("e", "Bare Clock", "A bare clock.", {}, Decimal("31.00"), "EUR", True)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("who makes it?", "brand"),
        ("who made the first one?", "brand"),
        ("who teaches it?", "instructor"),
        ("who wrote it?", "writer"),  # that it is in no field is said, not who did something else
        ("who is in it?", None),
    ],
)
def test_who_did_what(text: str, named: str | None) -> None:
    assert measure_asked(text, CatalogueShape.of([CLOCK])) == named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("how long does the battery last?", "battery_hours"),
        ("is it Wireless", "wireless"),
        ("does it tick?", None),
        ("what is it made of?", None),
    ],
)
def test_a_question_with_a_word_of_a_fields_name_asks_for_the_field(text: str, named: str | None) -> None:
    assert field_named(text, CatalogueShape.of([CLOCK])) == named


def test_a_message_that_points_into_the_list_is_not_about_the_item_in_focus() -> None:
    assert is_question("how long does the battery last?")
    assert is_question("does it tick")
    assert not is_question("when did the second come out?")
    assert not is_question("lovely weather")


@pytest.mark.parametrize(
    ("title", "text", "said"),
    [
        ("Wall Clock", "how long does the battery last?", "Wall Clock: battery 900 hours."),
        ("Bare Clock", "how long does the battery last?", "The catalogue does not say the battery of Bare Clock."),
        ("Wall Clock", "is Wall Clock wireless?", "Yes: the catalogue lists Wall Clock with “wireless”."),
        ("Loud Clock", "is Loud Clock wireless?",
         "The catalogue does not list Loud Clock with “wireless”. Loud Clock: wireless no."),
        ("Bare Clock", "is Bare Clock wireless?", "The catalogue does not say this of Bare Clock: wireless."),
        ("Wall Clock", "is Wall Clock from 2001?",
         "The catalogue does not list Wall Clock with “2001”. Wall Clock: year 1999."),
        ("Loud Clock", "is Loud Clock from 2001?", "Yes: the catalogue lists Loud Clock with “2001”."),
        ("Wall Clock", "is it available in walnut?",
         "The catalogue does not say that of Wall Clock. This is what it says: Wall Clock is in stock."),
        ("Wall Clock", "is it available?", "Wall Clock is in stock."),
    ],
)  # fmt: skip
async def test_fields_are_read_out_as_a_person_would(
    clock_shop: Shop, tmp_path: Path, title: str, text: str, said: str
) -> None:
    log = EventLog.open(None, tmp_path)
    talk = talk_over(clock_shop, log, tmp_path)
    await talk.say(f"tell me about {title}")
    reply = (await talk.say(text)).reply
    log.close()
    assert reply == said


@pytest.fixture(scope="module")
def clock_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    encoder = HashingEncoder()
    index = build_index([CLOCK, LOUD, BARE], tmp_path_factory.mktemp("clocks"), encoder)
    shop = open_shop(index, encoder, None, "Clocks")
    yield shop
    shop.retriever.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("does the first one have hdmi?", "The catalogue does not say that of {title}. This is what it says: {text}"),
        ("what is the first one about?", "{title}: {text}"),
        ("how heavy is the first one?", "The catalogue does not say the weight of {title}."),
        ("how long is the first one?", "{title}: runtime {runtime:g} min."),
    ],
)
async def test_an_answer_says_what_is_known_and_what_is_not(
    film_shop: Shop, tmp_path: Path, text: str, said: str
) -> None:
    log = EventLog.open(None, tmp_path)
    talk = talk_over(film_shop, log, tmp_path)
    first = film_shop.table.get((await talk.say("a horror film")).ids[0])
    reply = (await talk.say(text)).reply
    log.close()
    assert reply == said.format(title=first.title, text=first.text, runtime=first.attributes["runtime_min"])
