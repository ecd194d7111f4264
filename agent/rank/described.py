"""What items say of themselves, as a branch: the words of their descriptions, and how near their vectors lie.

Knows nothing of what was ever accepted: the part that works on a shop's first day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from retrieval.branches.base import Cues, Scores
from retrieval.branches.bm25 import TermIndex, TermStatistics
from retrieval.branches.corpus import Corpus
from retrieval.encoder import FloatArray

LEXICAL: Final = "lexical"
DENSE: Final = "dense"
SEEDS: Final = "dense.seeds"


class DescribedBranch:
    """Signals `lexical` (BM25 of the description), `dense` (cosine to the words), `dense.seeds` (to items spoken of).

    Safe to share between threads.
    """

    def __init__(self, corpus: Corpus, vectors: FloatArray | None, *, without: frozenset[str] = frozenset()) -> None:
        """`vectors` are the unit vectors of the items' descriptions, float32, (items, dim); None leaves them out.

        `without` may name `lexical` and `dense`.
        """
        self._wordless = LEXICAL in without
        self._vocabulary = corpus.vocabulary
        self._words = TermIndex(corpus.documents, TermStatistics.of(corpus.documents))
        self._vectors = vectors

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`."""
        found: dict[str, Scores] = {}
        if not self._wordless:
            found[LEXICAL] = Scores.of(self._words.scores(*self._vocabulary.asked(cues.text)))
        if self._vectors is None:
            return found
        # vecdot and not `@`: two threads of BLAS that share their cores with others took 20 ms for what takes 1.
        if cues.vector is not None:
            found[DENSE] = Scores.of(np.vecdot(self._vectors, cues.vector))
        if cues.seeds:
            rows = np.fromiter(cues.seeds, dtype=np.int64)
            weights = np.fromiter(cues.seeds.values(), dtype=np.float32)
            found[SEEDS] = Scores.of(np.vecdot(self._vectors, weights @ self._vectors[rows]))
        return found
