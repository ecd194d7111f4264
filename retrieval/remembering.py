"""An encoder that embeds no text twice: a job asks for the same texts again and again.

Everything stays in memory: for a job that ends, not for a server.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.encoder import Encoder, FloatArray


class Remembering:
    """Fits `Encoder`; for one thread.

    `at_least`: what comes in calls of fewer texts is embedded each time, for one who measures what a query takes.
    """

    def __init__(self, encoder: Encoder, at_least: int = 1) -> None:
        self._encoder = encoder
        self._at_least = max(1, at_least)
        self._known: dict[str, FloatArray] = {}

    @property
    def name(self) -> str:
        """The encoder's."""
        return self._encoder.name

    @property
    def dim(self) -> int:
        """The encoder's."""
        return self._encoder.dim

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """See `Encoder.encode`."""
        if len(texts) < self._at_least:
            return self._encoder.encode(texts)
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._encoder.encode(new), strict=True))
        vectors: FloatArray = np.stack([self._known[text] for text in texts])
        return vectors
