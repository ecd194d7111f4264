"""BM25 over item documents (bm25s), written once into an index folder and read through mmap.

Knows nothing of filters but a mask of rows, and nothing of vectors. Not covered: stemming beyond
the English plural, stopwords of other languages.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexUnavailable
from retrieval.fusion import RowArray, top_rows
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
_MAX_QUERY_TOKENS = 256


def terms(text: str) -> list[str]:
    """Tokens of `text` as BM25 counts them: no stopwords, English plurals as singulars."""
    return [_singular(token) for token in tokens(text) if token not in STOPWORDS]


def _singular(token: str) -> str:
    """The S-stemmer of Harman, "How effective is suffixing?", JASIS 1991: three rules, first match wins."""
    if len(token) < 4 or token[-1] != "s":
        return token
    if token.endswith("ies") and token[-4] not in "ae":
        return token[:-3] + "y"
    if token.endswith("es") and token[-3] not in "aeo":
        return token[:-1]
    return token if token[-2] in "us" else token[:-1]


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

    def scores(self, text: str) -> NDArray[np.float32]:
        """BM25 of every row for `text`, 0 where no word is shared: float32, (n_rows,)."""
        if self._index is None:
            return np.zeros(self.n_rows, dtype=np.float32)
        words = list(dict.fromkeys(terms(plain(text))))[:_MAX_QUERY_TOKENS]
        ids = self._index.get_tokens_ids(words)
        if not ids:
            return np.zeros(self.n_rows, dtype=np.float32)
        found: NDArray[np.float32] = self._index.get_scores_from_ids(ids)
        return found

    def search(
        self, text: str, *, k: int, allowed: NDArray[np.bool_], id_rank: RowArray
    ) -> Sequence[tuple[int, float]]:
        """(row, score) of the best `k` allowed rows that share a word with `text`, ties by id."""
        scores = self.scores(text)
        rows = np.flatnonzero((scores > 0) & allowed).astype(np.int32)
        best, best_scores = top_rows(rows, scores[rows], k, id_rank)
        return list(zip(best.tolist(), best_scores.tolist(), strict=True))


def _bm25() -> type[BM25]:
    """The class; bm25s sets its logger to DEBUG when imported, which floods a configured root logger."""
    import bm25s

    logging.getLogger("bm25s").setLevel(logging.WARNING)
    kind: type[BM25] = bm25s.BM25
    return kind
