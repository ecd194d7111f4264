"""What else people take who had to do with the items spoken of: item-item scores from ratings, likes and purchases.

Learns from interactions by item id and knows nothing of words. Not covered: who is asking, beyond the items of the
query; what has changed since it was fitted.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.branches.base import Cues, Scores
from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable
from retrieval.ratings.interactions import Interactions
from retrieval.ratings.itemitem import ease_weights
from retrieval.table import ItemTable, RowArray

FILE = "collaborative.npz"

MAX_ITEMS = 6_000
"""Items with a column of their own, those with most interactions; the others count as cold. The fit takes its cube."""

RIDGE = 10.0
"""EASE's lambda by the mean number of interactions of an item. On ReDial's valid part 1 to 14 give the same."""

NEIGHBOURS = 5
"""Warm items that speak for a cold one."""

SPEAKERS = 200
"""Warm items of a query that speak for cold ones, those of the largest scores: among 1,000,000 items all of them would
take 200 ms."""

_BLOCK_ROWS = 4_096
"""Cold items compared with the warm ones at once: bounds the memory, 100 MB at `MAX_ITEMS`."""


class CollaborativeBranch:
    """Signals `collaborative.<source>` and `collaborative.<source>.popularity` for each source of interactions.

    The first sums EASE weights over the items spoken of, each times its sign and weight. An item without interactions
    gets the mean of the scores of its `NEIGHBOURS` nearest items that have some, each times the cosine of the two
    descriptions (below 0: 0), and those that are not among the query's `SPEAKERS` count as 0; spoken of, it hands its
    weight to them by the same shares. The second is the logarithm of 1 + the number of users, the same in each query.

    Sources stay apart because they speak of different tastes: what is watched over decades is not what is talked of
    this year. They do not touch each other, so what stays the same in all folds of a cross-fit may be a branch of its
    own.
    """

    def __init__(self, sources: Mapping[str, _Source], ids: str) -> None:
        self._sources = dict(sources)
        self._ids = ids

    @classmethod
    def fit(
        cls, table: ItemTable, sources: Mapping[str, Interactions], vectors: FloatArray | None = None
    ) -> CollaborativeBranch:
        """Learn from each source; unknown items are tolerated, a source without a known one is left out.

        Args:
            table: the catalogue.
            sources: interactions by the name that their signals get: letters, digits and "_".
            vectors: unit vectors of the items' descriptions, (len(table), dim); None leaves cold items unscored.
        """
        fitted = {name: _fit(table, interactions, vectors) for name, interactions in sources.items()}
        return cls({name: source for name, source in fitted.items() if source is not None}, _ids_of(table))

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`; 30 seeds take 1 ms a source among 34,509 items, 14 ms among 1,000,000."""
        found: dict[str, Scores] = {}
        for name, source in self._sources.items():
            values = source.scored(cues.seeds)
            if values is not None:
                found[f"collaborative.{name}"] = Scores.of(values)
            found[f"collaborative.{name}.popularity"] = source.popularity
        return found

    def save(self, folder: Path) -> None:
        """Write `FILE`; it is complete or absent.

        Raises:
            OSError: the disk is full or read-only.
        """
        arrays = {
            f"{name}.{field.name}": getattr(source, field.name)
            for name, source in self._sources.items()
            for field in fields(source)
        }
        part = folder / f".{FILE}.{os.getpid()}"
        try:
            with part.open("wb") as out:
                np.savez(out, ids=np.array(self._ids), names=np.array(list(self._sources), dtype=np.str_), **arrays)
            os.replace(part, folder / FILE)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, folder: Path, table: ItemTable) -> CollaborativeBranch:
        """Read what `save` wrote for the same catalogue.

        Raises:
            IndexUnavailable: the file is missing, damaged or of another catalogue.
        """
        try:
            # Opened here, because numpy leaves a damaged file open.
            with (folder / FILE).open("rb") as file, np.load(file, allow_pickle=False) as saved:
                ids = str(saved["ids"])
                sources = {
                    str(name): _Source(**{field.name: saved[f"{name}.{field.name}"] for field in fields(_Source)})
                    for name in saved["names"]
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise IndexUnavailable(
                f"The item-item model in {str(folder)!r} cannot be read ({error}): learn it again."
            ) from error
        if ids != _ids_of(table):
            raise IndexUnavailable(f"The item-item model in {str(folder)!r} is of another catalogue: learn it again.")
        return cls(sources, ids)


@dataclass(frozen=True, slots=True)
class _Source:
    """One source of interactions, learned.

    `rows` int32 (warm,): the items with a column, sorted. `weights` float16 (warm, warm), see `ease_weights`. `cold`
    int32 (cold,): the other rows, sorted. `near` int32 (cold, k): their nearest warm items as places in `rows`; `share`
    float32 (cold, k): cosine / k. `told` int32 (cold * k,): places in the flat `near`, by warm item; those of item w
    stand from `starts[w]` to `starts[w + 1]`. `counted` int32 and `logs` float32: rows with users, the logarithm of 1 +
    their number.
    """

    rows: RowArray
    weights: NDArray[np.float16]
    cold: RowArray
    near: RowArray
    share: FloatArray
    told: RowArray
    starts: RowArray
    counted: RowArray
    logs: FloatArray

    @property
    def popularity(self) -> Scores:
        """The logarithms."""
        return Scores(self.counted, self.logs)

    def scored(self, seeds: Mapping[int, float]) -> FloatArray | None:
        """The score of every row, float32; None where no seed is known to it."""
        warm = self._on_warm(seeds)
        used = np.flatnonzero(warm)
        if not len(used):
            return None
        scores = warm[used] @ self.weights[used].astype(np.float32)
        values = np.zeros(len(self.rows) + len(self.cold), dtype=np.float32)
        values[self.rows] = scores
        speakers = np.argsort(-np.abs(scores), kind="stable")[:SPEAKERS].tolist()
        pairs = np.concatenate([self.told[self.starts[one] : self.starts[one + 1]] for one in speakers])
        if len(pairs):
            said = scores[self.near.ravel()[pairs]] * self.share.ravel()[pairs]
            np.add.at(values, self.cold[pairs // self.near.shape[1]], said)
        return values

    def _on_warm(self, seeds: Mapping[int, float]) -> FloatArray:
        """The weights of the seeds on the items that have a column, those of cold ones handed on: float32, (warm,)."""
        warm = np.zeros(len(self.rows), dtype=np.float32)
        for row, weight in seeds.items():
            place = np.searchsorted(self.rows, row)
            if place < len(self.rows) and self.rows[place] == row:
                warm[place] += weight
            else:
                cold = np.searchsorted(self.cold, row)
                warm[self.near[cold]] += np.float32(weight) * self.share[cold]
        return warm


def _fit(table: ItemTable, interactions: Interactions, vectors: FloatArray | None) -> _Source | None:
    from scipy.sparse import csr_array  # type: ignore[import-untyped]

    ids = {item_id: row for row, item_id in enumerate(table.ids)}
    row_of = np.array([ids.get(item_id, -1) for item_id in interactions.items], dtype=np.int32)
    rows = row_of[interactions.item]
    known = rows >= 0
    if not known.any():
        return None
    users, rows, values = interactions.user[known], rows[known], interactions.value[known]
    n_users = np.bincount(rows, minlength=len(table))
    counted = np.flatnonzero(n_users).astype(np.int32)
    # Not disliked is enough to go together: grades instead of ones gave nothing on ReDial.
    kept = values >= 0
    n_kept = np.bincount(rows[kept], minlength=len(table))
    most = np.argsort(-n_kept, kind="stable")[:MAX_ITEMS]
    warm = np.sort(most[n_kept[most] > 0]).astype(np.int32)
    place = np.full(len(table), -1, dtype=np.int32)
    place[warm] = np.arange(len(warm))
    kept &= place[rows] >= 0
    shape = (len(interactions.users), len(warm))
    matrix = csr_array((np.ones(int(kept.sum()), dtype=np.float32), (users[kept], place[rows[kept]])), shape=shape)
    weights = ease_weights(matrix, RIDGE * matrix.nnz / max(len(warm), 1))
    cold = np.flatnonzero(place < 0).astype(np.int32)
    near, share = _nearest(cold, warm, vectors)
    told = np.argsort(near.ravel(), kind="stable").astype(np.int32)
    return _Source(
        rows=warm,
        weights=weights.astype(np.float16),
        cold=cold,
        near=near,
        share=share,
        told=told,
        starts=np.searchsorted(near.ravel()[told], np.arange(len(warm) + 1)).astype(np.int32),
        counted=counted,
        logs=np.log1p(n_users[counted]).astype(np.float32),
    )


def _nearest(cold: RowArray, warm: RowArray, vectors: FloatArray | None) -> tuple[RowArray, FloatArray]:
    """Places in `warm` of the nearest items of each cold row, and cosine / k: both (cold, k)."""
    k = 0 if vectors is None else min(NEIGHBOURS, len(warm))
    near = np.zeros((len(cold), k), dtype=np.int32)
    share = np.zeros((len(cold), k), dtype=np.float32)
    if vectors is None or k == 0:
        return near, share
    columns = np.ascontiguousarray(vectors[warm].T)
    for start in range(0, len(cold), _BLOCK_ROWS):
        block = slice(start, start + _BLOCK_ROWS)
        cosines = vectors[cold[block]] @ columns
        near[block] = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        share[block] = np.maximum(np.take_along_axis(cosines, near[block], axis=1), 0) / k
    return near, share


def _ids_of(table: ItemTable) -> str:
    """A hash of the ids in their order: row numbers mean nothing elsewhere."""
    return hashlib.sha256("\n".join(table.ids).encode(errors="surrogatepass")).hexdigest()
