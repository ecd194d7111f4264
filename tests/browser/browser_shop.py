"""`chatalogue serve` as a process of its own, on a free port of this machine, with all its state in one folder."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.ports import free_port

CHATALOGUE = (sys.executable, "-c", "from ui.cli import main; main()")
START_SECONDS = 600.0
"""Generous: the first start embeds a catalogue, perhaps beside other work."""
STOP_SECONDS = 120.0


def wait_until(holds: Callable[[], bool], seconds: float, what: str) -> None:
    """Ask until it holds; generous, because the machine may be busy."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.05)


class Shop:
    """One server. `stop` and `start` again keep port and data, as a restart does."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log_file = folder / "server.log"
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        ours = {"CHATALOGUE_DATA_DIR": str(self.data), "CHATALOGUE_CHAT__EXPLORATION": "0", **settings}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHATALOGUE_")}
        self._environment: Mapping[str, str] = {**inherited, **ours}

    def run(self, *arguments: str) -> None:
        """A command beside the server, to its end."""
        with self.log_file.open("ab") as log:
            command = [*CHATALOGUE, *arguments]
            subprocess.run(command, cwd=self.folder, env=self._environment, stderr=log, check=True)  # noqa: S603

    def start(self) -> None:
        with self.log_file.open("ab") as log:
            command = [*CHATALOGUE, "serve", "--port", str(self.port)]
            self._process = subprocess.Popen(  # noqa: S603
                command, cwd=self.folder, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_until(self._answers, START_SECONDS, f"the start of the server (its log: {self.log_file})")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """SIGTERM, as an operator would; a server that does not end is killed, and that is an error."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise RuntimeError(f"the server ended by itself; see {self.log_file}")
        try:
            return bool(self.get("/healthz")["status"] == "ok")
        except httpx.TransportError:
            return False

    def get(self, path: str) -> dict[str, Any]:
        with httpx.Client(trust_env=False, timeout=30) as client:
            found: dict[str, Any] = client.get(self.address + path).json()
            return found

    def comments(self, turn_id: str) -> set[str]:
        """The words that customers gave with their reactions on a turn; the API does not hand them out."""
        query = "SELECT p.text FROM event e JOIN event_payload p ON p.event_id = e.id WHERE e.turn_id = ?"
        with closing(sqlite3.connect(self.data / "log.sqlite3")) as database:
            return {text for (text,) in database.execute(query, (turn_id,)) if text}

    # --- the language model's process ---

    def engine_state(self) -> str:
        parts: list[dict[str, str]] = self.get("/readyz")["parts"]
        return next(part["state"] for part in parts if part["name"] == "engine")

    def wait_for_engine(self) -> None:
        wait_until(lambda: self.engine_state() == "ok", START_SECONDS, "the language model's start")

    def worker(self) -> int:
        """The process id of the language model's worker."""
        found = self._workers()
        assert len(found) == 1, f"one worker was expected, found {found}"
        return found[0]

    def _workers(self) -> list[int]:
        assert self._process is not None
        found = []
        for thread in Path(f"/proc/{self._process.pid}/task").iterdir():
            with suppress(OSError):  # threads and processes come and go
                for pid in (thread / "children").read_text(encoding="utf-8").split():
                    if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        found.append(int(pid))
        return found

    def freeze_worker(self) -> None:
        """The language model thinks for as long as a test wants."""
        os.kill(self.worker(), signal.SIGSTOP)

    def thaw_worker(self) -> None:
        os.kill(self.worker(), signal.SIGCONT)

    def kill_worker(self) -> None:
        os.kill(self.worker(), signal.SIGKILL)

    @contextmanager
    def without_worker(self) -> Iterator[None]:
        """Each worker is killed as soon as it is there, so that a quick machine has none, either."""
        over = threading.Event()

        def kill_each() -> None:
            while not over.wait(0.02):
                for worker in self._workers():
                    with suppress(ProcessLookupError):
                        os.kill(worker, signal.SIGKILL)

        killer = threading.Thread(target=kill_each)
        killer.start()
        try:
            yield
        finally:
            over.set()
            killer.join()
