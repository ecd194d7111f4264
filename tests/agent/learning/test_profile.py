"""A lasting taste: from everything the log has of a named customer, older things less, others' not at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from lesson_samples import Customer, likes, take
from talking import Talk, talk_over

from agent.learning.interactions import attitudes_of, interactions
from agent.learning.profile import HALF_LIFE_DAYS, MIN_EVIDENCE, Profile, Profiles, Taste, profile_of
from agent.log.records import Deed, Feedback, FeedbackKind, OutsideEvent, PastDeed, PastKind
from agent.log.store import EventLog
from agent.shop import Shop
from retrieval.encoder import FloatArray
from retrieval.items import Item
from retrieval.query import SeedItem
from retrieval.table import ItemTable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def table() -> ItemTable:
    """Ten comedies by Ann Lee, ten war films by others; all in English."""
    comedies = [
        Item(f"c{n}", f"Comedy {n}", attributes={"genre": ("Comedy",), "director": "Ann Lee" if n < 5 else f"D{n}"})
        for n in range(10)
    ]
    wars = [Item(f"w{n}", f"War {n}", attributes={"genre": ("War", "Drama"), "director": f"W{n}"}) for n in range(10)]
    return ItemTable([*comedies, *wars])


@pytest.fixture(scope="module")
def vectors(table: ItemTable) -> FloatArray:
    """Comedies lie around one axis, war films around the other."""
    noise = np.random.default_rng(1).normal(0, 0.1, (len(table), 4))
    noise[:10, 0] += 1
    noise[10:, 1] += 1
    found: FloatArray = (noise / np.linalg.norm(noise, axis=1, keepdims=True)).astype(np.float32)
    return found


def did(kind: FeedbackKind | PastKind, item_id: str, days: float = 0, value: float | None = None) -> Deed:
    return Deed("ann", item_id, kind, value, NOW - timedelta(days=days))


def made(table: ItemTable, vectors: FloatArray, *deeds: Deed, ratings: tuple[float, float] | None = None) -> Profile:
    found = profile_of(deeds, (), ratings, table, vectors, NOW)
    assert found is not None
    return found


def test_similarity_is_higher_for_what_they_liked(table: ItemTable, vectors: FloatArray) -> None:
    profile = made(table, vectors, did("buy", "c0"), did("accept", "c1"), did("reject", "w0"))
    similarity = profile.similarity(range(20))
    assert similarity.dtype == np.float32
    assert similarity[:10].min() > similarity[10:].max()
    assert np.allclose(similarity, vectors @ profile.vector, atol=1e-6)
    assert np.linalg.norm(profile.vector) == pytest.approx(1)


def test_the_vector_is_the_mean_weighed_by_attitude_and_age(table: ItemTable, vectors: FloatArray) -> None:
    profile = made(table, vectors, did("buy", "c0", HALF_LIFE_DAYS), did("accept", "w0"))
    mean = 2 * 0.5 * vectors[0] + 1 * vectors[10]
    assert np.allclose(profile.vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_seeds_are_what_counts_most(table: ItemTable, vectors: FloatArray) -> None:
    deeds = [did("accept", f"c{n}", days=100 * n) for n in range(10)]
    profile = made(table, vectors, *deeds, did("buy", "w0"), did("view", "w1"), did("buy", "unknown"))
    assert profile.seeds[0] == SeedItem("w0", 2.0)
    assert [seed.item_id for seed in profile.seeds[1:]] == [f"c{n}" for n in range(9)]
    assert profile.seeds[1].attitude == pytest.approx(1.0)


def test_lasting_tastes_need_evidence_and_more_than_chance(table: ItemTable, vectors: FloatArray) -> None:
    profile = made(table, vectors, *(did("accept", f"c{n}") for n in range(MIN_EVIDENCE)), did("accept", "w0"))
    assert profile.tastes == (Taste("director", "Ann Lee", True, 3, 0),)  # half of all films are comedies
    few = made(table, vectors, *(did("accept", f"c{n}") for n in range(MIN_EVIDENCE - 1)))
    assert few.tastes == ()
    hated = made(table, vectors, did("accept", "w0"), *(did("reject", f"c{n}") for n in range(MIN_EVIDENCE)))
    assert hated.tastes == (Taste("director", "Ann Lee", False, 0, 3), Taste("genre", "Comedy", False, 0, 3))


@pytest.mark.parametrize("deeds", [(), (did("view", "c0"),), (did("reject", "c0"),), (did("buy", "unknown"),)])
def test_without_a_liked_item_there_is_no_profile(
    table: ItemTable, vectors: FloatArray, deeds: tuple[Deed, ...]
) -> None:
    assert profile_of(deeds, (), None, table, vectors, NOW) is None


def test_ratings_are_read_on_the_scale_of_the_shop() -> None:
    deeds = [did("rating", "high", value=5.0), did("rating", "low", value=0.5), did("rating", "middle", value=2.75)]
    assert attitudes_of(deeds, (0.5, 5.0)) == {"high": 2.0, "low": -2.0, "middle": 0.0}
    assert attitudes_of(deeds, (0.5, 9.5))["high"] == 0.0
    assert set(attitudes_of(deeds, (5.0, 5.0)).values()) == {0.0}


def test_deeds_have_their_attitudes() -> None:
    deeds = [did("like", "yes"), did("like", "yes too", value=1.0), did("like", "no", value=0.0), did("click", "look")]
    deeds += [did("buy", "both"), did("view", "both"), did("accept", "changed"), did("reject", "changed")]
    known = Deed("ann", "seen", "reject", None, NOW, "known")
    assert attitudes_of([*deeds, known], None) == {
        "yes": 1.0,
        "yes too": 1.0,
        "no": -1.0,
        "look": 0.0,
        "both": 2.0,
        "changed": -1.0,
        "seen": 0.0,
    }


def test_interactions_are_by_customer_over_everything(log: EventLog) -> None:
    ann = take(log, "ann", "a heist", "heat")
    ann.says("and", "elf")
    ann.does("reject", "elf")
    log.record_past("default", "", [PastDeed("ann", "heat", "view"), PastDeed("bob", "heat", "rating", 4.0, LONG_AGO)])
    log.record_past("default", "", [PastDeed("bob", "elf", "rating", 1.0, LONG_AGO)])
    nobody = take(log, None, "a heist", "heat", key_id="k")
    found = interactions(log, "default")
    bob = log.start_conversation("default", "", "bob").person_id
    assert set(found.triples()) == {
        (ann.talk.person_id, "heat", 1.0),
        (ann.talk.person_id, "elf", -1.0),
        (bob, "heat", 2.0),
        (bob, "elf", -2.0),
        (nobody.talk.id, "heat", 1.0),
    }
    assert len(interactions(log, "other")) == 0


def test_a_profile_has_everything_the_log_has_of_the_customer_and_of_nobody_else(
    log: EventLog, table: ItemTable, vectors: FloatArray
) -> None:
    profiles = Profiles(log)
    ann, stranger = Customer.arrives(log, "ann"), Customer.arrives(log, None)
    here = log.state("default", ann.talk.id)
    assert profiles.of(table, vectors, here) is None
    take(log, "ann", "in another talk", "c0")
    take(log, "bob", "another customer's", "w0")
    ann.says("like Comedy 1", facts=(likes("c1"),))
    log.record_event("default", "", OutsideEvent("buy", "c2", user="ann"))
    log.record_past("default", "", [PastDeed("ann", "c3", "like", 1.0), PastDeed("bob", "w1", "like", 1.0)])
    log.record_past("other", "", [PastDeed("ann", "w2", "like", 1.0)])
    found = profiles.of(table, vectors, here)
    assert found is not None
    attitudes = {seed.item_id: round(seed.attitude, 3) for seed in found.seeds}
    assert attitudes == {"c0": 1.0, "c1": 2.0, "c2": 2.0, "c3": 1.0}
    assert profiles.of(table, vectors, log.state("default", stranger.talk.id)) is None


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    return talk_over(film_shop, log, tmp_path)


async def ranks(talk: Talk, text: str, user: str | None) -> list[str]:
    """The whole ranking, in a new conversation."""
    talk.user, talk.session_id = user, None
    turn = await talk.say(text)
    return [str(row["item_id"]) for row in talk.logged(turn).record.trace["considered"]]


async def test_a_search_without_words_goes_by_the_taste(talk: Talk, log: EventLog, film_shop: Shop) -> None:
    plain = await ranks(talk, "recommend something for me", "ann")
    liked = [item_id for item_id in plain if film_shop.table.get(item_id).in_stock][-1]
    log.record_past("default", "", [PastDeed("ann", liked, "buy")])
    mine = await ranks(talk, "recommend something for me", "ann")
    near = [one.item_id for one in film_shop.retriever.similar(liked, 5)]
    assert liked not in mine  # they have it
    assert mine != [item_id for item_id in plain if item_id != liked]
    assert sum(map(mine.index, near)) < sum(map(plain.index, near))
    assert await ranks(talk, "recommend something for me", "bob") == plain


async def test_what_fits_a_taste_is_a_feature_of_every_list(talk: Talk, log: EventLog, film_shop: Shop) -> None:
    text = "a quiet story about rain and umbrellas"
    plain = await ranks(talk, text, "ann")
    liked = plain[0]
    log.record_past("default", "", [PastDeed("ann", liked, "buy")])
    turn_rows = {}
    for user in ("ann", "bob"):
        talk.user, talk.session_id = user, None
        shown = talk.logged(await talk.say(text)).record.shown
        turn_rows[user] = {row.item_id: row.features["profile"] for row in shown}
    assert turn_rows["ann"][liked] == pytest.approx(1.0, abs=1e-3)
    assert set(turn_rows["bob"].values()) == {0.0}


async def test_a_filter_that_leaves_only_what_they_have_shows_that(talk: Talk, log: EventLog, film_shop: Shop) -> None:
    """Hard wishes decide how many items there are, not the taste."""
    plain = await talk.say("comedies")
    assert len(plain.ids) == 5
    everything = [PastDeed("ann", item.id, "buy") for item in film_shop.table.items]
    log.record_past("default", "", everything)
    talk.user, talk.session_id = "ann", None
    assert len((await talk.say("comedies")).ids) == 5


def test_a_withdrawn_like_is_no_taste(log: EventLog, table: ItemTable, vectors: FloatArray) -> None:
    ann = take(log, "ann", "a comedy", "c0")
    state = log.state("default", ann.talk.id)
    assert Profiles(log).of(table, vectors, state) is not None
    log.record_feedback("default", "", Feedback(ann.turn_id, "withdraw", "c0", of="accept"))
    assert Profiles(log).of(table, vectors, state) is None
