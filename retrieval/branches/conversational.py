"""What led others to an item: its document grows by the words before it was taken, alike talks vote for what they took.

Learns while it serves: an experience counts from the next query on. Knows nothing of who said what, of masking, and of
when something may be learned.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from scipy.sparse import csr_array, vstack  # type: ignore[import-untyped]

from retrieval.branches.base import Cues, Scores
from retrieval.branches.bm25 import TermIndex, TermStatistics
from retrieval.branches.corpus import Corpus
from retrieval.branches.likes import Likes
from retrieval.branches.linker import EntityLinker
from retrieval.branches.vocabulary import Counts, said_counts, scaled, widened, word_counts
from retrieval.encoder import FloatArray
from retrieval.experience import Experience
from retrieval.table import BoolArray, ItemTable, RowArray

NEIGHBOURS = 100
"""Contexts that vote for what they led to."""
LED_WEIGHT = 0.5
"""What a word that led to an item counts against one of the item's own."""
K1, B = 2.0, 0.5
"""Of BM25 over items: what led to an item comes again and again, and what is often taken has a long document."""
SHARPNESS = 3.0
"""A neighbour's vote is its similarity, relative to the nearest, to this power."""
SHARPNESS_OF_VECTORS = 8.0
"""The same for cosines, which lie close together."""
MAX_RECENT = 512
"""So many experiences are kept apart; then all is fitted anew: 0.2 s for 5,000 contexts and 3,700 items."""
FEW_CONTEXTS = 1_024
"""Up to so many contexts the statistics of their words are taken anew with each one: the first few say little."""

WORDS: Final = "conversational.words"
LAST_WORDS: Final = "conversational.last_words"
NEIGHBOURS_SIGNAL: Final = "conversational.neighbours"
MEANING: Final = "conversational.meaning"
TOGETHER: Final = "conversational.together"
DEMAND: Final = "conversational.demand"


