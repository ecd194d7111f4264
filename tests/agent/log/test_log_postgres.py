"""What only PostgreSQL has: URLs as operators paste them, a connection that breaks, a server that goes and comes."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cutting_proxy import Cut, CuttingProxy
from log_samples import MakeTurn, wish
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from agent.log import database as database_module
from agent.log import postgres
from agent.log.models import Base, Event, Turn
from agent.log.records import Feedback, TurnRecord
from agent.log.store import EventLog
from retrieval.errors import BadRequest, DataDirectoryError, SettingsError
from tests.postgres import OPTIONS, PASSWORD, USER, PostgresServer


@pytest.fixture
def url(postgres_url: str) -> str:
    return postgres_url


@pytest.fixture
def name(url: str) -> str:
    """The database's."""
    return url.rpartition("/")[2]


@pytest.fixture
def down(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server, for a test that stops it; it runs again afterwards."""
    yield postgres_server
    postgres_server.stop()
    postgres_server.start()


def counted(log: EventLog) -> dict[str, int]:
    tables = Base.metadata.sorted_tables
    return log._database.read(
        lambda session: {table.name: session.scalars(select(func.count()).select_from(table)).one() for table in tables}
    )


def told(error: BaseException) -> str:
    """Everything that a log could have of an error."""
    return "".join(traceback.format_exception(error))


class TestUrl:
    @pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
    def test_every_spelling_is_psycopg(self, scheme: str, url: str, data_dir: Path) -> None:
        log = EventLog.open(url.replace("postgresql", scheme), data_dir)
        log.ping()
        assert log._database._engine.driver == "psycopg"
        log.close()

    @pytest.mark.parametrize(
        "bad",
        [
            "postgresql+psycopg2://u:{secret}@h/d",
            "postgresql+asyncpg://u:{secret}@h/d",
            "mysql://u:{secret}@h/d",
            "postgresql://u:{secret}@tail@h/d",
            "postgresql://u@h:{secret}/d",
            "postgresql//u:{secret}@h/d",
        ],
    )
    def test_what_cannot_be_used_is_refused_without_the_password(self, bad: str, data_dir: Path) -> None:
        with pytest.raises(SettingsError, match="'database.url'") as caught:
            EventLog.open(bad.format(secret=PASSWORD), data_dir)
        assert PASSWORD not in told(caught.value)
        assert "tail" not in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ((f":{PASSWORD}@", f":{PASSWORD}-wrong@"), "set user and password"),
            ((f"{USER}:{PASSWORD}@", "nobody:x@"), "set user and password"),
            (("/test_", "/missing_"), "does not exist"),
            (("127.0.0.1", "host.invalid"), "check that it runs"),
            (("", "?sslmode=require"), "SSL"),
            (("", f"?sslmod=require&passfile=/{PASSWORD}"), "behind the '\\?'"),
        ],
    )
    def test_what_the_server_refuses_is_one_sentence(
        self, change: tuple[str, str], says: str, url: str, data_dir: Path
    ) -> None:
        bad = url.replace(*change) if change[0] else url + change[1]
        with pytest.raises(DataDirectoryError, match=says) as caught:
            EventLog.open(bad, data_dir)
        assert "\n" not in str(caught.value)
        assert PASSWORD not in told(caught.value)
        assert USER + ":" not in str(caught.value)

    def test_a_password_in_the_query_is_not_shown_either(
        self, postgres_server: PostgresServer, name: str, data_dir: Path
    ) -> None:
        query = f"?host=127.0.0.1&port={postgres_server.port}&user={USER}&password="
        EventLog.open(f"postgresql:///{name}{query}{PASSWORD}", data_dir).close()
        with pytest.raises(DataDirectoryError) as caught:
            EventLog.open(f"postgresql:///missing{query}{PASSWORD}", data_dir)
        assert PASSWORD not in told(caught.value)

    def test_the_urls_own_options_win(self, url: str, data_dir: Path) -> None:
        log = EventLog.open(url + "?application_name=theirs", data_dir)
        assert log._database.read(lambda session: session.scalar(text("SHOW application_name"))) == "theirs"
        log.close()


class TestSetUp:
    def test_times_are_utc_whatever_the_servers_zone(
        self, log: EventLog, make_turn: MakeTurn, postgres_server: PostgresServer, name: str
    ) -> None:
        conversation = log.start_conversation("default", "key", None)
        noon = datetime(2026, 5, 4, 12, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
        record = make_turn(conversation, 1, created_at=noon)
        log.record_turn(record)
        with postgres_server.connect(name) as admin:
            assert admin.execute("SHOW timezone").fetchone() == (OPTIONS["timezone"],)
            stored = admin.execute("SELECT created_at AT TIME ZONE 'UTC' FROM turn").fetchone()
        assert stored == (datetime(2026, 5, 4, 10, 0, 0, 123_456),)
        back = log.trace("default", record.turn_id).record.created_at
        assert back == noon
        assert back is not None
        assert back.tzinfo is UTC
        assert log.turns_since("default", noon) == (record.turn_id,)
        assert log.turns_since("default", noon + timedelta(microseconds=1)) == ()
        assert log._database.read(lambda session: session.scalar(text("SHOW timezone"))) == "UTC"

    def test_a_statement_that_never_ends_is_ended_and_not_tried_again(
        self, url: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres, "STATEMENT_SECONDS", 3)
        log, runs = EventLog.open(url, data_dir), []

        def sleep(session: Session) -> None:
            runs.append(session.execute(text("SELECT pg_sleep(600)")))

        started = time.monotonic()
        with pytest.raises(DataDirectoryError, match="statement timeout"):
            log._database.read(sleep)
        assert time.monotonic() - started < 300
        log.close()

    def test_many_at_once_share_few_connections(self, log: EventLog, postgres_server: PostgresServer) -> None:
        session_id = log.start_conversation("default", "key", None).id
        limit = postgres.POOL["pool_size"] + postgres.POOL["max_overflow"]

        def work(n: int) -> int:
            log.record_edit("default", session_id, (wish(id=f"p{n}"),))
            with postgres_server.connect() as admin:
                asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'chatalogue'"
                (count,) = admin.execute(asked).fetchone() or (0,)
            return int(count)

        with ThreadPoolExecutor(40) as pool:
            assert max(pool.map(work, range(80))) <= limit
        assert len(log.state("default", session_id).edits) == 80

    def test_a_database_that_cannot_keep_every_character(self, postgres_server: PostgresServer, data_dir: Path) -> None:
        with postgres_server.connect() as admin:
            admin.execute("CREATE DATABASE old_ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
        with pytest.raises(DataDirectoryError, match="ENCODING 'UTF8'"):
            EventLog.open(postgres_server.url("old_ascii"), data_dir)

    def test_a_user_without_rights(self, postgres_server: PostgresServer, url: str, data_dir: Path) -> None:
        with postgres_server.connect() as admin:
            admin.execute(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'".encode())
        with pytest.raises(DataDirectoryError, match="make it the owner"):
            EventLog.open(url.replace(f"{USER}:", "guest:"), data_dir)

    def test_a_copy_that_may_only_be_read(
        self, postgres_server: PostgresServer, url: str, name: str, data_dir: Path
    ) -> None:
        EventLog.open(url, data_dir).close()
        with postgres_server.connect() as admin:
            admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        try:
            with pytest.raises(DataDirectoryError, match="name the primary server"):
                EventLog.open(url, data_dir)
        finally:
            with postgres_server.connect() as admin:
                admin.execute(f"ALTER DATABASE {name} RESET ALL".encode())

    def test_backup_names_the_tool(self, log: EventLog, tmp_path: Path) -> None:
        with pytest.raises(BadRequest, match="pg_dump"):
            log.backup(tmp_path / "copy")


class TestCutOff:
    """Every way in which a connection breaks: what was said is stored, once."""

    def test_between_two_calls(
        self, log: EventLog, make_turn: MakeTurn, postgres_server: PostgresServer, name: str
    ) -> None:
        conversation = log.start_conversation("default", "key", None)
        for number in (1, 2):
            assert postgres_server.cut_off(name) > 0
            assert len(log.state("default", conversation.id).turns) == number - 1
            assert postgres_server.cut_off(name) > 0
            log.record_turn(make_turn(conversation, number))

    @pytest.mark.parametrize("at", ["INSERT INTO turn (", "INSERT INTO turn_payload", "INSERT INTO shown"])
    def test_in_the_middle_of_a_recording(
        self, at: str, log: EventLog, make_turn: MakeTurn, postgres_server: PostgresServer, name: str
    ) -> None:
        conversation = log.start_conversation("default", "key", None)
        cuts: list[int] = []

        def cut(_c: object, _u: object, statement: str, *_rest: object) -> None:
            if statement.startswith(at) and not cuts:
                cuts.append(postgres_server.cut_off(name))

        event.listen(log._database._engine, "before_cursor_execute", cut)
        record = make_turn(conversation, 1)
        log.record_turn(record)
        assert cuts
        assert [turn.turn_id for turn in log.state("default", conversation.id).turns] == [record.turn_id]
        assert counted(log)["shown"] == len(record.shown)

    def test_in_the_middle_of_a_reading(self, log: EventLog, postgres_server: PostgresServer, name: str) -> None:
        runs = []

        def look(session: Session) -> int | None:
            runs.append(session.scalar(select(func.count()).select_from(Turn)))
            if len(runs) < 3:
                postgres_server.cut_off(name)
            return session.scalar(select(func.count()).select_from(Event))

        assert log._database.read(look) == 0
        assert len(runs) == 3

    @pytest.mark.parametrize("cut", ["before", "after"])
    def test_while_it_commits(
        self, cut: Cut, postgres_server: PostgresServer, url: str, name: str, data_dir: Path, make_turn: MakeTurn
    ) -> None:
        """The client cannot tell the two apart; the server is asked, and nothing is stored twice."""
        proxy = CuttingProxy(postgres_server.port)
        log = EventLog.open(postgres_server.url(name, proxy.port), data_dir)
        try:
            log.secret("default")
            proxy.cut = cut
            conversation = log.start_conversation("default", "key", "ann")
            proxy.cut = cut
            record = make_turn(conversation, 1)
            log.record_turn(record)
            proxy.cut = cut
            assert log.record_feedback("default", "key", Feedback(record.turn_id, "thumb_up")).stored
            proxy.cut = cut
            log.record_edit("default", conversation.id, (wish(),))
            proxy.cut = cut
            log.record_user_edit("default", "key", "ann", (wish(),))
            proxy.cut = cut
            log.undo_turn("default", record.turn_id)
            proxy.cut = cut
            log.activate_index("default", "000001")
            proxy.cut = cut
            log.activate_ranker("default", "rnk-000001")
            proxy.cut = cut
            assert log.take_lease("default", conversation.id, "me")
            assert proxy.cut is None
            stored = {name: n for name, n in counted(log).items() if n and name != "secret"}
            once = ("person", "person_payload", "conversation", "turn", "turn_payload", "turn_lease", "live_index")
            several = {"shown": len(record.shown), "event": 4, "event_payload": 2}
            assert stored == {**dict.fromkeys((*once, "live_ranker"), 1), **several}
            proxy.cut = cut
            log.delete_session("default", conversation.id)
        finally:
            log.close()
            proxy.close()

    def test_two_that_are_in_each_others_way(self, log: EventLog) -> None:
        """A deadlock: PostgreSQL ends one of them, which is run again."""
        ids = [log.start_conversation("default", "key", None).id for _ in range(2)]
        both, runs = threading.Barrier(2), list[int]()

        def work(n: int) -> None:
            def lock(session: Session) -> None:
                first = n not in runs
                runs.append(n)
                for which in (n, 1 - n):
                    session.execute(text("UPDATE conversation SET status = status WHERE id = :id"), {"id": ids[which]})
                    if first and which == n:
                        both.wait(120)

            log._database.write(lock)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, (0, 1)))
        assert len(runs) == 3


class TestOutage:
    def test_a_restart_is_waited_for(
        self, log: EventLog, make_turn: MakeTurn, down: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database_module, "OUTAGE_SECONDS", 300.0)
        conversation = log.start_conversation("default", "key", None)
        records = [make_turn(conversation, number) for number in range(1, 5)]
        log.record_turn(records[0])
        down.stop()
        again = threading.Timer(1.0, down.start)
        again.start()
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(log.record_turn, records[1:]))
        again.join()
        assert [turn.number for turn in log.state("default", conversation.id).turns] == [1, 2, 3, 4]

    def test_gone_for_good_and_back(
        self,
        log: EventLog,
        make_turn: MakeTurn,
        down: PostgresServer,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(database_module, "OUTAGE_SECONDS", 3.0)
        failures: list[int] = []
        log._database.on_failure = lambda: failures.append(1)
        conversation = log.start_conversation("default", "key", None)
        record = make_turn(conversation, 1)
        log.record_turn(record)
        down.stop()
        with pytest.raises(DataDirectoryError, match="what was stored before is kept") as caught:
            log.state("default", conversation.id)
        assert "\n" not in str(caught.value)
        assert "127.0.0.1" not in str(caught.value)  # a customer reads it
        assert "127.0.0.1" in caplog.text  # the operator reads that
        assert PASSWORD not in caplog.text + told(caught.value)
        assert "trying again" in caplog.text
        caplog.clear()
        with pytest.raises(DataDirectoryError):  # the window is over: nobody else waits
            log.record_turn(make_turn(conversation, 2))
        assert "trying again" not in caplog.text
        with pytest.raises(DataDirectoryError, match="127.0.0.1"):  # what /readyz tells the operator
            log.ping()
        assert len(failures) == 3
        down.start()
        log.ping()
        assert [turn.turn_id for turn in log.state("default", conversation.id).turns] == [record.turn_id]
        log.record_turn(make_turn(conversation, 2))
        down.stop()
        caplog.clear()
        with pytest.raises(DataDirectoryError):
            log.state("default", conversation.id)
        assert "trying again" in caplog.text  # another outage, another window

    def test_a_server_that_was_never_there_is_said_at_once(
        self, url: str, down: PostgresServer, data_dir: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        down.stop()
        with pytest.raises(DataDirectoryError, match="check that it runs"):
            EventLog.open(url, data_dir)
        assert "trying again" not in caplog.text

    def test_restarts_in_a_row_lose_nothing_and_double_nothing(
        self, log: EventLog, make_turn: MakeTurn, down: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database_module, "OUTAGE_SECONDS", 300.0)
        conversation = log.start_conversation("default", "key", None)
        stop, recorded = threading.Event(), list[TurnRecord]()

        def record_on() -> None:
            while not stop.is_set():
                record = make_turn(conversation, len(recorded) + 1)
                log.record_turn(record)
                recorded.append(record)

        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(record_on)
            for _ in range(2):
                before = len(recorded)
                while len(recorded) < before + 3:
                    time.sleep(0.01)
                down.stop()
                down.start()
            stop.set()
            running.result(300)
        turns: Any = log.state("default", conversation.id).turns
        assert [turn.turn_id for turn in turns] == [record.turn_id for record in recorded]
