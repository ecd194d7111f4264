"""The product as a customer meets it: `chatalogue serve` in a process of its own, spoken to over HTTP."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
from prometheus_client.parser import text_string_to_metric_families

from agent.log.database import SQLITE_FILE
from agent.log.store import EventLog
from tests.ports import free_port

START_SECONDS = 600.0
"""Generous: the machine may be busy with other tests."""
STREAM_SECONDS = 120.0
"""A stream that has not ended by then hangs."""
STOP_SECONDS = 90.0
"""From the signal to the end of the process; the grace for answers under way is a part of it."""
FILMS = Path(__file__).parents[1] / "agent" / "data" / "films30.jsonl"
CHATALOGUE = Path(sys.executable).parent / "chatalogue"


@dataclass(slots=True)
class Said:
    """What a customer was sent for one message. `done`: the stream ended with `[DONE]`, so the answer is whole."""

    status: int = 0
    text: str = ""
    last: dict[str, Any] = field(default_factory=dict)
    completion_tokens: int = 0
    error: dict[str, Any] = field(default_factory=dict)
    done: bool = False
    cut: bool = False
    seconds: float = 0.0

    @property
    def code(self) -> str:
        """The error's code, "" without one."""
        return str(self.error.get("code", ""))

    @property
    def session_id(self) -> str:
        return str(self.last["session_id"])

    @property
    def turn_id(self) -> str:
        return str(self.last["turn_id"])


