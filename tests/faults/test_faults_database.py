"""The database locked, gone, moved away and replaced, under a running server."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import openai
import pytest
from served import Served, assert_kept, assert_logged, assert_told, assert_whole, run_command, wait_for

from agent.log.database import SQLITE_FILE
from agent.log.sqlite import LOCK_SECONDS

HEALTHY_SECONDS = 1.0
"""`/healthz` answers within this while customers wait for the database, as a rule: the machine itself may pause."""


@contextmanager
def locked(data: Path) -> Iterator[None]:
    """Hold the database as another program would that writes and does not end."""
    with closing(sqlite3.connect(data / SQLITE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


def test_a_short_lock_is_waited_for(server: Served) -> None:
    with locked(server.data):
        (answer,) = server.say_all(["a funny film"])
        time.sleep(1.5)
        assert not answer.done()
    said = answer.result(60)
    assert_whole(said)
    assert_logged(server, said)


def test_a_long_lock_is_told_and_the_server_stays_awake(server: Served) -> None:
    before = server.say("a funny film")
    failed = server.metric("chatalogue_failed_turns_total")
    with ThreadPoolExecutor(1) as program, locked(server.data):
        plain = program.submit(through_openais_client, server)
        answers = server.say_all(["a heist film"] * 8)
        waited = []
        while not all(answer.done() for answer in answers):
            asked = time.monotonic()
            assert server.http.get("/healthz").status_code == 200
            waited.append(time.monotonic() - asked)
            time.sleep(0.2)
        told = [answer.result() for answer in answers]
        readiness = server.readiness()
        assert (readiness["http"], readiness["status"]) == (503, "unavailable")
        assert server.part("database")["state"] == "failed"
        error = plain.result()
        assert server.metric("chatalogue_failed_turns_total") == failed + 9
    assert statistics.median(waited) < HEALTHY_SECONDS
    assert max(waited) < 0.8 * LOCK_SECONDS  # whoever had to wait for the database waited longer
    assert (error.status_code, error.code) == (503, "database_unavailable")
    for said in told:
        assert_told(said, "database_unavailable")
        assert said.seconds < 2.5 * LOCK_SECONDS  # they wait beside each other, not one after the other
    wait_for(lambda: server.state() == "degraded", "ready again")
    after = server.say("a heist film", session=before.session_id)
    assert_whole(after)
    assert_logged(server, before, after)
    assert "Traceback" not in server.logged()


def through_openais_client(server: Served) -> openai.APIStatusError:
    """What a program that uses it is given for an answer that is not streamed."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="chatalogue", messages=[{"role": "user", "content": "a funny film"}])
        return caught.value


def test_a_database_that_was_moved_away_takes_no_turns_and_comes_back(server: Served) -> None:
    before = server.say("a funny film")
    away = server.data.with_name("away")
    server.data.rename(away)
    try:
        told = server.say("a heist film", session=before.session_id)
        assert_told(told, "database_unavailable")
        assert server.readiness()["http"] == 503
        assert not server.data.exists()  # nothing new was begun in its place
    finally:
        shutil.rmtree(server.data, ignore_errors=True)
        away.rename(server.data)
    wait_for(lambda: server.state() == "degraded", "ready again")
    after = server.say("a heist film", session=before.session_id)
    assert_whole(after)
    assert [turn["number"] for turn in server.turns(before.session_id)] == [1, 2]
    assert_logged(server, before, after)


def test_a_deleted_database_takes_no_turns_and_a_restored_copy_is_used(server: Served, tmp_path: Path) -> None:
    before = server.say("a funny film")
    assert run_command(server.data, "backup", str(tmp_path / "copy")).returncode == 0
    for part in server.data.glob(f"{SQLITE_FILE}*"):
        part.unlink()
    told = server.say("a heist film", session=before.session_id)
    assert_told(told, "database_unavailable")
    assert server.readiness()["http"] == 503
    shutil.copy(tmp_path / "copy" / SQLITE_FILE, server.data)
    wait_for(lambda: server.state() == "degraded", "ready again")
    after = server.say("a heist film", session=before.session_id)
    assert_whole(after)
    assert_logged(server, before, after)
    with closing(sqlite3.connect(server.data / SQLITE_FILE)) as file:  # it is the file that has them
        assert file.execute("SELECT count(*) FROM turn WHERE id = ?", (after.turn_id,)).fetchone() == (1,)


def test_a_server_stopped_while_the_database_is_locked_says_so(server: Served) -> None:
    before = server.say("a funny film")
    with locked(server.data):
        answers = server.say_all(["a heist film"] * 4)
        time.sleep(2.5)  # longer than a status line is held back: these are streams by now
        server.signal(signal.SIGTERM)
        told = [answer.result(60) for answer in answers]
    assert server.wait_end() == 0
    for said in told:
        # On a busy machine the database's own patience may be over first.
        assert_told(said, said.code if said.code == "database_unavailable" else "server_stopped")
    assert_kept(server.data, before)
