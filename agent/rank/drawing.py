"""From scores to places, one after the other: the best, or with some chance another; unlike what stands above it.

Exploration and variety are one step, so that the probability of each place is known exactly: what is like the items
above loses some of its score before the next one is drawn, and a list that was drawn is never reordered. Knows nothing
of items and of where scores come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Variety(Protocol):
    """What speaks against the next item, by what has been chosen; see `retrieval.diversity`."""

    def penalties(self) -> Matrix:
        """For each item of the pool: (n,), >= 0."""
        ...

    def choose(self, position: int) -> None:
        """An item of the pool takes the next place."""
        ...


@dataclass(frozen=True, slots=True)
class Place:
    """One place: who has it (a position in the pool), what it lost for variety's sake, and how probable it was there.

    `penalty` >= 0 in units of the score. `log_propensity`: natural log of the probability of this item at this place
    given the ones above it; None where nothing was left to chance.
    """

    position: int
    penalty: float
    log_propensity: float | None


def draw(
    scores: Matrix, size: int, *, temperature: float = 0.0, seed: int = 0, variety: Variety | None = None, weight: float
) -> tuple[Place, ...]:
    """Fill `size` places without replacement.

    P(item at a place) = exp(s / T) / sum over the items not yet placed, with s = score - weight * penalty given those
    above; without variety this is Plackett (1975), "The analysis of permutations". Drawn with Gumbel noise: one draw
    serves all places where scores stay (Kool et al. 2019, "Stochastic beams and where to find them"); where they move
    with each place it would not be independent of what stands above, so each place has its own.

    Args:
        scores: of the pool, best first where ties matter: (n,).
        size: places; fewer where the pool is smaller.
        temperature: T; 0 takes the best each time, which with likeness as variety is maximal marginal relevance.
        seed: of the noise; the first place has the same noise with and without variety.
        variety: nothing chosen yet; it is used up.
        weight: of its penalties, >= 0.
    """
    random = np.random.default_rng(seed)
    noise = _noise(random, temperature, len(scores))
    left = np.ones(len(scores), dtype=np.bool_)
    penalties = np.zeros(len(scores))
    places: list[Place] = []
    while len(places) < min(size, len(scores)):
        if variety is not None:
            penalties = weight * variety.penalties()
            if places:
                noise = _noise(random, temperature, len(scores))
        values = scores - penalties
        chosen = int(np.argmax(np.where(left, values + temperature * noise, -np.inf)))
        log_propensity = _log_share(values / temperature, chosen, left) if temperature > 0 else None
        places.append(Place(chosen, float(penalties[chosen]), log_propensity))
        left[chosen] = False
        if variety is not None:
            variety.choose(chosen)
    return tuple(places)


def _noise(random: np.random.Generator, temperature: float, n: int) -> Matrix:
    return random.gumbel(size=n) if temperature > 0 else np.zeros(n)


def _log_share(logits: Matrix, chosen: int, left: NDArray[np.bool_]) -> float:
    return float(logits[chosen] - np.logaddexp.reduce(logits[left]))
