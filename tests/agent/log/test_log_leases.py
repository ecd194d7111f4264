"""Who answers in a conversation: taken, kept, given back, and free again when its owner has died."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from log_samples import MakeTurn
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from agent.log import leases
from agent.log.models import TurnLease
from agent.log.records import Conversation
from agent.log.store import EventLog
from retrieval.errors import NotFound


@pytest.fixture
def conversation(log: EventLog) -> Conversation:
    return log.start_conversation("default", "key", None)


def move(log: EventLog, seconds: float) -> None:
    """As if the leases had been given so much later."""

    def shift(session: object) -> None:
        ends = session.scalars(select(TurnLease.expires_at)).one()  # type: ignore[attr-defined]
        session.execute(update(TurnLease).values(expires_at=ends + timedelta(seconds=seconds)))  # type: ignore[attr-defined]

    log._database.write(shift)


def test_one_has_it_until_it_is_given_back(log: EventLog, conversation: Conversation) -> None:
    assert log.take_lease("default", conversation.id, "a")
    assert not log.take_lease("default", conversation.id, "b")
    assert log.take_lease("default", conversation.id, "a")
    log.drop_lease(conversation.id, "b")
    assert not log.take_lease("default", conversation.id, "b")
    log.drop_lease(conversation.id, "a")
    assert log.take_lease("default", conversation.id, "b")
    assert log.take_lease("default", log.start_conversation("default", "key", None).id, "a")


def test_it_runs_out_unless_it_is_taken_again(log: EventLog, conversation: Conversation) -> None:
    assert log.take_lease("default", conversation.id, "a")
    move(log, -leases.LEASE_SECONDS + 5)
    assert not log.take_lease("default", conversation.id, "b")
    assert log.take_lease("default", conversation.id, "a")
    move(log, -leases.LEASE_SECONDS + 5)
    assert not log.take_lease("default", conversation.id, "b")  # for the renewal counts from its own time
    move(log, -5)
    assert log.take_lease("default", conversation.id, "b")
    assert not log.take_lease("default", conversation.id, "a")


def test_a_clock_set_back_by_an_hour_holds_nobody_up(log: EventLog, conversation: Conversation) -> None:
    assert log.take_lease("default", conversation.id, "a")
    move(log, 3600)
    assert log.take_lease("default", conversation.id, "b")


def test_of_many_at_once_one_gets_it(log: EventLog, url: str | None, data_dir: Path) -> None:
    with ExitStack() as stack:
        logs = [stack.enter_context(closing(EventLog.open(url, data_dir))) for _ in range(3)]
        pool = stack.enter_context(ThreadPoolExecutor(6))
        for old in (False, True, False, True):  # a free one, and one that ran out
            session_id = log.start_conversation("default", "key", None).id
            if old:
                assert log.take_lease("default", session_id, "dead")
                move(log, -leases.LEASE_SECONDS)
            asked = [pool.submit(logs[n % 3].take_lease, "default", session_id, f"owner {n}") for n in range(6)]
            assert sum(one.result() for one in asked) == 1
            log._database.write(lambda session: session.execute(TurnLease.__table__.delete()))  # type: ignore[attr-defined]


def test_one_taken_in_the_meantime_is_not_of_the_future(
    log: EventLog, url: str | None, data_dir: Path, conversation: Conversation, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url is None:
        pytest.skip("on SQLite a writer keeps all others out")
    clock, waiting = leases._clock, [True]

    def slow(session: Session) -> datetime:
        moment = clock(session)
        if waiting:
            waiting.clear()
            assert faster.take_lease("default", conversation.id, "the faster one")
        return moment

    monkeypatch.setattr(leases, "_clock", slow)
    with closing(EventLog.open(url, data_dir)) as faster:
        assert not log.take_lease("default", conversation.id, "the slower one")


def test_only_conversations_that_there_are(log: EventLog, conversation: Conversation, make_turn: MakeTurn) -> None:
    for unknown in ("", "nonsense", "\x00", "s_" + "a" * 22):
        with pytest.raises(NotFound):
            log.take_lease("default", unknown, "a")
    assert log.take_lease("default", conversation.id, "a")
    log.record_turn(make_turn(conversation, 1))
    log.delete_session("default", conversation.id)
    with pytest.raises(NotFound):
        log.take_lease("default", conversation.id, "a")
    log.drop_lease(conversation.id, "a")
