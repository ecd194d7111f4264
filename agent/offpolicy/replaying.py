"""The value of a policy that learns while it acts, from a log whose choices were made at random.

Knows nothing of what is chosen and of how a policy learns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]


class Learner(Protocol):
    """Chooses one of several options and is told what came of it; options are rows of features."""

    def choose(self, options: Array) -> int:
        """A row of `options`, (options, features)."""
        ...

    def learn(self, chosen: Array, reward: float) -> None:
        """`chosen` (features,) earned `reward`."""
        ...


@dataclass(frozen=True, slots=True)
class LoggedChoice:
    """One event: what there was, (options, features); which of it was `chosen`, uniformly at random; its `reward`."""

    options: Array
    chosen: int
    reward: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """Rewards of the events at which the policy agreed with the log; `seen` counts all."""

    rewards: tuple[float, ...]
    seen: int

    @property
    def value(self) -> float:
        """The mean reward; 0 where nothing agreed."""
        return sum(self.rewards) / len(self.rewards) if self.rewards else 0.0


def replay(learner: Learner, events: Iterable[LoggedChoice]) -> Replayed:
    """Keep the events at which the learner chooses what was chosen, and let it learn from those alone.

    Li, Chu, Langford & Wang 2011, "Unbiased Offline Evaluation of Contextual-bandit-based News Article Recommendation
    Algorithms", algorithm 2: unbiased for as many events of the policy's own as are kept, where the log's choices
    were uniform and independent.
    """
    rewards: list[float] = []
    seen = 0
    for event in events:
        seen += 1
        if learner.choose(event.options) == event.chosen:
            rewards.append(event.reward)
            learner.learn(event.options[event.chosen], event.reward)
    return Replayed(tuple(rewards), seen)
