"""A query in, ranked candidates out: the branches over one opened index, filtered exactly and fused.

Knows nothing of dialogues, users, files or how an index is made. Not covered: learned ranking.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.branches.base import Branch, Cues, Links, Scores
from retrieval.dense import DenseIndex, Hits
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import IndexUnavailable, ModelUnavailable
from retrieval.fusion import RankedList, fuse, shared_places, top_rows
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

    `degraded`: the encoder failed (candidates come from words and seeds alone), Chroma did (the exact scan stood in
    for it: the same candidates or better ones), or a part of `Further` did (it was left out).
    """

    candidates: tuple[Candidate, ...]
    degraded: bool = False


ReadCues: TypeAlias = Callable[[Query], Cues]
"""`retrieval.branches.cues.read_cues` with its linker; the vector may be left out."""


def _unread(query: Query) -> Cues:
    texts = [text for one in query.texts if (text := _readable(one.text))]
    return Cues(query, "\n".join(query.turns or texts), Links({}, {}), {}, None)


def _nothing(query: Query) -> BoolArray | None:
    return None


@dataclass(frozen=True, slots=True)
class Further:
    """What is fused beside words, vectors and seeds.

    `read` reads a query, once for all branches. `weights` scale a signal's list in the fusion, by the
    signal's name ("names.title") or the part before its dot ("names"): 1 where neither is given, 0 leaves it out.
    `with_vector`: a branch goes by `Cues.vector`, so the text of the cues is embedded, too. `against` tells which rows
    are known not to be meant, None where nothing is: they come last.
    """

    branches: tuple[Branch, ...] = ()
    read: ReadCues = _unread
    weights: Mapping[str, float] = field(default_factory=dict)
    with_vector: bool = True
    against: Callable[[Query], BoolArray | None] = _nothing

    def weight_of(self, signal: str) -> float:
        """How much a signal counts."""
        return self.weights.get(signal, self.weights.get(signal.partition(".")[0], 1.0))


class Retriever:
    """One opened index. Thread-safe; `close` when another has taken its place.

    `further` may be set at any time: a search that has begun ends with what it began with.
    """

    def __init__(
        self,
        table: ItemTable,
        encoder: Encoder,
        dense: DenseIndex,
        lexical: LexicalIndex,
        further: Further = Further(),
    ) -> None:
        self.table = table
        self.encoder = encoder
        self.dense = dense
        self.lexical = lexical
        self.further = further

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

    def search(self, query: Query, branches: Sequence[Branch] = ()) -> SearchResult:
        """Retrieve by every branch that the query feeds, filter exactly, fuse by rank.

        `branches` are asked for this query alone, without a vector: what they find joins what the others find.
        Never raises for an unknown seed or excluded id, an unknown attribute (it fails every filter but
        `ne`), an empty or odd text; nothing that matches is an empty result.
        """
        allowed = self.table.mask(query.filters)
        # Excluded rows and seeds go the way of filters: exact, whatever the branch.
        allowed[self.table.rows_of(query.exclude)] = False
        allowed[self.table.rows_of(seed.item_id for seed in query.seeds)] = False
        texts = [WeightedText(text, one.weight) for one in query.texts if (text := _readable(one.text))]
        lists, degraded = self._lists(query, texts, allowed)
        if branches:
            found, failed = self._joining(branches, query, allowed)
            lists, degraded = lists + found, degraded or failed
        behind, failed = self._behind(query)
        return SearchResult(fuse(lists, k=query.k, behind=behind), degraded or failed)

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
        further = self.further
        cues, degraded = self._cues(further, query)
        said = _readable(cues.text) if cues is not None and further.with_vector else ""
        vectors, failed = self._encoded([*(one.text for one in texts), *([said] if said else [])])
        degraded |= failed
        lists: list[RankedList] = []
        for one in texts:
            hits = self.lexical.search(one.text, k=query.k, allowed=allowed, id_rank=self.table.id_rank)
            lists.append(self._named("lexical", hits, one.weight))
        probes: list[tuple[BranchName, FloatArray, float]] = [
            ("dense", vectors[one.text], one.weight) for one in texts if one.text in vectors
        ]
        centre = self._centre(query.seeds)
        if centre is not None:
            probes.append(("seeds", centre, 1.0))
        for branch, vector, weight in probes:
            hits, failed = self._near(vector, query.k, allowed)
            degraded |= failed
            lists.append(self._named(branch, hits, weight))
        if not any(one.hits for one in lists):  # nothing to go by, or what had to be used failed
            # Beside the further branches, too: of the items that have what is named none is the first.
            lists = [self._popular(allowed, query.k)]
        if cues is not None:
            found, failed = self._signals(further, replace(cues, vector=vectors.get(said)), allowed)
            degraded |= failed
            lists += found
        return lists, degraded

    def _behind(self, query: Query) -> tuple[Callable[[str], bool] | None, bool]:
        """What comes last, None where nothing does, and whether telling failed."""
        try:
            against = self.further.against(query)
        except Exception:  # as with a branch: a list in another order is better than none
            log.exception("it could not be told which items are not meant, none come last for that")
            return None, True
        return (None if against is None else lambda item_id: bool(against[self.table.row_of(item_id)])), False

    def _joining(self, branches: Sequence[Branch], query: Query, allowed: BoolArray) -> tuple[list[RankedList], bool]:
        further = replace(self.further, branches=tuple(branches))
        cues, failed = self._cues(further, query)
        return ([], failed) if cues is None else self._signals(further, cues, allowed)

    def _encoded(self, texts: Sequence[str]) -> tuple[Mapping[str, FloatArray], bool]:
        """The vector of each text, in one pass of the encoder; {} and True where it failed."""
        unique = list(dict.fromkeys(texts))
        if not unique:
            return {}, False
        try:
            return dict(zip(unique, self.encoder.encode(unique), strict=True)), False
        except (ModelUnavailable, RuntimeError, OSError) as exc:  # RuntimeError: what torch raises
            log.warning("the encoder failed, searching by words alone: %s", exc)
            return {}, True

    def _cues(self, further: Further, query: Query) -> tuple[Cues | None, bool]:
        """The query as the further branches read it, None where there are none, and whether reading failed."""
        if not further.branches:
            return None, False
        try:
            return further.read(query), False
        except Exception:  # a slip in reading names is no reason to find nothing
            log.exception("the query could not be read, searching by words and vectors alone")
            return None, True

    def _signals(self, further: Further, cues: Cues, allowed: BoolArray) -> tuple[list[RankedList], bool]:
        """A list for each signal of each further branch, and whether a branch failed."""
        lists: list[RankedList] = []
        failed = False
        for branch in further.branches:
            try:
                signals = branch.scores(cues)
            except Exception:  # whatever a branch trips over, the others still serve
                log.exception("the branch %s failed and is left out", type(branch).__name__)
                failed = True
                continue
            for name, scores in signals.items():
                if (weight := further.weight_of(name)) > 0:
                    lists.append(self._ranked(name, scores, cues.query.k, allowed, weight * scores.strength))
        return lists, failed

    def _ranked(self, name: str, scores: Scores, k: int, allowed: BoolArray, weight: float) -> RankedList:
        keep = allowed[scores.rows]
        everything = scores.values[keep]
        rows, best = top_rows(scores.rows[keep], everything, k, self.table.id_rank)
        hits = [(self.table.ids[row], score) for row, score in zip(rows.tolist(), best.tolist(), strict=True)]
        return RankedList(name, hits, weight, shared_places(best, everything))

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
