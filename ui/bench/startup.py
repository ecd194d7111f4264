"""How long `chatalogue serve` takes to start and to stop, as a process of its own, asked over HTTP.

Cold: a fresh data directory, so the demo shop is indexed and the model's weights are converted; the
packages are installed, and the operating system has their files in memory if it read them lately.
Warm: the same directory again. Knows nothing of the server's inside.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict

from agent.bench.spread import Spread
from agent.settings import Settings
from ui.bench.processes import CHATALOGUE, CommandFailed, environment

START_SECONDS = 600.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05
FIRST_MESSAGE = "I want a comedy"

Say = Callable[[str], None]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OneStart(_Frozen):
    """Seconds from the start of the process; `stop` from SIGTERM to its end. `ready` is with the language model."""

    healthz: float
    ready: float
    first_answer: float
    stop: float
    exit_code: int


class Starts(_Frozen):
    """Several starts of one kind."""

    healthz: Spread | None
    ready: Spread | None
    first_answer: Spread | None
    stop: Spread | None
    exit_codes: tuple[int, ...]

    @classmethod
    def of(cls, starts: list[OneStart]) -> Starts:
        """Each mark over all starts."""
        return cls(
            healthz=Spread.of([one.healthz for one in starts]),
            ready=Spread.of([one.ready for one in starts]),
            first_answer=Spread.of([one.first_answer for one in starts]),
            stop=Spread.of([one.stop for one in starts]),
            exit_codes=tuple(one.exit_code for one in starts),
        )


class StartTimes(_Frozen):
    """Cold and warm starts of the demo shop; see the module."""

    cold: Starts
    warm: Starts


def measure_start(
    folder: Path, settings: Settings, config: Path | None, say: Say, *, cold: int = 2, warm: int = 3
) -> StartTimes:
    """Start and stop the server `cold` times on an empty `folder`, then `warm` times on what the last one left.

    Raises:
        CommandFailed: the server ended, or was not ready in time; the message has its last words.
    """
    cold_starts, warm_starts = [], []
    for number in range(cold):
        shutil.rmtree(folder, ignore_errors=True)
        cold_starts.append(_start(folder, settings, config))
        say(f"cold start {number + 1} of {cold}: first answer after {cold_starts[-1].first_answer:.1f} s")
    if warm and not folder.exists():
        _start(folder, settings, config)  # there is nothing to start warm from yet: this one is not counted
    for number in range(warm):
        warm_starts.append(_start(folder, settings, config))
        say(f"warm start {number + 1} of {warm}: first answer after {warm_starts[-1].first_answer:.1f} s")
    return StartTimes(cold=Starts.of(cold_starts), warm=Starts.of(warm_starts))


def _start(folder: Path, settings: Settings, config: Path | None) -> OneStart:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    arguments = ["serve", "--host", "127.0.0.1", "--port", str(port)]
    if config is not None:
        arguments += ["--config", str(config)]
    keys = [key.get_secret_value() for key in settings.server.api_keys]
    headers = {"Authorization": f"Bearer {keys[0]}"} if keys else {}
    base = f"http://127.0.0.1:{port}{settings.server.root_path}"
    with running((*CHATALOGUE, *arguments), folder) as server, httpx.Client(base_url=base, headers=headers) as client:
        healthz = server.wait_for(lambda: client.get("/healthz").status_code == httpx.codes.OK)
        ready = server.wait_for(lambda: _is_ready(client))
        body = {"model": "chatalogue", "messages": [{"role": "user", "content": FIRST_MESSAGE}]}
        response = client.post("/v1/chat/completions", json=body, timeout=START_SECONDS)
        first_answer = server.seconds()
        if response.status_code != httpx.codes.OK:
            raise CommandFailed(f"The first chat was answered with status {response.status_code}: {response.text}.")
        stop = server.stop()
        return OneStart(
            healthz=healthz, ready=ready, first_answer=first_answer, stop=stop, exit_code=server.process.returncode
        )


def _is_ready(client: httpx.Client) -> bool:
    response = client.get("/readyz")
    return response.status_code == httpx.codes.OK and response.json()["status"] == "ok"


class ServerProcess:
    """A running process and its clock."""

    def __init__(self, command: tuple[str, ...], folder: Path, more: Mapping[str, str] | None = None) -> None:
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self._started = time.perf_counter()
            env = {**environment(folder), **(more or {})}
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log)  # noqa: S603

    def seconds(self) -> float:
        """Since the start."""
        return round(time.perf_counter() - self._started, 2)

    def wait_for(self, question: Callable[[], bool]) -> float:
        """Ask until the answer is yes; the seconds since the start."""
        while self.seconds() < START_SECONDS:
            if self.process.poll() is not None:
                raise CommandFailed(f"The server ended with exit code {self.process.returncode}: {self._last_words()}")
            try:
                if question():
                    return self.seconds()
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(POLL_SECONDS)
        raise CommandFailed(f"The server was not ready within {START_SECONDS:g} s: {self._last_words()}")

    def stop(self) -> float:
        """Ask it to stop as an operator would; the seconds that it took."""
        asked = time.perf_counter()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"The server did not stop within {STOP_SECONDS:g} s of SIGTERM.") from None
        return round(time.perf_counter() - asked, 2)

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing."


@contextmanager
def running(command: tuple[str, ...], folder: Path, more: Mapping[str, str] | None = None) -> Iterator[ServerProcess]:
    """A server for as long as the block runs; `more` are variables of its environment."""
    server = ServerProcess(command, folder, more)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def free_port() -> int:
    """One that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
