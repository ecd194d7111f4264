"""What learners read of the log, and a shop's own history, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from log_samples import MakeTurn, wish
from sqlalchemy import func, select

from agent.history import facts_in_force
from agent.log.events import NewEvent, add
from agent.log.models import Event, Person, PersonPayload
from agent.log.records import Conversation, Deed, Feedback, OutsideEvent, PastDeed
from agent.log.store import EventLog
from agent.preferences import Dropped, fold

LONG_AGO = datetime(1996, 2, 29, 23, 59, 59, tzinfo=UTC)


def react(log: EventLog, turn_id: str, kind: str, item: str, of: str | None = None) -> None:
    assert log.record_feedback("default", "key", Feedback(turn_id, kind, item, of)).stored


def shown(log: EventLog, make_turn: MakeTurn, user: str | None = "ann", number: int = 1) -> tuple[Conversation, str]:
    """A conversation with a turn that shows film-b and film-a; and the turn's id."""
    talk = log.start_conversation("default", "key", user)
    record = make_turn(talk, number)
    log.record_turn(record)
    return talk, record.turn_id


def count(log: EventLog, column: object) -> int:
    return log._database.read(lambda session: session.scalar(select(func.count(column)))) or 0  # type: ignore[call-overload, no-any-return]


def test_history_is_stored_once_however_often_it_is_given(log: EventLog) -> None:
    past = [
        PastDeed("ann", "film-a", "buy", 12.5, LONG_AGO),
        PastDeed("ann", "film-a", "view", None, LONG_AGO),
        PastDeed("bob", "film-a", "rating", 4.5),
        PastDeed("bob", "film-a", "rating", 4.5),
    ]
    assert log.record_past("default", "key", past) == 3
    assert log.record_past("default", "key", past[::-1]) == 0
    assert log.record_past("default", "key", [PastDeed("ann", "film-a", "buy", 12.5)]) == 1  # at another time
    assert log.record_past("other", "key", past[:1]) == 1
    assert count(log, Event.seq) == 5


def test_two_imports_of_one_file_at_once_store_it_once(log: EventLog) -> None:
    past = [PastDeed(f"user {n % 7}", f"film-{n}", "view", at=LONG_AGO) for n in range(50)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: log.record_past("default", "", past), range(4)))
    assert count(log, Event.seq) == 50
    assert count(log, Person.id) == 7


def test_users_are_those_of_the_chat_and_their_names_stand_in_payload_alone(log: EventLog) -> None:
    talk = log.start_conversation("default", "key", "ann")
    log.record_past("default", "key", [PastDeed("ann", "film-a", "buy"), PastDeed("b\x00b", "film\ud800", "like", 1.0)])
    (mine,) = log.deeds("default", "opt_out", talk.person_id)
    assert (mine.item_id, mine.kind) == ("film-a", "buy")
    assert count(log, PersonPayload.person_id) == 2
    log.record_past("default", "another key", [PastDeed("ann", "film-a", "buy")])
    assert count(log, Person.id) == 3


def test_deeds_are_what_stands_from_chat_shop_and_history(log: EventLog, make_turn: MakeTurn) -> None:
    log.record_past("default", "key", [PastDeed("ann", "film-a", "rating", 4.0, LONG_AGO)])
    talk, turn_id = shown(log, make_turn)
    ann = talk.person_id or ""
    react(log, turn_id, "accept", "film-a")
    react(log, turn_id, "thumb_up", "film-b")
    react(log, turn_id, "withdraw", "film-b", of="thumb_up")
    log.record_event("default", "key", OutsideEvent("view", "film-c", user="ann", at=LONG_AGO.replace(year=2020)))
    log.record_event("default", "key", OutsideEvent("view", "film-c", user="ann", at=LONG_AGO.replace(year=2024)))
    log.record_event("default", "key", OutsideEvent("view", "film-x"))  # of nobody
    nobody, turn_id = shown(log, make_turn, user=None)
    react(log, turn_id, "reject", "film-a")
    found = [(deed.customer, deed.item_id, deed.kind, deed.value) for deed in log.deeds("default", "opt_out")]
    assert found == [
        (ann, "film-a", "rating", 4.0),
        (ann, "film-a", "accept", None),
        (ann, "film-c", "view", None),
        (ann, "film-c", "view", None),
        (nobody.id, "film-a", "reject", None),
    ]
    assert log.deeds("default", "opt_out")[0] == Deed(ann, "film-a", "rating", 4.0, LONG_AGO)
    assert log.deeds("other", "opt_out") == log.deeds("default", "opt_in") == ()
    assert log.rating_range("default") == (4.0, 4.0)
    log.record_past(
        "default", "key", [PastDeed("bob", "film-a", "rating", 0.5), PastDeed("bob", "film-b", "buy", 99.0)]
    )
    assert log.rating_range("default") == (0.5, 4.0)
    assert log.rating_range("other") is None


