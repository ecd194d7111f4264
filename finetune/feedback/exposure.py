"""How much of what is shown each item has, and whether a candidate shows one much more than the champion does.

Statistic: for each item the rise of its share of places, and the z of two proportions with Bonferroni's correction
over the items; over all items the total variation distance (half the sum of absolute differences). Places of one list
are not independent, so the z is a screen and no test; lists of the same questions for both make it a careful one.
Knows nothing of adapters.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

MAX_RISE: Final = 0.05
"""Of one item's share of places: more, and beyond chance, is an alarm."""
LEVEL: Final = 0.01
"""Chance of an alarm where nothing changed, over all items together."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """Places by item, over a set of lists."""

    places: Mapping[str, int]

    @property
    def total(self) -> int:
        """All places."""
        return sum(self.places.values())

    def share(self, item_id: str) -> float:
        """Of all places, 0 to 1."""
        return self.places.get(item_id, 0) / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class ExposureShift:
    """What changed: `distance` is the total variation (0 to 1); `item_id` rose most, by `rise`, with score `z`."""

    distance: float
    item_id: str | None
    rise: float
    z: float
    alarm: bool


def exposure(lists: Iterable[Sequence[str]], depth: int | None = None) -> Exposure:
    """Of the first `depth` places of each list; None: all of them. For one item: `exposure(lists).share(item_id)`."""
    return Exposure(Counter(item_id for one in lists for item_id in one[:depth]))


def exposure_shift(champion: Exposure, candidate: Exposure, max_rise: float = MAX_RISE) -> ExposureShift:
    """The item that rose most; an alarm where that is more than `max_rise` and more than chance gives.

    A set without places is an alarm: there is nothing to go by.
    """
    items = sorted({*champion.places, *candidate.places})
    if not champion.total or not candidate.total:
        return ExposureShift(1.0, None, 0.0, 0.0, alarm=True)
    rises = {item: candidate.share(item) - champion.share(item) for item in items}
    most = max(items, key=lambda item: (rises[item], item))
    z = _z(most, champion, candidate)
    critical = NormalDist().inv_cdf(1 - LEVEL / len(items))
    distance = sum(abs(rise) for rise in rises.values()) / 2
    return ExposureShift(distance, most, rises[most], z, alarm=rises[most] > max_rise and z > critical)


def _z(item: str, before: Exposure, after: Exposure) -> float:
    """Of two proportions, pooled."""
    pooled = (before.places.get(item, 0) + after.places.get(item, 0)) / (before.total + after.total)
    error = math.sqrt(pooled * (1 - pooled) * (1 / before.total + 1 / after.total))
    return (after.share(item) - before.share(item)) / error if error else 0.0
