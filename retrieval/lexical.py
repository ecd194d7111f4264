"""BM25 over item documents (bm25s), written once into an index folder and read through mmap.

Knows nothing of filters but a mask of rows, and nothing of vectors. Not covered: stemming beyond
the English plural, stopwords of other languages.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable
from retrieval.fusion import RowArray, top_rows
from retrieval.table import BoolArray
from retrieval.text import plain, tokens

if TYPE_CHECKING:
    from bm25s import BM25  # type: ignore[import-untyped]

TITLE_WEIGHT = 3
"""How often a title counts, the once included that `Item.document` has it."""

STOPWORDS = frozenset(
    "a about an and any are as at be been but by can do does for from had has have he her his how i if in into is it "
    "its me my no not of on or our she so some such than that the their them then there these they this to was we were "
    "what which who will with would you your".split()
)
IRREGULAR = {"men": "man", "women": "woman", "children": "child", "feet": "foot", "teeth": "tooth", "mice": "mouse"}
"""Plurals that the S-stemmer leaves; a shopper says "I am a man", a listing "men's" or "mens"."""

_MAX_QUERY_TOKENS = 256
_MARGIN = 1e-3
"""More than the rounding of a sum of float32 can be."""


def terms(text: str) -> list[str]:
    """Tokens of `text` as BM25 counts them: no stopwords, English plurals as singulars."""
    return [singular(token) for token in tokens(text) if token not in STOPWORDS]


def singular(token: str) -> str:
    """An English plural as its singular.

    The S-stemmer of Harman, "How effective is suffixing?", JASIS 1991: three rules, first match wins. Then `IRREGULAR`.
    """
    if len(token) >= 4 and token[-1] == "s":
        if token.endswith("ies") and token[-4] not in "ae":
            return token[:-3] + "y"
        if (token.endswith("es") and token[-3] not in "aeo") or token[-2] not in "us":
            token = token[:-1]
    return IRREGULAR.get(token, token)


class LexicalBuilder:
    """Collects documents one by one; keeps numbers only, not the texts."""

    def __init__(self) -> None:
        self._vocabulary: dict[str, int] = {}
        self._documents: list[list[int]] = []

    def add(self, title: str, document: str) -> None:
        """The next row; `document` contains the title already."""
        words = terms(plain(title)) * (TITLE_WEIGHT - 1) + terms(plain(document))
        known = self._vocabulary
        self._documents.append([known.setdefault(word, len(known)) for word in words])

    def save(self, folder: Path) -> None:
        """Write the index; a catalogue without a single word gives an empty folder.

        Raises:
            OSError: the disk is full or read-only.
        """
        folder.mkdir(parents=True)
        if not self._vocabulary:
            return
        index = _bm25()(method="lucene")
        index.index((self._documents, self._vocabulary), create_empty_token=False, show_progress=False)
        index.save(folder, allow_pickle=False, show_progress=False)


class LexicalIndex:
    """BM25 scores of a saved index; safe to share between threads."""

    def __init__(self, index: BM25 | None, n_rows: int) -> None:
        self._index = index
        self.n_rows = n_rows
        if index is not None:  # inverted lists: the rows of a word and their weights, mapped files seen as arrays
            self._starts = index.scores["indptr"].tolist()
            self._rows: RowArray = index.scores["indices"].view(np.ndarray)
            self._weights: FloatArray = index.scores["data"].view(np.ndarray)

    @classmethod
    def load(cls, folder: Path, n_rows: int) -> LexicalIndex:
        """Open what `LexicalBuilder.save` wrote for `n_rows` documents.

        Raises:
            IndexUnavailable: files are missing or damaged.
        """
        try:
            if folder.is_dir() and not any(folder.iterdir()):
                return cls(None, n_rows)
            index = _bm25().load(folder, mmap=True, allow_pickle=False)
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise IndexUnavailable(
                f"The word index in {str(folder)!r} cannot be read ({exc}): build again with `chatalogue index FILE`."
            ) from exc
        n_found = index.scores["num_docs"]
        if n_found != n_rows:
            raise IndexUnavailable(
                f"The word index in {str(folder)!r} has {n_found} documents, the catalogue {n_rows} items: "
                "build again with `chatalogue index FILE`."
            )
        return cls(index, n_rows)

    def scores(self, text: str, allowed: BoolArray | None = None) -> FloatArray:
        """BM25 of every row for `text`, 0 where no word is shared: float32, (n_rows,).

        A word that `text` says n times counts sqrt(n). How rare a word is, is counted among the rows that may be
        chosen (`allowed`, None: all): what all of those have in common tells nothing about which to choose.
        """
        found = np.zeros(self.n_rows, dtype=np.float32)
        for one in self._words(text, allowed):
            found[one.rows] += one.scores
        return found

    def search(self, text: str, *, k: int, allowed: BoolArray, id_rank: RowArray) -> Sequence[tuple[int, float]]:
        """(row, score) of the best `k` allowed rows that share a word with `text`, ties by id.

        The best rows by `scores`, found without scoring what cannot be among them (MaxScore: Turtle and Flood, "Query
        evaluation: strategies and optimizations", IPM 1995): words that most documents have add little and cost most.
        """
        words = self._words(text, None if allowed.all() else allowed)
        found = np.zeros(self.n_rows, dtype=np.float32)
        rest = sum(one.most for one in words)
        floor = 0.0  # what a row must have at least by the words seen so far, or it cannot be among the best
        seen = 0
        for seen, one in enumerate(words, 1):
            found[one.rows] += one.scores
            rest -= one.most
            if seen < len(words) and (floor := _kth(found[one.rows[allowed[one.rows]]], k) - rest - _MARGIN) > 0:
                break
        rows = np.flatnonzero((found > max(floor, 0.0)) & allowed).astype(np.int32)
        scores = found[rows]
        for one in words[seen:]:
            one.add_to(rows, scores)
        best, best_scores = top_rows(rows, scores, k, id_rank)
        return list(zip(best.tolist(), best_scores.tolist(), strict=True))

    def _words(self, text: str, allowed: BoolArray | None) -> list[_Word]:
        """The known words of `text`, those first that can add most: both ways of scoring add in one order."""
        if self._index is None:
            return []
        numbers = self._index.vocab_dict
        n_allowed = self.n_rows if allowed is None else int(np.count_nonzero(allowed))
        said = Counter(one for one in terms(plain(text)) if one in numbers)
        words = []
        for word, times in islice(said.items(), _MAX_QUERY_TOKENS):
            part = slice(self._starts[numbers[word]], self._starts[numbers[word] + 1])
            rows = self._rows[part]
            rarity = _rarity(self.n_rows, len(rows))
            among = rarity if allowed is None else _rarity(n_allowed, int(np.count_nonzero(allowed[rows])))
            weights, factor = self._weights[part], math.sqrt(times) * among / rarity
            words.append(_Word(rows, weights, factor, most=float(weights.max()) * factor))
        return sorted(words, key=lambda one: -one.most)


@dataclass(frozen=True, slots=True)
class _Word:
    """The inverted list of a word: `rows` rising, `weights` as stored, both (n,); `most` is what it can add at most."""

    rows: RowArray
    weights: FloatArray
    factor: float
    most: float

    @property
    def scores(self) -> FloatArray:
        return self.weights * np.float32(self.factor)

    def add_to(self, rows: RowArray, scores: FloatArray) -> None:
        """Add to the scores of `rows` (rising), in place."""
        places = np.searchsorted(self.rows, rows)
        places[places == len(self.rows)] = 0
        having = self.rows[places] == rows
        scores[having] += self.weights[places[having]] * np.float32(self.factor)


def _kth(scores: FloatArray, k: int) -> float:
    """A score that at least `k` rows have, 0 where fewer are known."""
    return 0.0 if len(scores) < max(k, 1) else float(np.partition(scores, len(scores) - k)[len(scores) - k])


def _rarity(n_rows: int, n_having: int) -> float:
    """The idf of Lucene, which bm25s multiplied into its weights."""
    return math.log1p((n_rows - n_having + 0.5) / (n_having + 0.5))


def _bm25() -> type[BM25]:
    """The class; bm25s sets its logger to DEBUG when imported, which floods a configured root logger."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    kind: type[BM25] = bm25s.BM25
    return kind
