"""A shop of 30 films that the tests of the conversation share, and short ways to write wishes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent.messages import messages
from agent.preferences import Added, Dropped, Preference
from agent.ranking import Ranked
from agent.understand.types import Language
from agent.wording import Wording
from retrieval.encoder import FloatArray
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable
from retrieval.text import tokens

FILMS = Path(__file__).parent / "data" / "films30.jsonl"


class HashingEncoder:
    """A deterministic bag of words in 64 dimensions."""

    name = "hashing"
    dim = 64

    def encode(self, texts: Sequence[str]) -> FloatArray:
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            for token in tokens(text) or ["."]:
                rng = np.random.default_rng(zlib.crc32(token.encode()))
                vectors[row] += rng.standard_normal(self.dim).astype(np.float32)
        unit: FloatArray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
        return unit


def read_films() -> tuple[Item, ...]:
    return tuple(load_catalogue(FILMS, strict=True).items)


def wish(
    attribute: str | None = None,
    op: str = "eq",
    *values: str | float,
    key: str = "",
    kind: str = "hard",
    polarity: str = "positive",
    turn: int = 1,
) -> Preference:
    """A wish with a name made of its parts, unless `key` gives one."""
    name = key or f"t{turn}-{attribute}-{op}-{'/'.join(map(str, values))}-{polarity}"
    return Preference(name, kind, attribute, op, values, polarity, "said", turn)  # type: ignore[arg-type]


def added(*wishes: Preference) -> tuple[Added | Dropped, ...]:
    return tuple(Added(one) for one in wishes)


def wording(table: ItemTable, language: Language = "en") -> Wording:
    return Wording(messages(language), lambda item_id: table.get(item_id).title, table.shape.currency)


def ranked(item: Item, score: float = 0.0) -> Ranked:
    return Ranked(item, score, {}, {})
