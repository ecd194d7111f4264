from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from log_samples import MakeTurn, wish
from sqlalchemy import event

from agent.log.records import EditState, Feedback, OutsideEvent, PrefixMatch
from agent.log.store import EventLog
from agent.preferences import Dropped
from retrieval.errors import NotFound


def test_only_the_same_key_and_the_same_named_user_may_read(log: EventLog) -> None:
    conversation = log.start_conversation("default", "key", "ann")
    assert log.conversation("default", conversation.id) == conversation
    assert log.conversation("default", conversation.id, key_id="key", user="ann") == conversation
    with pytest.raises(NotFound):
        log.conversation("default", conversation.id, key_id="other key")
    with pytest.raises(NotFound):
        log.conversation("default", conversation.id, user="bob")
    log.start_conversation("default", "key", "bob")
    for read in (log.conversation, log.session_view, log.delete_session):
        with pytest.raises(NotFound):
            read("default", conversation.id, key_id="key", user="bob")
    unnamed = log.start_conversation("default", "key", None)
    assert log.conversation("default", unnamed.id, user="bob") == unnamed


def test_the_same_name_is_one_person_within_a_key(log: EventLog) -> None:
    first, second = (log.start_conversation("default", "key", "ann") for _ in range(2))
    elsewhere = log.start_conversation("default", "key 2", "ann")
    assert first.person_id == second.person_id != elsewhere.person_id


def test_a_prefix_is_found_within_key_and_user(log: EventLog, make_turn: MakeTurn) -> None:
    named = log.start_conversation("default", "key", "ann")
    unnamed = log.start_conversation("default", "key", None)
    log.record_turn(make_turn(named, 1, prefix_hash="h"))
    log.record_turn(make_turn(unnamed, 1, prefix_hash="h"))
    log.record_turn(make_turn(unnamed, 2, prefix_hash="i"))
    assert log.find_by_prefix("default", "key", "ann", "h") == PrefixMatch(named.id, 1)
    assert log.find_by_prefix("default", "key", None, "h") == PrefixMatch(unnamed.id, 1)
    for key, user, prefix in (("key", "bob", "h"), ("key 2", None, "h"), ("key", "ann", "i"), ("key", None, "x")):
        assert log.find_by_prefix("default", key, user, prefix) is None


def test_the_view_has_items_answers_and_reactions(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    record = make_turn(conversation, 1, answer={"v": 1, "action": "recommend"})
    log.record_turn(record)
    log.record_feedback("default", "key", Feedback(record.turn_id, "accept", "film-a", reason="funny"))
    (turn,) = log.session_view("default", conversation.id).turns
    assert (turn.items, turn.alternatives) == (("film-b", "film-a"), ("film-c",))
    assert turn.answer == {"v": 1, "action": "recommend"}
    assert [(r.item_id, r.kind, r.reason) for r in turn.reactions] == [("film-a", "accept", "funny")]


def test_history_is_the_users_own_the_last_used_first(log: EventLog, make_turn: MakeTurn) -> None:
    older, newer, empty = (log.start_conversation("default", "page", "browser 1") for _ in range(3))
    other = log.start_conversation("default", "page", "browser 2")
    for conversation, number in ((older, 1), (newer, 1), (other, 1), (older, 2)):
        log.record_turn(make_turn(conversation, number, message=f"{number} of {conversation.id}"))
    listed = log.list_conversations("default", "page", "browser 1")
    assert [(one.session_id, one.title, one.turns) for one in listed] == [
        (older.id, f"1 of {older.id}", 2),
        (newer.id, f"1 of {newer.id}", 1),
    ]
    assert listed[0].last_at.tzinfo is not None
    assert [one.session_id for one in log.list_conversations("default", "page", "browser 1", limit=1)] == [older.id]
    assert log.list_conversations("default", "page", "browser 3") == ()
    assert log.list_conversations("default", "page", None) == ()


def test_history_reads_the_turns_of_its_own_conversations_only(data_dir: Path) -> None:
    """SQLite only: it reads SQLite's plan."""
    log = EventLog.open(None, data_dir)
    log.start_conversation("default", "page", "browser 1")
    engine = log._database._engine
    said: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda c, cur, sql, values, ctx, many: said.append((sql, values)))
    log.list_conversations("default", "page", "browser 1")
    ((sql, values),) = [(sql, values) for sql, values in said if "GROUP BY" in sql]
    with engine.connect() as connection:
        plan = [str(row[-1]) for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)]
    of_turns = [line for line in plan if re.search(r"\bturn\b", line)]
    assert of_turns
    assert all(re.search(r"\((conversation_id|id)=", line) for line in of_turns), plan
    log.close()


