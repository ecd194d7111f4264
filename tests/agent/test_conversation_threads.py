"""What shoppers complained about in other assistants, each as a conversation that passes or fails by itself.

Numbers are of the threads of an open shopping assistant of the same kind. What is not here cannot happen by
construction: items are chosen before a word is written, so no id comes from the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from talking import Talk, talk_over

from agent.log.store import EventLog
from agent.shop import Shop
from retrieval.search import Retriever


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    return talk_over(film_shop, log, tmp_path)


async def test_170_what_is_not_carried_is_said_at_once(talk: Talk) -> None:
    turn = await talk.say("do you have Zardoz?")
    assert turn.answer.no_match is not None
    assert turn.answer.no_match.said == "Zardoz"
    assert "Zardoz" in turn.reply


async def test_163_an_unknown_name_is_no_dead_end(talk: Talk) -> None:
    await talk.say("do you have Zardoz?")
    turn = await talk.say("a comedy then")
    assert turn.ids


async def test_200_impossible_limits_show_nothing_beyond_them(talk: Talk, film_shop: Shop) -> None:
    turn = await talk.say("a comedy under 1 euro")
    assert turn.ids == []
    assert turn.answer.no_match is not None
    prices = [film_shop.table.get(one.item.id).price or 0 for one in turn.answer.alternatives]
    assert all(price >= 1 for price in prices)
    assert all(one.breaks for one in turn.answer.alternatives)


async def test_200_superlatives_are_of_the_catalogue(talk: Talk, film_shop: Shop) -> None:
    shown = await talk.say("a comedy")
    comedies = [item for item in film_shop.table.items if "Comedy" in item.attributes["genre"]]
    shortest = min(comedies, key=lambda item: item.attributes["runtime_min"]).id
    assert shortest not in shown.ids
    assert (await talk.say("what is the shortest film that you have?")).ids[0] == shortest


async def test_174_a_reference_is_to_what_was_shown_last(talk: Talk, film_shop: Shop) -> None:
    await talk.say("a comedy")
    second = await talk.say("a western")
    turn = await talk.say("how long is the second one?")
    assert f"{film_shop.table.get(second.ids[1]).attributes['runtime_min']:g}" in turn.reply


async def test_137_a_wish_without_a_filter_is_ranked_by(talk: Talk) -> None:
    turn = await talk.say("a comedy that my grandmother would love")
    assert turn.ids


@pytest.mark.parametrize("text", ["a comedy", "do you have Zardoz?", "a comedy under 1 euro", "why these?", "hello"])
async def test_137_no_plumbing_in_answers(talk: Talk, text: str) -> None:
    turn = await talk.say(text)
    assert not re.search(r"\b(tool|function|retriev|query|chroma|embedding|sql|json|None|null)\b|_\w+\(", turn.reply)


async def test_113_a_turn_searches_a_bounded_number_of_times(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    searched, search = list[int](), Retriever.search

    def counted(self: Retriever, *args: object, **more: object) -> object:
        searched[-1] += 1
        return search(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Retriever, "search", counted)
    for text in ("a comedy", "funny western under 15 euros", "do you have Zardoz?", "more", "a musical from 1890"):
        searched.append(0)
        await talk.say(text)
    assert max(searched) <= 4
    assert max(searched) >= 1
