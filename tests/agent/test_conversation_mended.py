"""What simulated customers stumbled over, over whole turns: people, titles and lists, taken back or up again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from talking import Talk, genres_of, talk_over

from agent.log.store import EventLog
from agent.preferences import Dropped
from agent.shop import Shop


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    return talk_over(film_shop, log, tmp_path)


async def test_a_question_is_asked_of_another_item_and_him_is_who_was_named(talk: Talk) -> None:
    assert (await talk.say("who directed Heat?")).reply == "Heat: director Michael Mann."
    assert (await talk.say("and Vertigo?")).reply == "Vertigo: director Alfred Hitchcock."
    turn = await talk.say("more by him")
    assert turn.wishes == {("director", "eq", "Alfred Hitchcock", "positive")}
    assert set(turn.titles) == {"Psycho", "Rear Window"}


async def test_none_of_these_brings_others(talk: Talk, film_shop: Shop) -> None:
    first = await talk.say("a thriller")
    second = await talk.say("None of these. What else do you have?")
    assert len(second.ids) == 5
    assert set(second.ids).isdisjoint(first.ids)
    assert all("Thriller" in genres_of(film_shop.table.get(item_id)) for item_id in second.ids)


async def test_a_person_is_put_in_the_place_of_another_and_a_title_left_out(talk: Talk) -> None:
    await talk.say("something with Tom Cruise")
    assert set((await talk.say("no, leonardo dicaprio")).titles) == {"Inception", "Titanic"}
    assert (await talk.say("but not titanic")).titles == ["Inception"]


async def test_a_film_that_was_seen_is_the_measure_and_not_offered(talk: Talk, film_shop: Shop) -> None:
    turn = await talk.say("I already saw Jaws, something like it")
    jaws = film_shop.ids_by_title["jaws"][0]
    assert turn.wishes == {(None, "like", jaws, "positive")}
    assert turn.ids
    assert jaws not in turn.ids
    turn = await talk.say("I loved Vertigo and Heat")
    assert {"Vertigo", "Heat", "Jaws"}.isdisjoint(turn.titles)


async def test_a_decade_that_is_denied_leaves_what_is_older_and_newer(talk: Talk, film_shop: Shop) -> None:
    turn = await talk.say("a comedy, not from the 80s")
    years = {film_shop.table.get(item_id).attributes["year"] for item_id in turn.ids}
    assert not any(1980 <= year < 1990 for year in years)  # type: ignore[operator]
    assert min(years) < 1980 < 1989 < max(years)  # type: ignore[operator]
    assert "not from the 1980s" in turn.reply


async def test_after_a_wish_is_removed_by_hand_the_next_list_is_what_is_left(talk: Talk, film_shop: Shop) -> None:
    turn = await talk.say("a comedy from the 1990s")
    assert len(turn.ids) < 5
    years = tuple(wish.id for wish in turn.answer.preferences if wish.attribute == "year")
    await talk.drop(Dropped(1, "I no longer look for: from the 1990s.", preference_ids=years))
    turn = await talk.say("What do you suggest now?")  # what the page says for the customer
    assert turn.wishes == {("genre", "eq", "Comedy", "positive")}
    assert len(turn.ids) == 5
    assert any(film_shop.table.get(item_id).attributes["year"] < 1990 for item_id in turn.ids)  # type: ignore[operator]
