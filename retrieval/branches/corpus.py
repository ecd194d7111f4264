"""Experiences as numbers: which words led to which items, ready to be fitted on again and again.

Words become term numbers once; cross-fitting then chooses rows of matrices. Knows nothing of scores.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from scipy.sparse import csr_array, vstack  # type: ignore[import-untyped]

from retrieval.branches.base import Links
from retrieval.branches.linker import EntityLinker
from retrieval.branches.vocabulary import (
    Counts,
    Vocabulary,
    name_counts,
    said_counts,
    scaled,
    sparse_rows,
    widened,
    word_counts,
)
from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable
from retrieval.experience import Experience
from retrieval.query import SeedItem
from retrieval.table import BoolArray, ItemTable

CONTEXT_TURNS = 4
"""So many last turns are embedded together."""
SPOKEN_RECENCY = 0.6
"""What an item spoken of counts against the one after it."""
MENTION = 1.0
"""The attitude that a mere mention stands for, on the scale -2 .. 2."""
MAX_ATTITUDE = 2.0

_MANIFEST = "corpus.json"
_ARRAYS = "corpus.npz"


def context_of(turns: Sequence[str]) -> str:
    """The text that stands for what was said: the last `CONTEXT_TURNS` turns."""
    return "\n".join(turns[-CONTEXT_TURNS:])


def seed_weights(seeds: Sequence[SeedItem], table: ItemTable) -> dict[int, float]:
    """Row -> weight in [-1, 1] of items spoken of, oldest first: the attitude, falling with what was named since."""
    weights: dict[int, float] = {}
    for age, seed in enumerate(reversed(seeds)):
        if seed.item_id in table:
            row = table.row_of(seed.item_id)
            weights.setdefault(row, seed.attitude / MAX_ATTITUDE * SPOKEN_RECENCY**age)
    return {row: weight for row, weight in weights.items() if weight}


def all_seeds(links: Links, seeds: Sequence[SeedItem], table: ItemTable) -> dict[int, float]:
    """`seed_weights`, and items that are named and are no seed as a mild liking."""
    named = {row: weight * MENTION / MAX_ATTITUDE for row, weight in links.items.items()}
    return named | seed_weights(seeds, table)


@dataclass(frozen=True, slots=True)
class Corpus:
    """Experiences over one catalogue.

    `documents`: words of the items' own texts, (items, terms); `names`: their names and values as terms, (items,
    terms). `contexts`: words and names of what was said, (experiences, terms). `accepted`, `spoken`: (experiences,
    items), the latter with the weights of `seed_weights`. `weights`: float32, (experiences,). `groups`: one for each
    experience. `vectors`: float32, (experiences, dim), of the contexts, zeros where there is none; None where nobody
    computed any.
    """

    vocabulary: Vocabulary
    linker: EntityLinker | None
    documents: Counts
    names: Counts
    contexts: Counts
    accepted: Counts
    spoken: Counts
    weights: FloatArray
    groups: tuple[str, ...]
    vectors: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @classmethod
    def of(
        cls,
        table: ItemTable,
        experiences: Sequence[Experience],
        vectors: FloatArray | None = None,
        linker: EntityLinker | None = None,
    ) -> Corpus:
        """Read items and experiences; those that accepted nothing of this catalogue teach nothing but are kept.

        Args:
            table: the catalogue.
            experiences: any number.
            vectors: unit vectors of `context_of(turns)` of each experience, float32, (experiences, dim).
            linker: of the same table; made where nobody has one.
        """
        vocabulary = Vocabulary()
        documents = vocabulary.rows(word_counts(item.document()) for item in table.items)
        names = vocabulary.rows(name_counts(item) for item in table.items)
        empty = _empty(vocabulary, linker or EntityLinker(table), documents, names)
        return empty.read(table, experiences, vectors)

    @classmethod
    def of_steps(cls, table: ItemTable, experiences: Sequence[Experience]) -> Corpus:
        """Items spoken of and accepted alone, without any words: for branches that read none."""
        no_words = csr_array((len(table), 0), dtype=np.float32)
        return _empty(Vocabulary(), None, no_words, no_words).read(table, experiences)

    def only(self, keep: BoolArray) -> Corpus:
        """The experiences that `keep` marks; items and terms stay."""
        return replace(
            self,
            contexts=self.contexts[keep],
            accepted=self.accepted[keep],
            spoken=self.spoken[keep],
            weights=self.weights[keep],
            groups=tuple(group for group, kept in zip(self.groups, keep.tolist(), strict=True) if kept),
            vectors=None if self.vectors is None else self.vectors[keep],
        )

    def without(self, group: str) -> Corpus:
        """All experiences but those of a group."""
        return self.only(np.array([one != group for one in self.groups], dtype=np.bool_))

    def read(self, table: ItemTable, experiences: Sequence[Experience], vectors: FloatArray | None = None) -> Corpus:
        """Other experiences in the terms of this corpus (the vocabulary grows), without these.

        Raises:
            ValueError: there is not one vector for each experience.
        """
        if vectors is not None and len(vectors) != len(experiences):
            raise ValueError(f"{len(vectors)} vectors for {len(experiences)} experiences")
        accepted = [dict.fromkeys(table.rows_of(one.accepted).tolist(), 1.0) for one in experiences]
        contexts = self.vocabulary.rows(self._said(one, table) for one in experiences)
        width = len(self.vocabulary)
        return replace(
            self,
            documents=widened(self.documents, width),
            names=widened(self.names, width),
            contexts=contexts,
            accepted=_of_rows(accepted, len(table)),
            spoken=_of_rows([seed_weights(one.spoken, table) for one in experiences], len(table)),
            weights=np.array([one.weight for one in experiences], dtype=np.float32),
            groups=tuple(one.group for one in experiences),
            vectors=None if vectors is None else np.asarray(vectors, dtype=np.float32),
        )

    def _said(self, one: Experience, table: ItemTable) -> Mapping[str, float]:
        if self.linker is None:
            return {}
        links = self.linker.link(one.turns)
        return said_counts(one.turns, links, all_seeds(links, one.spoken, table), table)

    def joined(self, later: Corpus) -> Corpus:
        """Both, one after the other; the same catalogue and vocabulary."""
        width = len(self.vocabulary)
        return replace(
            self,
            documents=widened(self.documents, width),
            names=widened(self.names, width),
            contexts=csr_array(vstack([widened(self.contexts, width), widened(later.contexts, width)], format="csr")),
            accepted=csr_array(vstack([self.accepted, later.accepted], format="csr")),
            spoken=csr_array(vstack([self.spoken, later.spoken], format="csr")),
            weights=np.concatenate([self.weights, later.weights]),
            groups=self.groups + later.groups,
            vectors=_stacked(self, later),
        )

    def steps(self) -> Counts:
        """How often each item was accepted after each other one was liked: [spoken, accepted], (items, items)."""
        counts = csr_array((scaled(_liked(self.spoken), self.weights).T @ self.accepted).tocsr())
        counts.setdiag(0.0)
        counts.eliminate_zeros()
        return counts

    def liked_by_group(self) -> Counts:
        """What each group liked or accepted, each item with the weight of the group: (groups, items)."""
        numbers: dict[str, int] = {}
        owner = np.array([numbers.setdefault(group, len(numbers)) for group in self.groups], dtype=np.int64)
        places = np.arange(len(owner))
        of_group = csr_array((np.ones(len(owner), dtype=np.float32), (owner, places)), shape=(len(numbers), len(owner)))
        weights = np.zeros(len(numbers), dtype=np.float32)
        np.maximum.at(weights, owner, self.weights)
        liked = csr_array((of_group @ (_liked(self.spoken) + self.accepted)).tocsr())
        liked.data = np.ones_like(liked.data)
        return scaled(liked, weights)

    def compact(self) -> Corpus:
        """The same in a vocabulary without the words that no item and no experience has (any more)."""
        width = len(self.vocabulary)
        parts = [widened(part, width) for part in (self.documents, self.names, self.contexts)]
        used = np.zeros(width, dtype=np.bool_)
        for part in parts:
            used[part.indices] = True
        documents, names, contexts = (part[:, used] for part in parts)
        words = [word for word, kept in zip(self.vocabulary.numbers, used.tolist(), strict=False) if kept]
        return replace(self, vocabulary=Vocabulary(words), documents=documents, names=names, contexts=contexts)

    def save(self, folder: Path, table: ItemTable) -> None:
        """Write the corpus.

        Raises:
            OSError: the disk is full or read-only.
        """
        folder.mkdir(parents=True, exist_ok=True)
        matrices = {
            "documents": self.documents,
            "names": self.names,
            "contexts": self.contexts,
            "accepted": self.accepted,
            "spoken": self.spoken,
        }
        arrays = {"weights": self.weights}
        for name, matrix in matrices.items():
            arrays |= {f"{name}.data": matrix.data, f"{name}.indices": matrix.indices, f"{name}.indptr": matrix.indptr}
        if self.vectors is not None:
            arrays["vectors"] = self.vectors
        np.savez(folder / _ARRAYS, allow_pickle=False, **arrays)
        words = list(self.vocabulary.numbers)
        manifest = {"items": _digest(table), "n_items": len(table), "words": words, "groups": self.groups}
        # Last on purpose: a folder without it is a crashed run.
        (folder / _MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, table: ItemTable, linker: EntityLinker | None = None) -> Corpus:
        """Read what `save` wrote for the same catalogue.

        Raises:
            IndexUnavailable: files are missing or damaged, or are of another catalogue.
        """
        try:
            manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
            with np.load(folder / _ARRAYS, allow_pickle=False) as arrays:
                corpus = _unpacked(manifest, arrays)
            same = manifest["items"] == _digest(table)
        except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as exc:
            raise IndexUnavailable(
                f"What was learned from talks in {str(folder)!r} cannot be read ({exc}): fit it again from the log."
            ) from exc
        if not same:
            raise IndexUnavailable(
                f"What was learned from talks in {str(folder)!r} belongs to another catalogue of "
                f"{manifest['n_items']} items: fit it again from the log."
            )
        return replace(corpus, linker=linker or EntityLinker(table))


def _empty(vocabulary: Vocabulary, linker: EntityLinker | None, documents: Counts, names: Counts) -> Corpus:
    """A corpus without experiences."""
    width, n_items = len(vocabulary), names.shape[0]
    return Corpus(
        vocabulary=vocabulary,
        linker=linker,
        documents=widened(documents, width),
        names=names,
        contexts=csr_array((0, width), dtype=np.float32),
        accepted=csr_array((0, n_items), dtype=np.float32),
        spoken=csr_array((0, n_items), dtype=np.float32),
        weights=np.zeros(0, dtype=np.float32),
        groups=(),
    )


def _liked(spoken: Counts) -> Counts:
    """1 for what was spoken of with liking."""
    liked = spoken.copy()
    liked.data = (liked.data > 0).astype(np.float32)
    liked.eliminate_zeros()
    return liked


def _of_rows(values: Sequence[Mapping[int, float]], width: int) -> Counts:
    starts = np.cumsum([0, *(len(one) for one in values)])
    columns = [column for one in values for column in one]
    return sparse_rows(starts.tolist(), columns, [value for one in values for value in one.values()], width)


def _stacked(one: Corpus, later: Corpus) -> FloatArray | None:
    """Vectors of both, zeros for the part that has none."""
    if one.vectors is None and later.vectors is None:
        return None
    dim = one.vectors.shape[1] if one.vectors is not None else later.vectors.shape[1]  # type: ignore[union-attr]
    parts = [np.zeros((len(part), dim), np.float32) if part.vectors is None else part.vectors for part in (one, later)]
    return np.concatenate(parts)


def _digest(table: ItemTable) -> str:
    """SHA-256 (hex) over ids and titles: rows mean the same only in the same catalogue."""
    digest = hashlib.sha256()
    for item in table.items:
        digest.update(f"{item.id}\0{item.title}\0".encode(errors="surrogatepass"))
    return digest.hexdigest()


def _unpacked(manifest: Mapping[str, Any], arrays: Mapping[str, Any]) -> Corpus:
    words, groups = manifest["words"], tuple(manifest["groups"])
    shapes = {
        "documents": (manifest["n_items"], len(words)),
        "names": (manifest["n_items"], len(words)),
        "contexts": (len(groups), len(words)),
        "accepted": (len(groups), manifest["n_items"]),
        "spoken": (len(groups), manifest["n_items"]),
    }
    made: dict[str, Counts] = {}
    for name, shape in shapes.items():
        parts = tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
        made[name] = csr_array(parts, shape=shape)
        made[name].check_format(full_check=True)
    if len(arrays["weights"]) != len(groups):
        raise ValueError(f"{len(arrays['weights'])} weights for {len(groups)} experiences")
    vectors = arrays["vectors"] if "vectors" in arrays else None
    return Corpus(Vocabulary(words), None, **made, weights=arrays["weights"], groups=groups, vectors=vectors)
