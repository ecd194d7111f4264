"""Handoffs of two servers on one database, at the same moment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.log.handoff_models import HandoffPayloadRow
from agent.log.store import EventLog
from agent.settings import Settings
from agent.support.handoff.keeping import Applied, Handoffs, Words
from agent.support.handoff.machine import Happening
from retrieval.errors import NotFound


def test_two_servers_and_many_repeats_make_one_handoff(log: EventLog, url: str | None, data_dir: Path) -> None:
    other = EventLog.open(url, data_dir)
    try:
        desks = [Handoffs(one, Settings(data_dir=data_dir)) for one in (log, other)]
        talk = log.start_conversation("default", "", None)

        def ask(n: int) -> Applied:
            event = Happening("asked", f"n{n // 3}", reason="button")
            return desks[n % 2].hand_over("default", talk.id, event, "en")

        with ThreadPoolExecutor(6) as pool:
            effects = Counter(effect for applied in pool.map(ask, range(12)) for effect in applied.effects)
        assert effects == {"closing_line": 1, "private_note": 1}
        trail = desks[1].trail("default", talk.id)
        assert [(entry.version, entry.kind) for entry in trail.entries] == [(1, "asked")]

        def end(n: int) -> Applied:
            return desks[n % 2].apply("default", talk.id, Happening("returned", f"r{n}", by="key:a"))

        with ThreadPoolExecutor(6) as pool:
            assert sum(applied.entry is not None for applied in pool.map(end, range(8))) == 1

        def say(n: int) -> Applied:
            return desks[n % 2].apply("default", talk.id, Happening("said", f"s{n}"))

        with ThreadPoolExecutor(6) as pool:
            told = [effect for applied in pool.map(say, range(8)) for effect in applied.effects]
        assert told == ["notice_of_return"]
        assert log.conversation("default", talk.id).status == "bot"
    finally:
        other.close()


def test_contacts_are_sealed_and_erased(log: EventLog, data_dir: Path) -> None:
    desk = Handoffs(log, Settings(data_dir=data_dir))
    talk = log.start_conversation("default", "", None)
    desk.hand_over("default", talk.id, Happening("asked", "1", reason="button"), "en")
    desk.apply("default", talk.id, Happening("contact", "2"), Words("call me", contact="ann@example.com"))
    packet = desk.packet(desk.trail("default", talk.id), ())
    assert packet is not None
    assert packet.contact == ["ann@example.com"]
    stored = log.database.read(
        lambda session: [row.sealed_contact for row in session.query(HandoffPayloadRow) if row.sealed_contact]
    )
    assert len(stored) == 1
    assert b"ann@example" not in stored[0]
    log.delete_session("default", talk.id)
    assert [(one.text, one.data, one.contact) for one in desk.trail("default", talk.id).entries] == [(None,) * 3] * 2
    assert desk.waiting("default") == ()
    with pytest.raises(NotFound):
        desk.apply("default", talk.id, Happening("replied", "3", by="key:a"), Words("hello"))
