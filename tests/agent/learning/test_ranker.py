"""The learned ranker the whole way: talks in the log, learned, judged, live, and the next customer's list."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from lesson_samples import Customer, likes
from small_shop import added, wish
from talking import Talk, Turn
from taste_stream import BAR, CUSTOMERS, SMALL, Place, ask, cinema, copied, fits, index, stream, without_moods

from agent.health import PartsHealth
from agent.learning.experiences import lessons
from agent.learning.live import _Book
from agent.learning.masking import mask
from agent.learning.ranker_job import Bar, Learned, judged
from agent.learning.ranker_lessons import Then, read_lessons, shareable
from agent.learning.ranking_store import KEPT, MANIFEST, next_id, prune, rankers, read_ranker, roll_back, write_ranker
from agent.learning.standing import standing
from agent.llm.off import NoEngine
from agent.log.records import Feedback, StatedWishes
from agent.preferences import Dropped, Preference
from agent.rank.lambdamart import LambdaMART
from retrieval.errors import BadRequest, DataDirectoryError, IndexUnavailable
from retrieval.query import Query
from retrieval.search import Retriever

FIRST = "rnk-000001"


@pytest.fixture(scope="module")
def liked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose customers all have one taste."""
    root = tmp_path_factory.mktemp("liked") / "var"
    stream(root, taste=True)
    return root


