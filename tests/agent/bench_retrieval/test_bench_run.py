"""What a run does around the ranking: texts embedded once for many fits, and never a query from memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.bench.retrieval.run import BATCH, RememberingEncoder
from retrieval.encoder import FloatArray


class CountingEncoder:
    """The length of a text as its vector; remembers what it was asked."""

    name, dim = "counting", 1

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked.extend(texts)
        return np.array([[len(text)] for text in texts], dtype=np.float32)


def test_batches_are_embedded_once_and_queries_each_time() -> None:
    encoder = CountingEncoder()
    remembering = RememberingEncoder(encoder)
    batch = ["x" * number for number in range(BATCH)] + ["xx"]
    for _ in range(2):
        assert remembering.encode(batch)[:, 0].tolist() == [*range(BATCH), 2]
    assert encoder.asked == batch[:-1]
    assert remembering.encode([*batch, "new one"])[-1, 0] == len("new one")
    assert encoder.asked == [*batch[:-1], "new one"]
    for _ in range(2):
        remembering.encode(["x", "xx"])
    assert encoder.asked[-4:] == ["x", "xx"] * 2
    assert (remembering.name, remembering.dim) == ("counting", 1)
