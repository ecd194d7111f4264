"""Vectors of item documents: Chroma's HNSW for the whole catalogue, an exact scan for a part of it.

An index that is opened `exact_only` scans for the whole catalogue too and leaves Chroma's store alone, which belongs to
one process at a time. Knows rows and vectors, no filters and no texts. Chroma's filtered HNSW loses recall (70-80 % at
a selectivity of 10 %), so a filtered search never goes through it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable
from retrieval.fusion import RowArray, top_rows

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateHNSWConfiguration
    from chromadb.api.models.Collection import Collection

log = logging.getLogger(__name__)

T = TypeVar("T")

Hits: TypeAlias = Sequence[tuple[int, float]]

COLLECTION = "items"
CHROMA_FOLDER = "chroma"
VECTORS_FILE = "embeddings.npy"
"""float32, not float16: numpy has no fast float16 product, it would widen 34,509 rows for each query (50 ms
against 5 ms); the file costs 1.5 kB an item and is mapped, not read."""

HNSW: CreateHNSWConfiguration = {"space": "cosine", "ef_construction": 100, "max_neighbors": 16, "ef_search": 800}
"""For recall@200 >= 0.98 against the exact scan, which `python -m retrieval.bench.latency` measures. On 34,375 films
and 100 text queries ef_search 600 finds 98.8 %, 800 99.4 %. On 20,000 films 32 neighbours (ef_construction 200) find
1 % more at an ef_search of 400, but the build takes 1.5 times as long."""

_GATHER_BELOW = 0.3
"""Share of rows under which copying them first is cheaper than scoring all."""


class DenseWriter:
    """Streams rows into the vector file and into Chroma. Use as a context manager.

    Raises (any method):
        OSError: the disk is full or read-only.
        IndexUnavailable: Chroma refused.
    """

    def __init__(self, folder: Path, dim: int) -> None:
        self.dim = dim
        self.n_rows = 0
        with ExitStack() as stack:
            self._file = stack.enter_context((folder / VECTORS_FILE).open("wb"))
            self._write_header()
            client = _guarded(lambda: _client(folder / CHROMA_FOLDER), "cannot be created")
            stack.callback(client.close)
            self._collection: Collection = _guarded(
                lambda: client.create_collection(COLLECTION, embedding_function=None, configuration={"hnsw": HNSW}),
                "cannot be created",
            )
            self._open_parts = stack.pop_all()

    def __enter__(self) -> DenseWriter:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open_parts.close()

    def add(self, ids: Sequence[str], documents: Sequence[str], vectors: FloatArray) -> None:
        """The next rows; `vectors` is float32, (len(ids), dim), of length 1."""
        self._file.write(np.ascontiguousarray(vectors, dtype="<f4").data)
        self.n_rows += len(ids)
        _guarded(
            lambda: self._collection.add(ids=list(ids), documents=list(documents), embeddings=list(vectors)),
            "refused rows",
        )

    def finish(self) -> None:
        """Write the true number of rows and force the file to the disk."""
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _write_header(self) -> None:
        # numpy pads the header so that the first axis may grow in place (numpy.lib.format, "growth axis").
        np.lib.format.write_array_header_1_0(
            self._file, {"descr": "<f4", "fortran_order": False, "shape": (self.n_rows, self.dim)}
        )


class DenseIndex:
    """Nearest rows of a vector; safe to share between threads."""

    def __init__(
        self, folder: Path, *, n_rows: int, dim: int, row_of: Callable[[str], int], exact_only: bool = False
    ) -> None:
        """Open what `DenseWriter` wrote; with `exact_only` without Chroma.

        Raises:
            IndexUnavailable: files are missing or damaged, or Chroma cannot open its store.
        """
        path = folder / VECTORS_FILE
        try:
            self.vectors: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except (OSError, ValueError) as exc:
            raise IndexUnavailable(
                f"The vectors in {str(path)!r} cannot be read ({exc}): build them again with `chatalogue index FILE`."
            ) from exc
        if self.vectors.shape != (n_rows, dim):
            raise IndexUnavailable(
                f"The vectors in {str(path)!r} have shape {self.vectors.shape}, the catalogue needs {(n_rows, dim)}: "
                "build them again with `chatalogue index FILE`."
            )
        self._row_of = row_of
        self._client: Client | None = None
        self._collection: Collection | None = None
        if not exact_only:
            self._open_chroma(folder)

    def _open_chroma(self, folder: Path) -> None:
        if not (folder / CHROMA_FOLDER / "chroma.sqlite3").is_file():  # Chroma would make an empty one
            raise IndexUnavailable(
                f"There is no Chroma store in {str(folder)!r}: build it again with `chatalogue index FILE`."
            )
        client = _guarded(lambda: _client(folder / CHROMA_FOLDER), "cannot be opened")
        try:
            self._collection = _guarded(
                lambda: client.get_collection(COLLECTION, embedding_function=None), "cannot be opened"
            )
        except IndexUnavailable:
            client.close()
            raise
        self._client = client

    def nearest(self, vector: FloatArray, *, k: int, id_rank: RowArray) -> Hits:
        """(row, cosine) of about the `k` nearest of all rows, by HNSW; the cosines themselves are exact.

        Of an index that is opened `exact_only`: exactly the `k` nearest.

        Raises:
            IndexUnavailable: Chroma failed; `scan` still works.
        """
        collection = self._collection
        if collection is None:
            return self.scan(vector, k=k, allowed=np.ones(len(self.vectors), dtype=np.bool_), id_rank=id_rank)
        k = min(k, len(self.vectors))
        if k <= 0:
            return []
        found = _guarded(
            lambda: collection.query(query_embeddings=list(vector[None]), n_results=k, include=[]),
            "failed on a query",
        )
        try:
            rows = np.array([self._row_of(item_id) for item_id in found["ids"][0]], dtype=np.int32)
        except LookupError as exc:
            raise IndexUnavailable(f"Chroma knows an item that the catalogue does not ({exc}).") from exc
        return _pairs(*top_rows(rows, self._cosines(rows, vector), k, id_rank))

    def scan(self, vector: FloatArray, *, k: int, allowed: NDArray[np.bool_], id_rank: RowArray) -> Hits:
        """(row, cosine) of exactly the `k` nearest allowed rows, ties by id."""
        rows = np.flatnonzero(allowed).astype(np.int32)
        return _pairs(*top_rows(rows, self._cosines(rows, vector), k, id_rank))

    def close(self) -> None:
        """Release Chroma's files."""
        if self._client is not None:
            self._client.close()

    def _cosines(self, rows: RowArray, vector: FloatArray) -> FloatArray:
        # vecdot and not `@`: it sums each row by itself, so a row's score does not depend on which other
        # rows are scanned, and a filtered search equals the filtered full scan to the last bit.
        if len(rows) < _GATHER_BELOW * len(self.vectors):
            return cast(FloatArray, np.vecdot(self.vectors[rows], vector))
        scores: FloatArray = np.vecdot(self.vectors, vector)
        return scores[rows]


def _pairs(rows: RowArray, scores: FloatArray) -> Hits:
    return list(zip(rows.tolist(), scores.tolist(), strict=True))


def _client(folder: Path) -> Client:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    return cast("Client", client)  # declared as ClientAPI, which lacks `close`


def _guarded(call: Callable[[], T], what: str) -> T:
    """Run a Chroma call; whatever its Rust part raises becomes one sentence."""
    import chromadb.errors

    try:
        return call()
    except (chromadb.errors.ChromaError, ValueError, RuntimeError, KeyError, AttributeError) as exc:
        log.warning("chroma %s: %s: %s", what, type(exc).__name__, exc)
        raise IndexUnavailable(
            f"The Chroma store {what} ({type(exc).__name__}: {exc}): check the disk, then build the index again with "
            "`chatalogue index FILE`."
        ) from exc
