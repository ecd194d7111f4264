"""Lasting wishes: said in two talks, soft, seen as chips, gone for good when removed; never a filter."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import httpx
import pytest
from small_shop import added, wish
from talking import PLAIN, Talk, Turn, genres_of, talk_over

from agent.api.app import create_api
from agent.learning.profile import Profiles
from agent.learning.standing import MOST, is_standing, overruled, standing
from agent.llm.off import NoEngine
from agent.log.models import Person
from agent.log.records import StatedWishes
from agent.log.store import EventLog
from agent.observe.observer import Observer
from agent.preferences import Added, Dropped, Fact, Preference
from agent.services import Health, Services
from agent.settings import Settings
from agent.shop import Shop
from agent.shopkeeper import ShopKeeper
from retrieval.items import Item
from retrieval.table import ItemTable

START = datetime(2026, 1, 1, tzinfo=UTC)
GENRES = ("comedy", "horror", "war", "western", "drama")
SHAPE = ItemTable(
    [Item(f"i{n}", f"Item {n}", attributes={"genre": (genre,), "year": 1990.0}) for n, genre in enumerate(GENRES)]
).shape


def genre(value: str, polarity: str = "positive", kind: str = "hard") -> Preference:
    return wish("genre", "eq", value, kind=kind, polarity=polarity)


def talks(*each: tuple[Fact, ...]) -> list[StatedWishes]:
    return [StatedWishes(START + timedelta(days=n), facts) for n, facts in enumerate(each)]


def lasting(*each: tuple[Fact, ...], present: tuple[Preference, ...] = ()) -> list[Preference]:
    return [fact.preference for fact in standing(talks(*each), SHAPE, present)]


def meant(wishes: list[Preference]) -> list[tuple[object, ...]]:
    return [(one.attribute, *one.values, one.polarity) for one in wishes]


class TestRule:
    """What of the things said lasts."""

    def test_said_in_two_talks_it_lasts_softly(self) -> None:
        said = added(genre("horror", "negative"), genre("comedy"))
        assert lasting(said) == []
        found = lasting(said, added(genre("horror", "negative")))
        assert meant(found) == [("genre", "horror", "negative")]
        (one,) = found
        assert (one.kind, one.turn, one.evidence) == ("soft", 0, "horror"), "no quote of a talk that may be deleted"
        assert is_standing(one)
        assert one.as_filter() is None

    def test_twice_in_one_talk_is_once(self) -> None:
        assert lasting(added(genre("comedy"), wish("genre", "eq", "comedy", kind="soft", key="again", turn=2))) == []

    def test_what_was_taken_back_in_its_talk_was_not_said(self) -> None:
        back = (*added(genre("comedy")), Dropped(2, "no", preference_ids=(genre("comedy").id,)))
        assert lasting(added(genre("comedy")), back) == []

    def test_a_change_of_mind_begins_anew(self) -> None:
        yes, no = added(genre("horror")), added(genre("horror", "negative"))
        assert lasting(yes, yes, no) == []
        assert meant(lasting(yes, yes, no, no)) == [("genre", "horror", "negative")]

    def test_errands_and_unknown_values_do_not_last(self) -> None:
        said = added(
            wish("price", "lt", 20.0),
            wish("year", "eq", 1990.0),
            wish("genre", "eq", "opera"),
            wish("colour", "eq", "red"),
        )
        said += added(wish(None, "about", "something nice"), wish(None, "like", "i1", kind="soft"))
        assert lasting(said, said, said) == []

    def test_one_of_several_values_counts(self) -> None:
        either = added(wish("genre", "eq", "comedy", "war"))
        assert meant(lasting(either, added(genre("war")))) == [("genre", "war", "positive")]

    def test_there_are_few_and_the_latest(self) -> None:
        both = tuple(fact for value in GENRES for fact in added(genre(value)))
        assert len(GENRES) > MOST
        assert meant(lasting(both, both)) == [("genre", value, "positive") for value in GENRES[-MOST:]]

    @pytest.mark.parametrize("how", ["chip", "attribute", "everything"])
    def test_removed_it_has_to_be_said_anew(self, how: str) -> None:
        said = added(genre("comedy"))
        (one,) = lasting(said, said)
        gone = {
            "chip": Dropped(0, "chip", preference_ids=(one.id,)),
            "attribute": Dropped(1, "any genre", attributes=("genre",)),
            "everything": Dropped(1, "start over", everything=True),
        }[how]
        removed = (Added(one), gone)
        assert lasting(said, said, removed) == []
        assert lasting(said, said, removed, said) == []
        assert meant(lasting(said, said, removed, said, said)) == [("genre", "comedy", "positive")]

    def test_removed_as_it_was_said_again_it_is_removed(self) -> None:
        said = added(genre("comedy"))
        (one,) = lasting(said, said)
        again = (Added(one), *added(wish("genre", "eq", "comedy", key="t1-1")))
        chip = Dropped(1, "chip", preference_ids=("t1-1",))
        assert lasting(said, said, (*again, chip)) == []
        assert meant(lasting(said, said, (*again, Dropped(1, "chip", preference_ids=("t9-9",))))) == meant([one])

    def test_another_wish_for_one_errand_takes_nothing_back(self) -> None:
        said = added(genre("comedy"))
        (one,) = lasting(said, said)
        instead = Dropped(1, "rather a western", preference_ids=(one.id,))
        assert lasting(said, said, (Added(one), instead, *added(genre("western")))) == [one]
        assert lasting(said, said, (Added(one), instead, *added(wish("genre", "eq", "western", turn=2)))) == []
        assert lasting(said, said, (Added(one), instead, *added(wish("year", "eq", 1990.0)))) == []

    def test_it_does_not_confirm_itself(self) -> None:
        said = added(genre("comedy"))
        (one,) = lasting(said, said)
        stored = added(wish("genre", "eq", "war", turn=0))
        assert meant(lasting(said, said, (Added(one),))) == [("genre", "comedy", "positive")]
        assert lasting(said, (Added(one),), (Added(one),)) == []
        assert lasting(stored, stored) == []

    def test_what_the_talk_has_already_is_left_to_it(self) -> None:
        said = added(genre("comedy"))
        assert lasting(said, said, present=(genre("comedy", "negative"),)) == []


def test_what_is_wanted_now_stands_over_what_was_always_wanted() -> None:
    said = added(genre("comedy"), genre("horror", "negative"))
    comedy, horror = lasting(said, said)
    assert overruled((comedy, horror)) == (comedy, horror)
    western, drama = genre("western"), genre("drama", "negative")
    assert overruled((comedy, horror, western)) == (horror, western)
    assert overruled((comedy, horror, drama)) == (comedy, horror, drama)
    assert overruled((genre("comedy"), western)) == (genre("comedy"), western)


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    return talk_over(film_shop, log, tmp_path)


def api_over(talk: Talk, log: EventLog) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    services = Services(Settings(**PLAIN), talk.chat, cast(Health, None), log, NoEngine(), Observer())
    transport = httpx.ASGITransport(create_api(services), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


async def begin(talk: Talk, user: str | None, text: str) -> list[Preference]:
    """A new conversation; the lasting wishes that its first answer shows."""
    talk.user, talk.session_id = user, None
    answer = (await talk.say(text)).answer
    return [
        Preference(one.id, one.kind, one.attribute, one.op, (str(one.value),), one.polarity, one.evidence, one.turn)
        for one in answer.preferences
        if one.turn == 0
    ]


async def test_a_returning_customer_sees_what_lasts_and_can_remove_it(talk: Talk) -> None:
    assert await begin(talk, "ann", "a film but no horror please") == []
    assert await begin(talk, "ann", "no horror, something old") == []
    (chip,) = await begin(talk, "ann", "recommend me something")
    assert meant([chip]) == [("genre", "Horror", "negative")]
    assert (chip.kind, chip.evidence) == ("soft", "Horror")
    assert await begin(talk, "bob", "recommend me something") == []
    assert await begin(talk, None, "recommend me something") == []
    assert await begin(talk, "ann", "recommend me something else") == [chip], "it stays without being said again"
    await talk.drop(Dropped(0, "chip", preference_ids=(chip.id,)))
    assert chip.id not in {one.id for one in (await talk.say("more")).answer.preferences}
    assert await begin(talk, "ann", "recommend me something") == []


async def test_it_is_listed_and_removed_from_outside(talk: Talk, log: EventLog) -> None:
    for _ in range(2):
        await begin(talk, "ann", "no horror")
    async with api_over(talk, log) as http:
        path = "/v1/users/ann/preferences"
        (listed,) = (await http.get(path)).json()["preferences"]
        (chip,) = await begin(talk, "ann", "a film")
        assert (listed["id"], listed["value"], listed["polarity"]) == (chip.id, "Horror", "negative")
        assert (await http.get("/v1/users/bob/preferences")).json()["preferences"] == []
        assert (await http.patch("/v1/users/bob/preferences", json={"remove": [chip.id]})).status_code == 404
        assert (await http.patch(path, json={"remove": ["s-unknown"]})).status_code == 404
        answer = await http.patch(path, json={"remove": [chip.id]})
        assert (answer.status_code, answer.json()["preferences"]) == (200, [])
        assert await begin(talk, "ann", "a film") == []
        await begin(talk, "ann", "no horror")
        assert (await http.get(path)).json()["preferences"] == []
        await begin(talk, "ann", "no horror")
        assert [one["id"] for one in (await http.get(path)).json()["preferences"]] == [chip.id], "said anew, twice"


async def test_in_a_talk_that_branches_it_is_still_one_that_lasts(talk: Talk) -> None:
    for _ in range(2):
        await begin(talk, "ann", "a comedy")
    assert len(await begin(talk, "ann", "a film")) == 1
    first = talk.session_id
    await talk.say("something old")
    turn = await talk.say("horror", history=talk.messages()[:2])
    assert talk.session_id != first, "a conversation of its own"
    assert ("genre", "eq", "Horror", "positive") in turn.wishes
    assert ("genre", "eq", "Comedy", "positive") not in turn.wishes, "it is overruled"


async def test_it_ranks_and_never_filters(talk: Talk, film_shop: Shop) -> None:
    for _ in range(2):
        await begin(talk, "ann", "no horror")
    table = film_shop.table
    plain, mine = [
        [row["item_id"] for row in talk.logged(await _first(talk, user, "a film")).record.trace["considered"]]
        for user in ("bob", "ann")
    ]
    scary = {item.id for item in table.items if "Horror" in genres_of(item)}
    assert set(plain) == set(mine), "nothing is left out"
    assert sum(map(mine.index, scary)) > sum(map(plain.index, scary))
    asked = await _first(talk, "ann", "horror films")
    assert asked.ids
    assert scary.issuperset(asked.ids), "what is said now wins"


async def _first(talk: Talk, user: str, text: str) -> Turn:
    talk.user, talk.session_id = user, None
    return await talk.say(text)


async def test_forgotten_wishes_and_who_says_no_have_none(talk: Talk, log: EventLog) -> None:
    for user in ("ann", "bob"):
        for _ in range(2):
            await begin(talk, user, "no horror")
        assert len(await begin(talk, user, "a film")) == 1
    log.forget_user_preferences("default", "", "ann")
    person = log.start_conversation("default", "", "bob").person_id
    log._database.write(lambda session: setattr(session.get_one(Person, person), "consent", False))
    assert await begin(talk, "ann", "a film") == []
    assert await begin(talk, "bob", "a film") == []
    for _ in range(2):
        await begin(talk, "ann", "no horror")
    assert len(await begin(talk, "ann", "a film")) == 1


async def test_where_consent_is_asked_for_nothing_lasts_without_it(
    film_shop: Shop, log: EventLog, tmp_path: Path
) -> None:
    talk = talk_over(film_shop, log, tmp_path, settings=Settings(**PLAIN, learning={"consent": "opt_in"}))
    keeper = talk.chat._shops
    assert isinstance(keeper, ShopKeeper)
    keeper.profiles = Profiles(log, consent="opt_in")
    for _ in range(3):
        assert await begin(talk, "ann", "no horror") == []
