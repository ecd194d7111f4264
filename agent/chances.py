"""How likely each ranked item is the one that the customer wants.

Scores become probabilities by a softmax whose temperature was calibrated on simulated customers (`thresholds.toml`).
Knows nothing of questions and of words.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.ranking import Slate

Chances: TypeAlias = NDArray[np.float64]


def chances_of(slate: Slate, n_matching: int, seen: Collection[str], temperature: float) -> Chances:
    """Of each item of `slate.considered`: float64, (considered,), with a sum of at most 1.

    The rest is with the items that fit but were not ranked: each of those is taken to be worth as much as the last one
    that was.

    Args:
        slate: what is about to be shown.
        n_matching: items that meet every hard wish.
        seen: ids that were shown before. They were not taken, so they are not it.
        temperature: in units of the ranker's spread.
    """
    scores = np.array([entry.score for entry in slate.considered])
    if not len(scores):
        return scores
    weights = np.exp((scores - scores.max()) / (temperature * slate.spread))
    beyond = max(0, n_matching - len(scores)) * float(weights[-1])
    weights[[entry.item.id in seen for entry in slate.considered]] = 0.0
    whole = weights.sum() + beyond
    chances: Chances = weights / whole if whole > 0 else weights
    return chances
