"""Lists whose items differ from each other, at a price that the caller sets with one knob.

Pure functions on arrays: relevance and vectors in, an order out. Knows nothing of items, users and how a list is shown.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray


def diversify(relevance: NDArray[np.floating], vectors: FloatArray, *, k: int, knob: float) -> NDArray[np.int32]:
    """Maximal marginal relevance: each place goes to what is relevant and unlike everything above it.

    The next item maximises (1 - knob) * relevance - knob * (greatest cosine to an item already chosen), with relevance
    scaled to 0 .. 1 over the pool; ties go to the earlier one. Carbonell and Goldstein, "The use of MMR,
    diversity-based reranking for reordering documents and producing summaries", SIGIR 1998. O(k * pool * dim).

    Args:
        relevance: scores of the pool on any scale, (n,), no NaN.
        vectors: unit vectors, or zeros where nothing is known of an item: float32, (n, dim).
        k: length of the list.
        knob: 0 is the order of `relevance` exactly, 1 looks at likeness alone from the second place on.

    Returns:
        Positions in the pool, best first, unique: int32, (min(k, n),).

    Raises:
        ValueError: `knob` is not in 0 .. 1, or the shapes do not match.
    """
    if not 0.0 <= knob <= 1.0:
        raise ValueError(f"knob is {knob}, expected 0 to 1")
    if relevance.ndim != 1 or vectors.ndim != 2 or len(vectors) != len(relevance):
        raise ValueError(
            f"relevance has shape {relevance.shape}, vectors have {vectors.shape}, expected (n,), (n, dim)"
        )
    order = np.argsort(-relevance, kind="stable").astype(np.int32)
    n_places = min(max(k, 0), len(order))
    if knob == 0.0 or n_places < 2:
        return order[:n_places]
    sorted_vectors = np.ascontiguousarray(vectors[order])
    value = (1.0 - knob) * _scaled(relevance[order])
    likeness = np.full(len(order), -np.inf)
    left = np.ones(len(order), dtype=np.bool_)
    chosen = np.zeros(n_places, dtype=np.int32)  # the first place is the most relevant one's, whatever the knob
    for place in range(1, n_places):
        last = chosen[place - 1]
        left[last] = False
        np.maximum(likeness, sorted_vectors @ sorted_vectors[last], out=likeness)
        chosen[place] = np.argmax(np.where(left, value - knob * likeness, -np.inf))
    return order[chosen]


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


def _scaled(relevance: NDArray[np.floating]) -> NDArray[np.float64]:
    """To 0 .. 1; all zeros where nothing differs."""
    values = relevance.astype(np.float64)
    span = values.max() - values.min()
    scaled: NDArray[np.float64] = (values - values.min()) / span if span > 0 else np.zeros_like(values)
    return scaled
