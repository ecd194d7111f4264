"""The numbers of `thresholds.toml`: when a question pays, and from when on the bot is unsure of itself.

Each entry says what it was fitted on. Knows nothing of conversations.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from retrieval.errors import SettingsError

FILE = "thresholds.toml"

Step: TypeAlias = Literal["ask", "recommend", "answer"]
"""What a turn does that its confidence is about."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What the worth of a question is computed with; see `agent.questions`.

    `temperature` is in units of the ranker's spread. `no_preference` is the share of customers who do not mind, or
    would have said it unasked; `no_preference_after_more` is the same for those who told nothing new and only want
    others. `patience` is the share of those not yet served who write once more, `min_gain` the price of a turn in which
    something might have been told.
    """

    temperature: float
    no_preference: float
    no_preference_after_more: float
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
    """The thresholds, read once.

    Raises:
        SettingsError: the file is not whole.
    """
    try:
        return read_thresholds(tomllib.loads(files("agent").joinpath(FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"agent/{FILE} cannot be read ({error}); install the package again, or write the file anew by "
            "`python -m ui.bench.deciding fit`."
        ) from None


def read_thresholds(table: Mapping[str, Any]) -> Thresholds:
    """The parsed file as values.

    Raises:
        SettingsError: something is missing, or no number where one must be.
    """
    try:
        ask, handoff = table["ask"], table["handoff"]
        steps: tuple[Step, ...] = ("ask", "recommend", "answer")
        return Thresholds(
            Asking(**{field.name: float(ask[field.name]) for field in fields(Asking)}),
            {name: _calibrated(table[name]) for name in steps},
            HandingOver(float(handoff["threshold"]), int(handoff["turns"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        missing = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise SettingsError(
            f"agent/{FILE} is not whole ({missing}); restore it, or write it anew by `python -m ui.bench.deciding fit`."
        ) from None


def _calibrated(table: Mapping[str, Any]) -> Calibrated:
    weights = {str(name): float(weight) for name, weight in table["weights"].items()}
    return Calibrated(float(table["bias"]), weights, float(table["threshold"]))
