"""With what probability a policy would have shown a given list: the counterpart of `agent.rank.drawing`, to the digit.

Knows nothing of the log and of rewards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.rank.drawing import draw
from retrieval.diversity import Likeness
from retrieval.encoder import FloatArray

Array: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pool:
    """What a policy draws one list from: items and scores, best first; see `agent.rank.drawing.draw`.

    `scores` (items,), `temperature` in their units, 0 for no chance. `vectors`, float32 (items, dim), and `weight` are
    those of the variety; None for none. `features` by name, one mapping for each item: what a model of rewards reads.
    """

    ids: tuple[str, ...]
    scores: Array
    temperature: float
    vectors: FloatArray | None = None
    weight: float = 0.0
    features: Sequence[Mapping[str, float]] = field(default=())

    def log_propensities(self, shown: Sequence[str]) -> Array:
        """Natural log of the probability of each item at its place given those above; -inf where it is impossible.

        Plackett 1975, "The Analysis of Permutations", with scores that fall by the likeness to what stands above.
        float64, (shown,); below an impossible place all are -inf.
        """
        place_of = {item_id: place for place, item_id in enumerate(self.ids)}
        logs = np.full(len(shown), -np.inf)
        left = np.ones(len(self.ids), dtype=np.bool_)
        variety = self._variety()
        for row, item_id in enumerate(shown):
            place = place_of.get(item_id)
            if place is None or not left[place]:
                break
            values = self.scores if variety is None else self.scores - self.weight * variety.penalties()
            logs[row] = self._log_share(values, place, left)
            if logs[row] == -np.inf:
                break
            left[place] = False
            if variety is not None:
                variety.choose(place)
        return logs

    def lists(self, size: int, n: int, seed: int) -> NDArray[np.int64]:
        """`n` lists of this policy as positions in `ids`, one where nothing is left to chance.

        int64, (n, min(size, items)).
        """
        drawn = [
            draw(
                self.scores,
                size,
                temperature=self.temperature,
                seed=seed + number,
                variety=self._variety(),
                weight=self.weight,
            )
            for number in range(n if self.temperature > 0 else 1)
        ]
        return np.array([[place.position for place in one] for one in drawn], dtype=np.int64)

    def _variety(self) -> Likeness | None:
        return None if self.vectors is None else Likeness(self.vectors)

    def _log_share(self, values: Array, place: int, left: NDArray[np.bool_]) -> float:
        if self.temperature > 0:
            logits = values / self.temperature
            return float(logits[place] - np.logaddexp.reduce(logits[left]))
        return 0.0 if place == int(np.argmax(np.where(left, values, -np.inf))) else -np.inf


def weights_of(candidate: Array, logged: Array) -> Array:
    """Ratio of the probabilities of the items down to each place, from log-probabilities by place: (places,)."""
    with np.errstate(over="ignore"):
        ratio: Array = np.exp(np.cumsum(candidate) - np.cumsum(logged))
    return ratio
