"""The connection to the database: opening, transactions, migrations, and errors in words.

Knows nothing of what the tables mean.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, func, insert, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import Session

from agent.log import sqlite
from agent.log.models import Secret
from retrieval.errors import BadRequest, DataDirectoryError, SettingsError

if TYPE_CHECKING:
    from alembic.config import Config

SQLITE_FILE = "log.sqlite3"
"""The database inside the data directory."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_BASES = (DatabaseError, sqlite3.DatabaseError)  # of these themselves: a broken file; their subclasses say more
_SCHEMA_LOCK = 0x63686174  # any number that nobody else takes in this database


class Database:
    """An engine whose transactions are either `read` (a snapshot) or `write`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        if engine.dialect.name == "sqlite":
            self._reader = engine.execution_options(**{sqlite.READ_ONLY: True})
        else:
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ")

    @classmethod
    def open(cls, url: str | None, data_dir: Path) -> Database:
        """Connect; SQLite in `data_dir` where no URL is given.

        Raises:
            DataDirectoryError: the folder cannot be made or the database not be opened.
            SettingsError: the URL cannot be read, names an in-memory database, or its driver is missing.
        """
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataDirectoryError(
                f"The data directory {str(data_dir)!r} cannot be made ({error.strerror}); name a folder that can be "
                "written with CHATALOGUE_DATA_DIR."
            ) from error
        engine = _engine(make_url(f"sqlite:///{data_dir / SQLITE_FILE}") if not url else _read_url(url))
        database = cls(engine)
        if engine.dialect.name == "sqlite":
            sqlite.prepare(engine)
            try:
                with database._errors_in_words():
                    sqlite.use_wal(engine)
            except BaseException:
                database.close()
                raise
        return database

    def close(self) -> None:
        """Close the pool's connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that sees one state of the database throughout."""
        with self._errors_in_words(), Session(self._reader) as session, session.begin():
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is stored whole when the block ends and not at all when it raises."""
        with self._errors_in_words(), Session(self._engine) as session, session.begin():
            yield session

    def upgrade(self, revision: str = "head") -> None:
        """Run the migrations that are missing, in one transaction; a second process waits and finds nothing to do."""
        self._migrate("upgrade", revision)

    def downgrade(self, revision: str) -> None:
        """Go back to `revision` ("base": no tables)."""
        self._migrate("downgrade", revision)

    def ping(self) -> None:
        """Write a row and take it back.

        Raises:
            DataDirectoryError: the database does not take writes.
        """
        with self._errors_in_words(), Session(self._engine) as session:
            session.execute(insert(Secret).values(tenant="", name=f"ping {secrets.token_hex()}", value=b""))
            session.rollback()

    def forget_deleted(self) -> None:
        """Take deleted rows off the disk; PostgreSQL does so itself, with its autovacuum."""
        if self._engine.dialect.name == "sqlite":
            with self._errors_in_words():
                sqlite.truncate_wal(self._engine)

    def backup(self, to: Path) -> None:
        """Copy the SQLite database to the file `to`.

        Raises:
            BadRequest: it is another database.
            DataDirectoryError: the copy cannot be written.
        """
        if self._engine.dialect.name != "sqlite":
            raise BadRequest(f"A {self._engine.dialect.name} database is copied with its own tool, such as pg_dump.")
        try:
            sqlite.backup(self._engine, to)
        except (OSError, sqlite3.Error) as error:
            raise DataDirectoryError(
                f"The copy of the database {str(to)!r} cannot be written ({error}); name a folder with room."
            ) from error

    def _migrate(self, direction: str, revision: str) -> None:
        from alembic import command  # here, because it is needed once and takes longer to import than all the rest
        from alembic.util import CommandError

        run = command.upgrade if direction == "upgrade" else command.downgrade
        with self._errors_in_words(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite: BEGIN IMMEDIATE is the lock
                connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))
            config = migration_config()
            config.attributes["connection"] = connection
            try:
                run(config, revision)
            except CommandError as error:
                raise DataDirectoryError(
                    f"The database at {self._place()} was made by another version ({error}); update chatalogue or "
                    "use another data directory."
                ) from error

    @contextmanager
    def _errors_in_words(self) -> Iterator[None]:
        try:
            yield
        except (DatabaseError, sqlite3.DatabaseError) as error:
            # Only "cannot be used": a broken constraint or a wrong statement is our own mistake and stays as it is.
            if isinstance(error, OperationalError | sqlite3.OperationalError) or type(error) in _BASES:
                cause = getattr(error, "orig", None) or error
                raise DataDirectoryError(f"The database at {self._place()} cannot be used: {_hint(cause)}") from error
            raise

    def _place(self) -> str:
        url = self._engine.url
        return repr(url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True))


def migration_config() -> Config:
    """Alembic's settings, without a file, so that they work from an installed wheel."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("file_template", "r%%(rev)s_%%(slug)s")  # so that the file can be imported
    return config


def _read_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError("The setting 'database.url' is not an SQLAlchemy URL; leave it empty for SQLite.") from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise SettingsError("The setting 'database.url' names a database in memory; name a file or leave it empty.")
    return parsed


def _engine(url: URL) -> Engine:
    try:
        # The parameters of a statement are customers' words: they must not reach tracebacks and logs.
        return create_engine(url, hide_parameters=True, pool_pre_ping=url.get_backend_name() != "sqlite")
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise SettingsError(
            f"The setting 'database.url' needs the driver of {url.drivername!r} ({error}); install it."
        ) from None


def _hint(cause: BaseException) -> str:
    said = " ".join(str(cause).split())
    hints = {
        "locked": "another process holds it; end that one or use another data directory.",
        "readonly": "it is read-only; give this user the right to write there.",
        "unable to open": "it cannot be opened; check that the folder exists and can be written.",
        "full": "the disk is full; make room.",
        "not a database": "the file is not a database; move it away or restore a copy.",
    }
    hint = next((hint for sign, hint in hints.items() if sign in said), "check that it runs and can be reached.")
    return f"{said}; {hint}"
