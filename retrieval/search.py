"""A query in, ranked candidates out: the branches over one opened index, filtered exactly and fused.

Knows nothing of dialogues, users, files or how an index is made. Not covered: learned ranking.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.dense import DenseIndex, Hits
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import IndexUnavailable, ModelUnavailable
from retrieval.fusion import RankedList, fuse
from retrieval.lexical import LexicalIndex
from retrieval.query import BranchName, Candidate, Query, SeedItem, WeightedText
from retrieval.table import BoolArray, ItemTable
from retrieval.text import plain

log = logging.getLogger(__name__)

MAX_QUERY_CHARS = 2_000
"""What is read of one text; the encoder stops at 256 word pieces anyway."""

DISLIKE_SHARE = 0.5
"""How far the mean of the disliked seeds is subtracted from the mean of the liked ones (Rocchio: less than 1,
because a dislike says where not to look, not where to)."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """At most `Query.k` candidates, best first, ids unique, each passing every filter.

    `degraded`: the encoder failed (candidates come from words and seeds alone) or Chroma did (the exact scan stood in
    for it: the same candidates or better ones).
    """

    candidates: tuple[Candidate, ...]
    degraded: bool = False


class Retriever:
    """One opened index. Thread-safe; `close` when another has taken its place."""

    def __init__(self, table: ItemTable, encoder: Encoder, dense: DenseIndex, lexical: LexicalIndex) -> None:
        self.table = table
        self.encoder = encoder
        self.dense = dense
        self.lexical = lexical

    @property
    def problem(self) -> str:
        """Why searches are degraded just now, for the operator; empty where Chroma works."""
        return self.dense.problem

    def vector_of(self, item_id: str) -> FloatArray:
        """The unit vector of one item: float32, (dim,).

        Raises:
            NotFound: no item has this id.
        """
        return np.array(self.dense.vectors[self.table.row_of(item_id)])

    def search(self, query: Query) -> SearchResult:
        """Retrieve by every branch that the query feeds, filter exactly, fuse by rank.

        Never raises for an unknown seed or excluded id, an unknown attribute (it fails every filter but
        `ne`), an empty or odd text; nothing that matches is an empty result.
        """
        allowed = self.table.mask(query.filters)
        # Excluded rows and seeds go the way of filters: exact, whatever the branch.
        allowed[self.table.rows_of(query.exclude)] = False
        allowed[self.table.rows_of(seed.item_id for seed in query.seeds)] = False
        texts = [WeightedText(text, one.weight) for one in query.texts if (text := _readable(one.text))]
        lists, degraded = self._lists(query, texts, allowed)
        if not any(one.hits for one in lists):  # nothing to go by, or what had to be used failed
            lists = [self._popular(allowed, query.k)]
        return SearchResult(fuse(lists, k=query.k), degraded)

    def similar(self, item_id: str, k: int = 10) -> tuple[Candidate, ...]:
        """The `k` items nearest to an item by description, itself left out.

        Raises:
            NotFound: no item has this id.
        """
        self.table.row_of(item_id)
        return self.search(Query(seeds=(SeedItem(item_id, 2.0),), k=k)).candidates

    def close(self) -> None:
        """Release the files of the index; searches after this fail."""
        self.dense.close()

    def _lists(self, query: Query, texts: Sequence[WeightedText], allowed: BoolArray) -> tuple[list[RankedList], bool]:
        """The ranked lists of all branches that have something to go by, and whether one failed."""
        lists: list[RankedList] = []
        for one in texts:
            hits = self.lexical.search(one.text, k=query.k, allowed=allowed, id_rank=self.table.id_rank)
            lists.append(self._named("lexical", hits, one.weight))
        degraded = False
        probes: list[tuple[BranchName, FloatArray, float]] = []
        if texts:
            try:
                vectors = self.encoder.encode([one.text for one in texts])
            except (ModelUnavailable, RuntimeError, OSError) as exc:  # RuntimeError: what torch raises
                log.warning("the encoder failed, searching by words alone: %s", exc)
                degraded = True
            else:
                probes += [("dense", vector, one.weight) for vector, one in zip(vectors, texts, strict=True)]
        centre = self._centre(query.seeds)
        if centre is not None:
            probes.append(("seeds", centre, 1.0))
        for branch, vector, weight in probes:
            hits, failed = self._near(vector, query.k, allowed)
            degraded |= failed
            lists.append(self._named(branch, hits, weight))
        return lists, degraded

    def _near(self, vector: FloatArray, k: int, allowed: BoolArray) -> tuple[Hits, bool]:
        """The nearest allowed rows, and whether Chroma failed (the exact scan then stands in for it)."""
        if allowed.all():
            try:
                return self.dense.nearest(vector, k=k, id_rank=self.table.id_rank), False
            except IndexUnavailable:
                return self.dense.scan(vector, k=k, allowed=allowed, id_rank=self.table.id_rank), True
        return self.dense.scan(vector, k=k, allowed=allowed, id_rank=self.table.id_rank), False

    def _centre(self, seeds: Sequence[SeedItem]) -> FloatArray | None:
        """Where liked seeds lie, moved away from disliked ones; None without a liked seed."""
        liked = self._mean([seed for seed in seeds if seed.attitude > 0])
        if liked is None:
            return None
        disliked = self._mean([seed for seed in seeds if seed.attitude < 0])
        centre = liked if disliked is None else liked - np.float32(DISLIKE_SHARE) * disliked
        length = float(np.linalg.norm(centre))
        return None if length == 0 else (centre / length).astype(np.float32)

    def _mean(self, seeds: Sequence[SeedItem]) -> FloatArray | None:
        known = [seed for seed in seeds if seed.item_id in self.table]
        if not known:
            return None
        weights = np.array([abs(seed.attitude) for seed in known], dtype=np.float32)
        vectors = self.dense.vectors[self.table.rows_of(seed.item_id for seed in known)]
        mean: NDArray[np.float32] = (weights @ vectors) / weights.sum()
        return mean

    def _popular(self, allowed: BoolArray, k: int) -> RankedList:
        rows = self.table.by_popularity
        best = rows[allowed[rows]][: max(k, 0)]
        return self._named("popular", [(row, self.table.items[row].popularity) for row in best.tolist()], 1.0)

    def _named(self, branch: BranchName, hits: Hits, weight: float) -> RankedList:
        return RankedList(branch, [(self.table.ids[row], score) for row, score in hits], weight)


def _readable(text: str) -> str:
    """The part of a text that search reads; "" where nothing is left."""
    return plain(text[: 2 * MAX_QUERY_CHARS])[:MAX_QUERY_CHARS]
