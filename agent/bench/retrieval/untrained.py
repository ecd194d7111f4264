"""Rows ranked as a shop does on its first day: nothing is learned from any dialogue, nothing is tuned on this one.

The product's own search with its first-day branches (`retrieval.unlearned`). The whole dialogue is one text for words
and vectors: over all its turns the words for what is wanted come again, those for courtesies and questions change.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from agent.bench.retrieval.dialogues import Ranked, Row
from retrieval.branches.corpus import MENTION
from retrieval.dense import VECTORS_FILE, DenseIndex
from retrieval.encoder import Encoder, FloatArray
from retrieval.lexical import LexicalBuilder, LexicalIndex
from retrieval.query import Filter, Query, SeedItem, WeightedText
from retrieval.search import MAX_QUERY_CHARS, Further, Retriever, SearchResult
from retrieval.table import ItemTable
from retrieval.text import plain
from retrieval.unlearned import unlearned

LISTED = 50
"""Items of an answer."""
SEARCHED = 200
"""How far each branch is looked through: what few branches find early beats what one finds late."""


class Untrained:
    """Ranks rows over one catalogue. Safe to share between threads."""

    def __init__(
        self, table: ItemTable, encoder: Encoder, vectors: FloatArray | None = None, further: Further | None = None
    ) -> None:
        """Index the catalogue in memory.

        Args:
            table: the items.
            encoder: turns documents and dialogues into vectors.
            vectors: of the items' documents where they are known, else they are made; float32, (len(table), dim).
            further: other branches than the first day's.
        """
        documents = [plain(item.document()) for item in table.items]
        made = encoder.encode(documents) if vectors is None else vectors
        words = LexicalBuilder()
        for item, document in zip(table.items, documents, strict=True):
            words.add(item.title, document)
        with tempfile.TemporaryDirectory() as name:  # files that are mapped stay readable
            folder = Path(name)
            words.save(folder / "words")
            lexical = LexicalIndex.load(folder / "words", len(table))
            np.save(folder / VECTORS_FILE, made)
            dense = DenseIndex(folder, table.ids, dim=made.shape[1], row_of=table.row_of, stores=None)
        self.retriever = Retriever(table, encoder, dense, lexical, unlearned(table) if further is None else further)

    def rank(self, row: Row) -> Ranked:
        """The best 50 items for a row, without those in `mentioned`, only `candidates` where it has them."""
        started = time.perf_counter()
        found = self.search(row, LISTED).candidates
        ranked = tuple(one.item_id for one in found)[:LISTED]
        return Ranked(row.id, ranked, (time.perf_counter() - started) * 1_000)

    def search(self, row: Row, k: int) -> SearchResult:
        """The first `k` with score and place in each branch."""
        return self.retriever.search(query_of(row, max(k, SEARCHED)))


def query_of(row: Row, k: int) -> Query:
    """What a row asks; the newest words where they are too many."""
    said = " ".join(turn.text for turn in row.turns)[-MAX_QUERY_CHARS:]
    return Query(
        texts=(WeightedText(said),) if said.strip() else (),
        turns=tuple(turn.text for turn in row.turns),
        seeds=tuple(SeedItem(item, MENTION) for item in row.mentioned),
        filters=() if row.candidates is None else (Filter("id", "eq", row.candidates),),
        k=k,
    )
