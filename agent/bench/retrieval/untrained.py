"""Rows ranked as a shop does on its first day: nothing is learned from any dialogue, nothing is tuned on this one.

The product's own search with its first-day branches (`retrieval.unlearned`), fed by the product's own rules. Half of
what words and vectors look for is the whole dialogue: over all its turns the words for what is wanted come again, those
for courtesies and questions change. The other half is what the rules understood as wishes of it: on recquest neither
alone is as good, and against the dialogue alone nothing is lost on opendialkg and redial.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.preferences import Fact, Preference, fold
from agent.turn import lasting_facts
from agent.understand.lexicon import Lexicon
from agent.understand.rules import Rules
from agent.understand.types import DialogueContext
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
READ_TURNS = 50
"""The customer's latest turns that are understood, 2 ms each; a shop reads each once, when it is said."""


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
        self._rules = Rules(Lexicon.of(table.items, table.shape), table.get)

    def rank(self, row: Row) -> Ranked:
        """The best 50 items for a row, without those in `mentioned`, only `candidates` where it has them."""
        started = time.perf_counter()
        found = self.search(row, LISTED).candidates
        ranked = tuple(one.item_id for one in found)[:LISTED]
        return Ranked(row.id, ranked, (time.perf_counter() - started) * 1_000)

    def search(self, row: Row, k: int) -> SearchResult:
        """The first `k` with score and place in each branch."""
        return self.retriever.search(self.query(row, max(k, SEARCHED)))

    def query(self, row: Row, k: int) -> Query:
        """What a row asks; the newest words where they are too many."""
        filters = () if row.candidates is None else (Filter("id", "eq", row.candidates),)
        said = _newest(" ".join(turn.text for turn in row.turns))
        wished = _newest(self._wished(row, filters))
        texts = [text for text in (said, wished) if text]
        return Query(
            texts=tuple(WeightedText(text, 1 / len(texts)) for text in texts),
            turns=tuple(turn.text for turn in row.turns),
            seeds=tuple(SeedItem(item, MENTION) for item in row.mentioned),
            filters=filters,
            k=k,
        )

    def _wished(self, row: Row, filters: tuple[Filter, ...]) -> str:
        """The words of the wishes in force, each once; a value that all of a closed pool have says nothing."""
        facts: list[Fact] = []
        wishes: tuple[Preference, ...] = ()
        turns = [turn.text for turn in row.turns if turn.role == "user"][-READ_TURNS:]
        for number, text in enumerate(turns, 1):
            facts += lasting_facts(self._rules.understand(text, DialogueContext(turn=number, preferences=wishes)))
            wishes = fold(facts)
        said = [one for one in wishes if one.polarity == "positive" and one.op in ("about", "eq")]
        if filters:
            n_pool = self.retriever.table.count(filters)
            said = [one for one in said if one.op == "about" or self._tells(one, filters, n_pool)]
        return " ".join(dict.fromkeys(str(value) for one in said for value in one.values))

    def _tells(self, wish: Preference, filters: tuple[Filter, ...], n_pool: int) -> bool:
        """Whether an attribute's wish tells items of a pool apart."""
        if wish.attribute is None:
            return True
        return self.retriever.table.count((*filters, Filter(wish.attribute, "eq", wish.values))) < n_pool


def _newest(text: str) -> str:
    return text.strip()[-MAX_QUERY_CHARS:].strip()