class ConversationalBranch:
    """Signals learned from experiences. Thread-safe: readers never wait, writers wait for each other."""

    def __init__(self, table: ItemTable, corpus: Corpus) -> None:
        self._table = table
        self._writing = threading.Lock()
        self._state = _State.fitted(corpus)

    @classmethod
    def fit(
        cls,
        table: ItemTable,
        experiences: Sequence[Experience] = (),
        vectors: FloatArray | None = None,
        linker: EntityLinker | None = None,
    ) -> ConversationalBranch:
        """Learn from experiences; `vectors` and `linker` as in `Corpus.of`."""
        return cls(table, Corpus.of(table, experiences, vectors, linker))

    @classmethod
    def of(cls, table: ItemTable, corpus: Corpus, keep: BoolArray | None = None) -> ConversationalBranch:
        """Learn from the experiences of a corpus that `keep` marks: how cross-fitting makes its folds."""
        return cls(table, corpus if keep is None else corpus.only(keep))

    def __len__(self) -> int:
        """How many experiences it stands on."""
        state = self._state
        return len(state.base) + len(state.recent)

    def add(self, experience: Experience, vector: FloatArray | None = None) -> None:
        """Learn one more, in milliseconds; the next query knows it. Each `MAX_RECENT`-th call fits all anew.

        `vector` is the unit vector of `context_of(experience.turns)`, float32, (dim,).
        """
        with self._writing:
            state = self._state
            fresh = state.base.read(self._table, [experience], None if vector is None else vector[None])
            recent = state.recent.joined(fresh)
            merge = len(recent) >= MAX_RECENT
            self._state = _State.fitted(state.base.joined(recent)) if merge else state.with_recent(recent)

    def remove(self, group: str) -> int:
        """Forget a group and every word that only it had; returns how many experiences it had.

        Fits all anew, but for a group that came after the last fit: there the words wait for the next fit or `save`.
        """
        with self._writing:
            state = self._state
            n_before, n_recent = state.base.groups.count(group), state.recent.groups.count(group)
            if n_before:
                self._state = _State.fitted(state.everything.without(group).compact())
            elif n_recent:
                self._state = state.with_recent(state.recent.without(group))
            return n_before + n_recent

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`."""
        state = self._state
        turns = cues.query.turns or (cues.text,)
        said = said_counts(turns, cues.links, cues.seeds, self._table)
        found = {
            WORDS: Scores.of(state.words(said)),
            LAST_WORDS: Scores.of(state.words(word_counts(turns[-1]))),
            NEIGHBOURS_SIGNAL: Scores.of(state.voted(state.alike(said), SHARPNESS)),
            TOGETHER: Scores.of(state.together(cues.seeds)),
            DEMAND: Scores.of(np.log1p(state.taken)),
        }
        if cues.vector is not None and (near := state.near(cues.vector)) is not None:
            found[MEANING] = Scores.of(state.voted(near, SHARPNESS_OF_VECTORS))
        return found

    def save(self, folder: Path) -> None:
        """Write what was learned.

        Raises:
            OSError: the disk is full or read-only.
        """
        self._state.everything.compact().save(folder, self._table)

    @classmethod
    def load(cls, folder: Path, table: ItemTable, linker: EntityLinker | None = None) -> ConversationalBranch:
        """Open what `save` wrote.

        Raises:
            IndexUnavailable: see `Corpus.load`.
        """
        return cls(table, Corpus.load(folder, table, linker))


@dataclass(frozen=True, slots=True)
class _Recent:
    """What came after the last fit.

    `rows`: the items whose documents grew, int32; `words` scores those alone. `contexts` score all experiences, one
    part after the other.
    """

    rows: RowArray
    words: TermIndex
    contexts: tuple[TermIndex, ...]
    likes: Likes


@dataclass(frozen=True, slots=True)
class _State:
    """All that scoring needs; replaced as a whole, never changed.

    `expanded`: terms of the items' documents and of the contexts that led to them, (items, terms). `accepted` and
    `weights` are of all experiences, the recent ones last. `taken`: how often each item was accepted, float32,
    (items,). What ends in `_before`, and `words_of_...`, is of `base` alone.
    """

    base: Corpus
    recent: Corpus
    expanded: Counts
    document_statistics: TermStatistics
    context_statistics: TermStatistics
    words_of_items: TermIndex
    words_of_contexts: TermIndex
    likes_before: Likes
    after: _Recent | None
    accepted: Counts
    weights: FloatArray
    taken: FloatArray

    @classmethod
    def fitted(cls, corpus: Corpus) -> _State:
        width = corpus.contexts.shape[1]
        expanded = widened(corpus.documents, width) + widened(corpus.names, width) + _led_to(corpus)
        documents, contexts = TermStatistics.of(expanded), TermStatistics.of(corpus.contexts)
        return cls(
            base=corpus,
            recent=corpus.only(np.zeros(len(corpus), dtype=np.bool_)),
            expanded=expanded,
            document_statistics=documents,
            context_statistics=contexts,
            words_of_items=TermIndex(expanded, documents, k1=K1, b=B),
            words_of_contexts=TermIndex(corpus.contexts, contexts),
            likes_before=Likes(corpus.liked_by_group()),
            after=None,
            accepted=corpus.accepted,
            weights=corpus.weights,
            taken=_taken(corpus.accepted, corpus.weights),
        )

    def with_recent(self, recent: Corpus) -> _State:
        """The same with other recent experiences; idf and mean lengths stay those of the last fit."""
        rows = np.unique(recent.accepted.indices).astype(np.int32)
        grown = widened(self.expanded[rows], len(recent.vocabulary)) + _led_to(recent)[rows]
        accepted = csr_array(vstack([self.base.accepted, recent.accepted], format="csr"))
        weights = np.concatenate([self.base.weights, recent.weights])
        return replace(
            self,
            recent=recent,
            after=_Recent(
                rows=rows,
                words=TermIndex(grown, self.document_statistics, k1=K1, b=B),
                contexts=self._contexts_with(recent),
                likes=Likes(recent.liked_by_group()),
            ),
            accepted=accepted,
            weights=weights,
            taken=_taken(accepted, weights),
        )

    def _contexts_with(self, recent: Corpus) -> tuple[TermIndex, ...]:
        if len(self.base) + len(recent) > FEW_CONTEXTS:
            return self.words_of_contexts, TermIndex(recent.contexts, self.context_statistics)
        contexts = self.base.joined(recent).contexts
        return (TermIndex(contexts, TermStatistics.of(contexts)),)

    @property
    def everything(self) -> Corpus:
        return self.base.joined(self.recent)

    def words(self, said: Mapping[str, float]) -> FloatArray:
        """BM25 of the expanded documents: float32, (items,)."""
        terms, wanted = self.base.vocabulary.known(said)
        scores = self.words_of_items.scores(terms, wanted)
        if self.after is not None:
            scores[self.after.rows] = self.after.words.scores(terms, wanted)
        return scores

    def alike(self, said: Mapping[str, float]) -> FloatArray:
        """BM25 of the contexts: float32, (experiences,)."""
        terms, wanted = self.base.vocabulary.known(said)
        parts = (self.words_of_contexts,) if self.after is None else self.after.contexts
        return np.concatenate([part.scores(terms, wanted) for part in parts])

    def near(self, vector: FloatArray) -> FloatArray | None:
        """The cosine of the contexts, 0 where one has no vector: float32, (experiences,); None without vectors."""
        parts = [part for part in (self.base, self.recent) if len(part)]
        if all(part.vectors is None for part in parts):
            return None
        return np.concatenate(
            [
                np.zeros(len(part), np.float32) if part.vectors is None else np.vecdot(part.vectors, vector)
                for part in parts
            ]
        )

    def voted(self, similarity: FloatArray, sharpness: float) -> FloatArray:
        """What the nearest contexts took, each with its share: float32, (items,)."""
        n_items = len(self.taken)
        nearest = np.argpartition(-similarity, NEIGHBOURS)[:NEIGHBOURS] if len(similarity) > NEIGHBOURS else slice(None)
        found = similarity[nearest]
        best = found.max(initial=0.0)
        if best <= 0:
            return np.zeros(n_items, dtype=np.float32)
        votes = np.maximum(found / best, 0.0) ** sharpness * self.weights[nearest]
        took = self.accepted[nearest]
        shares = np.repeat(votes, np.diff(took.indptr))
        return np.bincount(took.indices, shares, minlength=n_items).astype(np.float32)

    def together(self, seeds: Mapping[int, float]) -> FloatArray:
        """What those like who like the seeds: float32, (items,)."""
        parts = [self.likes_before] if self.after is None else [self.likes_before, self.after.likes]
        return Likes.together(parts, seeds)


def _led_to(corpus: Corpus) -> Counts:
    """What the terms count that led to each item: (items, terms)."""
    return csr_array((scaled(corpus.accepted, LED_WEIGHT * corpus.weights).T @ corpus.contexts).tocsr())


def _taken(accepted: Counts, weights: FloatArray) -> FloatArray:
    return np.asarray(scaled(accepted, weights).sum(axis=0), dtype=np.float32).ravel()
