"""Learning without looking at oneself: folds by dialogue, features of each moment made without its own dialogue.

What a branch learned from a dialogue finds that dialogue's answers at once, which it never does for a new one. So each
moment's features come from branches that did not see its group. A ranker must not be judged on moments made like this
for all folds at once: what the branches of a fold lack of an item tells what was taken in it, so the judge cross-fits
twice (`agent.learning.ranker_job.cross_judged`). Knows nothing of what the branches are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


class Grouped(Protocol):
    """Anything that belongs to a dialogue or a customer."""

    @property
    def group(self) -> str:
        """Its name."""
        ...


One = TypeVar("One", bound=Grouped)
Fitted = TypeVar("Fitted")
Made = TypeVar("Made")


def folds_of(groups: Sequence[str], n_folds: int = FOLDS, seed: int = 0) -> NDArray[np.int64]:
    """The fold of each entry: one for each group, evenly, whatever the order and whatever other groups there are."""
    order = sorted(set(groups), key=lambda group: hashlib.sha256(f"{seed}:{group}".encode()).digest())
    fold = {group: place % n_folds for place, group in enumerate(order)}
    return np.array([fold[group] for group in groups], dtype=np.int64)


def cross_fitted(
    entries: Sequence[One],
    fit: Callable[[Sequence[One]], Fitted],
    make: Callable[[Fitted, One], Made],
    *,
    n_folds: int = FOLDS,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> list[Made]:
    """What `make` makes of each entry with something fitted on the entries of other groups alone, in their order.

    Args:
        entries: what is learned from.
        fit: learns from the entries of all folds but one.
        make: uses what was fitted on one entry of the fold that was left out.
        n_folds: more folds fit on more of the data, and more often.
        seed: another one cuts other folds.
        progress: told how many entries are done, of how many.
    """
    fold = folds_of([entry.group for entry in entries], n_folds, seed)
    made: dict[int, Made] = {}
    for number in range(n_folds):
        inside = np.flatnonzero(fold == number).tolist()
        if not inside:
            continue
        fitted = fit([entry for entry, at in zip(entries, fold.tolist(), strict=True) if at != number])
        for place in inside:
            made[place] = make(fitted, entries[place])
            progress(len(made), len(entries))
    return [made[place] for place in range(len(entries))]
