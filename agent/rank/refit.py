"""A ranker that learns more: grown anew where that can be paid for, else with some trees added for what is new.

Anew is the rule, because the branches know more by now and the features of the old moments have changed, too; 3,400
moments take two or three minutes of one core. Added trees take seconds: they see the new moments and as many old ones
drawn at random, so that what was learned before is not lost. LightGBM's own `refit`, which keeps the trees and moves
the values of their leaves, is not used: for a new branch or a new habit it has no split. How much recall the added
trees lose against growing anew was not measured.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from agent.rank.examples import Example
from agent.rank.lambdamart import LambdaMART, Options

ANEW_MOMENTS = 20_000
"""Up to so many moments a ranker is grown anew."""
ADDED_SHARE = 0.1
"""Trees that are added, as a share of those that a ranker is grown with."""


def refit(
    previous: LambdaMART | None,
    examples: Sequence[Example],
    new: Collection[str],
    options: Options,
    *,
    anew_moments: int = ANEW_MOMENTS,
    version: str = "",
) -> LambdaMART:
    """A ranker that knows all examples.

    Args:
        previous: what there was, None for the first time.
        examples: of all moments, made by the branches of today.
        new: the groups that `previous` has not seen.
        options: for growing anew.
        anew_moments: with at most so many examples all is grown anew.
        version: the name of the new one.

    Raises:
        BadRequest: as `LambdaMART.train`.
    """
    if previous is None or len(examples) <= anew_moments:
        return LambdaMART.train(examples, options, version=version)
    fresh = [one for one in examples if one.group in new]
    if not any(one.labels.any() for one in fresh):
        return previous
    known = [one for one in examples if one.group not in new]
    drawn = np.random.default_rng(options.seeds[0]).permutation(len(known))[: len(fresh)]
    added = replace(previous.options, trees=max(1, round(options.trees * ADDED_SHARE)))
    return LambdaMART.train([*fresh, *(known[at] for at in drawn.tolist())], added, version=version, start=previous)
