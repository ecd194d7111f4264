"""An encoder that knows the number of letters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from retrieval.encoder import FloatArray


class SmallEncoder:
    """Unit vectors in four dimensions."""

    name, dim = "small", 4

    def encode(self, texts: Sequence[str]) -> FloatArray:
        angles = np.array([[len(text) % (column + 2) + 1.0 for column in range(self.dim)] for text in texts])
        unit: FloatArray = (angles / np.linalg.norm(angles, axis=1, keepdims=True)).astype(np.float32)
        return unit
