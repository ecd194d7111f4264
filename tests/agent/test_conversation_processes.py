"""One conversation in two processes, and a database that goes away in the middle of a turn."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from talking import ScriptedEngine, Talk, talk_over

from agent import turnlocks
from agent.answer import Waiting
from agent.history import prefix_hash
from agent.log import database as database_module
from agent.log import leases
from agent.log.records import TurnConflict
from agent.log.store import EventLog
from agent.services import PastMessage
from agent.shop import Shop
from retrieval.errors import DataDirectoryError
from retrieval.items import Item
from tests.parts import ROOT
from tests.postgres import PostgresServer

HERE = Path(__file__).parent
LEASE_SECONDS, RENEW_SECONDS = 5.0, 0.5
ENOUGH = 90.0
"""Seconds for anything on a busy machine."""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Of an empty database; empty for SQLite."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def log(url: str, tmp_path: Path) -> Iterator[EventLog]:
    opened = EventLog.open(url, tmp_path / "var")
    yield opened
    opened.close()


@dataclass(frozen=True)
class Another:
    """Another process of the app."""

    process: subprocess.Popen[str]

    def ask(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@pytest.fixture
def start(log: EventLog, url: str, tmp_path: Path) -> Iterator[Callable[[int], list[Another]]]:
    """Starts so many of them, and ends them afterwards."""
    command = [sys.executable, str(HERE / "another_server.py"), url, str(tmp_path / "var")]
    command += [str(LEASE_SECONDS), str(RENEW_SECONDS)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
    started: list[Another] = []

    def some(count: int) -> list[Another]:
        for _ in range(count):
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            )
            started.append(Another(process))
        assert [one.answer() for one in started] == ["ready"] * count
        return started

    yield some
    for one in started:
        one.process.kill()
        one.process.communicate()


def test_twenty_turns_in_two_processes_follow_each_other(
    start: Callable[[int], list[Another]], log: EventLog, films: tuple[Item, ...]
) -> None:
    """Each one is answered with everything before it in mind, whoever answered that."""
    session_id = log.start_conversation("default", "", None).id
    directors = sorted({str(film.attributes["director"]).strip("(),'") for film in films})
    messages = [f"nothing by {director}" for director in directors if director.replace(" ", "").isalpha()][:20]
    others = start(2)
    for one, half in zip(others, (messages[::2], messages[1::2]), strict=True):
        one.ask(f"say {session_id} " + "\t".join(half))
    assert [one.answer() for one in others] == ["done", "done"]

    turns = log.state("default", session_id).turns
    assert [turn.number for turn in turns] == list(range(1, 21))
    assert sorted(turn.message for turn in turns) == sorted(messages)
    said: list[PastMessage] = []
    for turn in turns:
        said += [PastMessage("user", turn.message), PastMessage("assistant", turn.reply)]
        record = log.trace("default", turn.turn_id).record
        assert record.prefix_hash == prefix_hash(said), turn.number
        wishes = {wish["evidence"] for wish in record.answer["preferences"]}
        assert len(wishes) == turn.number
    assert log.take_lease("default", session_id, "nobody has it any more")


async def test_a_process_that_dies_in_a_turn_holds_up_no_longer_than_its_lease(
    start: Callable[[int], list[Another]],
    log: EventLog,
    film_shop: Shop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", LEASE_SECONDS)
    (first,) = start(1)
    talk = talk_over(film_shop, log, tmp_path)
    talk.session_id = log.start_conversation("default", "", None).id
    first.ask(f"hold {talk.session_id}")
    assert first.answer() == "holding"
    waiting = asyncio.create_task(talk.say("a comedy"))
    await asyncio.sleep(1.5 * LEASE_SECONDS)
    assert not waiting.done()  # it lives and says so again and again
    first.process.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    turn = await asyncio.wait_for(waiting, ENOUGH)
    assert turn.updates[0] == Waiting(1)
    assert time.monotonic() - killed < LEASE_SECONDS + 40  # the lease, a look every 0.4 s, and a busy machine
    assert [(one.number, one.message) for one in log.state("default", talk.session_id).turns] == [(1, "a comedy")]


# --- waiting ---


@pytest.fixture
def talk(film_shop: Shop, log: EventLog, tmp_path: Path) -> Talk:
    talk = talk_over(film_shop, log, tmp_path)
    talk.session_id = log.start_conversation("default", "", None).id
    return talk


async def test_the_wait_for_another_process_ends_with_one_sentence(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnlocks, "WAIT_SECONDS", 0.3)
    assert talk.session_id
    talk.log.take_lease("default", talk.session_id, "another")
    for _ in range(2):
        with pytest.raises(TurnConflict, match="still being answered; send yours again"):
            await talk.say("a comedy")
    talk.log.drop_lease(talk.session_id, "another")
    monkeypatch.setattr(turnlocks, "WAIT_SECONDS", ENOUGH)
    assert (await talk.say("a comedy")).ids


async def test_the_wait_for_a_turn_of_this_process_ends_with_the_same_sentence(
    film_shop: Shop, log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine(" is one to see.", gate=asyncio.Event())
    talk = talk_over(film_shop, log, tmp_path, engine)
    talk.session_id = log.start_conversation("default", "", None).id
    slow = asyncio.create_task(talk.say("a comedy"))
    while not engine.prompts:
        await asyncio.sleep(0.01)
    with monkeypatch.context() as patched:
        patched.setattr(turnlocks, "WAIT_SECONDS", 0.3)
        with pytest.raises(TurnConflict, match="still being answered"):
            await talk.say("under 10 euros")
    assert engine.gate
    engine.gate.set()
    await slow
    assert (await talk.say("under 10 euros")).wishes >= {("genre", "eq", "Comedy", "positive")}


async def test_who_stops_waiting_leaves_nothing_behind(talk: Talk) -> None:
    assert talk.session_id
    talk.log.take_lease("default", talk.session_id, "another")
    waiting = [asyncio.create_task(talk.say(text)) for text in ("a comedy", "a drama")]
    await asyncio.sleep(0.2)
    for task in waiting:
        task.cancel()
    assert [type(one) for one in await asyncio.gather(*waiting, return_exceptions=True)] == 2 * [asyncio.CancelledError]
    talk.log.drop_lease(talk.session_id, "another")
    await talk.say("a thriller")
    assert [turn.message for turn in talk.log.state("default", talk.session_id).turns] == ["a thriller"]


async def test_a_lease_that_comes_when_nobody_waits_any_more_is_given_back(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer leaves while the database is being asked: the thread cannot be stopped, and gets the lease."""
    asked, go = threading.Event(), threading.Event()
    take = talk.log.take_lease

    def slowly(tenant: str, session_id: str, owner: str) -> bool:
        asked.set()
        go.wait(ENOUGH)
        return take(tenant, session_id, owner)

    with monkeypatch.context() as patched:
        patched.setattr(talk.log, "take_lease", slowly)
        leaving = asyncio.create_task(talk.say("a comedy"))
        await asyncio.to_thread(asked.wait, ENOUGH)
        leaving.cancel()
        await asyncio.sleep(0.05)
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert talk.session_id
    assert take("default", talk.session_id, "another")