def environment(data: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these settings and no others."""
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("CHATALOGUE_")}
    ours = {"CHATALOGUE_DATA_DIR": str(data), "CHATALOGUE_LLM__ENGINE": "off"} | dict(settings)
    return clean | ours


def run_command(
    data: Path, *arguments: str, stdin: str = "", settings: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`chatalogue ...` to its end."""
    command = [str(CHATALOGUE), *arguments]
    return subprocess.run(  # noqa: S603
        command,
        env=environment(data, settings or {}),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )


class StartServer(Protocol):
    """Starts a server that is stopped when its module's tests are over; settings are environment variables."""

    def __call__(self, data: Path, **settings: str) -> Served: ...


class CopyShop(Protocol):
    """Copies the prepared data directory to a folder, which may exist, and gives it back."""

    def __call__(self, to: Path) -> Path: ...


class Served:
    """One running server. `stop` it, whatever happened."""

    def __init__(self, data: Path, log: Path, settings: Mapping[str, str]) -> None:
        self.data, self.log, self.port = data, log, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [str(CHATALOGUE), "serve", "--port", str(self.port)]
        with log.open("ab") as out:
            # A job that a shell runs in the background is born deaf to Ctrl-C: this one hears it again.
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdout=out,
                stderr=out,
                cwd=log.parent,
                env=environment(data, settings),
                preexec_fn=_hear_ctrl_c,
            )
        self.http = httpx.Client(base_url=self.url, timeout=STREAM_SECONDS)

    # --- life ---

    def wait_ready(self, status: str = "degraded") -> None:
        """Until `/readyz` says `status` ("degraded": without a language model)."""
        wait_for(lambda: self.state() == status, f"/readyz says {status!r}", START_SECONDS, self._alive)

    def _alive(self) -> None:
        assert self.process.poll() is None, f"the server ended:\n{self.logged()}"

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self, child: int) -> None:
        """End a process that the server started, without a warning."""
        assert child in children(self.process.pid)
        os.kill(child, signal.SIGKILL)

    def wait_end(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code."""
        return self.process.wait(seconds)

    def stop(self) -> None:
        """End it, by force if need be; what it started ends too."""
        left = children(self.process.pid)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.http.close()
        for pid in left:
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)

    def logged(self) -> str:
        """What it wrote on stdout and stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    # --- the customer ---

    def say(self, text: str, session: str | None = None, on_text: Callable[[], None] | None = None) -> Said:
        """Send a message and read the stream to its end, as strictly as a client does."""
        body: dict[str, Any] = {"model": "chatalogue", "messages": [{"role": "user", "content": text}]}
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        if session is not None:
            body["metadata"] = {"session_id": session}
        said, started = Said(), time.monotonic()
        try:
            with self.http.stream("POST", "/v1/chat/completions", json=body) as response:
                said.status = response.status_code
                if response.headers["content-type"].startswith("text/event-stream"):
                    _read_events(response, said, started, on_text)
                else:
                    said.error = json.loads(response.read())["error"]
        except httpx.TransportError:
            said.cut = True
        said.seconds = time.monotonic() - started
        return said

    def say_all(self, texts: Sequence[str], on_text: Callable[[], None] | None = None) -> list[Future[Said]]:
        """Each message at the same time, from a customer of its own; `on_text` is told of each one's first words."""
        customers = ThreadPoolExecutor(len(texts))
        futures = [customers.submit(self.say, text, None, on_text) for text in texts]
        customers.shutdown(wait=False)
        return futures

    # --- the operator ---

    def readiness(self) -> dict[str, Any]:
        """The body of `/readyz`, with its HTTP status under "http"."""
        response = self.http.get("/readyz")
        body: dict[str, Any] = response.json()
        return body | {"http": response.status_code}

    def state(self) -> str:
        """The status that `/readyz` gives; "" while nothing answers."""
        try:
            return str(self.readiness()["status"])
        except httpx.TransportError:
            return ""

    def part(self, name: str) -> dict[str, Any]:
        """What `/readyz` says of one part."""
        return next(part for part in self.readiness()["parts"] if part["name"] == name)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of `name` that have these labels."""
        text = self.http.get("/metrics").text
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def turns(self, session_id: str) -> list[dict[str, Any]]:
        """The turns of a conversation, from the log."""
        response = self.http.get(f"/v1/sessions/{session_id}")
        assert response.status_code == 200, response.text
        turns: list[dict[str, Any]] = response.json()["turns"]
        return turns


def assert_whole(said: Said) -> None:
    """A complete, sensible answer that ended as it should."""
    assert (said.status, said.error, said.cut, said.done) == (200, {}, False, True), said
    assert said.last["items"], said
    assert said.last["items"][0]["title"] in said.text


def assert_logged(server: Served, *answers: Said) -> None:
    """Each turn that was delivered is in the log, once, with the words that the customer read."""
    for said in answers:
        found = [turn["reply"] for turn in server.turns(said.session_id) if turn["turn_id"] == said.turn_id]
        assert found == [said.text]


def assert_kept(data: Path, *answers: Said) -> None:
    """The same of a log whose server has ended: it is in order, and another process can read it."""
    with closing(sqlite3.connect(data / SQLITE_FILE)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    log = EventLog.open(None, data)
    try:
        for said in answers:
            turns = log.session_view("default", said.session_id).turns
            assert [turn.reply for turn in turns if turn.turn_id == said.turn_id] == [said.text]
    finally:
        log.close()


def assert_told(said: Said, code: str) -> None:
    """The fault was told in one clean sentence, as a status or at the end of the stream."""
    assert said.code == code, said
    assert said.status in (200, 503)
    assert not said.cut
    assert not said.done
    message = said.error["message"]
    for secret in ("Traceback", "sqlite", "/", "SELECT", "BEGIN"):
        assert secret not in message
    assert message.endswith(".")


def wait_for(
    condition: Callable[[], bool], what: str, seconds: float = 180.0, check: Callable[[], None] = lambda: None
) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        check()
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """Processes that `pid` started and theirs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if parent == pid:
            found += [int(folder.name), *children(int(folder.name))]
    return found


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _read_events(response: httpx.Response, said: Said, started: float, on_text: Callable[[], None] | None) -> None:
    for line in response.iter_lines():
        assert time.monotonic() - started < STREAM_SECONDS, f"the stream hangs: {said}"
        if not line or line.startswith(":"):
            continue
        assert line.startswith("data: "), f"not an event: {line!r}"
        assert not said.done, f"after [DONE]: {line!r}"
        assert not said.error, f"after an error: {line!r}"
        if line == "data: [DONE]":
            said.done = True
            continue
        chunk = json.loads(line.removeprefix("data: "))
        if "error" in chunk:
            said.error = chunk["error"]
            continue
        if usage := chunk["usage"]:
            said.completion_tokens = usage["completion_tokens"]
            continue
        (choice,) = chunk["choices"]
        if words := choice["delta"].get("content"):
            if on_text is not None and not said.text:
                on_text()
            said.text += words
        if choice["finish_reason"]:
            said.last = chunk["chatalogue"]


def _hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
