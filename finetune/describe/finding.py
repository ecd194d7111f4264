"""Where a query finds an item among its rivals, by vectors and by words, and what another text does to that place.

The two branches every shop has from the first day: cosine of the encoder's vectors, BM25 as the product counts words.
Knows nothing of drafts and writers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from finetune.describe.types import extended
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import CatalogueError
from retrieval.fusion import RRF_K
from retrieval.items import Item
from retrieval.lexical import TITLE_WEIGHT, terms
from retrieval.text import plain

RIVALS = 2_000
"""Items that an item competes with; drawn evenly from the catalogue, so that memory is bounded."""
K1, B = 1.5, 0.75
"""BM25's constants, those of bm25s."""

Scores: TypeAlias = NDArray[np.float64]


class Catalogue(Protocol):
    """Items that can be read again and again, one at a time."""

    def __iter__(self) -> Iterator[Item]: ...

    def __len__(self) -> int: ...


def rivals_of(catalogue: Catalogue) -> list[Item]:
    """At most `RIVALS` items, at equal distances.

    Raises:
        CatalogueError: there are no items.
    """
    if not len(catalogue):
        raise CatalogueError("The catalogue has no items; there is nothing to describe.")
    return list(islice(catalogue, 0, None, -(-len(catalogue) // RIVALS)))


@dataclass(frozen=True, slots=True)
class Asked:
    """A query, read once: its vector, (dim,), and its words with what each counts."""

    vector: FloatArray
    words: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Places:
    """An item's place for one query in each branch and in both fused, from 1; a tie counts by half."""

    dense: float
    lexical: float
    fused: float


class Finder:
    """Ranks its items for queries; texts may also be tried on an item without being put in.

    Args:
        items: the rivals; ids unique.
        encoder: the shop's.
    """

    def __init__(self, items: Sequence[Item], encoder: Encoder) -> None:
        self._encoder = encoder
        self._rows = {item.id: row for row, item in enumerate(items)}
        documents = [plain(item.document()) for item in items]
        self._vectors = encoder.encode(documents)
        counted = [_counted(item.title, document) for item, document in zip(items, documents, strict=True)]
        lengths = np.array([sum(words.values()) for words in counted], dtype=np.float64)
        self._mean_length = float(lengths.mean()) or 1.0 if len(lengths) else 1.0
        found: dict[str, tuple[list[int], list[float]]] = {}
        for row, words in enumerate(counted):
            for word, times in words.items():
                rows, weights = found.setdefault(word, ([], []))
                rows.append(row)
                weights.append(self._weight(times, lengths[row]))
        self._lists = {word: (np.array(rows), np.array(weights)) for word, (rows, weights) in found.items()}

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._rows

    def ask(self, texts: Sequence[str]) -> list[Asked]:
        """Read queries."""
        if not texts:
            return []
        vectors = self._encoder.encode([plain(text) for text in texts])
        return [
            Asked(vector, {word: math.sqrt(times) * self._rarity(word) for word, times in Counter(terms(text)).items()})
            for vector, text in zip(vectors, texts, strict=True)
        ]

    def places(self, asked: Asked, item_id: str) -> Places:
        """Where an item of these stands for a query."""
        row = self._rows[item_id]
        dense, lexical = self._scores(asked)
        fused = 1 / (RRF_K + _ranks(dense)) + 1 / (RRF_K + _ranks(lexical))
        return Places(*(_place(scores, scores[row], row) for scores in (dense, lexical, fused)))

    def gains(self, item: Item, texts: Sequence[str], queries: Sequence[Asked]) -> list[float]:
        """For each text, what it adds behind the item's own: the mean gain over queries and branches.

        The gain of a query in a branch is the difference of 1 / log2(1 + place): DCG with one right item (Järvelin and
        Kekäläinen 2002, "Cumulated gain-based evaluation of IR techniques"). 0.0 without queries.
        """
        if not queries or not texts:
            return [0.0] * len(texts)
        row = self._rows.get(item.id)
        variants = [item, *(extended(item, text) for text in texts)]
        documents = [plain(one.document()) for one in variants]
        vectors = self._encoder.encode(documents)
        words = [_counted(item.title, document) for document in documents]
        worth = np.zeros(len(variants))
        for asked in queries:
            dense, lexical = self._scores(asked)
            for number, (vector, counted) in enumerate(zip(vectors, words, strict=True)):
                own = (float(vector @ asked.vector), self._one(asked, counted))
                worth[number] += sum(
                    1 / math.log2(1 + _place(scores, score, row))
                    for scores, score in zip((dense, lexical), own, strict=True)
                )
        worth /= 2 * len(queries)
        return [float(one - worth[0]) for one in worth[1:]]

    def _scores(self, asked: Asked) -> tuple[Scores, Scores]:
        dense: Scores = (self._vectors @ asked.vector).astype(np.float64)
        lexical = np.zeros(len(self._rows))
        for word, factor in asked.words.items():
            if word in self._lists:
                rows, weights = self._lists[word]
                lexical[rows] += factor * weights
        return dense, lexical

    def _one(self, asked: Asked, words: Mapping[str, int]) -> float:
        length = sum(words.values())
        return sum(
            factor * self._weight(words[word], length)
            for word, factor in asked.words.items()
            if word in words and word in self._lists
        )

    def _weight(self, times: int, length: float) -> float:
        return times / (times + K1 * (1 - B + B * length / self._mean_length))

    def _rarity(self, word: str) -> float:
        n_having = len(self._lists[word][0]) if word in self._lists else 0
        return math.log1p((len(self._rows) - n_having + 0.5) / (n_having + 0.5))


def _counted(title: str, document: str) -> Counter[str]:
    """Words as `LexicalBuilder` counts them: the title's more often."""
    return Counter(terms(plain(title)) * (TITLE_WEIGHT - 1) + terms(document))


def _place(scores: Scores, own: float, row: int | None) -> float:
    """From 1, among the scores of others; ties count by half."""
    better, equal = np.count_nonzero(scores > own), np.count_nonzero(scores == own)
    if row is not None:  # the item's own score is no rival
        better -= int(scores[row] > own)
        equal -= int(scores[row] == own)
    return 1.0 + better + equal / 2


def _ranks(scores: Scores) -> Scores:
    """The place of each score, from 1; equal ones share the mean of theirs."""
    _, inverse, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    ranks: Scores = (ends - (counts - 1) / 2)[inverse]
    return ranks
