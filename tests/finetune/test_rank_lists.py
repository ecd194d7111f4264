from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from agent.bench.retrieval.dialogues import Row, Said
from agent.bench.retrieval.pipeline import Bundle, fit
from finetune.rank_lists import cross_fitted_lists
from retrieval.encoder import FloatArray
from retrieval.items import Item

ITEMS = tuple(Item(f"i{n}", f"Title{n}", f"Something about subject{n % 5}.") for n in range(30))


class WordEncoder:
    """A vector of the words of a text, each drawn from its hash."""

    name, dim = "words", 16

    def encode(self, texts: Sequence[str]) -> FloatArray:
        vectors = [np.sum([self._of(word) for word in text.split()] or [np.ones(16)], axis=0) for text in texts]
        return np.array([vector / np.linalg.norm(vector) for vector in vectors], dtype=np.float32)

    def _of(self, word: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        return np.random.default_rng(seed).normal(size=16)


def row(number: int) -> Row:
    """Each dialogue has a word of its own, which leads to an item without any other trace of it."""
    return Row(f"r{number}", f"d{number}", (Said("user", f"zanzi{number}bar"),), (), (f"i{number}",), "", None)


def test_no_list_knows_its_own_dialogue() -> None:
    rows = tuple(row(number) for number in range(20))
    told: list[tuple[int, int]] = []
    lists = cross_fitted_lists(ITEMS, rows, WordEncoder(), lambda *at: told.append(at), learned=False)
    assert [one.id for one in lists] == [one.id for one in rows]
    assert told[-1] == (20, 20)
    first = sum(one.ranked[:1] == wanted.targets for one, wanted in zip(lists, rows, strict=True))
    knowing = fit(Bundle(ITEMS, rows), WordEncoder(), learned=False)
    assert sum(knowing.rank(one).ranked[:1] == one.targets for one in rows) >= 15, "a ranker that knows them"
    assert first <= 5
