"""The meaning of a text by its likeness to every example: kernel ridge regression on what the encoder's layers say.

A label's regression is 1 for its examples and 0 for the others' (Rifkin and Klautau 2004: as good as a kernel SVM, and
solved in one go for all labels). Likeness falls with the square of the distance, so an example speaks for what is near
it alone. Imports scipy to learn, nothing but numpy to read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray

KEPT = 384
"""Axes of the layers' vectors that are kept: the widest."""
RIDGE = 0.05
"""How much an example's label is mistrusted: operators' files have wrong ones."""
FLOOR = 0.03
"""What a label has at least before the logarithm."""
MOST = 10_000
"""Examples that are compared with, evenly of all labels: memory grows with the square (400 MB), time with the cube."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """`axes` (width, kept), `points` (n, kept) are the examples along them, `weights` (n, labels); float32."""

    axes: FloatArray
    points: FloatArray
    weights: FloatArray
    squares: FloatArray = field(init=False)
    """The points' lengths squared: a message does not wait for them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "squares", _squares(self.points))

    def evidence(self, vectors: FloatArray) -> NDArray[np.float64]:
        """The logarithm of each label's regression: (n, width) to (n, labels)."""
        said = _likeness(vectors @ self.axes, self.points, self.squares) @ self.weights
        return np.asarray(np.log(np.maximum(said, 0) + FLOOR), dtype=np.float64)


def widest(vectors: FloatArray) -> FloatArray:
    """The orthogonal axes along which `vectors` (n, width) differ most: (width, at most `KEPT`).

    They are of such a length that a vector is of length 1 along all of them, in the mean.
    """
    width = vectors.shape[1]
    length = np.sqrt((vectors**2).sum(axis=1).mean())
    if width <= KEPT:
        return np.asarray(np.eye(width) / length, dtype=np.float32)
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)  # the narrowest first
    return np.asarray(axes[:, : -KEPT - 1 : -1] / length, dtype=np.float32, order="C")


def fitted(vectors: FloatArray, rows: NDArray[np.int64], labels: int, axes: FloatArray) -> Kernel:
    """The regression of every label; example i is of label `rows[i]`."""
    from scipy.linalg import cho_factor, cho_solve  # type: ignore[import-untyped]

    kept = _evenly(rows, MOST)
    points = vectors[kept] @ axes
    likeness = _likeness(points, points, _squares(points))
    likeness[np.diag_indices(len(kept))] += np.float32(RIDGE)
    # The transpose of a symmetric matrix is itself, in the order that is solved without a copy.
    factor = cho_factor(likeness.T, lower=True, overwrite_a=True, check_finite=False)
    weights = cho_solve(factor, np.eye(labels, dtype=np.float32)[rows[kept]], check_finite=False)
    return Kernel(axes, points, np.ascontiguousarray(weights))


def _likeness(one: FloatArray, other: FloatArray, squares: FloatArray) -> FloatArray:
    """1 for the same point, less the further apart: (n, kept) and (m, kept), whose `squares` are known, to (n, m)."""
    apart: FloatArray = one @ other.T
    apart *= 2
    apart -= _squares(one)[:, None]
    apart -= squares
    np.exp(apart, out=apart)
    return apart


def _squares(points: FloatArray) -> FloatArray:
    """(n, kept) to (n,)."""
    return np.asarray((points**2).sum(axis=1))


def _evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """The places of `most` examples at most, as many of each label as there are, drawn by lot."""
    drawn = np.random.default_rng(2).permutation(len(rows))
    order = drawn[np.argsort(rows[drawn], kind="stable")]
    sizes = np.bincount(rows)
    turn = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # which one of its label each is
    return np.sort(order[np.argsort(turn, kind="stable")[:most]])
