"""Who chooses: by a column, by chance, or a linear bandit. All fit `agent.offpolicy.replaying.Learner`.

Knows nothing of visitors and of what the columns mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Acting: TypeAlias = Literal["thompson", "ucb"]

NOISE = 0.25
"""Variance of a reward that is 0 or 1, at most."""

JITTER = 1e-9
"""Added to variances before they are drawn from: rounding must not make one negative."""


class ByColumn:
    """Takes the greatest number of one column and learns nothing."""

    def __init__(self, column: int) -> None:
        self._column = column

    def choose(self, options: Array) -> int:
        """See `Learner.choose`."""
        return int(np.argmax(options[:, self._column]))

    def learn(self, chosen: Array, reward: float) -> None:
        """See `Learner.learn`."""


class ByChance:
    """Takes any."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random

    def choose(self, options: Array) -> int:
        """See `Learner.choose`."""
        return int(self._random.integers(len(options)))

    def learn(self, chosen: Array, reward: float) -> None:
        """See `Learner.learn`."""


@dataclass(frozen=True, slots=True)
class Belief:
    """About the weights before anything was seen: `mean` and standard deviation `sd`, each (features,)."""

    mean: Array
    sd: Array


class LinearBandit:
    """Rewards are linear in the features; the weights have a Gaussian prior and are known ever better.

    "thompson": acts on weights drawn from what is believed (Agrawal & Goyal 2013, "Thompson Sampling for Contextual
    Bandits with Linear Payoffs"). "ucb": on the mean and `width` standard deviations more (Li et al. 2010, "A
    Contextual-Bandit Approach to Personalized News Article Recommendation", LinUCB; Chu et al. 2011). A prior mean
    other than 0 is how somebody else's opinion enters (Alamdari, Cao & Wilson 2024, "Jump Starting Bandits with
    LLM-Generated Prior Knowledge", who sample the opinions as data instead).
    """

    def __init__(
        self, belief: Belief, random: np.random.Generator, acting: Acting = "thompson", width: float = 1.0
    ) -> None:
        self.mean: Array = belief.mean.astype(np.float64)
        self._covariance: Array = np.diag(belief.sd.astype(np.float64) ** 2)
        self._random = random
        self._acting = acting
        self._width = width

    def choose(self, options: Array) -> int:
        """See `Learner.choose`; ties go to the first."""
        if self._acting == "ucb":
            spread = np.sqrt(np.einsum("ij,jk,ik->i", options, self._covariance, options))
            return int(np.argmax(options @ self.mean + self._width * spread))
        root = np.linalg.cholesky(self._covariance + JITTER * np.eye(len(self.mean)))
        drawn = self.mean + root @ self._random.standard_normal(len(self.mean))
        return int(np.argmax(options @ drawn))

    def learn(self, chosen: Array, reward: float) -> None:
        """See `Learner.learn`; a rank-one update of the posterior (Rasmussen & Williams 2006, section 2.1)."""
        pull = self._covariance @ chosen
        gain = pull / (NOISE + chosen @ pull)
        self.mean = self.mean + gain * (reward - chosen @ self.mean)
        self._covariance = self._covariance - np.outer(gain, pull)
        self._covariance = (self._covariance + self._covariance.T) / 2  # rounding makes it lopsided
