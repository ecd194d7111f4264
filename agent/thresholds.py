"""The numbers of `thresholds.toml`: when a question pays, and from when on the bot is unsure of itself.

Each entry says what it was fitted on. Knows nothing of conversations.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

Step: TypeAlias = Literal["ask", "recommend", "answer"]
"""What a turn does that its confidence is about."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What the worth of a question is computed with; see `agent.questions`.

    `temperature` is in units of the ranker's spread. `no_preference` is the share of customers who do not mind,
    `patience` the share of those not yet served who write once more. `min_gain` is the price of a turn: what
    customers tell without being asked, too.
    """

    temperature: float
    no_preference: float
    patience: float
    min_gain: float


@dataclass(frozen=True, slots=True)
class Calibrated:
    """A logistic model over named features, and the probability below which the bot says that it is unsure."""

    bias: float
    weights: Mapping[str, float]
    threshold: float

    def probability(self, features: Mapping[str, float]) -> float:
        """That the turn serves the customer, 0 to 1; a feature without a weight does not count."""
        odds = self.bias + sum(weight * features.get(name, 0.0) for name, weight in self.weights.items())
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


@dataclass(frozen=True, slots=True)
class HandingOver:
    """A person is offered after `turns` turns in a row with a confidence below `threshold`."""

    threshold: float
    turns: int


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Everything that stands in the file."""

    asking: Asking
    steps: Mapping[Step, Calibrated]
    handing_over: HandingOver


@cache
def thresholds() -> Thresholds:
    """The thresholds, read once."""
    return read_thresholds(tomllib.loads(files("agent").joinpath("thresholds.toml").read_text(encoding="utf-8")))


def read_thresholds(table: Mapping[str, Any]) -> Thresholds:
    """The parsed file as values."""
    ask, handoff = table["ask"], table["handoff"]
    steps: tuple[Step, ...] = ("ask", "recommend", "answer")
    return Thresholds(
        Asking(ask["temperature"], ask["no_preference"], ask["patience"], ask["min_gain"]),
        {name: Calibrated(table[name]["bias"], table[name]["weights"], table[name]["threshold"]) for name in steps},
        HandingOver(handoff["threshold"], handoff["turns"]),
    )