@pytest.fixture(scope="module")
def taught(liked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, after `learn`."""
    root = copied(liked, tmp_path_factory.mktemp("taught") / "var")
    with Place.at(root) as place:
        outcome = place.learn()
        assert outcome.is_new, outcome.learned.reason
    return root


@pytest.fixture
def place(taught: Path, tmp_path: Path) -> Iterator[Place]:
    with Place.at(copied(taught, tmp_path / "var")) as opened:
        yield opened


@pytest.fixture
def before(liked: Path, tmp_path: Path) -> Iterator[Place]:
    with Place.at(copied(liked, tmp_path / "before")) as opened:
        yield opened


def share(place: Place, turn: Turn) -> float:
    """Of the films shown those that fit the taste."""
    table = place.keeper.current("default").table
    return sum(fits(table.get(item_id)) for item_id in turn.ids) / len(turn.ids)


def ranker_of(talk: Talk, turn: Turn) -> object:
    return talk.logged(turn).record.trace["ranker"]


def test_a_taste_is_learned_judged_and_written_down(taught: Path) -> None:
    with Place.at(taught) as place:
        assert place.log.live_ranker("default") == FIRST
        (manifest,) = rankers(place.data.rankers("default"))
    gain = manifest.metrics["gain"]["mrr"]
    assert gain["low"] > 0
    assert gain["value"] >= BAR.effect
    before, now = (manifest.metrics[kind]["mrr"]["value"] for kind in ("linear", "learned"))
    assert math.isclose(gain["value"], now - before, abs_tol=2e-4)
    assert (manifest.id, manifest.before, manifest.customers) == (FIRST, None, CUSTOMERS)
    assert manifest.lessons == CUSTOMERS
    assert manifest.event_seq > 0
    assert manifest.index == "000001"
    assert "customer 1" not in json.dumps(manifest.metrics) + manifest.verdict


async def test_the_next_customer_gets_another_list(place: Place, before: Place) -> None:
    old, new = before.talk(), place.talk()
    was, now = await old.say(ask("comedy")), await new.say(ask("comedy"))
    assert (ranker_of(old, was), ranker_of(new, now)) == ("linear", FIRST)
    assert share(place, now) > share(before, was)
    assert share(place, now) >= 0.6


async def test_contributions_sum_to_the_scores_that_are_stored(place: Place) -> None:
    talk = place.talk(diversity=0.2)
    turn = await talk.say(ask("comedy"))
    record = talk.logged(turn).record
    for row in record.shown:
        assert row.score is not None
        assert math.isclose(sum(part or 0.0 for part in row.contributions.values()), row.score, rel_tol=1e-6)
        assert {"linear", "sum", "base"} <= row.contributions.keys()
        assert "lexical" in row.features
    considered = record.trace["considered"][0]
    assert len(considered["contributions"]) <= 14
    assert math.isclose(sum(considered["contributions"].values()), considered["score"], abs_tol=0.01)


async def test_filters_stock_and_what_was_said_hold_on_top(place: Place) -> None:
    table = place.keeper.current("default").table
    talk = place.talk()
    await talk.say("a comedy, please")  # `Talk` checks that each item meets each hard wish
    assert ranker_of(talk, talk.turns[-1]) == FIRST
    considered = [row["item_id"] for row in talk.logged(talk.turns[-1]).record.trace["considered"]]
    gone = [table.get(item_id).in_stock is False for item_id in considered]
    assert gone == sorted(gone)
    rejected = talk.turns[-1].ids[0]
    await talk.say("not the first one")
    assert rejected not in talk.turns[-1].ids


async def test_a_reaction_moves_the_next_list_of_this_conversation(place: Place) -> None:
    talk = place.talk()
    turn = await talk.say(ask("comedy"))
    place.log.record_feedback("default", "", Feedback(turn.answer.turn_id, "thumb_down", turn.ids[0]))
    after = await talk.say(ask("comedy"))
    assert after.ids != turn.ids
    assert after.ids[0] != turn.ids[0]
    shown = talk.logged(after).record.shown
    assert any(name.startswith("session.") for row in shown for name in row.contributions)
    assert ranker_of(talk, after) == FIRST


async def test_exploration_is_as_bold_as_with_the_linear_ranker(place: Place) -> None:
    """Propensities are those of scores over temperature times spread."""
    talk = place.talk(exploration=0.5)
    turn = await talk.say(ask("comedy"))
    record = talk.logged(turn).record
    model = read_ranker(place.data.rankers("default") / FIRST)
    scores = [row["score"] for row in record.trace["considered"]]
    logits = [score / (0.5 * model.training.spread) for score in scores]
    first = record.shown[0]
    assert first.score is not None
    assert first.log_propensity is not None
    total = math.log(sum(math.exp(each - max(logits)) for each in logits)) + max(logits)
    assert math.isclose(first.log_propensity, first.score / (0.5 * model.training.spread) - total, abs_tol=0.01)
    assert record.exploration == 0.5


def test_noise_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "var"
    stream(root, taste=False)
    with Place.at(root) as place:
        outcome = place.learn()
        assert (outcome.live, outcome.is_new, outcome.learned.model) == (None, False, None)
        assert "does not beat" in outcome.learned.reason
        assert outcome.learned.judgement is not None
        assert place.log.live_ranker("default") is None
        assert rankers(place.data.rankers("default")) == ()


def test_too_little_says_so(before: Place) -> None:
    learned = before.job(Bar()).run("rnk-000001")
    assert learned.model is None
    assert "too little to learn from" in learned.reason
    assert f"{CUSTOMERS} customers" in learned.reason
    assert learned.judgement is None


def test_two_do_not_learn_at_once(before: Place) -> None:
    with before.data.learn_lock("default"), pytest.raises(DataDirectoryError, match="Another process is learning"):
        before.learn()


def another(place: Place, trees: LambdaMART) -> str:
    """One more ranker, of the same trees, goes live."""
    root, trees.version = place.data.rankers("default"), next_id(place.data.rankers("default"))
    better = judged(np.array([[2.0, 1.0], [3.0, 1.0]]), ["a", "b"])
    before = place.log.live_ranker("default")
    made = write_ranker(
        root, Learned(trees, "Better.", 2, 2, 1, better), before=before, index="1", index_digest="", encoder=""
    )
    place.log.activate_ranker("default", made.id)
    prune(root, made.id)
    place.look()
    return made.id


def test_a_run_that_crashed_never_was_and_its_id_is_not_used_again(before: Place, taught: Path) -> None:
    root = before.data.rankers("default")
    model = read_ranker(taught / "rankers" / "default" / FIRST)
    model.save(root / FIRST)  # and the power fails before the manifest
    assert rankers(root) == ()
    with pytest.raises(IndexUnavailable, match="chatalogue learn"):
        read_ranker(root / FIRST)
    assert another(before, model) == "rnk-000002"
    assert [one.id for one in rankers(root)] == ["rnk-000002"]
    assert not (root / FIRST).exists()


async def test_going_back_step_by_step(place: Place) -> None:
    root, talk = place.data.rankers("default"), place.talk()
    assert another(place, read_ranker(root / FIRST)) == "rnk-000002"
    assert ranker_of(talk, await talk.say(ask("comedy"))) == "rnk-000002"
    assert roll_back(root, place.log, "default") == FIRST
    place.look()
    assert ranker_of(talk, await talk.say(ask("comedy"))) == FIRST
    assert roll_back(root, place.log, "default") is None
    place.look()
    assert ranker_of(talk, await talk.say(ask("comedy"))) == "linear"
    with pytest.raises(BadRequest, match="linear ranker is in use"):
        roll_back(root, place.log, "default")
    assert another(place, read_ranker(root / FIRST)) == "rnk-000003"
    for _ in range(KEPT):
        another(place, read_ranker(root / "rnk-000003"))
    assert len(rankers(root)) == KEPT
    assert next_id(root) == f"rnk-{KEPT + 4:06d}"


async def test_another_catalogue_under_it(place: Place) -> None:
    """A feature that the new one lacks is unknown, and turns that began on the old one end without it."""
    old = place.keeper.current("default").table
    index(place.data.root, without_moods(cinema()))
    place.look()
    table = place.keeper.current("default").table
    assert place.keeper.rankers.ranking("default", old) is None
    ranking = place.keeper.rankers.ranking("default", table)
    assert ranking is not None
    assert ranking.id == FIRST
    talk = place.talk()
    turn = await talk.say(ask("comedy"))
    assert ranker_of(talk, turn) == FIRST
    assert share(place, turn) > 0.4


async def test_a_broken_folder_leaves_the_linear_ranker_and_says_so(place: Place) -> None:
    trees = place.data.rankers("default") / FIRST / "trees-0.txt"
    trees.write_text(trees.read_text()[:-100])
    place.log.activate_ranker("default", None)
    place.look()
    place.log.activate_ranker("default", FIRST)
    place.look()
    talk = place.talk()
    assert ranker_of(talk, await talk.say(ask("comedy"))) == "linear"
    health = PartsHealth("default", place.keeper, place.log, NoEngine())
    part = (await health.check())[0]
    assert part.state == "degraded"
    assert "the linear one ranks" in part.detail
    assert part.detail.count(". ") == 0
    place.log.activate_ranker("default", None)
    place.look()
    assert (await health.check())[0].state == "ok"


async def test_a_ranker_that_fails_in_a_turn_leaves_the_linear_one(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, *args: object, **more: object) -> None:
        raise ValueError("a slip")

    monkeypatch.setattr("agent.learning.ranker.Sight.look", broken)
    talk = place.talk()
    turn = await talk.say(ask("comedy"))
    assert ranker_of(talk, turn) == "linear"
    assert len(turn.ids) == 5


def test_what_is_erased_is_out_at_once_and_out_of_the_next_refit(place: Place) -> None:
    tenant, table = "default", place.keeper.current("default").table
    told = shareable(read_lessons(place.log, tenant, "opt_out", table), 3)
    gone = told[0]
    ready = place.keeper.rankers._places[tenant].ready
    assert ready is not None
    assert set(ready.held) == {one.session_id for one in told}
    place.log.delete_session(tenant, gone.session_id)
    place.keeper.refresh(tenant)
    now = place.keeper.rankers._places[tenant].ready
    assert now is not ready
    place.look()
    ready = place.keeper.rankers._places[tenant].ready
    assert ready is not None
    assert gone.session_id not in ready.held
    assert gone.session_id not in {one.session_id for one in read_lessons(place.log, tenant, "opt_out", table)}
    outcome = place.learn(dry_run=True)
    assert outcome.learned.lessons == CUSTOMERS - 1
    assert outcome.learned.model is not None
    assert (outcome.live, outcome.is_new) == (FIRST, False)
    assert [one.id for one in rankers(place.data.rankers(tenant))] == [FIRST]


def test_what_is_withdrawn_is_out_and_a_new_reaction_changes_nothing(place: Place) -> None:
    tenant, table = "default", place.keeper.current("default").table
    one = shareable(read_lessons(place.log, tenant, "opt_out", table), 3)[0]
    ready = place.keeper.rankers._places[tenant].ready
    (turn,) = place.log.state(tenant, one.session_id).turns
    Customer.arrives(place.log, "new").takes("anything", one.item_id)
    place.log.record_feedback(tenant, "", Feedback(turn.turn_id, "buy", one.item_id))
    place.look()
    assert place.keeper.rankers._places[tenant].ready is ready
    place.log.record_feedback(tenant, "", Feedback(turn.turn_id, "withdraw", one.item_id, "buy"))
    place.log.record_feedback(tenant, "", Feedback(turn.turn_id, "withdraw", one.item_id, "accept"))
    place.look()
    now = place.keeper.rankers._places[tenant].ready
    assert now is not None
    assert one.session_id not in now.held


def test_branches_know_what_the_live_lane_may_share_and_no_more(before: Place) -> None:
    table = before.keeper.current("default").table
    for number in range(25):  # one customer with everything, and one item with many customers
        Customer.arrives(before.log, "greedy").takes("all of them", table.ids[number])
        Customer.arrives(before.log, None).takes("the same", table.ids[0])
    found = read_lessons(before.log, "default", "opt_out", table)
    book = _Book(3)
    for session_id in {one.session_id for one in found}:
        book.learn(session_id, tuple(one for one in found if one.session_id == session_id))
    shared = {(one.session_id, one.item_id) for each in book.shared.values() for one in each}
    assert {(one.session_id, one.item_id) for one in shareable(found, 3)} == shared
    assert len({one.item_id for one in found}) > len({item_id for _, item_id in shared})


@dataclass(frozen=True)
class Asked:
    """What the only lesson of a conversation was searched for with."""

    query: Query
    wishes: tuple[Preference, ...]


def then_of(place: Place, customer: Customer) -> Asked:
    (state,) = place.log.talks("default", [customer.talk.id], "opt_out")
    (lesson,) = lessons(state)
    then = Then(place.keeper.current("default"), place.log, "default", "opt_out", [lesson], [lesson])
    return Asked(then.query(lesson, 20), then.wishes(lesson))


async def test_a_lesson_is_searched_for_as_it_was_in_the_talk(before: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wishes, what was liked and rejected, and names: the same query when it is learned from."""
    asked: list[Query] = []
    search = Retriever.search

    def listened(self: Retriever, query: Query, branches: object = ()) -> object:
        asked.append(query)
        return search(self, query, branches)  # type: ignore[arg-type]  # what it is called with

    monkeypatch.setattr(Retriever, "search", listened)
    talk = before.talk()
    talk.user = "ann"
    await talk.say("a comedy or a western, no horror")
    first = talk.turns[-1].ids
    await talk.say("not the first one")
    await talk.say("from after 1960 please")
    turn = talk.turns[-1]
    served = asked[-1]
    taken = turn.ids[0]
    place_of_talk = talk.session_id
    assert place_of_talk is not None
    before.log.record_feedback("default", "", Feedback(turn.answer.turn_id, "accept", taken))
    (lesson,) = [
        one
        for state in before.log.talks("default", [place_of_talk], "opt_out")
        for one in lessons(state)
        if one.item_id == taken
    ]
    then = Then(before.keeper.current("default"), before.log, "default", "opt_out", [lesson], [lesson])
    again = then.query(lesson, served.k)
    assert again == replace(served, turns=tuple(mask(text) for text in served.turns))
    assert first[0] in again.exclude


def test_what_was_taken_back_may_have_left_the_catalogue(before: Place) -> None:
    customer = Customer.arrives(before.log, "ann")
    customer.says("like Gone Film", facts=(likes("gone-film"),))
    customer.says("no, a comedy", "comedy-01", facts=(Dropped(2, "no", preference_ids=("t1-gone-film",)),))
    customer.does("accept", "comedy-01")
    assert then_of(before, customer).query.unwanted == ()


def test_what_always_was_wanted_gives_way_in_a_lesson_as_in_the_talk(before: Place) -> None:
    said = added(wish("genre", "eq", "comedy"))
    (comedy,) = standing([StatedWishes(datetime.now(UTC), said)] * 2, before.keeper.current("default").table.shape)
    customer = Customer.arrives(before.log, "ann")
    before.log.record_edit("default", customer.talk.id, (comedy,))
    customer.says("a western", "western-01", facts=added(wish("genre", "eq", "western")))
    customer.does("accept", "western-01")
    assert [one.values for one in then_of(before, customer).wishes] == [("western",)]


async def test_something_for_me_is_nothing_that_i_have(place: Place) -> None:
    """The taste is made of it; what the ranker's branches find joins under the same rule."""
    mine = set([film.id for film in cinema() if film.in_stock and fits(film)][:5])
    customer = Customer.arrives(place.log, "ann")
    for item_id in sorted(mine):
        customer.takes("this one", item_id, "buy")
    talk = place.talk()
    talk.user = "ann"
    turn = await talk.say("recommend me something")
    considered = talk.logged(turn).record.trace["considered"]
    assert talk.logged(turn).record.trace["ranker"] == FIRST
    assert not mine & {one["item_id"] for one in considered}


def test_small_options_are_what_the_model_was_grown_with(taught: Path) -> None:
    model = LambdaMART.load(taught / "rankers" / "default" / FIRST)
    assert model.options == SMALL
    assert model.version == FIRST
    assert (taught / "rankers" / "default" / FIRST / MANIFEST).exists()
