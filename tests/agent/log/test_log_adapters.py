"""Moves of adapters, and what a trial is judged by; on both databases."""

from __future__ import annotations

import pytest
from log_samples import MakeTurn

from agent.log.adapters import Move, MoveConflict, SessionSigns, Source, SourceCounts
from agent.log.records import Feedback
from agent.log.store import EventLog


def test_moves_are_numbered_in_each_tenant_and_each_number_is_given_once(log: EventLog) -> None:
    assert (log.adapter_version("default"), log.adapter_moves("default")) == (0, ())
    assert log.move_adapter("default", 0, Move("canary", "ada-000001", "why \x00", 0.25)) == 1
    assert log.move_adapter("other", 0, Move("rolled_back", None)) == 1
    for seen in (0, 0):
        with pytest.raises(MoveConflict):
            log.move_adapter("default", seen, Move("promoted", "ada-000002"))
    (move,) = log.adapter_moves("default")
    assert (move.kind, move.adapter, move.share, move.version, move.after_turn) == ("canary", "ada-000001", 0.25, 1, 0)
    assert move.reason == "why \ufffd"
    assert log.adapter_moves("other")[0].adapter is None


def test_sources_are_noted_once_and_erased_with_their_conversation(log: EventLog) -> None:
    talk = log.start_conversation("default", "key", "Anna")
    person = str(talk.person_id)
    for _ in range(2):
        log.add_adapter_sources("default", "ada-000001", [Source(person, talk.id), Source(person), Source("p_b")])
    assert log.adapter_sources("default") == {"ada-000001": SourceCounts(2, 1)}
    assert log.adapters_trained_on("default", talk.id) == ("ada-000001",)
    log.delete_session("default", talk.id)
    assert log.adapter_sources("default") == {"ada-000001": SourceCounts(2, 1, 1, 1)}


def test_what_happened_since_a_trial_began(log: EventLog, make_turn: MakeTurn) -> None:
    before = log.start_conversation("default", "key", None)
    early = make_turn(before, 1, degraded=True)
    log.record_turn(early)
    log.move_adapter("default", 0, Move("canary", "ada-000001", share=0.2))
    after = log.adapter_moves("default")[0].after_turn
    log.record_feedback("default", "key", Feedback(early.turn_id, "thumb_down"))
    assert log.signs("default", after) == ()

    refused = {"refused_sentences": [{"sentence": "x", "objection": "y"}]}
    kinds: list[dict[str, object]] = [
        {"completion_tokens": 9, "trace": refused},
        {"completion_tokens": 9, "trace": {"refused_sentences": []}},
        {"completion_tokens": 9},
        {"completion_tokens": 9, "trace": refused, "degraded": True},
        {"completion_tokens": 0},
    ]
    talks = [log.start_conversation("default", "key", None) for _ in kinds]
    for talk, kind in zip(talks, kinds, strict=True):
        log.record_turn(make_turn(talk, 1, **kind))
    elsewhere = log.start_conversation("other", "key", None)
    log.record_turn(make_turn(elsewhere, 1, degraded=True))
    assert log.signs("default", after) == (
        SessionSigns(talks[0].id, ungrounded=True),
        SessionSigns(talks[1].id, whole=True),
        SessionSigns(talks[2].id, whole=True),
        SessionSigns(talks[3].id, error=True),
        SessionSigns(talks[4].id),
    )
    second = make_turn(talks[0], 2, completion_tokens=5)
    log.record_turn(second)
    log.record_feedback("default", "key", Feedback(second.turn_id, "thumb_down"))
    log.delete_session("default", talks[1].id)
    told = {one.session_id: one for one in log.signs("default", after)}
    assert told[talks[0].id] == SessionSigns(talks[0].id, thumb_down=True, ungrounded=True, whole=True)
