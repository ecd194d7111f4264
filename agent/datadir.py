"""The data directory: where everything lies, and the lock that keeps a second server out.

<data_dir>/log.sqlite3                   the event log (unless a database URL is set)
          /index/<tenant>/000012/        immutable search indexes
          /articles/<tenant>/000007/     help articles; the manifest's `source`: the tenant's own, or the demo's
          /rankers/<tenant>/rnk-000003/  learned rankers
          /intents/<tenant>/int-000002/  learned intents of the help desk
          /adapters/<tenant>/ada-000017/ adapters of the language model
          /models/                       weights as the engines read them
          /runs/<tenant>/ada-000017/     a training that is unfinished or not decided on (agent/runs.py)
          /memory/<tenant>/              rows that the next trainings rehearse
          /learn/<tenant>/               a report of each learning job
          /server.lock                   held by the one server of this directory
          /index/<tenant>/publish.lock   held while a catalogue and its articles are made and go live
          /rankers/<tenant>/learn.lock   held while a ranker is learned
          /learn/<tenant>/job.lock       held while a learning job runs
          /adapters/<tenant>/move.lock   held while an adapter is promoted, taken back or deleted
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import DataDirectoryError


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """Paths below one data directory; nothing is created by asking for them."""

    root: Path

    def index(self, tenant: str) -> Path:
        """The folder of a tenant's indexes."""
        return self.root / "index" / tenant

    def articles(self, tenant: str) -> Path:
        """The folder of a tenant's indexes of help articles."""
        return self.root / "articles" / tenant

    def rankers(self, tenant: str) -> Path:
        """The folder of a tenant's learned rankers."""
        return self.root / "rankers" / tenant

    def intents(self, tenant: str) -> Path:
        """The folder of a tenant's learned intents."""
        return self.root / "intents" / tenant

    def adapters(self, tenant: str) -> Path:
        """The folder of a tenant's adapters."""
        return self.root / "adapters" / tenant

    def runs(self, tenant: str) -> Path:
        """The folder of a tenant's trainings, one for each adapter that is not decided on."""
        return self.root / "runs" / tenant

    def memory(self, tenant: str) -> Path:
        """The folder of what a tenant's trainings rehearse."""
        return self.root / "memory" / tenant

    def reports(self, tenant: str) -> Path:
        """The folder of what came of a tenant's learning jobs."""
        return self.root / "learn" / tenant

    @property
    def models(self) -> Path:
        """Converted and downloaded weights."""
        return self.root / "models"

    def create(self) -> None:
        """Make the directory if need be and prove that it can be written.

        Raises:
            DataDirectoryError: it is a file, read-only, or the disk is full.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / f".probe-{os.getpid()}"
            probe.write_bytes(b"\0" * 4096)
            probe.unlink()
        except OSError as error:
            raise DataDirectoryError(_reason(self.root, error)) from None

    @contextmanager
    def server_lock(self) -> Iterator[None]:
        """Hold the directory for one server; Chroma's embedded store belongs to one process.

        Raises:
            DataDirectoryError: another server holds it.
        """
        with self._server_file.open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                raise DataDirectoryError(
                    f"Another server (process {file.read().strip() or 'unknown'}) is using the data directory "
                    f"{str(self.root)!r}; stop it, or set CHATALOGUE_DATA_DIR to another folder."
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def server_process(self) -> str | None:
        """The process number of the server that runs on this directory ("unknown" at worst), None without one."""
        try:
            with self._server_file.open(encoding="utf-8") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except OSError:
                    return file.read().strip() or "unknown"
        except OSError:  # no server ever ran here
            pass
        return None

    @contextmanager
    def publish_lock(self, tenant: str) -> Iterator[None]:
        """Hold a tenant's indexes while a catalogue and its articles are made, go live and replace older ones.

        Raises:
            DataDirectoryError: another process does that, or the directory cannot be written.
        """
        folder = self.index(tenant)
        busy = f"Another process is indexing a catalogue in {str(folder)!r}; wait until it has ended."
        with self._held(folder / "publish.lock", busy):
            yield

    @contextmanager
    def learn_lock(self, tenant: str) -> Iterator[None]:
        """Hold a tenant's rankers while one is learned, goes live and replaces older ones.

        Raises:
            DataDirectoryError: another process does that, or the directory cannot be written.
        """
        folder = self.rankers(tenant)
        busy = f"Another process is learning a ranker in {str(folder)!r}; wait until it has ended."
        with self._held(folder / "learn.lock", busy):
            yield

    @contextmanager
    def job_lock(self, tenant: str) -> Iterator[None]:
        """Hold a tenant's learning for one job; given back by the system when its holder dies, however that was.

        Raises:
            DataDirectoryError: another job runs, or the directory cannot be written.
        """
        folder = self.reports(tenant)
        busy = f"Another process is learning for the tenant {tenant!r} in {str(self.root)!r}; wait until it has ended."
        with self._held(folder / "job.lock", busy):
            yield

    @contextmanager
    def adapters_lock(self, tenant: str) -> Iterator[None]:
        """Hold a tenant's adapters while one is promoted, taken back or deleted.

        Raises:
            DataDirectoryError: another process does that, or the directory cannot be written.
        """
        folder = self.adapters(tenant)
        busy = f"Another process is changing the adapters in {str(folder)!r}; try again in a moment."
        with self._held(folder / "move.lock", busy):
            yield

    @contextmanager
    def _held(self, path: Path, busy: str) -> Iterator[None]:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise DataDirectoryError(_reason(self.root, error)) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise DataDirectoryError(busy) from None
            yield

    @property
    def _server_file(self) -> Path:
        return self.root / "server.lock"


def _reason(root: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk that holds {str(root)!r} is full; free some space or set CHATALOGUE_DATA_DIR elsewhere."
    return (
        f"The data directory {str(root)!r} cannot be written ({os.strerror(error.errno or 0)}); "
        "give this user the right to write there, or set CHATALOGUE_DATA_DIR to another folder."
    )
