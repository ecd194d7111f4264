"""Questions about an item: from its fields, or said to be unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from talking import talk_over

from agent.item_questions import asks_what_is_not_said, measure_asked
from agent.log.store import EventLog
from agent.shop import Shop
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
