from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from log_samples import MakeTurn, wish

from agent.log.records import (
    EditState,
    Feedback,
    PrefixMatch,
    ShownRow,
    TurnConflict,
    TurnRecord,
)
from agent.log.store import EventLog
from agent.preferences import Dropped
from agent.understand.types import AskedQuestion
from retrieval.errors import NotFound

NASTY = "😀👩‍👩‍👧 电影 סרט \u202eright\u202c \u200b \x01\x1b[31m ' \" \\ ${x} <img onerror=1> \r\n\t"


def test_a_turn_comes_back_as_it_was_recorded_after_a_restart(
    log: EventLog, make_turn: MakeTurn, url: str | None, data_dir: Path
) -> None:
    conversation = log.start_conversation("default", "key", None, "zh")
    record = make_turn(
        conversation,
        1,
        message=NASTY,
        reply=NASTY,
        language="zh",
        intent="more",
        action="ask",
        adapter="ada-000001",
        degraded=True,
        timings={"total": 12.5, "rank": None},
        prompt_tokens=7,
        completion_tokens=9,
        seed=2**62,
        exploration=0.15,
        prefix_hash="abc",
        index_name="000012",
        facts=(wish(), Dropped(1, NASTY, ("p0",), ("price",), True)),
        shown=(
            ShownRow("b", 1, "slate", 0.1, -1.5, {"dense": 0.5}, {"dense": 0.25}, ("genre: comedy",)),
            ShownRow("a", 2, "slate", None, None, {"dense": None}),
            ShownRow("c", 1, "alternative", 1e-300),
        ),
        focus=("b", "a"),
        question=AskedQuestion("genre", ("comedy", NASTY)),
        trace={"steps": [NASTY, 1, None, {"x": 1.5}]},
        answer={"v": 1, "items": []},
        created_at=datetime(2026, 5, 4, 12, 0, tzinfo=timezone(timedelta(hours=2))),
    )
    log.record_turn(record)
    log.close()
    again = EventLog.open(url, data_dir)
    try:
        logged = again.trace("default", record.turn_id)
        assert logged.record == record
        assert logged.record.created_at is not None
        assert logged.record.created_at.tzinfo is UTC
        assert not logged.undone
        (turn,) = again.state("default", conversation.id).turns
        assert (turn.message, turn.facts, turn.question) == (NASTY, record.facts, record.question)
        assert (turn.shown, turn.focus) == (("b", "a"), ("b", "a"))
        assert again.conversation("default", conversation.id) == conversation
    finally:
        again.close()


