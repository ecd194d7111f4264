"""Has a canary done well for long enough? Non-inferiority on every sign, so that it may be promoted without a human.

For each sign the canary's rate of conversations must be surely less than `margin` worse than the champion's: the upper
bound of the difference, by Newcombe's hybrid score interval (Newcombe 1998, "Interval estimation for the difference
between independent proportions", method 10). All signs must pass, so none of them needs a correction for the others
(intersection-union, Berger 1982). Who looks again and again would pass by chance in the end: it is looked only when the
canary has had n, 2n, 4n ... conversations, at the levels alpha / 2, alpha / 4 ..., which together stay below alpha; and
always at the same first conversations, so that it does not matter how often or in how many servers somebody looks.
Knows no adapters and moves nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from agent.settings import LearningSettings

ALPHA: Final = 0.05
"""How often a canary that is `margin` worse in some sign may be promoted, whenever that is."""


@dataclass(frozen=True, slots=True)
class PromotionRules:
    """When a trial ends by itself, besides by an alarm.

    Attributes:
        automatic: whether it does at all; else an operator promotes or takes back.
        margin: by how much the canary's rate of a sign may be worse, absolute.
        sessions: conversations of the canary at the first look.
        days: a trial that is not decided by then ends, and the canary is a candidate again.
    """

    automatic: bool = True
    margin: float = 0.1
    sessions: int = 100
    days: float = 14.0

    @classmethod
    def of(cls, learning: LearningSettings) -> PromotionRules:
        """As the operator set them."""
        return cls(
            learning.canary_ends == "auto", learning.canary_margin, learning.canary_sessions, learning.canary_days
        )


DEFAULT_RULES: Final = PromotionRules()


def look_at(sessions: int, first: int) -> tuple[int, float] | None:
    """The last look that is due: how many of the canary's conversations it is of, and its level; None before the first.

    Args:
        sessions: conversations of the canary so far.
        first: of the first look.
    """
    if sessions < first:
        return None
    doublings = int(math.log2(sessions / first))
    return first * 2**doublings, ALPHA / 2 ** (doublings + 1)


def most_worse(canary: int, n_canary: int, champion: int, n_champion: int, level: float) -> float:
    """The upper bound, at one-sided `level`, of how much higher the canary's rate is than the champion's.

    Args:
        canary: conversations of the canary with something bad in them.
        n_canary: all of them, at least 1.
        champion: conversations of the champion with something bad in them.
        n_champion: all of them, at least 1.
        level: chance that the truth is above the bound.
    """
    z = NormalDist().inv_cdf(1 - level)
    mine, theirs = canary / n_canary, champion / n_champion
    return mine - theirs + math.hypot(_wilson(canary, n_canary, z) - mine, theirs - _wilson(champion, n_champion, -z))


def _wilson(seen: int, total: int, z: float) -> float:
    """The end of Wilson's score interval of a rate: the upper one for a positive `z`, the lower one for a negative."""
    rate, weight = seen / total, z * z / total
    spread = math.sqrt(rate * (1 - rate) * weight + weight * weight / 4)
    return (rate + weight / 2 + math.copysign(spread, z)) / (1 + weight)
