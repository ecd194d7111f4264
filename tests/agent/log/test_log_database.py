from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from agent.log import sqlite
from agent.log.database import SQLITE_FILE, Database
from agent.log.models import Base, Secret
from agent.log.store import EventLog
from agent.secrecy import KEY_FILE
from retrieval.errors import DataDirectoryError, SettingsError

START = "import sys; from pathlib import Path; from agent.log.store import EventLog; from agent.log.records import *\n"
RECORD = """
def turn(log, session, number):
    return TurnRecord("default", session, log.new_turn_id("default"), number, "m " * 500, "r " * 500, "recommend",
                      "recommend", "en", "model", shown=tuple(ShownRow(f"film-{n}", n) for n in range(1, 6)))
url, folder = sys.argv[1] or None, Path(sys.argv[2])
"""


def run(code: str, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", START + RECORD + code, *args]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


@pytest.fixture
def database(url: str | None, data_dir: Path) -> Iterator[Database]:
    opened = Database.open(url, data_dir)
    yield opened
    opened.close()


def test_errors_do_not_quote_what_was_to_be_stored(database: Database) -> None:
    database.upgrade()
    row = {"tenant": "default", "name": "verysecretword", "value": b"1"}
    with pytest.raises(IntegrityError) as caught:
        database.write(lambda session: session.execute(insert(Secret), [row, row]))
    assert "verysecretword" not in "".join(traceback.format_exception(caught.value))


def test_every_table_has_a_tenant() -> None:
    assert [name for name, table in Base.metadata.tables.items() if "tenant" not in table.columns] == []


def test_processes_that_start_at_once_agree(url: str | None, data_dir: Path) -> None:
    code = "log = EventLog.open(url, folder); print(log.secret('default').hex()); log.close()"
    started = [run(code, url or "", str(data_dir)) for _ in range(3)]
    secrets = [process.communicate(timeout=300)[0].strip() for process in started]
    assert len(set(secrets)) == 1
    assert len(bytes.fromhex(secrets[0])) == 32


def test_of_two_processes_that_record_one_number_one_wins(log: EventLog, url: str | None, data_dir: Path) -> None:
    code = """
log = EventLog.open(url, folder)
print("ready", flush=True)
for line in sys.stdin:
    session, number = line.split()
    try:
        log.record_turn(turn(log, session, int(number)))
        print("won", flush=True)
    except TurnConflict:
        print("lost", flush=True)
"""
    conversation = log.start_conversation("default", "key", None)
    racers = [run(code, url or "", str(data_dir)) for _ in range(2)]
    for racer in racers:
        assert racer.stdout
        assert racer.stdout.readline() == "ready\n"
    for number in range(1, 21):
        for racer in racers:
            assert racer.stdin
            racer.stdin.write(f"{conversation.id} {number}\n")
            racer.stdin.flush()
        assert sorted(racer.stdout.readline() for racer in racers if racer.stdout) == ["lost\n", "won\n"]
    for racer in racers:
        racer.communicate(timeout=300)
    assert [turn.number for turn in log.state("default", conversation.id).turns] == list(range(1, 21))


def test_a_killed_process_loses_no_acknowledged_turn_and_leaves_no_half(
    log: EventLog, url: str | None, data_dir: Path
) -> None:
    code = """
log = EventLog.open(url, folder)
for number in range(1, 100_000):
    log.record_turn(turn(log, sys.argv[3], number))
    print(number, flush=True)
"""
    for delay in (0.02, 0.05, 0.11):
        conversation = log.start_conversation("default", "key", None)
        process = run(code, url or "", str(data_dir), conversation.id)
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        acknowledged = int((["1", *process.communicate(timeout=300)[0].split()])[-1])
        turns = log.session_view("default", conversation.id).turns
        assert len(turns) in (acknowledged, acknowledged + 1)
        assert [turn.number for turn in turns] == list(range(1, len(turns) + 1))
        assert all(turn.message == "m " * 500 and len(turn.items) == 5 for turn in turns)
        recorded = log.turns_since("default", conversation.created_at)
        assert [log.trace("default", turn_id).record.number for turn_id in recorded] == [t.number for t in turns]


def test_live_index_ping_and_secret_survive_a_restart(log: EventLog, url: str | None, data_dir: Path) -> None:
    log.ping()
    assert log.live_index("default") is None
    for folder in ("index/000002", "index/000003", "index/000001"):
        log.activate_index("default", folder)
    again = EventLog.open(url, data_dir)
    try:
        assert again.live_index("default") == "index/000001"
        assert again.secret("default") == log.secret("default")
    finally:
        again.close()


def test_backup_is_complete_and_leaves_one_file(tmp_path: Path, data_dir: Path) -> None:
    """SQLite only: a server has a tool of its own for that."""
    log = EventLog.open(None, data_dir)
    conversation = log.start_conversation("default", "key", "somebody")  # whose name is sealed
    target = tmp_path / "copy" / SQLITE_FILE
    log.backup(target)
    log.activate_index("default", "later")
    log.backup(target)
    log.close()
    assert [path.name for path in target.parent.iterdir()] == [SQLITE_FILE]
    with pytest.raises(DataDirectoryError, match="not among yours"):
        EventLog.open(None, target.parent)  # the database alone
    shutil.copyfile(data_dir / KEY_FILE, target.parent / KEY_FILE)
    restored = EventLog.open(None, target.parent)
    assert restored.conversation("default", conversation.id) == conversation
    assert restored.live_index("default") == "later"
    restored.close()
    (tmp_path / "file").touch()
    log = EventLog.open(None, data_dir)
    with pytest.raises(DataDirectoryError):
        log.backup(tmp_path / "file" / "copy")
    log.close()


class TestUnusable:
    """What can be wrong with SQLite's file; what can be wrong with a server stands in test_log_postgres.py."""

    def test_a_file_in_place_of_the_data_directory(self, tmp_path: Path) -> None:
        (tmp_path / "var").touch()
        for folder in (tmp_path / "var", tmp_path / "var" / "deeper"):
            with pytest.raises(DataDirectoryError, match="cannot be made"):
                EventLog.open(None, folder)

    def test_a_folder_in_place_of_the_database(self, data_dir: Path) -> None:
        (data_dir / SQLITE_FILE).mkdir(parents=True)
        with pytest.raises(DataDirectoryError, match="cannot be opened"):
            EventLog.open(None, data_dir)

    def test_a_file_that_is_no_database(self, data_dir: Path) -> None:
        data_dir.mkdir()
        (data_dir / SQLITE_FILE).write_text("not a database " * 100)
        with pytest.raises(DataDirectoryError, match="not a database"):
            EventLog.open(None, data_dir)

    def test_a_database_of_a_newer_version(self, data_dir: Path) -> None:
        EventLog.open(None, data_dir).close()
        connection = sqlite3.connect(data_dir / SQLITE_FILE)
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        connection.close()
        with pytest.raises(DataDirectoryError, match="another version"):
            EventLog.open(None, data_dir)

    def test_a_lock_that_is_never_released(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sqlite, "LOCK_SECONDS", 0.05)
        log = EventLog.open(None, data_dir)
        holder = sqlite3.connect(data_dir / SQLITE_FILE, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataDirectoryError, match="another process"):
            log.ping()
        assert log.live_index("default") is None  # readers do not wait
        holder.close()
        log.ping()
        log.close()

    def test_a_full_disk(self, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        log = EventLog.open(None, data_dir)
        with log._database._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # SQLite's own way to say that nothing fits
        with pytest.raises(DataDirectoryError, match="disk is full"):
            log.activate_index("default", "x" * 500_000)
        log.close()

    @pytest.mark.parametrize(
        "url", ["nonsense", "sqlite://", "sqlite:///:memory:", "nodatabase://host/db", "mysql://h/d"]
    )
    def test_urls(self, url: str, data_dir: Path) -> None:
        with pytest.raises(SettingsError, match="'database.url'"):
            EventLog.open(url, data_dir)

    def test_no_url_is_sqlite_in_the_data_directory(self, data_dir: Path) -> None:
        EventLog.open("", data_dir).close()
        assert (data_dir / SQLITE_FILE).exists()


def test_a_percent_sign_in_the_path_is_no_matter(tmp_path: Path) -> None:
    EventLog.open(None, tmp_path / "100% näive").close()


def test_importing_is_light() -> None:
    heavy = "{'torch', 'chromadb', 'transformers', 'gradio', 'alembic', 'fastapi'}"
    code = f"import sys, agent.log.store; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_connections_to_sqlite_are_set_up_as_promised(data_dir: Path) -> None:
    database = Database.open(None, data_dir)
    pragmas = ("journal_mode", "foreign_keys", "synchronous", "secure_delete", "busy_timeout")
    with database._engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
    database.close()
    assert found == ["wal", 1, 2, 1, sqlite.LOCK_SECONDS * 1000]


def test_every_message_is_one_sentence_with_the_place(data_dir: Path) -> None:
    data_dir.mkdir(exist_ok=True)
    other = data_dir / "other"
    other.mkdir()
    (other / SQLITE_FILE).write_text("junk " * 1000)
    with pytest.raises(DataDirectoryError) as caught:
        EventLog.open(None, other)
    assert str(other / SQLITE_FILE) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_that_may_only_be_read(data_dir: Path) -> None:
    EventLog.open(None, data_dir).close()
    with pytest.raises(DataDirectoryError, match="it is read-only; give this user the right"):
        EventLog.open(f"sqlite:///file:{data_dir / SQLITE_FILE}?mode=ro&uri=true", data_dir)