async def test_turns_that_wait_keep_no_connection(film_shop: Shop, log: EventLog, tmp_path: Path) -> None:
    talk = talk_over(film_shop, log, tmp_path)
    ids = [log.start_conversation("default", "", None).id for _ in range(24)]
    for session_id in ids:
        log.take_lease("default", session_id, "another")
    waiting = [asyncio.create_task(Talk(talk.chat, log, session_id=each).say("a comedy")) for each in ids]
    free = Talk(talk.chat, log)
    assert (await asyncio.wait_for(free.say("a thriller"), ENOUGH)).ids
    assert not any(task.done() for task in waiting)
    for session_id in ids:
        log.drop_lease(session_id, "another")
    async with asyncio.timeout(ENOUGH):
        assert all(turn.ids for turn in await asyncio.gather(*waiting))


# --- a database that goes away (a server: SQLite's file stays where it is) ---


@pytest.fixture
def server_log(postgres_url: str, tmp_path: Path) -> Iterator[EventLog]:
    opened = EventLog.open(postgres_url, tmp_path / "var")
    yield opened
    opened.close()


@pytest.fixture
def down(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server, for a test that stops it; it runs again afterwards."""
    yield postgres_server
    postgres_server.stop()
    postgres_server.start()


async def in_mid_turn(film_shop: Shop, log: EventLog, folder: Path) -> tuple[Talk, asyncio.Task[None], asyncio.Event]:
    """A talk with one turn behind it, one whose model is about to speak, and the gate that lets it."""
    gate = asyncio.Event()
    gate.set()
    engine = ScriptedEngine(" is one to see.", gate=gate)
    talk = talk_over(film_shop, log, folder, engine)
    await talk.say("a comedy")
    gate.clear()
    before = len(engine.prompts)

    async def say() -> None:
        await talk.say("under 20 euros")

    task = asyncio.create_task(say())
    while len(engine.prompts) == before:
        assert not task.done()
        await asyncio.sleep(0.01)
    return talk, task, gate


async def test_connections_killed_in_mid_turn_are_not_noticed(
    film_shop: Shop, server_log: EventLog, tmp_path: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    talk, turn, gate = await in_mid_turn(film_shop, server_log, tmp_path)
    assert await asyncio.to_thread(postgres_server.cut_off, postgres_url.rpartition("/")[2]) > 0
    gate.set()
    await turn
    last = talk.turns[-1]
    assert last.wishes == {("genre", "eq", "Comedy", "positive"), ("price", "lt", 20.0, "positive")}
    assert not last.answer.degraded
    assert [one.turn_id for one in server_log.state("default", last.answer.session_id).turns] == [
        one.answer.turn_id for one in talk.turns
    ]


async def test_a_server_restarted_in_mid_turn_is_waited_for(
    film_shop: Shop, server_log: EventLog, tmp_path: Path, down: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "OUTAGE_SECONDS", ENOUGH)
    talk, turn, gate = await in_mid_turn(film_shop, server_log, tmp_path)
    await asyncio.to_thread(down.stop)
    gate.set()
    await asyncio.sleep(0.5)
    assert not turn.done()
    await asyncio.to_thread(down.start)
    await turn
    assert [one.number for one in server_log.state("default", talk.session_id or "").turns] == [1, 2]


async def test_a_server_gone_in_mid_turn_is_one_sentence_and_nothing_older_is_lost(
    film_shop: Shop, server_log: EventLog, tmp_path: Path, down: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "OUTAGE_SECONDS", 0.5)
    monkeypatch.setattr(leases, "LEASE_SECONDS", LEASE_SECONDS)
    talk, turn, gate = await in_mid_turn(film_shop, server_log, tmp_path)
    await asyncio.to_thread(down.stop)
    gate.set()
    with pytest.raises(DataDirectoryError, match="what was stored before is kept, try again"):
        await turn
    with pytest.raises(DataDirectoryError, match="what was stored before is kept, try again"):
        await talk.say("under 30 euros")
    await asyncio.to_thread(down.start)
    again = await talk.say("under 40 euros")  # waits until the lease of the turn that failed has run out
    assert again.wishes == {("genre", "eq", "Comedy", "positive"), ("price", "lt", 40.0, "positive")}
    turns = server_log.state("default", again.answer.session_id).turns
    assert [(one.number, one.message) for one in turns] == [(1, "a comedy"), (2, "under 40 euros")]
