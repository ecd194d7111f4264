"""Ratings with a known reason, for the tests of rating prediction."""

import numpy as np

from retrieval.encoder import FloatArray
from retrieval.ratings.base import Ratings

N_USERS, N_ITEMS, N_KINDS = 60, 40, 4


def kinds() -> FloatArray:
    """What the text of each item says: its kind, unit vectors with a little noise, (N_ITEMS, 8)."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(0, 0.1, (N_ITEMS, 8)).astype(np.float32)
    vectors[np.arange(N_ITEMS), np.arange(N_ITEMS) % N_KINDS] += 1.0
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def tastes(n_items: int = N_ITEMS) -> Ratings:
    """Every user likes one kind and dislikes the next; half of the pairs of the first `n_items` items are rated."""
    rng = np.random.default_rng(4)
    user, item = np.nonzero(rng.random((N_USERS, N_ITEMS)) < 0.5)
    kind = (item + user) % N_KINDS
    stars = 3.0 + 1.5 * (kind == 0) - 1.5 * (kind == 1) + rng.normal(0, 0.2, len(user))
    ratings = Ratings(
        user.astype(np.int32), item.astype(np.int32), np.clip(stars, 0.5, 5).astype(np.float32), N_USERS, N_ITEMS
    )
    return ratings.only(ratings.item < n_items)