def test_the_language_is_that_of_the_last_turn(log: EventLog, make_turn: MakeTurn) -> None:
    conversation = log.start_conversation("default", "key", None)
    for number, language in enumerate(("zh", "en", "zh"), 1):
        log.record_turn(make_turn(conversation, number, language=language))
    assert conversation.language == "en"
    assert log.conversation("default", conversation.id).language == "zh"
    assert log.session_view("default", conversation.id).conversation.language == "zh"
    assert log.state("default", conversation.id).conversation.language == "zh"
    assert log.state("default", conversation.id, before=3).conversation.language == "en"
    assert log.state("default", conversation.id, before=1).conversation.language == "en"


def test_erasure_takes_the_words_off_the_disk_and_keeps_the_numbers(
    log: EventLog, make_turn: MakeTurn, url: str | None, data_dir: Path
) -> None:
    conversation = log.start_conversation("default", "key", None)
    kept = log.start_conversation("default", "key", None)
    log.record_turn(make_turn(kept, 1, message="kept words"))
    word = "verysecretword"
    record = make_turn(conversation, 1, message=word, reply=word, trace={"x": word * 500}, prefix_hash=f"hash-{word}")
    log.record_turn(record)
    log.record_feedback("default", "key", Feedback(record.turn_id, "reject", "film-a", reason=word, text=word))
    log.record_edit("default", conversation.id, (wish(word),))
    assert url or _on_disk(word, data_dir)
    log.delete_session("default", conversation.id)
    assert url or not _on_disk(word, data_dir)
    assert url or _on_disk("kept words", data_dir)
    for gone in (
        lambda: log.conversation("default", conversation.id),
        lambda: log.state("default", conversation.id),
        lambda: log.session_view("default", conversation.id),
        lambda: log.delete_session("default", conversation.id),
        lambda: log.trace("default", record.turn_id),
        lambda: log.turn_input("default", record.turn_id),
        lambda: log.undo_turn("default", record.turn_id),
        lambda: log.record_edit("default", conversation.id, ()),
        lambda: log.record_turn(make_turn(conversation, 2)),
        lambda: log.record_feedback("default", "key", Feedback(record.turn_id, "thumb_up")),
        lambda: log.record_event("default", "key", OutsideEvent("view", session_id=conversation.id)),
    ):
        with pytest.raises(NotFound):
            gone()
    assert len(log.turns_since("default", conversation.created_at)) == 1
    assert [one.session_id for one in log.list_conversations("default", "key", None)] == [kept.id]
    assert log.find_by_prefix("default", "key", None, f"hash-{word}") is None


def _on_disk(word: str, folder: Path) -> bool:
    return any(word.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_a_named_user_starts_from_stored_wishes_that_later_changes_do_not_touch(log: EventLog) -> None:
    assert log.user_facts("default", "key", "ann") == ()
    log.record_user_edit("default", "key", "ann", (wish("comedy", turn=4), wish("drama", id="p2")))
    log.record_user_edit("default", "key", "ann", (Dropped(0, "", ("p2",)),))
    assert len(log.user_facts("default", "key", "ann")) == 3
    conversation = log.start_conversation("default", "key", "ann")
    started = (EditState(0, (wish("comedy", turn=0),)),)
    assert log.state("default", conversation.id).edits == started
    log.forget_user_preferences("default", "key", "ann")
    assert log.user_facts("default", "key", "ann") == ()
    assert log.state("default", conversation.id).edits == started
    log.record_user_edit("default", "key", "ann", (wish("noir"),))
    assert log.user_facts("default", "key", "ann") == (wish("noir"),)
    assert log.state("default", log.start_conversation("default", "key", "bob").id).edits == ()
    assert log.user_facts("default", "key 2", "ann") == ()


def test_forgotten_wishes_leave_the_disk(log: EventLog, url: str | None, data_dir: Path) -> None:
    log.record_user_edit("default", "key", "ann", (wish("verysecretwish"),))
    log.forget_user_preferences("default", "key", "ann")
    log.forget_user_preferences("default", "key", "nobody")
    assert url or not _on_disk("verysecretwish", data_dir)
