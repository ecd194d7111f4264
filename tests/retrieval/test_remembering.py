"""A text is embedded once, and vectors come in the order that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.encoder import FloatArray
from retrieval.remembering import Remembering


class Counting:
    """The length of a text as its vector; remembers what it was asked."""

    name, dim = "counting", 1

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        return np.array([[len(text)] for text in texts], dtype=np.float32).reshape(-1, 1)


def test_no_text_is_embedded_twice() -> None:
    inner = Counting()
    encoder = Remembering(inner)
    encoder.encode(["rain", "sun"])
    assert encoder.encode(["sun", "hailstorm", "rain", "sun"])[:, 0].tolist() == [3, 9, 4, 3]
    assert inner.asked == ["rain", "sun", "hailstorm"]
    assert (encoder.name, encoder.dim) == ("counting", 1)
    assert encoder.encode([]).shape == (0, 1)


def test_the_few_texts_of_a_query_are_embedded_each_time_where_that_is_measured() -> None:
    inner = Counting()
    encoder = Remembering(inner, at_least=3)
    for _ in range(2):
        assert encoder.encode(["x", "xx", "xxx", "xx"])[:, 0].tolist() == [1, 2, 3, 2]
    assert inner.asked == ["x", "xx", "xxx"]
    for _ in range(2):
        encoder.encode(["x", "xx"])
    assert inner.asked[3:] == ["x", "xx"] * 2
