"""Vectors of item documents: Chroma's HNSW for the whole catalogue, an exact scan for a part of it.

An index that is opened without a store scans for the whole catalogue too: for a process beside the one that serves,
because Chroma's embedded store belongs to one process. Knows rows and vectors, no filters and no texts. Chroma's
filtered HNSW loses recall (70-80 % at a selectivity of 10 %), so a filtered search never goes through it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable, NotFound
from retrieval.fusion import RowArray, top_rows
from retrieval.vectors import EMBEDDED, Rows, VectorStores

Hits: TypeAlias = Sequence[tuple[int, float]]

VECTORS_FILE = "embeddings.npy"
"""float32, not float16: numpy has no fast float16 product, it would widen 34,509 rows for each query (50 ms
against 5 ms); the file costs 1.5 kB an item and is mapped, not read."""

_GATHER_BELOW = 0.3
"""Share of rows under which copying them first is cheaper than scoring all."""


class DenseWriter:
    """Streams rows into the vector file and into Chroma. Use as a context manager.

    Raises (any method):
        OSError: the disk is full or read-only.
        IndexUnavailable: Chroma refused.
    """

    def __init__(self, folder: Path, dim: int, stores: VectorStores = EMBEDDED) -> None:
        self.dim = dim
        self.n_rows = 0
        with ExitStack() as stack:
            self._file = stack.enter_context((folder / VECTORS_FILE).open("wb"))
            self._write_header()
            self._store = stores.create(folder)
            stack.callback(self._store.close)
            self._open_parts = stack.pop_all()

    def __enter__(self) -> DenseWriter:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open_parts.close()

    def add(self, ids: Sequence[str], documents: Sequence[str], vectors: FloatArray) -> None:
        """The next rows; `vectors` is float32, (len(ids), dim), of length 1."""
        self._file.write(np.ascontiguousarray(vectors, dtype="<f4").data)
        self.n_rows += len(ids)
        self._store.add(ids, documents, vectors)

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
        self,
        folder: Path,
        ids: Sequence[str],
        *,
        dim: int,
        row_of: Callable[[str], int],
        stores: VectorStores | None = EMBEDDED,
    ) -> None:
        """Open what `DenseWriter` wrote for the rows `ids`; `stores` None: by the vector file alone.

        Raises:
            IndexUnavailable: files are missing or damaged, or the store cannot be opened.
        """
        path = folder / VECTORS_FILE
        try:
            self.vectors: FloatArray = np.load(path, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        except (OSError, ValueError) as exc:
            raise IndexUnavailable(
                f"The vectors in {str(path)!r} cannot be read ({exc}): build them again with `chatalogue index FILE`."
            ) from exc
        if self.vectors.shape != (len(ids), dim):
            raise IndexUnavailable(
                f"The vectors in {str(path)!r} have shape {self.vectors.shape}, the catalogue needs {(len(ids), dim)}: "
                "build them again with `chatalogue index FILE`."
            )
        self._row_of = row_of
        self._store = None if stores is None else stores.open(folder, Rows(ids, self.vectors))

    @property
    def problem(self) -> str:
        """Why the exact scan stands in for the store just now; empty where it does not."""
        return "" if self._store is None else self._store.problem

    def nearest(self, vector: FloatArray, *, k: int, id_rank: RowArray) -> Hits:
        """(row, cosine) of about the `k` nearest of all rows, by HNSW; the cosines themselves are exact.

        Of an index without a store: exactly the `k` nearest.

        Raises:
            IndexUnavailable: the store failed; `scan` still works.
        """
        k = min(k, len(self.vectors))
        if k <= 0:
            return []
        found = None if self._store is None else self._store.nearest(vector, k)
        if found is None:
            return self.scan(vector, k=k, allowed=np.ones(len(self.vectors), dtype=np.bool_), id_rank=id_rank)
        try:
            rows = np.array([self._row_of(item_id) for item_id in found], dtype=np.int32)
        except (LookupError, NotFound) as exc:
            raise IndexUnavailable(f"Chroma knows an item that the catalogue does not ({exc}).") from exc
        return _pairs(*top_rows(rows, self._cosines(rows, vector), k, id_rank))

    def scan(self, vector: FloatArray, *, k: int, allowed: NDArray[np.bool_], id_rank: RowArray) -> Hits:
        """(row, cosine) of exactly the `k` nearest allowed rows, ties by id."""
        rows = np.flatnonzero(allowed).astype(np.int32)
        return _pairs(*top_rows(rows, self._cosines(rows, vector), k, id_rank))

    def close(self) -> None:
        """Release the store's files and connections."""
        if self._store is not None:
            self._store.close()

    def _cosines(self, rows: RowArray, vector: FloatArray) -> FloatArray:
        # vecdot and not `@`: it sums each row by itself, so a row's score does not depend on which other
        # rows are scanned, and a filtered search equals the filtered full scan to the last bit.
        if len(rows) < _GATHER_BELOW * len(self.vectors):
            return cast(FloatArray, np.vecdot(self.vectors[rows], vector))
        scores: FloatArray = np.vecdot(self.vectors, vector)
        return scores[rows]


def _pairs(rows: RowArray, scores: FloatArray) -> Hits:
    return list(zip(rows.tolist(), scores.tolist(), strict=True))
