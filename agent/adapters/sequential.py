"""A test that may be looked at after every case: does the canary get more than its share of what goes wrong?

Conversations go to the canary at random, each with the same known probability p. If the canary is like the champion,
the conversations in which something went wrong are a random sample of all: each is the canary's with probability p,
whatever the rate of trouble, and whatever else changes meanwhile. So one row of coins with a known p is watched, and
nothing about the champion has to be estimated (Lindon and Malek 2022, "Anytime-valid inference for multinomial count
data", use the same test for other splits).

The evidence is the likelihood of the row under a mixture of all q > p over its likelihood under p, a martingale under p
(Robbins 1970, "Statistical methods related to the law of the iterated logarithm"; Johari, Pekelis and Walsh 2022,
"Always valid inference", call the test mSPRT). By Ville's inequality it ever reaches 1 / alpha with probability alpha
at most: false alarms stay below alpha however often somebody looks, and for as long as the trial runs.
Knows no adapters.
"""

from __future__ import annotations

import math


def log_evidence(canary: int, total: int, share: float) -> float:
    """Natural log of the evidence that the canary gets more than `share` of `total` cases, of which it got `canary`.

    The mixture over q is uniform on (share, 1).

    Raises:
        ValueError: `share` is not between 0 and 1, or `canary` not between 0 and `total`.
    """
    if not 0 < share < 1 or not 0 <= canary <= total:
        raise ValueError(f"{canary} of {total} cases at a share of {share} are no counts of a trial")
    from scipy.special import betaincc, betaln  # type: ignore[import-untyped]

    a, b = canary + 1, total - canary + 1
    above = float(betaincc(a, b, share))  # the part of the mixture's likelihood that lies above the share
    if above == 0.0:
        return -math.inf
    fair = canary * math.log(share) + (total - canary) * math.log1p(-share)
    return float(betaln(a, b)) + math.log(above) - math.log1p(-share) - fair
