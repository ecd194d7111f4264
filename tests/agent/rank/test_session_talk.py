"""Reactions in a real conversation over the demo shop's films: the next list follows, and the trace says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from small_shop import HashingEncoder, wording
from talking import PLAIN, Talk, Turn, genres_of, talk_over

from agent.answering import decide
from agent.api.app import create_api
from agent.comparing import _difference
from agent.evidence import is_known
from agent.llm.off import NoEngine
from agent.log.records import Feedback
from agent.log.store import EventLog
from agent.messages import messages
from agent.observe.observer import Observer
from agent.rank.axes import Axis
from agent.rank.session import FEATURES, PREFIX
from agent.services import PartHealth, Services
from agent.settings import Settings
from agent.shop import Shop, open_shop
from agent.turn import Situation
from agent.understand.types import DialogueContext, Understanding
from retrieval.demo import demo_films_path
from retrieval.index import build_index
from retrieval.loading import load_catalogue


@pytest.fixture(scope="module")
def reel_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    encoder = HashingEncoder()
    films = load_catalogue(demo_films_path(), strict=True).items
    shop = open_shop(build_index(films, tmp_path_factory.mktemp("reel"), encoder), encoder, None, "The Reel Shop")
    yield shop
    shop.close()


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path_factory.mktemp("log"))
    yield opened
    opened.close()


@pytest.fixture
def new_talk(reel_shop: Shop, log: EventLog, tmp_path: Path) -> Callable[[], Talk]:
    return lambda: talk_over(reel_shop, log, tmp_path)


def tap(talk: Talk, turn: Turn, kind: str, *item_ids: str, of: str | None = None, reason: str | None = None) -> None:
    """React on the cards of `turn`."""
    for item_id in item_ids:
        feedback = Feedback(turn.answer.turn_id, kind, item_id, of=of, reason=reason)
        assert talk.log.record_feedback("default", "", feedback).stored


def learned(talk: Talk, turn: Turn) -> list[dict[str, float]]:
    """What the session added to each shown item, by name."""
    rows = talk.logged(turn).record.shown
    return [{name: part or 0.0 for name, part in row.contributions.items() if name.startswith(PREFIX)} for row in rows]


def with_genre(shop: Shop, turn: Turn, genre: str) -> list[str]:
    return [item_id for item_id in turn.ids if genre in genres_of(shop.table.get(item_id))]


async def begin(talk: Talk) -> Turn:
    return await talk.say("recommend me a film from the 1980s")


async def test_two_rejections_move_the_next_list(reel_shop: Shop, new_talk: Callable[[], Talk]) -> None:
    plain, talk = new_talk(), new_talk()
    first = await begin(plain)
    turn = await begin(talk)
    assert turn.ids == first.ids
    tap(talk, turn, "reject", *turn.ids[:2])
    unmoved, moved = await plain.say("show me more"), await talk.say("show me more")
    assert moved.ids != unmoved.ids
    assert not any(learned(plain, unmoved))
    assert all(learned(talk, moved))


async def test_a_rejected_genre_sinks_and_an_accepted_one_rises(reel_shop: Shop, new_talk: Callable[[], Talk]) -> None:
    """The same tap for good and for ill: how much of the genre follows moves apart."""
    counts = {}
    for kind in ("accept", "reject"):
        talk = new_talk()
        turn = await begin(talk)
        sci_fi = with_genre(reel_shop, turn, "Sci-Fi")
        assert sci_fi, "the list has to have what is reacted to"
        tap(talk, turn, kind, *sci_fi)
        following = [await talk.say("show me more"), await talk.say("show me more")]
        counts[kind] = sum(len(with_genre(reel_shop, one, "Sci-Fi")) for one in following)
        parts = [p for one in following for p in learned(talk, one) if f"{PREFIX}genre=Sci-Fi" in p]
        assert all((p[f"{PREFIX}genre=Sci-Fi"] > 0) is (kind == "accept") for p in parts)
    assert counts["accept"] > counts["reject"] == 0


async def test_contributions_sum_to_the_score_in_log_and_trace(
    log: EventLog, new_talk: Callable[[], Talk], tmp_path: Path
) -> None:
    talk = new_talk()
    turn = await begin(talk)
    tap(talk, turn, "accept", turn.ids[0])
    tap(talk, turn, "thumb_down", turn.ids[1])
    turn = await talk.say("show me more")
    observer = Observer()
    services = Services(Settings(data_dir=tmp_path, **PLAIN), talk.chat, AllWell(), log, NoEngine(), observer)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_api(services)), base_url="http://127.0.0.1"
    ) as http:
        trace = (await http.get(f"/v1/turns/{turn.answer.turn_id}/trace")).json()
    assert [row["item_id"] for row in trace["shown"]] == turn.ids
    for row in trace["shown"]:
        assert sum(row["contributions"].values()) == pytest.approx(row["score"])
        assert any(name.startswith(PREFIX) for name in row["contributions"])


class AllWell:
    """Implements `Health`."""

    async def check(self, *, prove_token: bool = False) -> tuple[PartHealth, ...]:
        return ()


async def test_another_replica_comes_to_the_same_list(
    reel_shop: Shop, log: EventLog, new_talk: Callable[[], Talk], tmp_path: Path
) -> None:
    """Nothing is kept in memory: a `Conversations` that never saw the talk answers as the one that did."""
    one, other = new_talk(), new_talk()
    lists = []
    for talk in (one, other):
        turn = await begin(talk)
        tap(talk, turn, "reject", *turn.ids[:2])
        tap(talk, turn, "accept", turn.ids[3])
        if talk is other:
            fresh = talk_over(reel_shop, log, tmp_path / "elsewhere")
            fresh.session_id = talk.session_id
            talk = fresh
        turn = await talk.say("show me more")
        lists.append((turn.ids, learned(talk, turn)))
    assert lists[0] == lists[1]


async def test_a_withdrawn_reaction_teaches_nothing(new_talk: Callable[[], Talk]) -> None:
    plain, talk = new_talk(), new_talk()
    await begin(plain)
    turn = await begin(talk)
    tap(talk, turn, "thumb_down", *turn.ids[:3])
    tap(talk, turn, "withdraw", *turn.ids[:3], of="thumb_down")
    assert (await talk.say("show me more")).ids == (await plain.say("show me more")).ids


async def test_starting_over_forgets_what_was_learned(new_talk: Callable[[], Talk]) -> None:
    talk = new_talk()
    turn = await begin(talk)
    tap(talk, turn, "thumb_down", *turn.ids[:3])
    await talk.say("start over")
    assert not any(learned(talk, await begin(talk)))


async def test_said_in_words_counts_at_once(reel_shop: Shop, new_talk: Callable[[], Talk]) -> None:
    """ "Not the first one": the list that answers it follows already."""
    talk = new_talk()
    turn = await begin(talk)
    turn = await talk.say("not the first one")
    assert talk.logged(turn).record.intent == "reject"
    assert all(learned(talk, turn))


async def test_what_is_known_already_is_not_disliked(new_talk: Callable[[], Talk]) -> None:
    talk = new_talk()
    turn = await begin(talk)
    known = turn.ids[0]
    turn = await talk.say("I've already seen the first one")
    assert talk.logged(turn).record.intent == "reject"
    assert known not in turn.ids
    assert not any(learned(talk, turn))
    assert not any(learned(talk, await talk.say("show me more")))
    tap(talk, talk.turns[-1], "reject", talk.turns[-1].ids[0], reason="known")
    assert not any(learned(talk, await talk.say("show me more")))


async def test_a_film_liked_by_name_is_searched_for_and_teaches_no_price(new_talk: Callable[[], Talk]) -> None:
    """It was not chosen here: what it costs and on which disc it comes says nothing of this customer."""
    talk = new_talk()
    turn = await talk.say("something like The Matrix")
    assert not any(learned(talk, turn)), learned(talk, turn)
    assert turn.answer.preferences[0].op == "like"


async def test_older_is_a_bound_and_only_leans_beyond_it(reel_shop: Shop, new_talk: Callable[[], Talk]) -> None:
    talk = new_talk()
    turn = await talk.say("like The Matrix but older")
    assert all(float(reel_shop.table.get(item_id).attributes["year"]) < 1999 for item_id in turn.ids)  # type: ignore[arg-type]
    assert {name for part in learned(talk, turn) for name in part} == {"session.year"}


async def test_cheaper_is_a_reaction_to_prices(reel_shop: Shop, new_talk: Callable[[], Talk]) -> None:
    talk = new_talk()
    await begin(talk)
    turn = await talk.say("something cheaper")
    parts = learned(talk, turn)
    assert parts
    assert {name for one in parts for name in one} == {f"{PREFIX}price"}
    bounded = new_talk()
    assert not any(learned(bounded, await bounded.say("a film from the 1980s under 15 euros")))


async def test_a_reason_on_the_card_is_about_that_alone(new_talk: Callable[[], Talk]) -> None:
    for reason, axis in (("too_expensive", "price"), ("too_long", "runtime_min")):
        talk = new_talk()
        turn = await begin(talk)
        tap(talk, turn, "reject", turn.ids[0], reason=reason)
        parts = learned(talk, await talk.say("show me more"))
        assert {name for one in parts for name in one} == {f"{PREFIX}{axis}"}


async def test_why_not_and_why_speak_of_the_reactions(reel_shop: Shop, new_talk: Callable[[], Talk]) -> None:
    talk = new_talk()
    turn = await talk.say("surprise me")
    assert not any("choices" in card.why for card in turn.answer.items)
    disliked = turn.ids[:3]
    tap(talk, turn, "accept", turn.ids[4])
    tap(talk, turn, "reject", *disliked)
    turn = await talk.say("show me more")
    whys = [card.why for card in turn.answer.items]
    assert any(why.startswith("Your choices so far speak for it: ") for why in whys), whys


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("I've already seen it", True),
        ("already seen that one", True),
        ("we own this already", True),
        ("I have seen the second one", True),
        ("not that one", False),
        ("not that one, I have kids", False),
        ("I don't want this, I've had enough of war", False),
        ("I don't like the second one", False),
        ("这部看过了", True),
        ("不要这个", False),
    ],
)
def test_words_for_knowing(text: str, known: bool) -> None:
    assert is_known(text) is known


async def test_a_reaction_keeps_what_the_ranker_saw(log: EventLog, new_talk: Callable[[], Talk]) -> None:
    talk = new_talk()
    turn = await begin(talk)
    tap(talk, turn, "accept", turn.ids[1])
    assert talk.session_id is not None
    (reaction,) = log.state("default", talk.session_id).turns[0].reactions
    assert reaction.features == talk.logged(turn).record.shown[1].features
    assert reaction.features.keys() >= set(FEATURES)


def test_what_is_believed_beforehand_is_ranked_by(reel_shop: Shop) -> None:
    western = Axis("value", "genre", "Western")

    def first(adjustments: dict[Axis, float]) -> set[str]:
        view = Situation(
            text="surprise me",
            shop=reel_shop,
            context=DialogueContext(),
            understanding=Understanding("recommend"),
            wishes=(),
            lasting=(),
            wording=wording(reel_shop.table),
            adjustments=adjustments,
        )
        return genres_of(decide(view).slate.entries[0].item)

    assert "Western" not in first({})
    assert "Western" in first({western: 1.0})


def test_why_not_takes_what_was_learned_as_one() -> None:
    first = {"retrieval": 1.0, "popularity": 0.2, "session.genre=Horror": 0.3, "session.year": 0.4}
    assert _difference(first, {"retrieval": 0.5, "popularity": 0.2}, messages("en")) == "session"
    assert _difference({"retrieval": 1.0, "session": 0.3}, {"retrieval": 0.9}, messages("en")) == "session"
    assert _difference({"retrieval": 1.0, "names.title": 0.9}, {"retrieval": 0.9}, messages("en")) == "other"
    assert _difference({"retrieval": 1.0, "names.title": 0.9}, {"names.title": 0.9}, messages("en")) == "retrieval"
