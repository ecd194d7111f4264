"""What a ranker learns from: for each moment the features of its candidates and which of them were accepted.

Also which candidates are kept as negatives. Knows nothing of trees and nothing of how features are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray

Labels: TypeAlias = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class FeatureMatrix:
    """Features of some items: `values` float32, (items, features), NaN where a feature has nothing to say."""

    names: tuple[str, ...]
    values: FloatArray

    def aligned(self, names: Sequence[str]) -> FloatArray:
        """The columns `names`, in that order; NaN for those that are not here: float32, (items, len(names))."""
        if tuple(names) == self.names:
            return self.values
        places = {name: place for place, name in enumerate(self.names)}
        columns = np.array([places.get(name, -1) for name in names], dtype=np.int64)
        found: FloatArray = self.values[:, columns]
        found[:, columns < 0] = np.nan
        return found

    def take(self, rows: NDArray[np.int64]) -> FeatureMatrix:
        """Some of the items, in the order given."""
        return FeatureMatrix(self.names, self.values[rows])


@dataclass(frozen=True, slots=True)
class Example:
    """One moment. `labels` 1 for what was accepted, one for each row of `features`; best first in the unlearned order.

    `group` names the dialogue or customer, `missed` counts what was accepted and is no candidate: it cannot be
    learned from and counts as not found. `weight` > 0 scales what is learned.
    """

    features: FeatureMatrix
    labels: Labels
    group: str
    missed: int = 0
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class NegativeRules:
    """How many candidates that were not accepted a ranker sees of one moment, by rule; by default all.

    `hard`: the first ones of the unlearned order, which are what a ranker must tell apart. `popular`: the most popular
    of the rest, else the ranker learns that popular means good. `random`: of what is then left, so that it knows
    what is plainly wrong. Never few `hard` ones without `random` ones: an accepted item far down the order would
    then be the only one there, and being far down would mean being accepted (measured: R@1 .48 fell to .14).
    """

    hard: int = 1_000
    popular: int = 0
    random: int = 0


def kept(
    labels: Labels, popularity: NDArray[np.float32], rules: NegativeRules, random: np.random.Generator
) -> NDArray[np.int64]:
    """Which candidates to learn from: every accepted one, and the negatives of `rules`, in the order given.

    Args:
        labels: in the unlearned order, best first, (n,).
        popularity: of each candidate, (n,).
        rules: how many of each kind.
        random: draws the random ones.
    """
    keep = labels > 0
    negatives = np.flatnonzero(~keep)
    keep[negatives[: rules.hard]] = True
    rest = negatives[rules.hard :]
    by_popularity = rest[np.argsort(-popularity[rest], kind="stable")]
    keep[by_popularity[: rules.popular]] = True
    left = by_popularity[rules.popular :]
    keep[random.choice(left, size=min(rules.random, len(left)), replace=False)] = True
    return np.flatnonzero(keep)
