from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from log_samples import MakeTurn

from agent.log.records import Feedback, OutsideEvent, Reaction, Stored, TurnRecord
from agent.log.store import EventLog
from retrieval.errors import BadRequest, NotFound


@pytest.fixture
def turn(log: EventLog, make_turn: MakeTurn) -> TurnRecord:
    record = make_turn(log.start_conversation("default", "key", "ann"), 1)
    log.record_turn(record)
    return record


def react(log: EventLog, turn: TurnRecord, kind: str, item: str | None = None, of: str | None = None) -> Stored:
    return log.record_feedback("default", "key", Feedback(turn.turn_id, kind, item, of))


def in_force(log: EventLog, turn: TurnRecord) -> list[tuple[str | None, str]]:
    (only,) = log.state("default", turn.session_id).turns
    return [(reaction.item_id, reaction.kind) for reaction in only.reactions]


@pytest.mark.parametrize("item", [None, "film-a", "film-c"])
def test_the_same_reaction_is_stored_once(log: EventLog, turn: TurnRecord, item: str | None) -> None:
    first = react(log, turn, "thumb_up", item)
    again = react(log, turn, "thumb_up", item)
    assert first.stored
    assert again == Stored(False, first.event_id)
    assert react(log, turn, "thumb_down", item).stored
    assert in_force(log, turn) == [(item, "thumb_up"), (item, "thumb_down")]


def test_a_withdrawal_and_what_comes_in_its_place_are_one_deed(log: EventLog, turn: TurnRecord) -> None:
    react(log, turn, "thumb_down")
    back = Feedback(turn.turn_id, "withdraw", None, of="thumb_down")
    with pytest.raises(BadRequest):
        log.record_feedback("default", "key", back, Feedback(turn.turn_id, "thumb_sideways"))
    assert not react(log, turn, "thumb_down").stored  # it stands
    last = log.record_feedback("default", "key", back, Feedback(turn.turn_id, "thumb_down", reason="bad_items"))
    assert last.stored
    assert not react(log, turn, "thumb_down").stored


def test_reply_and_items_are_kept_apart(log: EventLog, turn: TurnRecord) -> None:
    assert all(react(log, turn, "thumb_up", item).stored for item in (None, "film-a", "film-b"))
    react(log, turn, "withdraw", "film-a", of="thumb_up")
    assert in_force(log, turn) == [(None, "thumb_up"), ("film-b", "thumb_up")]


@pytest.mark.parametrize("item", [None, "film-a"])
def test_withdraw_and_store_again_any_number_of_times(log: EventLog, turn: TurnRecord, item: str | None) -> None:
    seen = set()
    for _ in range(3):
        stored = react(log, turn, "accept", item)
        assert stored.stored
        assert not react(log, turn, "accept", item).stored
        taken = react(log, turn, "withdraw", item, of="accept")
        assert taken.stored
        assert react(log, turn, "withdraw", item, of="accept") == Stored(False, taken.event_id)
        assert in_force(log, turn) == []
        seen |= {stored.event_id, taken.event_id}
    assert len(seen) == 6
    assert react(log, turn, "accept", item).stored


def test_withdrawing_what_never_was_stores_nothing(log: EventLog, turn: TurnRecord) -> None:
    assert react(log, turn, "withdraw", of="thumb_up") == Stored(False, None)
    assert react(log, turn, "thumb_up").stored


def test_many_at_once_store_one(log: EventLog, turn: TurnRecord) -> None:
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: react(log, turn, "buy", "film-a"), range(24)))
    assert sum(one.stored for one in stored) == 1
    assert len({one.event_id for one in stored}) == 1


@pytest.mark.parametrize(
    ("kind", "of"), [("like", None), ("", None), ("withdraw", None), ("withdraw", "withdraw"), ("withdraw", "like"),
                     ("accept", "accept"), ("view", None)]
)  # fmt: skip
def test_unknown_kinds_are_refused(log: EventLog, turn: TurnRecord, kind: str, of: str | None) -> None:
    with pytest.raises(BadRequest):
        react(log, turn, kind, of=of)


def test_unknown_turns_and_items_are_not_found(log: EventLog, turn: TurnRecord) -> None:
    unrecorded = log.new_turn_id("default")
    forged = turn.turn_id[:-1] + ("x" if turn.turn_id[-1] != "x" else "y")
    for turn_id in (unrecorded, forged, "", "t_1", turn.session_id):
        with pytest.raises(NotFound):
            log.record_feedback("default", "key", Feedback(turn_id, "thumb_up"))
    with pytest.raises(NotFound):
        react(log, turn, "accept", "film-z")
    with pytest.raises(NotFound):
        log.record_feedback("default", "another key", Feedback(turn.turn_id, "thumb_up"))


def test_outside_events(log: EventLog, turn: TurnRecord) -> None:
    ids = {
        log.record_event("default", "key", OutsideEvent("view", "any item")),
        log.record_event("default", "key", OutsideEvent("dwell", "film-a", turn.turn_id, value=12.5)),
        log.record_event("default", "key", OutsideEvent("buy", "film-a", session_id=turn.session_id, user="ann")),
        log.record_event("default", "key", OutsideEvent("click", "film-a", turn.turn_id, data={"page": "p\x00"})),
        log.record_event("default", "key", OutsideEvent("click", "film-a", turn.turn_id)),
        log.record_event("default", "key", OutsideEvent("click", "film-a", user="bob")),
    }
    assert len(ids) == 6
    assert in_force(log, turn) == [("film-a", "click")]
    assert Reaction("film-a", "click") in log.session_view("default", turn.session_id).turns[0].reactions


@pytest.mark.parametrize(
    "outside",
    [OutsideEvent("like"), OutsideEvent("withdraw"), OutsideEvent("dwell", value=math.nan),
     OutsideEvent("dwell", value=math.inf), OutsideEvent("view", at=datetime(2026, 1, 1))],
)  # fmt: skip
def test_outside_events_that_cannot_be_used(log: EventLog, outside: OutsideEvent) -> None:
    with pytest.raises(BadRequest):
        log.record_event("default", "key", outside)


def test_outside_events_of_strangers(log: EventLog, turn: TurnRecord) -> None:
    for key, outside in (
        ("another key", OutsideEvent("view", turn_id=turn.turn_id)),
        ("another key", OutsideEvent("view", session_id=turn.session_id)),
        ("key", OutsideEvent("view", turn_id=turn.turn_id, user="bob")),
        ("key", OutsideEvent("view", turn_id="t_1")),
        ("key", OutsideEvent("view", session_id="s_1")),
    ):
        with pytest.raises(NotFound):
            log.record_event("default", key, outside)
    other = log.start_conversation("default", "key", "ann")
    with pytest.raises(BadRequest):
        log.record_event("default", "key", OutsideEvent("view", turn_id=turn.turn_id, session_id=other.id))
