"""Talks with what was said of their answers, consent and a human's labels; on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from log_samples import MakeTurn

from agent.log.records import Feedback, FeedbackKind, ShownRow
from agent.log.store import EventLog
from retrieval.errors import NotFound


def test_a_talk_has_its_answers_and_what_stands_of_what_was_said(log: EventLog, make_turn: MakeTurn) -> None:
    talk = log.start_conversation("default", "", "ann")
    shown = (ShownRow("a", 1, score=2.0, log_propensity=-0.5), ShownRow("b", 2), ShownRow("c", 1, list="alternative"))
    card = {"id": "a", "title": "A", "attributes": {"z": 1, "a": ["x"]}}
    turn = make_turn(talk, 1, shown=shown, answer={"items": [card]}, trace={"pitch": None})
    log.record_turn(turn)
    undone = make_turn(talk, 2)
    log.record_turn(undone)
    log.undo_turn("default", undone.turn_id)
    kept = log.record_feedback("default", "", Feedback(turn.turn_id, "correct", text="better", reason="tone")).event_id
    log.record_feedback("default", "", Feedback(turn.turn_id, "reject", "a"))
    log.record_feedback("default", "", Feedback(turn.turn_id, "withdraw", "a", of="reject"))
    again = log.record_feedback("default", "", Feedback(turn.turn_id, "accept", "b")).event_id
    assert log.spoken_since("default", None) == (talk.id,)
    assert log.spoken_since("default", datetime.now(UTC) + timedelta(days=1)) == ()
    (found,) = log.feedback_talks("default", [talk.id], "opt_out")
    answered = found.answered[turn.turn_id]
    assert [(one.item_id, one.position, one.score, one.log_propensity) for one in answered.offered] == [
        ("a", 1, 2.0, -0.5),
        ("b", 2, None, None),
    ]
    assert list(answered.cards[0]["attributes"]) == ["z", "a"]  # their order is what prompts have
    assert [(one.event_id, one.kind, one.item_id, one.text, one.reason) for one in found.given] == [
        (kept, "correct", None, "better", "tone"),
        (again, "accept", "b", None, None),
    ]
    assert list(found.undone) == [undone.turn_id]
    assert [turn.turn_id for turn in found.state.turns] == [turn.turn_id, undone.turn_id]


def test_an_agents_thumb_is_stored_once_and_taken_back(log: EventLog, make_turn: MakeTurn) -> None:
    talk = log.start_conversation("default", "", "ann")
    turn = make_turn(talk, 1)
    log.record_turn(turn)

    def give(kind: FeedbackKind, of: FeedbackKind | None = None) -> tuple[bool, str | None]:
        given = Feedback(turn.turn_id, kind, of=of, reason="tone", text="cold", by_agent=True)
        stored = log.record_feedback("default", "", given)
        return stored.stored, stored.event_id

    def labels() -> list[bool]:
        (found,) = log.feedback_talks("default", [talk.id], "opt_out")
        return [one.good for one in found.labels]

    assert give("withdraw", "thumb_up") == (False, None)
    is_new, first = give("thumb_down")
    assert is_new
    assert give("thumb_down") == (False, first)
    assert give("withdraw", "thumb_up") == (False, None)
    assert labels() == [False]
    person = log.person("default", "", "ann")
    assert person is not None
    assert [(one.id, one.reason, one.text) for one in person.events] == [(first, "tone", "cold")]
    assert give("thumb_up")[0]
    assert labels() == [True]
    log.record_feedback("default", "", Feedback(turn.turn_id, "thumb_up"))  # the customer's own stays
    assert give("withdraw", "thumb_up")[0]
    assert labels() == []
    (found,) = log.feedback_talks("default", [talk.id], "opt_out")
    assert [one.kind for one in found.given] == ["thumb_up"]
    assert give("thumb_up")[0]
    assert labels() == [True]


def test_the_newest_word_of_a_human_counts(log: EventLog, make_turn: MakeTurn) -> None:
    talk = log.start_conversation("default", "", None)
    turn = make_turn(talk, 1)
    log.record_turn(turn)
    event = log.record_feedback("default", "", Feedback(turn.turn_id, "thumb_up")).event_id or ""
    log.record_label("default", event, good=True)
    log.record_label("default", turn.turn_id, good=True)
    newest = log.record_label("default", event, good=False)
    (found,) = log.feedback_talks("default", [talk.id], "opt_out")
    assert {(one.of, one.good) for one in found.labels} == {(event, False), (None, True)}
    assert newest in {one.event_id for one in found.labels}
    with pytest.raises(NotFound, match="is unknown"):
        log.record_label("default", newest, good=True)  # a label is nothing to be labelled
    log.delete_session("default", talk.id)
    assert log.feedback_talks("default", [talk.id], "opt_out") == []
    assert log.spoken_since("default", None) == ()
    with pytest.raises(NotFound, match="is unknown"):
        log.record_label("default", event, good=True)


def test_consent_can_be_given_and_taken_back_by_somebody_new(log: EventLog) -> None:
    log.record_consent("default", "", "ann", consent=True)
    talk = log.start_conversation("default", "", "ann")
    assert len(log.feedback_talks("default", [talk.id], "opt_in")) == 1
    log.record_consent("default", "", "ann", consent=False)
    assert log.feedback_talks("default", [talk.id], "opt_in") == []
    assert log.feedback_talks("default", [talk.id], "opt_out") == []
    assert [one.session_id for one in log.changes("default", 0).found] == [talk.id, talk.id]


def test_a_pseudonym_is_the_same_each_time_and_of_the_tenant(log: EventLog) -> None:
    assert log.pseudonym("default", "p_1") == log.pseudonym("default", "p_1")
    others = {log.pseudonym("default", "p_2"), log.pseudonym("other", "p_1")}
    assert log.pseudonym("default", "p_1") not in others
    assert len(others) == 2
