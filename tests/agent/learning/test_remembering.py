"""A text is embedded once, and vectors come in the order that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from small_shop import HashingEncoder

from agent.learning.remembering import Remembering
from retrieval.encoder import FloatArray


class Counting(HashingEncoder):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        return super().encode(texts)


def test_no_text_is_embedded_twice() -> None:
    inner = Counting()
    encoder = Remembering(inner)
    encoder.encode(["rain", "snow"])
    found = encoder.encode(["snow", "hail", "rain", "snow"])
    assert inner.asked == ["rain", "snow", "hail"]
    assert np.array_equal(found, HashingEncoder().encode(["snow", "hail", "rain", "snow"]))
    assert (encoder.name, encoder.dim) == (inner.name, inner.dim)
    assert encoder.encode([]).shape == (0, 64)
