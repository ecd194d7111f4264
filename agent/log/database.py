"""The connection to the database: opening, transactions, migrations, and errors in words.

A transaction is a function, so that it can be run again when the connection breaks: a server that restarts is
waited for. Nothing is stored twice: where the answer to a COMMIT was lost, PostgreSQL is asked what became of it.
Knows nothing of what the tables mean.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sqlalchemy import Engine, create_engine, insert
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, OperationalError, ProgrammingError, TimeoutError
from sqlalchemy.orm import Session

from agent.log import postgres, sqlite
from agent.log.models import Secret
from agent.log.sealing import SEALER, seal_anew
from agent.secrecy import Sealer
from retrieval.errors import BadRequest, DataDirectoryError, SettingsError

if TYPE_CHECKING:
    from alembic.config import Config

SQLITE_FILE = "log.sqlite3"
"""The database inside the data directory."""

OUTAGE_SECONDS = 10.0
"""How long a PostgreSQL that stopped answering is waited for, counted from its first silence.

One window for all callers: when it is over each one asks once and fails at once, until an answer comes again.
"""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
"""Between two attempts; each pause is twice the one before."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_BASES = (DatabaseError, sqlite3.DatabaseError)  # of these themselves: a broken file; their subclasses say more
_REFUSED = {
    "25006": "it is read-only; name the primary server and not its copy.",
    "42501": "its user may not do that; make it the owner of the database.",
    "3F000": "its user finds no schema to write in; make it the owner of the database.",
}
"""What PostgreSQL refuses because of how it was set up, by code."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class Database:
    """An engine whose transactions are either `read` (a snapshot) or `write`."""

    def __init__(self, engine: Engine, sealer: Sealer) -> None:
        self._engine = engine
        self._sealer = sealer
        self._outage_ends: float | None = None  # on the monotonic clock
        self._reached = False
        self.on_failure: Callable[[], None] = lambda: None  # called at each use that the database refuses
        if engine.dialect.name == "sqlite":
            self._reader = engine.execution_options(**{sqlite.READ_ONLY: True})
        else:
            self._reader = engine.execution_options(isolation_level="REPEATABLE READ")

    @classmethod
    def open(cls, url: str | None, data_dir: Path, sealer: Sealer | None = None) -> Database:
        """Connect; SQLite in `data_dir` where no URL is given, and its key file where no sealer is.

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
        database = cls(engine, sealer or Sealer(data_dir))
        if engine.dialect.name == "postgresql":
            postgres.prepare(engine)
        else:
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

    def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction that sees one state of the database throughout; again where it was cut off."""

        def once() -> T:
            with Session(self._reader, info={SEALER: self._sealer}) as session, session.begin():
                return work(session)

        return self._in_the_end(once)

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a transaction that is stored whole, once, when it returns, and not at all when it raises.

        `work` is run again when the connection broke before anything was stored, so it must do nothing else.
        """
        return self._in_the_end(lambda: self._write_once(work))

    def _write_once(self, work: Callable[[Session], T]) -> T:
        transaction: str | None = None
        with Session(self._engine, info={SEALER: self._sealer}) as session:
            try:
                result = work(session)
                session.flush()
                if self._engine.dialect.name == "postgresql":
                    transaction = postgres.transaction_of(session)
                session.commit()
            except DBAPIError as error:
                if transaction is None or not postgres.is_passing(error):
                    raise
                session.close()  # its connection is dead, and the question needs one
                if not self._was_committed(transaction):
                    raise
        return result

    def _was_committed(self, transaction: str) -> bool:
        """Whether a COMMIT without an answer took place; `DataDirectoryError` where that cannot be found out."""
        return self._in_the_end(lambda: postgres.was_committed(self._engine, transaction))

    def _in_the_end(self, once: Callable[[], T]) -> T:
        with self._errors_in_words():
            try:
                return self._patiently(once)
            except DBAPIError as error:
                if not self._reached or not self._is_passing(error):
                    raise
                # Customers' calls end here: where the database stands is for the log.
                self.on_failure()
                log.error("The database at %s does not answer: %s", self._place(), _one_line(error.orig))
                raise DataDirectoryError(
                    "The database does not answer at the moment; what was stored before is kept, try again in a minute."
                ) from error

    def _patiently(self, once: Callable[[], T]) -> T:
        """What `once` gives; tried again for as long as an outage may last, once the database was there at all."""
        give_up, pause = time.monotonic() + OUTAGE_SECONDS, FIRST_PAUSE_SECONDS
        while True:
            try:
                result = once()
            except DBAPIError as error:
                if not self._reached or not self._is_passing(error):
                    self._outage_ends = None  # it answered, though with a no
                    raise
                now = time.monotonic()
                ends = self._outage_ends = self._outage_ends or now + OUTAGE_SECONDS  # other threads set it, too
                left = min(give_up, ends) - now
                if left <= 0:
                    raise
                log.warning("The database was cut off, trying again: %s", _one_line(error.orig))
            except Exception:  # our own no: the database answered
                self._outage_ends = None
                raise
            else:
                self._answered()
                return result
            time.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _is_passing(self, error: DBAPIError) -> bool:
        return self._engine.dialect.name == "postgresql" and postgres.is_passing(error)

    def _answered(self) -> None:
        self._reached, self._outage_ends = True, None

    def upgrade(self, revision: str = "head") -> None:
        """Run the migrations that are missing, in one transaction; a second process waits and finds nothing to do."""
        if self._migrate("upgrade", revision):
            self.forget_deleted()

    def seal_anew(self) -> None:
        """Seal with the newest key what an older one sealed; from then on the older one opens nothing.

        Raises:
            DataDirectoryError: a value is sealed with a key that is not ours.
        """
        self.write(seal_anew)

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
            if self._engine.dialect.name == "sqlite":
                sqlite.check_room(self._engine)
        self._answered()

    def forget_deleted(self) -> None:
        """Take deleted rows off the disk; PostgreSQL does so itself, with its autovacuum."""
        if self._engine.dialect.name == "sqlite":
            with self._errors_in_words():
                sqlite.forget_deleted(self._engine)

    def backup(self, to: Path) -> None:
        """Copy the SQLite database to the file `to`.

        Raises:
            BadRequest: it is another database.
            DataDirectoryError: the copy cannot be written.
        """
        if self._engine.dialect.name != "sqlite":
            raise BadRequest(
                "This backup cannot copy a PostgreSQL database; copy that one with pg_dump and the data directory "
                "as files."
            )
        try:
            sqlite.backup(self._engine, to)
        except (OSError, sqlite3.Error) as error:
            raise DataDirectoryError(
                f"The copy of the database {str(to)!r} cannot be written ({error}); name a folder with room."
            ) from error

    def _migrate(self, direction: str, revision: str) -> bool:
        """Whether words were deleted, so that they must leave the disk."""
        from alembic import command  # here, because it is needed once and takes longer to import than all the rest
        from alembic.util import CommandError

        run = command.upgrade if direction == "upgrade" else command.downgrade
        with self._errors_in_words(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # SQLite: BEGIN IMMEDIATE is the lock
                postgres.lock_schema(connection)
            config = migration_config()
            config.attributes["connection"] = connection
            config.attributes["sealer"] = self._sealer
            try:
                run(config, revision)
            except CommandError as error:
                raise DataDirectoryError(
                    f"The database at {self._place()} was made by another version ({error}); update chatalogue or "
                    "use another data directory."
                ) from error
        return bool(config.attributes.get("deleted"))

    @contextmanager
    def _errors_in_words(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            self.on_failure()
            raise DataDirectoryError("Every connection to the database is in use; try again in a moment.") from error
        except (DatabaseError, sqlite3.DatabaseError) as error:
            cause = getattr(error, "orig", None) or error
            refused = _REFUSED.get(getattr(cause, "sqlstate", None) or "")
            if isinstance(error, ProgrammingError) and not self._reached and not error.statement:
                refused = "correct what stands behind the '?' of the setting 'database.url'."
            # Only "cannot be used": a broken constraint or a wrong statement is our own mistake and stays as it is.
            if refused or isinstance(error, OperationalError | sqlite3.OperationalError) or type(error) in _BASES:
                hint = refused or _hint(cause)
                self.on_failure()
                raise DataDirectoryError(
                    f"The database at {self._place()} cannot be used: {_one_line(cause)}; {hint}"
                ) from error
            raise

    def _place(self) -> str:
        """Where the database is, without user and password: a URL may hold those in its query too."""
        url = self._engine.url
        return repr(url.database) if url.get_backend_name() == "sqlite" else f"'{url.host or ''}/{url.database or ''}'"


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
    except (ArgumentError, ValueError):  # ValueError: the port is no number; it may be a piece of the password
        raise SettingsError(
            "The setting 'database.url' is not a database URL; write postgresql://user:password@host/database, or "
            "leave it empty for SQLite."
        ) from None
    if parsed.drivername in postgres.SPELLINGS:
        return postgres.read_url(parsed)
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise SettingsError(
            f"The setting 'database.url' names {parsed.drivername!r}; use postgresql://..., or leave it empty for "
            "SQLite."
        )
    if parsed.database in (None, "", ":memory:"):
        raise SettingsError("The setting 'database.url' names a database in memory; name a file or leave it empty.")
    return parsed


def _engine(url: URL) -> Engine:
    # The parameters of a statement are customers' words: they must not reach tracebacks and logs.
    if url.get_backend_name() == "sqlite":
        pool = {name: postgres.POOL[name] for name in ("pool_size", "max_overflow", "pool_timeout")}
        return create_engine(url, hide_parameters=True, **pool)
    link = {name: value for name, value in postgres.LINK.items() if name not in url.query}
    try:
        return create_engine(url, hide_parameters=True, connect_args=link, **postgres.POOL)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"The setting 'database.url' needs the driver of PostgreSQL ({error}): pip install 'psycopg[binary]'."
        ) from None


def _one_line(cause: object) -> str:
    return " ".join(str(cause).split())


def _hint(cause: BaseException) -> str:
    hints = {
        "locked": "another process holds it; end that one or use another data directory.",
        "readonly": "it is read-only; give this user the right to write there.",
        "unable to open": "it cannot be opened; check that the folder exists and can be written.",
        "full": "the disk is full; make room.",
        "No space left": "the disk is full; make room.",
        "not a database": "the file is not a database; move it away or restore a copy.",
        "password authentication": "set user and password in the setting 'database.url'.",
    }
    said = str(cause)
    return next((hint for sign, hint in hints.items() if sign in said), "check that it runs and can be reached.")
