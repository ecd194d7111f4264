"""Old words go as by an erasure, new ones stay, and skeletons stay either way; on both databases."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from log_samples import MakeTurn, wish
from sqlalchemy import func, select

from agent.datadir import DataDirectory
from agent.log.erasing import TABLES
from agent.log.models import Base, ConversationRow, EventPayload, PersonPayload, TurnPayload
from agent.log.records import OutsideEvent
from agent.log.store import EventLog
from agent.retention import FIRST_SECONDS, NightlySweep, Swept, sweep
from retrieval.errors import DataDirectoryError, NotFound

DAYS = 30
WORD, KEPT = "verysecretword", "wordsthatstay"


def counts(log: EventLog) -> dict[str, int]:
    with log.database._engine.connect() as connection:
        return {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in Base.metadata.sorted_tables
        }


def words_of(log: EventLog) -> str:
    with log.database._engine.connect() as connection:
        chosen = (
            select(TurnPayload.message),
            select(EventPayload.text),
            select(EventPayload.data),
            select(PersonPayload.person_id),
        )
        return json.dumps([[str(one) for one in connection.scalars(each)] for each in chosen])


@pytest.fixture
def before() -> datetime:
    """What is older goes: an hour from now, so that what the test does now is old."""
    return datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def now(before: datetime) -> datetime:
    return before + timedelta(days=DAYS)


@pytest.fixture
def shop(log: EventLog, make_turn: MakeTurn, before: datetime) -> dict[str, str]:
    """Session ids: of somebody gone, of somebody who came back, of nobody."""
    newer = before + timedelta(hours=1)
    gone, back = (log.start_conversation("default", "key", name) for name in ("gone", "back"))
    nobody, other = log.start_conversation("default", "", None), log.start_conversation("other", "", None)
    for talk in (gone, back, nobody, other):
        log.record_turn(make_turn(talk, 1, message=KEPT if talk is back else WORD))
    log.record_turn(make_turn(back, 2, message=KEPT, created_at=newer))
    log.record_user_edit("default", "key", "gone", (wish(WORD),))
    log.record_consent("default", "key", "gone", consent=False)
    old = OutsideEvent("view", "film-a", user="back", data={"x": WORD})
    log.record_event("default", "key", old)
    log.record_event("default", "key", OutsideEvent("view", "film-a", user="back", data={"x": KEPT}, at=newer))
    return {"gone": gone.id, "back": back.id, "nobody": nobody.id, "other": other.id}


def test_old_words_go_and_skeletons_stay(
    log: EventLog, shop: dict[str, str], data_dir: Path, now: datetime, url: str | None
) -> None:
    data, people = DataDirectory(data_dir), {name: log.person_id("default", "key", name) for name in ("gone", "back")}
    row = {"user": log.pseudonym("default", str(people["gone"])), "turn_id": "t", "events": []}
    data_dir.mkdir(exist_ok=True)
    (data_dir / "exported.jsonl").write_text(json.dumps(row) + "\n")
    before = counts(log)
    would = Swept(conversations=3, events=2, names=1)
    assert sweep(data, log, DAYS, now, dry_run=True) == would
    assert counts(log) == before
    assert sweep(data, log, DAYS, now) == would
    after = counts(log)
    assert WORD not in words_of(log)
    assert words_of(log).count(KEPT) == 3
    assert str(people["gone"]) not in words_of(log)
    assert str(people["back"]) in words_of(log)
    skeleton = {name for name, kind in TABLES.items() if kind == "skeleton"}
    assert {name: after[name] for name in skeleton - {"event"}} == {name: before[name] for name in skeleton - {"event"}}
    assert after["event"] == before["event"] + 3  # the lines that say that they were erased
    for gone in ("gone", "nobody"):
        with pytest.raises(NotFound):
            log.conversation("default", shop[gone])
    assert len(log.session_view("default", shop["back"]).turns) == 2
    assert log.consent("default", "key", "gone") is False, "who said no is not asked again"
    assert (data_dir / "exported.jsonl").read_text() == ""
    if url is None:
        assert all(WORD.encode() not in file.read_bytes() for file in data_dir.glob("log.sqlite3*"))
    assert sweep(data, log, DAYS, now) == Swept()


def test_nothing_goes_before_its_time_or_where_words_are_kept_for_ever(
    log: EventLog, shop: dict[str, str], data_dir: Path, now: datetime
) -> None:
    data, before = DataDirectory(data_dir), counts(log)
    assert sweep(data, log, 0, now + timedelta(days=9999)) == Swept()
    assert sweep(data, log, DAYS, now - timedelta(hours=2)) == Swept()
    assert counts(log) == before


def test_more_than_fit_into_one_transaction(
    log: EventLog, data_dir: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.retention.AT_ONCE", 2)
    for _ in range(5):
        log.start_conversation("default", "", None)
    assert sweep(DataDirectory(data_dir), log, DAYS, now).conversations == 5
    with log.database._engine.connect() as connection:
        assert connection.scalar(select(func.count()).where(ConversationRow.erased_at.is_(None))) == 0


async def test_the_server_sweeps_each_night_and_after_a_failure_too(
    log: EventLog, shop: dict[str, str], data_dir: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    clock = iter([now - timedelta(days=2), now - timedelta(days=1), now])

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) > 3:
            raise asyncio.CancelledError

    real, failed = sweep, list[str]()

    def failing(*given: object) -> Swept:
        if not failed:
            failed.append("once")
            raise DataDirectoryError("The disk is full.")
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("agent.retention.sweep", failing)
    with structlog.testing.capture_logs() as said, pytest.raises(asyncio.CancelledError):
        await NightlySweep(DataDirectory(data_dir), log, DAYS, lambda: next(clock), sleep).run()
    assert pauses == [FIRST_SECONDS, 86400.0, 86400.0, 86400.0]
    assert [one["event"] for one in said] == ["sweep_failed", "words_swept", "words_swept"]
    assert [one.get("conversations") for one in said] == [None, 0, 3]
    await NightlySweep(DataDirectory(data_dir), log, 0, sleep=sleep).run()  # ends at once
