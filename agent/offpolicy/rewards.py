"""A plain model of rewards for the direct and the doubly robust estimate: linear in features and place.

Fitted on other customers than it predicts for. Knows nothing of policies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Groups: TypeAlias = NDArray[np.int64]

FOLDS = 5
RIDGE = 1.0
"""Of the standardised features, in lists: a feature is believed from a few lists on."""


@dataclass(frozen=True, slots=True)
class RewardModels:
    """One model for each fold of customers, fitted on the others.

    `weights` (folds, places, features + 1), the last one the constant; `fold_of` (lists,).
    """

    weights: Array
    fold_of: NDArray[np.int64]

    def predict(self, row: int, features: Array, place: int) -> Array:
        """Rewards at `place` for items in the situation of list `row`: (items,) from (items, features)."""
        weights = self.weights[self.fold_of[row], place]
        told: Array = features @ weights[:-1] + weights[-1]
        return told


def fit_rewards(features: Array, rewards: Array, groups: Groups, folds: int = FOLDS) -> RewardModels:
    """Ridge regression (Hoerl & Kennard 1970), one place at a time.

    Args:
        features: of what was shown, (lists, places, features).
        rewards: (lists, places).
        groups: whose list it was, (lists,); a customer is in one fold.
        folds: at least 2; a model of few customers is the mean of the others.
    """
    lists, places, width = features.shape
    fold_of = _folds(groups, folds)
    weights = np.zeros((folds, places, width + 1))
    for fold in range(folds):
        train = fold_of != fold
        for place in range(places):
            if train.any():
                weights[fold, place] = _ridge(features[train, place], rewards[train, place])
    return RewardModels(weights, fold_of)


def _folds(groups: Groups, folds: int) -> NDArray[np.int64]:
    _, owner = np.unique(groups, return_inverse=True)
    count = int(owner.max()) + 1 if len(owner) else 0
    folded: NDArray[np.int64] = np.random.default_rng(0).permutation(count)[owner] % folds
    return folded


def _ridge(features: Array, rewards: Array) -> Array:
    """Weights of the features as they are, then the constant; a feature that never varies has weight 0."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    standard = (features - mean) / scale
    gram = standard.T @ standard + RIDGE * np.eye(features.shape[1])
    slopes = np.linalg.solve(gram, standard.T @ (rewards - rewards.mean())) / scale
    weights: Array = np.append(slopes, rewards.mean() - mean @ slopes)
    return weights
