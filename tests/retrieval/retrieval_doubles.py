"""Catalogues and encoders that the tests of retrieval share."""

import gzip
import json
import zlib
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np

from retrieval.encoder import FloatArray
from retrieval.items import AttributeValue, Item
from retrieval.lexical import terms

SHARED_MOVIES = Path(__file__).parents[3] / "shared" / "data" / "movies-open" / "movies.jsonl.gz"


class HashingEncoder:
    """A deterministic bag of words in 64 dimensions that remembers what it was asked to encode."""

    def __init__(self, name: str = "hashing") -> None:
        self.name = name
        self.dim = 64
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked.extend(texts)
        vectors = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            for token in terms(text) or ["."]:
                rng = np.random.default_rng(zlib.crc32(token.encode()))
                vectors[row] += rng.standard_normal(self.dim).astype(np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


class VectorEncoder(HashingEncoder):
    """Cheap for thousands of items: one random vector for each text as a whole."""

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked.extend(texts)
        vectors = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(self.dim) for text in texts]
        array = np.array(vectors, dtype=np.float32).reshape(len(texts), self.dim)
        return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def odd_items() -> list[Item]:
    """What catalogues hold besides nice items."""
    return [
        Item("empty", ""),
        Item("untold", "No description at all"),
        Item(
            "html",
            "Lamp",
            text='<p>Warm <b>light</b> &amp; shade</p><img src=x onerror="steal()"><script>evil()</script>',
        ),
        Item("long", "Saga", text="dragon " * 5_000),
        Item("emoji", "🎬🍿", text="🎉 party 🎉"),
        Item("rtl", "مرحبا بالعالم", text="فيلم عن البحر"),
        Item("chinese", "活着", text="一部关于家庭的电影"),
        Item("hidden", "Zero\u200bwidth\x00 title", text="\u202ebidi\u202c text"),
    ]


def shop_items() -> list[Item]:
    """Six items small enough to reason about by hand."""
    whales: dict[str, AttributeValue] = {"genres": ("SciFi", "Drama"), "year": 1994.0}
    noir: dict[str, AttributeValue] = {"genres": ("Crime",), "year": 1974.0, "director": "Zoë Łukas"}
    heist: dict[str, AttributeValue] = {"genres": ("Crime", "Comedy"), "year": 1975.0}
    crew: dict[str, AttributeValue] = {"genres": ("Crime",), "year": 2001.0}
    cheap, usual = Decimal("7.50"), Decimal("9.99")
    return [
        Item("a", "Space Whales", "Whales sing in space.", whales, Decimal("12.90"), "EUR", True, popularity=5),
        Item("b", "Café Noir", "A detective drinks coffee.", noir, cheap, "EUR", False, popularity=9),
        Item("c", "Heist of the Seventies", "Thieves plan a quiet heist.", heist, cheap, "EUR", True, popularity=9),
        Item("d", "Undated Drama", "People talk in a kitchen.", {"genres": ("drama",)}, popularity=1),
        Item("e", "Whale Watching", "Boats follow whales.", {"year": 2001.0}, Decimal("20"), "EUR", True),
        Item("f", "Ocean's Eleven", "A crew robs casinos.", crew, usual, "EUR", True, popularity=50),
    ]


def read_films(limit: int) -> list[Item]:
    """The films with most reviews of the shared open set, as items."""
    with gzip.open(SHARED_MOVIES, "rt", encoding="utf-8") as lines:
        unique = {row["id"]: row for row in map(json.loads, lines)}  # 133 articles stand in the set twice
    rows = sorted(unique.values(), key=lambda row: -row.get("n_reviews", 0))[:limit]
    return [
        Item(
            row["id"],
            row["title"],
            row["overview"],
            {"year": float(row["year"]), "genres": tuple(row.get("genres", ())), "cast": tuple(row.get("cast", ()))},
            popularity=float(row.get("n_reviews", 0)),
        )
        for row in rows
    ]


def made_up_films(n: int) -> list[Item]:
    """As `read_films`, with attributes of the same shape and words by chance."""
    rng = np.random.default_rng(7)
    words = [f"w{i}" for i in range(400)]
    return [
        Item(
            f"m{i}",
            f"Film {i}",
            " ".join(rng.choice(words, 12)),
            {"year": float(1920 + i % 100), "genres": (f"g{i % 7}", f"g{i % 11}"), "cast": (f"p{i % 900}",)},
            popularity=float(rng.integers(0, 50)),
        )
        for i in range(n)
    ]