def test_a_deed_has_its_reason(log: EventLog, make_turn: MakeTurn) -> None:
    _, turn_id = shown(log, make_turn)
    log.record_feedback("default", "key", Feedback(turn_id, "reject", "film-a", reason="known"))
    assert [deed.reason for deed in log.deeds("default", "opt_out")] == ["known"]


def test_deeds_of_erased_and_undone_talks_are_gone(log: EventLog, make_turn: MakeTurn) -> None:
    talk, turn_id = shown(log, make_turn)
    react(log, turn_id, "accept", "film-a")
    second = make_turn(talk, 2)
    log.record_turn(second)
    react(log, second.turn_id, "accept", "film-b")
    log.undo_turn("default", second.turn_id)
    assert [deed.item_id for deed in log.deeds("default", "opt_out")] == ["film-a"]
    log.delete_session("default", talk.id)
    assert log.deeds("default", "opt_out") == ()


def test_changes_name_the_conversations_that_teach_something_else_now(log: EventLog, make_turn: MakeTurn) -> None:
    talk, turn_id = shown(log, make_turn)
    other, other_turn = shown(log, make_turn, "bob")
    start = log.changes("default", -1).newest
    react(log, turn_id, "click", "film-a")  # says nothing
    assert log.changes("default", start).found == ()
    react(log, other_turn, "accept", "film-a")
    react(log, turn_id, "reject", "film-a")
    log.undo_turn("default", turn_id)
    log.delete_session("default", other.id)
    changes = log.changes("default", start)
    assert [one.session_id for one in changes.found] == [other.id, talk.id, talk.id, other.id]
    assert [one.seq for one in changes.found] == sorted({one.seq for one in changes.found})
    assert changes.newest == changes.found[-1].seq
    assert log.changes("default", changes.newest).found == ()
    assert log.changes("other", -1).found == ()


def test_a_changed_consent_touches_all_conversations_of_the_person(log: EventLog, make_turn: MakeTurn) -> None:
    talks = [shown(log, make_turn)[0] for _ in range(2)]
    shown(log, make_turn, "bob")
    start = log.changes("default", -1).newest
    log._database.write(lambda session: add(session, NewEvent("default", "consent", person_id=talks[0].person_id)))
    assert {one.session_id for one in log.changes("default", start).found} == {talk.id for talk in talks}


def test_fruitful_talks_are_those_that_took_an_item_the_newest_last(log: EventLog, make_turn: MakeTurn) -> None:
    first, first_turn = shown(log, make_turn)
    second, second_turn = shown(log, make_turn)
    shown(log, make_turn)
    react(log, second_turn, "buy", "film-a")
    react(log, first_turn, "thumb_up", "film-a")
    react(log, second_turn, "reject", "film-b")
    assert log.fruitful("default", 9) == (second.id, first.id)
    assert log.fruitful("default", 1) == (first.id,)
    assert log.fruitful("other", 9) == ()


def test_many_talks_are_read_as_one_by_one(log: EventLog, make_turn: MakeTurn) -> None:
    talks = []
    for number in range(3):
        talk, turn_id = shown(log, make_turn, "ann" if number else None)
        react(log, turn_id, "accept", "film-a")
        log.record_turn(make_turn(talk, 2, language="zh"))
        log.undo_turn("default", turn_id)
        talks.append(talk)
    log.delete_session("default", talks[1].id)
    expected = [log.state("default", talks[0].id), log.state("default", talks[2].id)]
    assert log.talks("default", [talk.id for talk in talks], "opt_out") == expected
    assert log.talks("other", [talk.id for talk in talks], "opt_out") == []


def test_stated_wishes_are_those_in_force_of_the_newest_talks(log: EventLog, make_turn: MakeTurn) -> None:
    log.record_user_edit("default", "key", "ann", (wish("drama", id="kept", turn=0),))
    talks = [log.start_conversation("default", "key", "ann") for _ in range(3)]
    for number, value in enumerate(("comedy", "war", "horror"), 1):
        log.record_turn(make_turn(talks[2], number, facts=(wish(value, id=f"p{number}", turn=number),)))
        if number == 1:
            log.record_edit("default", talks[2].id, (Dropped(1, "", preference_ids=("kept",)),))
        if number == 2:
            log.undo_turn("default", log.state("default", talks[2].id).turns[-1].turn_id)
    log.delete_session("default", talks[1].id)
    who = talks[0].person_id or ""
    first, last = log.stated("default", who, 9, "opt_out")
    assert first.facts == facts_in_force(log.state("default", talks[0].id)) != ()
    assert last.facts == facts_in_force(log.state("default", talks[2].id))
    assert [preference.values for preference in fold(last.facts)] == [("comedy",), ("horror",)]
    assert log.stated("default", who, 1, "opt_out") == (last,)
    assert log.stated("default", who, 9, "opt_in") == log.stated("default", "nobody", 9, "opt_out") == ()


@pytest.mark.parametrize("after", [-200, 2**62])
def test_an_empty_log_has_no_changes(log: EventLog, after: int) -> None:
    changes = log.changes("default", after)
    assert (changes.newest, changes.found) == (0, ())
