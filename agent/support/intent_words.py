"""A text as weighted words, pairs of words and pieces of words: the view in which names and typing errors count.

TF-IDF by scikit-learn, kept as plain lists: a folder that is read back runs no code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.encoder import FloatArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
    from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]

PAIRS = (1, 2)
"""Words and pairs of words."""
PIECES = (2, 5)
"""Letters of a piece, within a word."""
MANY = 200
"""Examples from which on a piece that only one of them has is left out."""


@dataclass(frozen=True, slots=True)
class WordViews:
    """Two fitted vectorizers, side by side."""

    words: TfidfVectorizer
    pieces: TfidfVectorizer

    def matrix(self, texts: Sequence[str]) -> csr_matrix:
        """(n, words + pieces)."""
        from scipy import sparse  # type: ignore[import-untyped]

        return sparse.hstack([self.words.transform(texts), self.pieces.transform(texts)], format="csr")

    def stored(self) -> tuple[dict[str, list[str]], dict[str, FloatArray]]:
        """The vocabularies in the order of the columns, and the weights of the terms: what `restored` takes."""
        both = {"words": self.words, "pieces": self.pieces}
        terms = {name: one.get_feature_names_out().tolist() for name, one in both.items()}
        return terms, {name: one.idf_ for name, one in both.items()}


def fitted(texts: Sequence[str]) -> WordViews:
    """Vocabulary and weights of these texts."""
    words, pieces = _plain(min_df_pieces=2 if len(texts) >= MANY else 1)
    words.fit(texts)
    pieces.fit(texts)
    return WordViews(words, pieces)


def restored(terms: Mapping[str, list[str]], weights: Mapping[str, FloatArray]) -> WordViews:
    """What `stored` gave."""
    words, pieces = _plain(min_df_pieces=1)
    for name, one in (("words", words), ("pieces", pieces)):
        one.vocabulary = {term: column for column, term in enumerate(terms[name])}
        one.idf_ = weights[name]
    return WordViews(words, pieces)


def _plain(min_df_pieces: int) -> tuple[TfidfVectorizer, TfidfVectorizer]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    # A token is any run of letters and digits, also of one letter: "i", "a" and "1" tell questions apart.
    words = TfidfVectorizer(ngram_range=PAIRS, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", dtype=np.float32)  # noqa: S106
    pieces = TfidfVectorizer(
        analyzer="char_wb", ngram_range=PIECES, sublinear_tf=True, min_df=min_df_pieces, dtype=np.float32
    )
    return words, pieces