def test_what_a_database_refuses_is_replaced_at_the_border(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", "n\x00ame")
    row = ShownRow("a\x00", 1, "slate", math.nan, -math.inf, {"f\x00": math.inf}, {}, ("m\x00",))
    record = make_turn(
        conversation,
        1,
        message="a\x00b\ud83d",
        shown=(row,),
        trace={"t\x00": "\x00", "n": math.nan},
        question=AskedQuestion("\x00", ("\x00",)),
        facts=(wish("\x00"),),
        focus=("\x00",),
        model="\x00",
    )
    log.record_turn(record)
    log.record_feedback("default", "key", Feedback(record.turn_id, "reject", "a\x00", reason="\x00", text="\x00"))
    (turn,) = log.state("default", conversation.id).turns
    assert turn.message == "a\ufffdb\ufffd"
    logged = log.trace("default", record.turn_id).record
    assert (logged.shown[0].score, logged.shown[0].log_propensity) == (None, None)
    assert logged.trace == {"t\ufffd": "\ufffd", "n": None}
    with pytest.raises(NotFound):
        log.conversation("default", "s_\x00")
    with pytest.raises(NotFound):
        log.undo_turn("default", "t_\x00")


def test_turns_are_ordered_by_number_when_the_clock_goes_back(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    records = [make_turn(conversation, n, created_at=noon - timedelta(hours=n), prefix_hash="same") for n in (1, 2, 3)]
    for record in records:
        log.record_turn(record)
    assert [turn.number for turn in log.state("default", conversation.id).turns] == [1, 2, 3]
    assert [turn.number for turn in log.session_view("default", conversation.id).turns] == [1, 2, 3]
    assert log.turns_since("default", noon - timedelta(days=1)) == tuple(record.turn_id for record in records)
    assert log.find_by_prefix("default", "key", None, "same") == PrefixMatch(conversation.id, 3)


def test_a_number_is_given_once_and_a_refused_turn_leaves_nothing(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    log.record_turn(make_turn(conversation, 1))
    loser = make_turn(conversation, 1, message="slower")
    with pytest.raises(TurnConflict):
        log.record_turn(loser)
    with pytest.raises(NotFound):
        log.trace("default", loser.turn_id)
    (turn,) = log.state("default", conversation.id).turns
    assert turn.message == "message 1"
    log.record_turn(make_turn(conversation, 2))


def test_a_turn_of_an_unknown_conversation_is_refused(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    with pytest.raises(NotFound):
        log.record_turn(make_turn(conversation, 1, session_id="s_" + "0" * 22))
    with pytest.raises(NotFound):
        log.record_turn(make_turn(conversation, 1, tenant="other"))


def test_undone_turns_stay_with_their_flag_and_are_not_found_by_prefix(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    first, second = make_turn(conversation, 1, prefix_hash="h"), make_turn(conversation, 2, prefix_hash="h")
    log.record_turn(first)
    log.record_turn(second)
    log.undo_turn("default", second.turn_id)
    log.undo_turn("default", second.turn_id)
    assert [turn.undone for turn in log.state("default", conversation.id).turns] == [False, True]
    assert log.find_by_prefix("default", "key", None, "h") == PrefixMatch(conversation.id, 1)
    assert log.trace("default", second.turn_id).undone
    with pytest.raises(NotFound):
        log.undo_turn("default", log.new_turn_id("default"))  # well signed, never recorded


def test_edits_stand_after_the_turns_that_came_before_them(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    drop = Dropped(1, "chip", ("p1",))
    log.record_edit("default", conversation.id, (wish(),))
    log.record_turn(make_turn(conversation, 1))
    log.record_edit("default", conversation.id, (drop,))
    log.record_edit("default", conversation.id, (wish("drama"),))
    log.record_turn(make_turn(conversation, 2))
    assert log.state("default", conversation.id).edits == (
        EditState(0, (wish(),)),
        EditState(1, (drop,)),
        EditState(1, (wish("drama"),)),
    )
    with pytest.raises(NotFound):
        log.record_edit("default", "s_" + "0" * 22, (drop,))


def test_replay_gets_the_turn_and_the_conversation_before_it(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    records = [make_turn(conversation, number) for number in (1, 2, 3)]
    for record in records:
        log.record_turn(record)
        log.record_edit("default", conversation.id, (wish(turn=record.number),))
    given = log.turn_input("default", records[1].turn_id)
    assert given.logged.record.message == "message 2"
    assert [turn.number for turn in given.before.turns] == [1]
    assert [edit.after_turn for edit in given.before.edits] == [1]
    assert log.state("default", conversation.id, before=2) == given.before


def test_replay_does_not_see_what_came_after_the_turn(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    first, second, third, fourth = (make_turn(conversation, number) for number in (1, 2, 3, 4))
    log.record_turn(first)
    log.record_feedback("default", "key", Feedback(first.turn_id, "reject", "film-a"))
    log.record_turn(second)
    log.record_turn(third)
    log.record_feedback("default", "key", Feedback(first.turn_id, "accept", "film-b"))
    log.record_feedback("default", "key", Feedback(first.turn_id, "withdraw", "film-a", of="reject"))
    log.record_edit("default", conversation.id, (wish(),))
    log.undo_turn("default", second.turn_id)
    log.record_turn(fourth)
    log.undo_turn("default", fourth.turn_id)

    def seen(turn: TurnRecord) -> list[tuple[int, list[tuple[str | None, str]], bool]]:
        before = log.turn_input("default", turn.turn_id).before
        return [(t.number, [(r.item_id, r.kind) for r in t.reactions], t.undone) for t in before.turns]

    assert seen(first) == []
    assert seen(third) == [(1, [("film-a", "reject")], False), (2, [], False)]
    assert seen(fourth) == [(1, [("film-b", "accept")], False), (2, [], True), (3, [], False)]
    assert log.turn_input("default", third.turn_id).before.edits == ()
    assert log.turn_input("default", fourth.turn_id).before.edits == (EditState(3, (wish(),)),)
    assert [turn.undone for turn in log.state("default", conversation.id).turns] == [False, True, False, True]


def test_turns_since_looks_at_the_time(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    old = make_turn(conversation, 1, created_at=datetime(2020, 1, 1, tzinfo=UTC))
    new = make_turn(conversation, 2)
    log.record_turn(old)
    log.record_turn(new)
    assert log.turns_since("default", datetime.now(UTC) - timedelta(days=7)) == (new.turn_id,)


def test_a_time_without_a_zone_is_the_callers_mistake(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    with pytest.raises(Exception, match="has no time zone"):
        log.record_turn(make_turn(conversation, 1, created_at=datetime(2026, 1, 1)))
    assert log.state("default", conversation.id).turns == ()
