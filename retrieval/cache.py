"""Embeddings by content hash, kept between builds so that only what changed is embedded again.

Holds hashes and vectors, never a text. Knows nothing of items; a vector leaves it when the newest
index no longer has its hash, because vectors of an erased text would tell of the text.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from retrieval.encoder import FloatArray

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    hash BLOB NOT NULL, encoder TEXT NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (hash, encoder)
) WITHOUT ROWID
"""
_MAX_VARIABLES = 500
"""Hashes asked in one SELECT; SQLite's default limit is 32,766."""


class EmbeddingCache:
    """One SQLite file; each `put` is a commit, so a killed build loses at most one batch.

    Raises (any method):
        sqlite3.Error: the file cannot be read or written.
    """

    def __init__(self, path: Path, encoder: str, dim: int) -> None:
        self._encoder = encoder
        self._dim = dim
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as exc:
            if exc.sqlite_errorcode not in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise
            log.warning("the embedding cache %s is damaged and starts anew: %s", path, exc)
            path.unlink()
            self._db = _open(path)

    def get(self, hashes: Sequence[str]) -> dict[str, FloatArray]:
        """The vectors that are known, by hash (hex): float32, (dim,) each."""
        found: dict[str, FloatArray] = {}
        wanted = list(dict.fromkeys(hashes))
        for start in range(0, len(wanted), _MAX_VARIABLES):
            part = [bytes.fromhex(one) for one in wanted[start : start + _MAX_VARIABLES]]
            marks = ",".join("?" * len(part))
            rows = self._db.execute(
                f"SELECT hash, vector FROM vectors WHERE encoder = ? AND hash IN ({marks})",  # noqa: S608 - question marks only
                [self._encoder, *part],
            )
            for digest, blob in rows:
                vector = np.frombuffer(blob, dtype="<f4")
                if vector.shape == (self._dim,):
                    found[digest.hex()] = vector
        return found

    def put(self, vectors: Mapping[str, FloatArray]) -> None:
        """Store and commit vectors by hash (hex)."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                (
                    (bytes.fromhex(digest), self._encoder, np.asarray(vector, dtype="<f4").tobytes())
                    for digest, vector in vectors.items()
                ),
            )

    def keep_only(self, hashes: Iterable[str]) -> None:
        """Forget every other hash and every other encoder; the freed bytes are overwritten."""
        with self._db:
            self._db.execute("CREATE TEMP TABLE live (hash BLOB PRIMARY KEY) WITHOUT ROWID")
            self._db.executemany("INSERT OR IGNORE INTO live VALUES (?)", ((bytes.fromhex(one),) for one in hashes))
            self._db.execute(
                "DELETE FROM vectors WHERE encoder <> ? OR hash NOT IN (SELECT hash FROM live)", [self._encoder]
            )
            self._db.execute("DROP TABLE live")

    def close(self) -> None:
        """Release the file."""
        self._db.close()


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    try:
        db.execute("PRAGMA secure_delete = ON")
        # A lost batch is embedded again; a full sync per batch would cost more than that.
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(_SCHEMA)
        db.execute("SELECT hash FROM vectors LIMIT 1").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db
