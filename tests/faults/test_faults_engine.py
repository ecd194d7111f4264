"""The language model's process killed, the server killed and the server stopped, each while replies are written."""

from __future__ import annotations

import os
import signal
import socket
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest
from served import (
    START_SECONDS,
    STREAM_SECONDS,
    Said,
    Served,
    StartServer,
    assert_kept,
    assert_logged,
    assert_whole,
    children,
    command_line,
    is_running,
    wait_for,
)

ENGINE = {
    "CHATALOGUE_LLM__ENGINE": "embedded",
    "CHATALOGUE_LLM__REPLY": "on",
    # Long, because other tests may want the machine: what ends a reply here is the fault and not the clock.
    "CHATALOGUE_LLM__REPLY_TIMEOUT_S": "100",
}
CUSTOMERS = 20
WRITING = 8
ENGINE_STATE = "chatalogue_engine_state"


@pytest.fixture(scope="module")
def engine_data(data: Path, models: Path) -> Path:
    data.joinpath("models").symlink_to(models, target_is_directory=True)
    return data


@pytest.fixture(scope="module")
def first(start: StartServer, engine_data: Path) -> Served:
    """A server whose language model writes."""
    served = start(engine_data, **ENGINE)
    served.wait_ready("ok")
    return served


@pytest.fixture(scope="module")
def second(start: StartServer, first: Served) -> Served:
    """The server that comes after one that was killed, on the same directory, which nobody cleaned up."""
    first.stop()
    served = start(first.data, **ENGINE)
    served.wait_ready("ok")
    return served


def worker_of(server: Served) -> int:
    """The language model's process."""
    found = [pid for pid in children(server.process.pid) if "spawn_main" in command_line(pid)]
    assert len(found) == 1, found
    return found[0]


def is_without_model(server: Served) -> bool:
    """Whether it says that it serves, and that the model does not."""
    told = server.readiness()
    return (told["http"], told["status"]) == (200, "degraded") and server.metric(ENGINE_STATE, state="ready") == 0


def under_way(server: Served, customers: int) -> list[Future[Said]]:
    """So many streams of which each has begun to speak."""
    begun = threading.Semaphore(0)
    answers = server.say_all([f"a film about love, number {n}" for n in range(customers)], begun.release)
    for _ in range(customers):
        assert begun.acquire(timeout=STREAM_SECONDS)
    return answers


def test_the_models_process_killed_in_mid_stream(first: Served) -> None:
    written = first.say("a funny film")
    assert_whole(written)
    assert written.last["degraded"] is False
    assert written.completion_tokens > 0
    degraded = first.metric("chatalogue_degraded_turns_total")
    worker = worker_of(first)
    begun = threading.Event()
    answers = first.say_all([f"a heist film, number {n}" for n in range(WRITING)], begun.set)
    assert begun.wait(60)
    first.kill(worker)
    wait_for(lambda: is_without_model(first), "told while the model starts again")
    heard = [answer.result(60) for answer in answers]
    for one in heard:
        assert_whole(one)
    cut = [said for said in heard if said.last["degraded"]]
    assert cut  # a quick machine may have written some before the kill, never all
    said = cut[0]
    assert_logged(first, *heard)
    assert first.metric("chatalogue_degraded_turns_total") == degraded + len(cut)
    without = first.say("a funny film", session=said.session_id)  # the next customer is answered, too
    assert_whole(without)
    wait_for(lambda: first.state() == "ok", "the model is back", START_SECONDS)
    assert first.metric(ENGINE_STATE, state="ready") == 1
    assert worker_of(first) != worker
    again = first.say("a war film", session=said.session_id)
    assert_whole(again)
    assert again.last["degraded"] is False
    assert_logged(first, written, said, without, again)


def test_the_server_killed_under_load(first: Served) -> None:
    before = first.say("a funny film")
    worker, left = worker_of(first), children(first.process.pid)
    answers = under_way(first, CUSTOMERS // 2)
    wait_for(lambda: any(answer.done() for answer in answers), "some are served whole")
    os.kill(worker, signal.SIGSTOP)  # the rest is under way for certain, however quick the machine is
    try:
        answers += under_way(first, CUSTOMERS // 2)
        first.signal(signal.SIGKILL)
        first.process.wait()
    finally:
        os.kill(worker, signal.SIGCONT)
    said = [answer.result(STREAM_SECONDS) for answer in answers]
    whole = [one for one in said if one.done]
    assert all(one.cut for one in said if not one.done)
    assert 0 < len(whole) < CUSTOMERS
    wait_for(lambda: not any(map(is_running, left)), "the language model's process ends with the server")
    assert_kept(first.data, before, *whole)


def test_a_server_starts_at_once_after_one_that_was_killed(second: Served) -> None:
    assert_whole(second.say("a heist film"))


def test_the_server_stopped_under_load(second: Served) -> None:
    left = children(second.process.pid)
    answers = under_way(second, CUSTOMERS)
    second.signal(signal.SIGTERM)
    wait_for(lambda: is_refused(second.port), "no new connections")
    said = [answer.result(STREAM_SECONDS) for answer in answers]
    assert second.wait_end() == 0
    for one in said:
        assert_whole(one)  # by the model, or without it where it could not serve in time
    wait_for(lambda: not any(map(is_running, left)), "its processes end with the server")
    assert_kept(second.data, *said)
    assert "Traceback" not in second.logged()


def is_refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionRefusedError:
        return True
    return False
