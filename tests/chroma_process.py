"""A real Chroma server for tests: `chroma run` on a free port of loopback, which can be killed, hung and restarted."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

from retrieval.chroma_server import ServerStores
from tests.parts import need
from tests.ports import free_port

START_SECONDS = 300.0
POLL_SECONDS = 0.05


class ChromaProcess:
    """Starts with its data in `folder`; skips the test where Chroma is missing. Stopped at the end, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._program = need("chroma")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> ChromaProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def stores(self) -> ServerStores:
        return ServerStores(self.url)

    def start(self, folder: Path | None = None) -> None:
        """Start, also again, on the same port; `folder` is other data than before."""
        self.folder = folder or self.folder
        command = [
            str(self._program),
            "run",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--path",
            str(self.folder),
        ]
        with (self.folder.parent / f"{self.folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603 - ours
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Chroma did not start on port {self.port}; see the log beside {self.folder}.")
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """SIGKILL; a stopped process dies of it, too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def hang(self) -> None:
        """It keeps its connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def collections(self) -> dict[str, int]:
        """Rows by the name of each collection, read without our own client."""
        path = "/api/v2/tenants/default_tenant/databases/default_database/collections"
        return {one["name"]: int(self._get(f"{path}/{one['id']}/count")) for one in json.loads(self._get(path))}

    def _get(self, path: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            return response.read()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            return bool(self._get("/api/v2/heartbeat"))
        except (OSError, http.client.HTTPException):
            return False
