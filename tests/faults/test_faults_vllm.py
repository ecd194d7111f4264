"""The vLLM server killed in mid-stream, and its end with ours."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from served import (
    STREAM_SECONDS,
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

from tests.parts import need

VLLM_SECONDS = 600.0
"""For a start of vLLM: half a minute on a free machine."""


@pytest.fixture(scope="module")
def server(start: StartServer, data: Path, models: Path) -> Served:
    data.joinpath("models").symlink_to(models, target_is_directory=True)
    served = start(
        data,
        CHATALOGUE_LLM__ENGINE="vllm",
        CHATALOGUE_LLM__ADAPTER="none",  # on a CPU an adapter is merged, and the server started once more for it
        CHATALOGUE_LLM__VLLM__PYTHON=str(need("vllm")),
        CHATALOGUE_LLM__VLLM__MAX_MODEL_LEN="2048",
        CHATALOGUE_LLM__VLLM__KV_CACHE_GIB="1",
        CHATALOGUE_LLM__VLLM__COMPILE="false",
        CHATALOGUE_LLM__VLLM__GPU_MEMORY_UTILIZATION="0.2",
        CHATALOGUE_LLM__REPLY="on",
        CHATALOGUE_LLM__REPLY_TIMEOUT_S="100",
    )
    wait_for(lambda: served.state() == "ok", "vLLM answers", VLLM_SECONDS)
    return served


def processes_of_vllm(server: Served) -> list[int]:
    """Our guard, the API server, the engine and its worker."""
    return [pid for pid in children(server.process.pid) if "vllm" in command_line(pid).lower()]


def api_server(server: Served) -> int:
    (pid,) = [
        pid
        for pid in processes_of_vllm(server)
        if " -m vllm.entrypoints.openai.api_server" in command_line(pid).split("guard.py")[0]
    ]
    return pid


def test_vllm_killed_in_mid_stream(server: Served) -> None:
    written = server.say("a funny film")
    assert_whole(written)
    assert written.last["degraded"] is False
    assert written.completion_tokens > 0
    begun = threading.Semaphore(0)
    victim = api_server(server)
    writing = server.say_all(["a heist film", "a western", "a war film"], begun.release)
    assert begun.acquire(timeout=STREAM_SECONDS)
    os.kill(victim, signal.SIGSTOP)  # a quick machine may have written those: nothing is written of what comes now
    waiting = server.say_all(["a comedy", "a sad film", "a musical"], begun.release)
    for _ in (*writing[1:], *waiting):
        assert begun.acquire(timeout=STREAM_SECONDS)
    server.kill(victim)
    cut = [answer.result(STREAM_SECONDS) for answer in (*writing, *waiting)]
    for one in cut:
        assert_whole(one)
    assert all(one.last["degraded"] for one in cut[len(writing) :])
    said = cut[-1]
    wait_for(lambda: server.state() == "degraded", "/readyz tells")  # once the guard has ended the rest of vLLM
    assert server.readiness()["http"] == 200
    assert server.metric("chatalogue_engine_state", state="ready") == 0
    without = server.say("a funny film", session=said.session_id)
    assert_whole(without)
    wait_for(lambda: server.state() == "ok", "vLLM is back", VLLM_SECONDS)
    again = server.say("a war film", session=said.session_id)
    assert_whole(again)
    assert again.last["degraded"] is False
    assert_logged(server, written, *cut, without, again)


def test_vllm_ends_with_a_server_that_is_killed(server: Served) -> None:
    said = server.say("a funny film")
    left = processes_of_vllm(server)
    assert left
    server.signal(signal.SIGKILL)
    server.process.wait()
    wait_for(lambda: not any(map(is_running, left)), "no process of vLLM is left")
    assert_kept(server.data, said)
