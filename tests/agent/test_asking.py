"""Questions in a conversation: beside further items, too, and what follows an answer is new to the customer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from talking import Talk, talk_over

from agent.log.store import EventLog
from agent.questions import Choice, Chooser, choose
from agent.shop import Shop
from agent.thresholds import Asking

AFTER_MORE = Asking(0.3, 1.0, 0.1, 0.8, 0.0)
"""Nobody minds who has just told something."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    return talk_over(film_shop, log, tmp_path)


@pytest.fixture
def patient(talk: Talk) -> Talk:
    talk.chat._choose = partial(choose, asking=AFTER_MORE)
    return talk


async def test_who_only_wants_others_is_asked_beside_them(patient: Talk) -> None:
    first = await patient.say("a drama")
    assert first.answer.question is None
    second = await patient.say("show me more")
    question = second.answer.question
    assert question is not None
    assert second.answer.action == "ask"
    assert second.reply.rstrip().endswith(question.text)
    assert second.ids
    assert not set(first.ids) & set(second.ids)


async def test_show_me_anyway_is_no_reason_to_ask_again(patient: Talk) -> None:
    await patient.say("a drama")
    asked = (await patient.say("show me more")).answer.question
    assert asked is not None
    assert (await patient.say(asked.options[-1])).answer.question is None
    assert (await patient.say("show me more")).answer.question is None


def asks_once(*options: str) -> Chooser:
    """A question about the genre in the first turn."""
    return lambda moment: None if moment.asked else Choice("genre", options, 1.0)


async def test_after_an_answer_come_new_items_where_there_are_enough(talk: Talk) -> None:
    """The list beside the question was not it."""
    talk.chat._choose = asks_once("Drama", "Comedy")
    first = await talk.say("show me a film")
    assert first.answer.question is not None
    second = await talk.say("Drama")
    assert len(second.ids) == len(first.ids)
    assert not set(first.ids) & set(second.ids)
    assert "not seen yet" in second.reply


async def test_after_an_answer_that_few_fit_all_of_them_are_shown(talk: Talk, film_shop: Shop) -> None:
    talk.chat._choose = asks_once("Fantasy", "Comedy")
    first = await talk.say("show me a film")
    fantasy = {item.id for item in film_shop.table.items if "Fantasy" in (item.attributes["genre"] or ())}  # type: ignore[operator]
    new = fantasy - set(first.ids)
    assert 0 < len(new) < len(first.ids)
    second = await talk.say("Fantasy")
    assert new <= set(second.ids) <= fantasy
    assert "not seen yet" not in second.reply
