"""What makes a list varied: how like the items above it each further one is, and how far a list is from a taste.

Pure functions on arrays. Knows nothing of scores, of how a list is drawn and shown.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray

SMOOTHING = 0.01
"""How much of the taste is mixed into a list's values, so that a value that the list lacks is no infinity (Steck)."""


class Likeness:
    """The greatest cosine of each item of a pool with one of those already chosen, 0 where it would be below.

    The second part of maximal marginal relevance: Carbonell and Goldstein, "The use of MMR, diversity-based reranking
    for reordering documents and producing summaries", SIGIR 1998. Grows with each choice, O(pool * dim).
    """

    def __init__(self, vectors: FloatArray) -> None:
        """Nothing is chosen yet; `vectors` of the pool: unit, or zeros where nothing is known, float32, (n, dim)."""
        self._vectors = vectors
        self._values = np.zeros(len(vectors))

    def penalties(self) -> NDArray[np.float64]:
        """For each item of the pool 0 .. 1: (n,)."""
        return self._values

    def choose(self, position: int) -> None:
        """An item of the pool takes the next place."""
        self._values = np.clip(self._vectors @ self._vectors[position], self._values, 1.0)


class Miscalibration:
    """How far a list's values would be from a taste's if an item of the pool came next: KL(taste || list).

    Steck, "Calibrated recommendations", RecSys 2018, eq. 6 and 7: divergence of the taste's shares of an attribute's
    values from the list's, those smoothed by `SMOOTHING`. Unlike likeness it is a number of nats that may exceed 1.
    """

    def __init__(self, shares: FloatArray, taste: FloatArray) -> None:
        """Nothing is chosen yet.

        Args:
            shares: of each value in each item of the pool, rows sum to 1, or to 0 without a value: (n, values).
            taste: shares that sum to 1, or to 0 where nothing is known, which makes every item alike: (values,).
        """
        self._shares = shares.astype(np.float64)
        self._taste = taste.astype(np.float64)
        self._sum = np.zeros(len(taste))

    def penalties(self) -> NDArray[np.float64]:
        """For each item of the pool the divergence with it, >= 0: (n,)."""
        wanted = self._taste > 0
        sums = self._sum + self._shares
        lists = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1e-12)
        smoothed = (1 - SMOOTHING) * lists[:, wanted] + SMOOTHING * self._taste[wanted]
        told: NDArray[np.float64] = np.log(self._taste[wanted] / smoothed) @ self._taste[wanted]
        return np.maximum(told, 0.0)

    def choose(self, position: int) -> None:
        """An item of the pool takes the next place."""
        self._sum = self._sum + self._shares[position]


def mean_distance(vectors: FloatArray) -> float:
    """1 - cosine, averaged over all pairs of a list; 0 of fewer than two items.

    Args:
        vectors: unit vectors of the list, float32, (n, dim).
    """
    n = len(vectors)
    if n < 2:
        return 0.0
    cosines = vectors @ vectors.T
    return float(1.0 - (cosines.sum() - np.trace(cosines)) / (n * (n - 1)))
