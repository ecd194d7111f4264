"""The language model's numbers and the ranker's order as one: by what a training learned, else by a small weight.

Knows nothing of how the model is asked and where the order comes from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import BadRequest

UNTUNED_WEIGHT = 0.1
"""What one standard deviation of an untuned model's numbers counts against the log of the place. A choice and no
measurement: SmolLM2-135M as it comes adds nothing to an order, so little that it can hardly spoil one."""
ADAPTER, RECIPE = "adapter", "recipe.json"
"""In the folder of a training (`python -m finetune`)."""

Floats: TypeAlias = NDArray[np.float64]


def blended(numbers: Sequence[float], prior: float | None) -> Floats:
    """What to order a shortlist by: its numbers and the places that it came in, first to last; (candidates,).

    Args:
        numbers: of the skill.
        prior: how far the training trusts the ranker's order beside the model (`trained_prior`); None: an untuned
            model, whose numbers have no scale of their own.
    """
    places = np.log(np.arange(1, len(numbers) + 1))
    if prior is not None:
        return np.array(numbers) - prior * places
    return UNTUNED_WEIGHT * standardised(numbers) - places


def standardised(numbers: Sequence[float]) -> Floats:
    """On one scale list by list: mean 0, deviation 1; all 0 where all are equal."""
    values = np.array(numbers, dtype=np.float64)
    if not len(values):
        return values
    return np.asarray((values - values.mean()) / (float(values.std()) or 1.0))


@dataclass(frozen=True, slots=True)
class TunedRank:
    """An adapter of `python -m finetune`: the training's folder, the adapter's in it, and the prior.

    `prior`: how far the ranker's order is trusted beside the model; learned with the adapter, on train alone.
    """

    folder: Path
    adapter: Path
    prior: float


def read_tuned(folder: Path) -> TunedRank:
    """The adapter in `folder`, which is a training's (`--out`) or the adapter's own inside of it.

    Raises:
        BadRequest: there is none, or the training has not written what it learned.
    """
    folder = folder.resolve()
    adapter = folder / ADAPTER if (folder / ADAPTER).is_dir() else folder
    recipe = adapter.parent / RECIPE
    if not adapter.is_dir():
        raise BadRequest(f"There is no folder {str(folder)!r}; name one that `python -m finetune` wrote.")
    try:
        prior = float(json.loads(recipe.read_text(encoding="utf-8"))["prior"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BadRequest(
            f"{str(recipe)!r} does not tell how the adapter was trained; finish the training, or run it with --export."
        ) from None
    return TunedRank(adapter.parent, adapter, prior)
