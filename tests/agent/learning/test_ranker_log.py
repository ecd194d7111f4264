"""What the learned ranker knows of the log: no more than may be shared, and nothing that was erased or taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from lesson_samples import Customer, likes
from small_shop import added, wish
from taste_stream import CUSTOMERS, SMALL, Place, cinema, fits

from agent.learning.experiences import lessons
from agent.learning.live import _Book
from agent.learning.masking import mask
from agent.learning.ranker_lessons import Then, read_lessons, shareable
from agent.learning.ranker_live import LiveRankers
from agent.learning.ranking_store import (
    MANIFEST,
    rankers,
)
from agent.learning.standing import standing
from agent.log.records import Feedback, PastDeed, StatedWishes
from agent.log.store import EventLog
from agent.preferences import Dropped, Preference
from agent.rank.lambdamart import LambdaMART
from retrieval.errors import DataDirectoryError
from retrieval.query import Query
from retrieval.search import Retriever

FIRST = "rnk-000001"


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


def test_deeds_of_somebody_who_never_talked_are_out_at_once_when_they_are_erased(place: Place) -> None:
    place.log.record_past("default", "", [PastDeed("imported", cinema()[0].id, "like", 1.0)])
    place.keeper.refresh("default")
    places = place.keeper.rankers._places
    ready = places["default"].ready
    assert ready is not None
    place.log.erase_person("default", "", "imported")
    place.keeper.refresh("default")
    assert places["default"].ready is not ready


def test_what_is_erased_while_the_log_stumbles_is_out_with_the_next_look(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = place.keeper.rankers._places
    ready = places["default"].ready
    assert ready is not None
    place.log.delete_session("default", next(iter(ready.held)))

    def stumbles(*asked: object) -> object:
        raise DataDirectoryError("away")

    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "talks", stumbles)
        with pytest.raises(DataDirectoryError):
            place.keeper.refresh("default")
    place.keeper.refresh("default")
    assert places["default"].ready is not ready


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


def test_a_process_without_named_customers_fits_no_network(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[object] = []
    monkeypatch.setattr("agent.learning.signals.fit_taste", lambda *asked: fitted.append(asked))
    for with_tastes in (False, True):
        place.keeper.rankers.with_tastes = with_tastes
        for name in (None, FIRST):
            place.log.activate_ranker("default", name)
            place.look()
        assert place.keeper.rankers.ranking("default", place.keeper.current("default").table) is not None
        assert bool(fitted) is with_tastes


def test_what_is_withdrawn_is_no_reason_to_serve_without(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant, table = "default", place.keeper.current("default").table
    one, other = shareable(read_lessons(place.log, tenant, "opt_out", table), 3)[:2]
    rankers = place.keeper.rankers
    monkeypatch.setattr(LiveRankers, "_make", lambda *asked: None)  # it takes minutes
    (turn,) = place.log.state(tenant, one.session_id).turns
    place.log.record_feedback(tenant, "", Feedback(turn.turn_id, "withdraw", one.item_id, "accept"))
    place.keeper.refresh(tenant)
    assert rankers.ranking(tenant, table) is not None
    assert rankers._places[tenant].worker is not None
    place.log.delete_session(tenant, other.session_id)
    place.keeper.refresh(tenant)
    assert rankers.ranking(tenant, table) is None


def test_what_is_not_meant_for_the_customer_does_not_join(place: Place) -> None:
    """It comes last where the retriever finds it; the ranker's branches bring none of it."""
    shop = place.keeper.current("default")
    ranking = place.keeper.rankers.ranking("default", shop.table)
    assert ranking is not None
    query = Query(turns=("a comedy",))
    joined = ranking.look(query, (), ()).candidates
    assert joined
    hidden = joined[0].item_id
    against = np.array([item_id == hidden for item_id in shop.table.ids])
    shop.retriever.further = replace(shop.retriever.further, against=lambda asked: against)
    assert {one.item_id for one in joined} - {one.item_id for one in ranking.look(query, (), ()).candidates} == {hidden}


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
