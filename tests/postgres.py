"""A throw-away PostgreSQL from the system's binaries, for every test that asks for `postgres_url` or `postgres_server`.

The server's zone is Asia/Shanghai, so that whatever is stored in local time is found out. It takes passwords, listens
on loopback only, syncs nothing to the disk, and is stopped at the end of the session.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.parts import need
from tests.ports import free_port

START_SECONDS = 300.0
USER = "shop"
PASSWORD = "not-to-be-shown-4711"  # noqa: S105 - of a server that lives as long as the tests
OPTIONS = {
    "timezone": "Asia/Shanghai",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "max_connections": "80",
    "autovacuum": "off",
}


class PostgresServer:
    """One server process of ours, and databases on it."""

    def __init__(self, initdb: Path) -> None:
        self._bin = initdb.parent
        # Not pytest's folder: PostgreSQL refuses to run as root, and its other user may not pass through there.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._as: dict[str, Any] = {"cwd": self.folder}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres" if any(p.pw_name == "postgres" for p in pwd.getpwall()) else "nobody")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
        self._process: subprocess.Popen[bytes] | None = None
        self._free: list[str] = []
        self.port = free_port()
        try:
            self._init()
            self.start()
        except BaseException:
            self.remove()
            raise

    def _init(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        command = [self._bin / "initdb", "-D", self.folder / "data", "-U", USER, "--pwfile", password]
        command += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]  # type: ignore[list-item]
        done = subprocess.run(command, **self._as, capture_output=True, text=True)  # noqa: S603
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start, and return when connections are taken."""
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        command = [self._bin / "postgres", "-D", self.folder / "data", "-p", str(self.port), *options]
        with (self.folder / "server.log").open("ab") as output:
            self._process = subprocess.Popen(command, **self._as, stdout=output, stderr=output)  # noqa: S603
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                log = (self.folder / "server.log").read_text()
                assert self._process.poll() is None, log
                assert time.monotonic() < deadline, log
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT cuts connections off, SIGQUIT is a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(START_SECONDS)
            self._process = None

    def remove(self) -> None:
        """End it and delete everything."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection of the administrator, outside transactions."""
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname=database, autocommit=True
        )

    def url(self, database: str, port: int | None = None) -> str:
        """What goes into the setting `database.url`."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port or self.port}/{database}"

    def create(self) -> str:
        """The name of an empty database."""
        if self._free:
            return self._free.pop()
        name = f"test_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    def give_back(self, name: str) -> None:
        """Empty a database, whoever uses it, for the next test: to drop it would take a checkpoint."""
        self.cut_off(name)
        with self.connect(name) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
            connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
        self._free.append(name)

    def cut_off(self, database: str) -> int:
        """End every connection to a database; how many there were."""
        with self.connect() as connection:
            ended = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
            )
            return len(ended.fetchall())


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for the whole session; a test that stops it must start it again."""
    server = PostgresServer(need("postgresql"))
    yield server
    server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.give_back(name)
