"""A person taken out of the log, on both databases: what is left, what is told before, and who comes later."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from log_samples import MakeTurn, wish
from sqlalchemy import event, text

from agent.log.adapters import Source, SourceCounts
from agent.log.database import Database
from agent.log.records import NOBODY, Feedback, OutsideEvent, PastDeed
from agent.log.store import EventLog
from retrieval.errors import DataDirectoryError

WORD = "verysecretperson"


def test_a_person_leaves_only_a_line_without_content(
    log: EventLog, make_turn: MakeTurn, url: str | None, data_dir: Path
) -> None:
    first, second = (log.start_conversation("default", "key", WORD) for _ in range(2))
    kept = log.start_conversation("default", "key", "somebody")
    for talk in (first, second, kept):
        word = "kept words" if talk is kept else WORD
        turn = make_turn(talk, 1, message=word)
        log.record_turn(turn)
        log.record_feedback("default", "key", Feedback(turn.turn_id, "accept", "film-a", text=word))
    log.record_user_edit("default", "key", WORD, (wish(WORD),))
    log.record_past("default", "key", [PastDeed(WORD, "film-b", "rating", 5.0)])
    log.record_event("default", "key", OutsideEvent("view", "film-a", user=WORD, data={"who": WORD}))
    log.record_consent("default", "key", WORD, consent=True)
    log.delete_session("default", second.id)
    person = str(first.person_id)
    log.add_adapter_sources("default", "ada-000001", [Source(person, first.id), Source("p_other")])

    record = log.person("default", "key", WORD)
    assert record is not None
    assert (record.consent, record.session_ids, record.adapters) == (True, (first.id,), ("ada-000001",))
    assert [one.kind for one in record.events] == ["accept", "user_edit", "imported", "view", "consent"]
    newest = log.changes("default", 0).newest

    erased = log.erase_person("default", "key", WORD)
    assert erased is not None
    assert (erased.id, erased.session_ids, erased.adapters) == (person, (first.id,), ("ada-000001",))
    assert log.person("default", "key", WORD) is None
    assert log.erase_person("default", "key", WORD) is None
    assert [one.session_id for one in log.changes("default", newest).found] == [first.id, NOBODY]
    assert {one.session_id for one in log.deeds("default", "opt_out")} == {kept.id}
    assert log.rating_range("default") is None
    assert log.adapter_sources("default") == {"ada-000001": SourceCounts(2, 1, 1, 1)}
    assert log.consent("default", "key", WORD) is None
    assert log.start_conversation("default", "key", WORD).person_id != person
    log.erase_person("default", "key", WORD)
    if url is None:
        files = [path.read_bytes() for path in data_dir.rglob("*") if path.is_file()]
        assert not any(one.encode() in file for file in files for one in (WORD, person))
        assert any(b"kept words" in file for file in files)


def test_rows_that_sqlite_moved_leave_no_copy_behind(tmp_path: Path) -> None:
    """Deleted with `secure_delete` alone, some of these rows stay in pages that were balanced before."""
    database = Database.open(None, tmp_path)
    dice, dead = random.Random(0), set[int]()  # noqa: S311 - a fixed series
    alive: dict[str, int] = {}
    with database._engine.begin() as connection:
        connection.execute(text("create table kept (id text primary key, words text)"))
        connection.execute(text("create index by_words on kept (words)"))
    for start in range(0, 1_500, 100):
        with database._engine.begin() as connection:
            for n in range(start, start + 100):
                key = f"{dice.getrandbits(128):032x}"
                words = f"w{n:06d}x" * dice.randint(1, 60)
                connection.execute(text("insert into kept values (:key, :words)"), {"key": key, "words": words})
                alive[key] = n
                if dice.random() < 0.3:
                    key = dice.choice(list(alive))
                    connection.execute(text("delete from kept where id = :key"), {"key": key})
                    dead.add(alive.pop(key))
    database.forget_deleted()
    database.close()
    stored = (tmp_path / "log.sqlite3").read_bytes()
    assert not [n for n in dead if f"w{n:06d}x".encode() in stored]
    assert all(f"w{n:06d}x".encode() in stored for n in alive.values())


def test_a_database_that_is_too_big_to_be_written_anew_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("agent.log.sqlite.MAX_VACUUM_BYTES", 0)
    database = Database.open(None, tmp_path)
    database.forget_deleted()
    database.close()
    assert "VACUUM it when nobody writes" in caplog.text


@pytest.mark.parametrize("fails", ["VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"])
@pytest.mark.parametrize("why", ["database or disk is full", "database is locked", "disk I/O error"])
def test_an_erasure_that_is_committed_does_not_fail_where_the_disk_is_full(
    tmp_path: Path, fails: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(sqlite3.Connection):
        def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
            if sql == fails:
                raise sqlite3.OperationalError(why)
            return super().execute(sql, *parameters)  # type: ignore[arg-type]

    log = EventLog.open(None, tmp_path)
    engine = log._database._engine
    engine.dispose()
    event.listen(engine, "do_connect", lambda _dialect, _record, _args, more: more.update(factory=Full))
    log.start_conversation("default", "", WORD)
    log.add_adapter_sources("default", "ada-000001", [Source(str(log.person_id("default", "", WORD)))])
    if "I/O" in why:
        with pytest.raises(DataDirectoryError):
            log.erase_person("default", "", WORD)
    else:
        erased = log.erase_person("default", "", WORD)
        assert erased is not None
        assert erased.adapters == ("ada-000001",)
        assert "leave the disk with the next erasure" in caplog.text
    log.close()
