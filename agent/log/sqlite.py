"""Everything that is said to SQLite and to no other database.

Transactions: the driver's own BEGIN is switched off (it does not cover reads and DDL), so that a write
transaction begins with BEGIN IMMEDIATE. One that first reads and then writes would otherwise fail at once,
without waiting, when another process wrote in between.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

log = logging.getLogger(__name__)

LOCK_SECONDS = 10.0
"""How long a transaction waits for another one, in seconds; ours take milliseconds."""

ROOM_BYTES = 2**20
"""Less free space counts as a full disk; a turn takes about 50 KB."""

MAX_VACUUM_BYTES = 500 * 2**20
"""A bigger file takes longer to be written anew than other writers wait (`LOCK_SECONDS`), on a slow disk."""

READ_ONLY = "chatalogue_read_only"
"""Execution option of engines whose transactions only read: they take a snapshot and no lock."""


def prepare(engine: Engine) -> None:
    """Set up every connection that `engine` will open, and how its transactions begin."""
    event.listen(engine, "connect", _pragmas)
    event.listen(engine, "begin", _begin)
    if engine.url.database is not None and not engine.url.database.startswith("file:"):  # a URI is no path
        _stay_with_the_file(engine, Path(engine.url.database))


def _pragmas(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {LOCK_SECONDS * 1000:.0f}")
        cursor.execute("PRAGMA foreign_keys = ON")
        # FULL, not the usual NORMAL of WAL mode: NORMAL may lose the last transactions when the power goes, and
        # a turn that the customer has seen must not vanish. It costs one fsync for a turn that takes far longer.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA secure_delete = ON")  # what an erasure deletes is overwritten with zeros


def _stay_with_the_file(engine: Engine, file: Path) -> None:
    """Open connections write on into a file that was deleted or moved away, and nobody would ever find their rows.

    So each use of one looks whether the file is still in its place; a copy that was restored there is opened anew.
    """

    def remember(_connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
        record.info["file"] = _identity(file)

    def look(_connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        now = _identity(file)
        if now is None:
            raise sqlite3.OperationalError("unable to open database file: it is not in its place any more")
        if now != record.info["file"]:
            raise DisconnectionError("another file stands in the database's place")

    event.listen(engine, "connect", remember)
    event.listen(engine, "checkout", look)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _begin(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def use_wal(engine: Engine) -> None:
    """Switch the file to a write-ahead log (it stays so): readers and the writer do not wait for each other."""
    deadline = time.monotonic() + LOCK_SECONDS
    with closing(engine.raw_connection()) as connection:
        driver: Any = connection.driver_connection
        while True:
            try:
                driver.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                # SQLite does not wait by itself here, and two first starts meet on a new file.
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)


def check_room(engine: Engine) -> None:
    """Find a full disk before a customer does: a trial write that is taken back never reaches the disk.

    Raises:
        sqlite3.OperationalError: there is no room for the next turns.
    """
    if engine.url.database is not None and shutil.disk_usage(Path(engine.url.database).parent).free < ROOM_BYTES:
        raise sqlite3.OperationalError("the disk is full")


def forget_deleted(engine: Engine) -> None:
    """Take what was deleted off the disk: write the file anew, and empty the write-ahead log.

    `secure_delete` is not enough: where SQLite had moved a row before, to balance its pages, the place that it left may
    keep its words, and no later deletion finds them there (seen with 3.40 in 3 of 40 random series of inserts and
    deletes). The write-ahead log has old versions of whole pages.
    """
    with closing(engine.raw_connection()) as connection:
        driver: Any = connection.driver_connection
        size = driver.execute("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size").fetchone()[0]
        if size > MAX_VACUUM_BYTES:
            log.warning("The database is too big to be written anew beside customers: VACUUM it when nobody writes.")
        else:
            try:
                driver.execute("VACUUM")
            except sqlite3.OperationalError as error:
                _warn_if_passing(error)
        try:
            busy, _pages, _moved = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            _warn_if_passing(error)
            return
    if busy:
        log.warning("The write-ahead log is in use: what was erased leaves the disk at the next checkpoint.")


def _warn_if_passing(error: sqlite3.OperationalError) -> None:
    """What was deleted is committed: whoever erased must not be told that it failed. Raises any other error."""
    for why, told in (("locked", "in use"), ("full", "on a full disk")):
        if why in str(error):
            log.warning("The database is %s: remains of what was erased leave the disk with the next erasure.", told)
            return
    raise error


def backup(engine: Engine, to: Path) -> None:
    """Copy the database to the file `to` while others write; `to` is complete or as it was before."""
    to.parent.mkdir(parents=True, exist_ok=True)
    partial = to.with_name(f"{to.name}.{os.getpid()}.partial")
    try:
        with closing(engine.raw_connection()) as connection, closing(sqlite3.connect(partial)) as copy:
            driver: Any = connection.driver_connection
            driver.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without companions
        partial.replace(to)
    finally:
        partial.unlink(missing_ok=True)
