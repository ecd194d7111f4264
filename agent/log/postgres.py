"""Everything that is said to PostgreSQL and to no other database.

One driver is used, psycopg 3; whatever form of the URL an operator pastes is read as its own. Knows nothing of tables.
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select, text
from sqlalchemy.engine import URL
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from retrieval.errors import DataDirectoryError, SettingsError

DRIVER = "postgresql+psycopg"
SPELLINGS = frozenset({"postgres", "postgresql", DRIVER})
"""What the scheme of a URL may be."""

POOL: dict[str, Any] = {
    "pool_size": 8,
    "max_overflow": 40,  # as many as a server has threads; those beyond the first eight are closed after use
    "pool_timeout": 10.0,
    "pool_pre_ping": True,  # a connection that died while it lay idle is replaced before it is used
    "isolation_level": "READ COMMITTED",  # a server may be set to another default
}
"""Arguments of `create_engine`; times in seconds."""

STATEMENT_SECONDS = 30
"""The longest that one statement may run; ours take milliseconds."""

LINK: dict[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,  # milliseconds; without it a machine that vanished is waited for for minutes
    "keepalives_idle": 30,
    "application_name": "chatalogue",
    "client_encoding": "utf8",
}
"""libpq's own options, in seconds unless said; what the URL says of them wins."""

_SCHEMA_LOCK = 0x63686174  # any number that nobody else takes in this database
_LOOK_EVERY_SECONDS = 0.05
_PASSING = frozenset(
    {
        "08000", "08001", "08003", "08004", "08006",  # no connection
        "57P01", "57P02", "57P03",  # stopped by the administrator, by a crash, or starting up
        "53300",  # too many connections
        "40001", "40P01",  # another transaction was in the way, and this one was taken back
    }
)  # fmt: skip


def read_url(url: URL) -> URL:
    """The URL with our driver.

    Raises:
        SettingsError: a password holds an '@' as it is, so that the parts of the URL cannot be told apart.
    """
    if url.host and "@" in url.host:
        # Without quoting it: what was taken for the host is the end of the password.
        raise SettingsError("The setting 'database.url' has an '@' in its password; write it as %40.")
    return url.set(drivername=DRIVER)


def prepare(engine: Engine) -> None:
    """Set up every connection that `engine` will open."""
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "handle_error", _keep_words_out)


def _set_up(connection: DBAPIConnection, _record: object) -> None:
    driver: Any = connection
    driver.autocommit = True  # else the settings would go with the first rollback
    # By statements and not by the start-up option `options`, which poolers such as PgBouncer refuse.
    driver.execute("SET TIME ZONE 'UTC'")
    driver.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
    # A COMMIT that was lost on its way leaves its transaction open, and its locks, until the server gives it up.
    driver.execute(f"SET idle_in_transaction_session_timeout = '{STATEMENT_SECONDS}s'")
    driver.autocommit = False


def _keep_words_out(context: ExceptionContext) -> None:
    """Leave only the first sentence of an error: those behind it quote the row, which is what a customer said."""
    cause: Any = context.original_exception
    sentence = getattr(getattr(cause, "diag", None), "message_primary", None)
    if sentence:
        cause.args = (sentence,)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = (f"({type(cause).__name__}) {sentence}",)


def lock_schema(connection: Connection) -> None:
    """Be alone with the tables until the transaction ends, for as long as it takes.

    Raises:
        DataDirectoryError: the database cannot keep every character.
    """
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise DataDirectoryError(
            f"The database {connection.engine.url.database!r} has the encoding {encoding}; create one with "
            "ENCODING 'UTF8' TEMPLATE template0."
        )
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))


def is_passing(error: DBAPIError) -> bool:
    """Whether the same may go well in a moment: no connection, or another transaction in the way."""
    if error.connection_invalidated:
        return True
    # psycopg raises OperationalError without a code where it cannot connect, or lost the connection.
    code = getattr(error.orig, "sqlstate", "")
    return code in _PASSING or (code is None and type(error.orig).__name__ == "OperationalError")


def transaction_of(session: Session) -> str | None:
    """The number of the transaction; None while it has written nothing."""
    number: str | None = session.scalar(text("SELECT CAST(pg_current_xact_id_if_assigned() AS text)"))
    return number


def was_committed(engine: Engine, transaction: str) -> bool:
    """What became of a transaction whose end we did not hear; waits while the server still works on it.

    Raises:
        DataDirectoryError: it works on it for longer than it lets an idle transaction stand.
    """
    give_up = time.monotonic() + STATEMENT_SECONDS + 5
    asked = text("SELECT pg_xact_status(CAST(CAST(:transaction AS text) AS xid8))")
    while True:
        with engine.connect() as connection:
            status = connection.scalar(asked, {"transaction": transaction})
        if status != "in progress":
            return status == "committed"  # type: ignore[no-any-return]
        if time.monotonic() > give_up:
            raise DataDirectoryError(
                "The database does not say whether the last message was stored; look at the conversation in a minute."
            )
        time.sleep(_LOOK_EVERY_SECONDS)
