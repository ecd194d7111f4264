"""What single parts of what is learned from the log are worth: the same judgement once more without each of them.

The conversational index learns in seconds, and serves before any ranker does: its worth is what the stand-in's list
loses without it. Satisfaction and the collaborative model are features of the ranker: their worth is what a ranker
loses that was grown on the same lessons without their columns. Knows nothing of how lessons are lived again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, TypeAlias, get_args

import numpy as np

from agent.learning.signals import RATING, SATISFACTION, TASTES
from agent.rank.examples import Example, FeatureMatrix
from agent.rank.shortlist import LAST

Part: TypeAlias = Literal["conversational index", "satisfaction", "collaborative model"]
PARTS: tuple[Part, ...] = get_args(Part)
INDEX: Final[Part] = "conversational index"

_BEGIN: Final[Mapping[Part, tuple[str, ...]]] = {
    "satisfaction": (SATISFACTION,),
    "collaborative model": ("collaborative.", f"{LAST}collaborative.", RATING, TASTES),
}
"""How the names of a part's columns begin."""


def features_of(part: Part, examples: Sequence[Example]) -> frozenset[str]:
    """The columns that a part adds to lessons; none where it had nothing to say, or adds none."""
    begin = _BEGIN.get(part, ())
    return frozenset(name for one in examples for name in one.features.names if name.startswith(begin) and begin)


def without_columns(examples: Sequence[Example], names: frozenset[str]) -> list[Example]:
    """The same lessons without some columns."""
    return [replace(one, features=_without(one.features, names)) for one in examples]


def _without(features: FeatureMatrix, names: frozenset[str]) -> FeatureMatrix:
    keep = [place for place, name in enumerate(features.names) if name not in names]
    return FeatureMatrix(tuple(features.names[place] for place in keep), np.ascontiguousarray(features.values[:, keep]))
