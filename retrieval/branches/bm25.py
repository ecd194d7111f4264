"""BM25 over sparse counts, by inverted lists of finished weights.

Knows nothing of where counts come from; `retrieval.lexical` is the BM25 of an index folder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.branches.vocabulary import Counts
from retrieval.encoder import FloatArray

K1 = 1.2
B = 0.75
MAX_QUERY_TERMS = 256
"""Distinct terms of a query that are looked at."""


@dataclass(frozen=True, slots=True)
class TermStatistics:
    """What BM25 must know of all documents: `idf` float32, (terms,), and the mean length in terms."""

    idf: FloatArray
    mean_length: float

    @classmethod
    def of(cls, counts: Counts) -> TermStatistics:
        """Of documents, (documents, terms). The idf of Lucene, which never falls below 0."""
        n_documents, n_terms = counts.shape
        having = np.bincount(counts.indices, minlength=n_terms)
        idf = np.log1p((n_documents - having + 0.5) / (having + 0.5)).astype(np.float32)
        return cls(idf, float(counts.data.sum()) / max(n_documents, 1) or 1.0)

    def idf_of(self, terms: NDArray[np.int64]) -> FloatArray:
        """The idf of terms; of one that came after these statistics that of the rarest."""
        known = terms < len(self.idf)
        rarest = self.idf.max(initial=0.0)
        found: FloatArray = np.where(known, self.idf[np.where(known, terms, 0)] if len(self.idf) else rarest, rarest)
        return found.astype(np.float32)


class TermIndex:
    """The BM25 weights of documents as inverted lists. Read-only; safe to share between threads."""

    def __init__(self, counts: Counts, statistics: TermStatistics, *, k1: float = K1, b: float = B) -> None:
        self.n_documents = counts.shape[0]
        lengths = np.repeat(np.asarray(counts.sum(axis=1)).ravel(), np.diff(counts.indptr))
        norm = k1 * (1 - b + b * lengths / statistics.mean_length)
        idf = statistics.idf_of(np.asarray(counts.indices, dtype=np.int64))
        weighted = counts.copy()
        weighted.data = (idf * counts.data * (k1 + 1) / (counts.data + norm)).astype(np.float32)
        by_term = weighted.tocsc()
        self._starts, self._documents, self._weights = by_term.indptr, by_term.indices, by_term.data

    def scores(self, terms: NDArray[np.int64], wanted: FloatArray) -> FloatArray:
        """The score of each document for weighted terms (unknown numbers are skipped): float32, (documents,)."""
        documents: list[NDArray[np.int32]] = []
        weights: list[FloatArray] = []
        starts, n_terms = self._starts, len(self._starts) - 1
        for term, weight in zip(terms[:MAX_QUERY_TERMS].tolist(), wanted.tolist(), strict=False):
            if term < n_terms and (first := starts[term]) < (end := starts[term + 1]):
                documents.append(self._documents[first:end])
                weights.append(self._weights[first:end] * np.float32(weight))
        if not documents:
            return np.zeros(self.n_documents, dtype=np.float32)
        summed = np.bincount(np.concatenate(documents), np.concatenate(weights), minlength=self.n_documents)
        return summed.astype(np.float32)
