"""A writer that answers from a script, a hashing encoder, and a small catalogue."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence

import numpy as np

from agent.llm.off import NoEngine
from agent.llm.protocol import CURRENT, Chunk, Limits, Prompt
from retrieval.encoder import FloatArray
from retrieval.items import Item
from retrieval.text import tokens

DIM = 64


class HashingEncoder:
    """Texts with equal words have equal vectors; no weights needed."""

    name, dim = "hashing", DIM

    def encode(self, texts: Sequence[str]) -> FloatArray:
        vectors = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in tokens(text) or ["."]:
                vectors[row, hashlib.sha256(word.encode()).digest()[0] % DIM] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class ScriptedWriter(NoEngine):
    """Says what `answer(prompt, limits)` gives, in two pieces; remembers how it was asked."""

    def __init__(self, answer: Callable[[Prompt, Limits], str]) -> None:
        self.answer = answer
        self.asked: list[tuple[Prompt, Limits]] = []
        self.at_once = self.most_at_once = 0

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        self.asked.append((prompt, limits))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            text = self.answer(prompt, limits)
            await asyncio.sleep(0)
            yield Chunk(text[:5])
            yield Chunk(text[5:], finish="stop")
        finally:
            self.at_once -= 1


GENRES = ("comedy", "horror", "western", "drama")
PLOTS = (
    "A tired baker finds a letter in the flour",
    "Four friends lose a boat on a foggy lake",
    "An old teacher rides home through the desert",
    "Two sisters inherit a lighthouse and a goat",
)


def film(number: int) -> Item:
    return Item(
        id=f"f{number}",
        title=f"Film {'ABCDEFGHIJKLMNOPQRSTUVWXYZ'[number]}",
        text=f"{PLOTS[number % 4]}. It all began in a small town near the sea, {number + 40} years ago.",
        attributes={
            "genre": (GENRES[number % 4],),
            "director": f"{'Ann Bea Cid Dora'.split()[number % 4]} Lee",
            "year": 1980.0 + number,
        },
    )


FILMS = tuple(film(number) for number in range(16))
