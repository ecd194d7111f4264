"""Two tenants with the same keys and names never see each other, whichever method is asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from log_samples import MakeTurn, wish

from agent.log.adapters import Move, Source
from agent.log.records import Feedback, OutsideEvent, PastDeed
from agent.log.store import EventLog
from retrieval.errors import NotFound

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
REFUSED: dict[str, Callable[[EventLog, str, str], Any]] = {
    "conversation": lambda log, session, _: log.conversation("b", session),
    "state": lambda log, session, _: log.state("b", session),
    "session_view": lambda log, session, _: log.session_view("b", session),
    "delete_session": lambda log, session, _: log.delete_session("b", session),
    "record_edit": lambda log, session, _: log.record_edit("b", session, (wish(),)),
    "take_lease": lambda log, session, _: log.take_lease("b", session, "owner"),
    "undo_turn": lambda log, _, turn: log.undo_turn("b", turn),
    "trace": lambda log, _, turn: log.trace("b", turn),
    "turn_input": lambda log, _, turn: log.turn_input("b", turn),
    "record_feedback": lambda log, _, turn: log.record_feedback("b", "key", Feedback(turn, "thumb_up")),
    "record_label": lambda log, _, turn: log.record_label("b", turn, good=True),
    "record_event": lambda log, session, _: log.record_event("b", "key", OutsideEvent("view", session_id=session)),
}
EMPTY: dict[str, Callable[[EventLog], Any]] = {
    "find_by_prefix": lambda log: log.find_by_prefix("b", "key", "ann", "h"),
    "list_conversations": lambda log: log.list_conversations("b", "key", "ann"),
    "turns_since": lambda log: log.turns_since("b", LONG_AGO),
    "person_id": lambda log: log.person_id("b", "key", "ann"),
    "user_facts": lambda log: log.user_facts("b", "key", "ann"),
    "live_index": lambda log: log.live_index("b"),
    "live_ranker": lambda log: log.live_ranker("b"),
    "changes": lambda log: log.changes("b", -1).found,
    "fruitful": lambda log: log.fruitful("b", 9),
    "stated": lambda log: log.stated("b", "ann", 9, "opt_out"),
    "deeds": lambda log: log.deeds("b", "opt_out"),
    "rating_range": lambda log: log.rating_range("b"),
    "spoken_since": lambda log: log.spoken_since("b", None),
    "adapter_version": lambda log: log.adapter_version("b"),
    "adapter_moves": lambda log: log.adapter_moves("b"),
    "adapter_sources": lambda log: log.adapter_sources("b"),
    "consent": lambda log: log.consent("b", "key", "ann"),
    "person": lambda log: log.person("b", "key", "ann"),
    "erase_person": lambda log: log.erase_person("b", "key", "ann"),
    "adapters_trained_on": lambda log: log.adapters_trained_on("b", "ann"),
    "signs": lambda log: log.signs("b", 0),
}
ELSEWHERE = {
    "start_conversation", "record_user_edit", "forget_user_preferences", "activate_index",
    "activate_ranker",  # in the test's body
    "learnable", "inherit_adapter_sources",  # in the test's body
    "talks", "record_past", "feedback_talks", "move_adapter", "add_adapter_sources", "pseudonym",  # there as well
    "record_consent",  # names a user, and so does the tenant
    "record_turn", "secret", "new_turn_id", "open", "close", "ping", "backup", "watch",
    "drop_lease",  # who knows the secret name of the owner is the owner
}  # fmt: skip


def test_every_method_is_covered() -> None:
    public = {name for name, _ in inspect.getmembers(EventLog, callable) if not name.startswith("_")}
    assert public == REFUSED.keys() | EMPTY.keys() | ELSEWHERE


def test_tenants_are_apart(log: EventLog, make_turn: MakeTurn) -> None:
    log.record_user_edit("a", "key", "ann", (wish(),))
    log.activate_index("a", "index/000001")
    log.activate_ranker("a", "rnk-000001")
    log.move_adapter("a", 0, Move("promoted", "ada-000001"))
    log.add_adapter_sources("a", "ada-000001", [Source("ann")])
    assert log.pseudonym("a", "ann") != log.pseudonym("b", "ann")
    conversation = log.start_conversation("a", "key", "ann")
    record = make_turn(conversation, 1, prefix_hash="h")
    log.record_turn(record)
    accepted = log.record_feedback("a", "key", Feedback(record.turn_id, "accept", "film-a")).event_id or ""
    assert log.learnable("b", [accepted], "opt_out") == {}
    assert log.learnable("a", [accepted], "opt_out").keys() == {accepted}
    log.inherit_adapter_sources("b", "ada-000002", "ada-000001")
    log.record_past("a", "key", (PastDeed("ann", "film-b", "rating", 4.0),))
    assert log.feedback_talks("b", [conversation.id], "opt_out") == []
    assert log.feedback_talks("a", [conversation.id], "opt_out") != []
    assert log.secret("a") != log.secret("b")
    with pytest.raises(NotFound):
        log.record_turn(make_turn(conversation, 2, tenant="b"))
    for name, ask in REFUSED.items():
        with pytest.raises(NotFound):
            pytest.fail(f"{name} gave {ask(log, conversation.id, record.turn_id)!r}")
    for name, look in EMPTY.items():
        assert not look(log), name
    assert log.talks("b", [conversation.id], "opt_out") == []
    assert log.stated("b", conversation.person_id or "", 9, "opt_out") == ()
    assert log.deeds("b", "opt_out", conversation.person_id) == ()
    assert log.record_past("b", "key", (PastDeed("ann", "film-b", "buy"),)) == 1
    assert len(log.deeds("a", "opt_out", conversation.person_id)) == 2
    log.forget_user_preferences("b", "key", "ann")
    log.activate_index("b", "index/000009")
    assert log.start_conversation("b", "key", "ann").person_id != conversation.person_id
    assert log.user_facts("a", "key", "ann") == (wish(),)
    assert log.live_index("a") == "index/000001"
    assert len(log.state("a", conversation.id).turns) == 1
