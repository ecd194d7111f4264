"""Learning without looking at oneself: folds by dialogue, features of each moment made without its own dialogue.

What a branch learned from a dialogue finds that dialogue's answers at once, which it never does for a new one. So each
moment's features come from branches that did not see its group. Knows nothing of what the branches are.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.rank.examples import Example
from agent.rank.lambdamart import LambdaMART, Options

FOLDS = 5
CUTOFFS = (1, 10, 50)
STUDENT_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""The 97.5 % point of Student's t for so many folds (one degree of freedom less)."""


class Grouped(Protocol):
    """Anything that belongs to a dialogue or a customer."""

    @property
    def group(self) -> str:
        """Its name."""
        ...


One = TypeVar("One", bound=Grouped)
Fitted = TypeVar("Fitted")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over the folds with its 95 % interval (Student's t)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Report:
    """What cross-validation measured: the recall by cutoff, for each number of trees.

    Labels not among the candidates count as missed. `best` is the number of trees with the best sum of recalls.
    """

    folds: int
    labels: int
    recall: Mapping[int, Mapping[int, Mean]]
    best: int


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


def cross_validate(
    examples: Sequence[Example], options: Options, *, trees: Sequence[int] = (), n_folds: int = FOLDS, seed: int = 0
) -> Report:
    """Train on all folds but one, rank the moments of that one, for each fold and each of the numbers of `trees`.

    Raises:
        BadRequest: as `LambdaMART.train`.
    """
    counts = sorted({*(trees or (options.trees,))})
    fold = folds_of([one.group for one in examples], n_folds, seed)
    found: dict[int, list[dict[int, float]]] = {count: [] for count in counts}
    for number in range(n_folds):
        held = [one for one, at in zip(examples, fold.tolist(), strict=True) if at == number]
        rest = [one for one, at in zip(examples, fold.tolist(), strict=True) if at != number]
        model = LambdaMART.train(rest, options)
        for count in counts:
            found[count].append(recall(model, held, count))
    recalls = {
        count: {cutoff: _mean([one[cutoff] for one in by_fold]) for cutoff in CUTOFFS}
        for count, by_fold in found.items()
    }
    best = max(counts, key=lambda count: sum(mean.value for mean in recalls[count].values()))
    labels = sum(int(one.labels.sum()) + one.missed for one in examples)
    return Report(n_folds, labels, recalls, best)


def recall(model: LambdaMART, examples: Sequence[Example], trees: int | None = None) -> dict[int, float]:
    """Share of what was accepted in the first k candidates, by cutoff; what is no candidate counts as missed."""
    hits = dict.fromkeys(CUTOFFS, 0)
    total = 0
    for one in examples:
        order = np.argsort(-model.scores(one.features, trees=trees), kind="stable")
        ranked = one.labels[order]
        total += int(ranked.sum()) + one.missed
        for cutoff in CUTOFFS:
            hits[cutoff] += int(ranked[:cutoff].sum())
    return {cutoff: count / max(total, 1) for cutoff, count in hits.items()}


def _mean(values: Sequence[float]) -> Mean:
    mean = sum(values) / len(values)
    if len(values) < 2:
        return Mean(mean, mean, mean)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half = STUDENT_95.get(len(values), 2.2) * deviation / math.sqrt(len(values))
    return Mean(mean, mean - half, mean + half)
