"""Recall of ranked lists, with intervals over dialogues, and two systems compared pair by pair.

Protocol: one label for each target; items in `mentioned` are taken out of a list before it is scored; a label is
*novel* when it is not in `mentioned`. Turns of one dialogue hang together, so the bootstrap draws dialogues.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.rank.intervals import Interval as Interval
from agent.rank.intervals import intervals
from retrieval.errors import BadRequest

Labels: TypeAlias = Literal["novel", "all"]

CUTOFFS = (1, 10, 50)
_NO_LABEL = "No row has a label to score: give a file with `targets` that were not mentioned before."
_MISSED = np.iinfo(np.int64).max


class Scores(BaseModel):
    """One system on one file. `recall` by cutoff; `mrr` is the mean reciprocal rank, 0 for a label not in the list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Labels
    n: int
    n_dialogues: int
    recall: Mapping[int, Interval]
    mrr: Interval


class Comparison(BaseModel):
    """How much more the second system finds than the first, paired by label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: Labels
    n: int
    recall: Mapping[int, Interval]
    mrr: Interval


@dataclass(frozen=True, slots=True)
class _Positions:
    """For each label its place in the list (from 1), and which dialogue it is of: int64, (labels,)."""

    places: NDArray[np.int64]
    dialogues: NDArray[np.int64]


def score(rows: Sequence[Row], lists: Sequence[Ranked], labels: Labels = "novel") -> Scores:
    """Score the lists of all rows; a row without a list counts as missed.

    Raises:
        BadRequest: no row has a label.
    """
    found = _positions(rows, lists, labels)
    columns = _columns(found.places)
    means = intervals(columns, found.dialogues)
    return Scores(
        labels=labels,
        n=len(found.places),
        n_dialogues=len(np.unique(found.dialogues)),
        recall=dict(zip(CUTOFFS, means, strict=False)),
        mrr=means[-1],
    )


def compare(
    rows: Sequence[Row], first: Sequence[Ranked], second: Sequence[Ranked], labels: Labels = "novel"
) -> Comparison:
    """`second` minus `first` on the same labels.

    Raises:
        BadRequest: no row has a label.
    """
    one, other = _positions(rows, first, labels), _positions(rows, second, labels)
    means = intervals(_columns(other.places) - _columns(one.places), one.dialogues)
    return Comparison(labels=labels, n=len(one.places), recall=dict(zip(CUTOFFS, means, strict=False)), mrr=means[-1])


def share_found(rows: Sequence[Row], found: Sequence[Collection[str]], labels: Labels = "novel") -> Interval:
    """Share of the labels that stand anywhere in what was found for their row: `found` has one collection a row.

    Raises:
        BadRequest: no row has a label.
    """
    hits: list[float] = []
    dialogues: list[int] = []
    numbers = _numbers(rows)
    for row, ids in zip(rows, found, strict=True):
        for target in row.novel if labels == "novel" else row.targets:
            hits.append(float(target in ids))
            dialogues.append(numbers[row.dialogue_id])
    if not hits:
        raise BadRequest(_NO_LABEL)
    return intervals(np.array(hits)[:, None], np.array(dialogues, dtype=np.int64))[0]


def _numbers(rows: Sequence[Row]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(row.dialogue_id for row in rows))}


def _positions(rows: Sequence[Row], lists: Sequence[Ranked], labels: Labels) -> _Positions:
    by_id = {one.id: one.ranked for one in lists}
    numbers = _numbers(rows)
    places: list[int] = []
    dialogues: list[int] = []
    for row in rows:
        place = _place_of(by_id.get(row.id, ()), row.mentioned if labels == "novel" else ())
        for target in row.novel if labels == "novel" else row.targets:
            places.append(place.get(target, _MISSED))
            dialogues.append(numbers[row.dialogue_id])
    if not places:
        raise BadRequest(_NO_LABEL)
    return _Positions(np.array(places, dtype=np.int64), np.array(dialogues, dtype=np.int64))


def _place_of(ranked: Sequence[str], without: Sequence[str]) -> dict[str, int]:
    """Places from 1; an id that stands in a list twice counts at its first."""
    gone = set(without)
    kept = dict.fromkeys(item for item in ranked if item not in gone)
    return {item: place for place, item in enumerate(kept, 1)}


def _columns(places: NDArray[np.int64]) -> NDArray[np.float64]:
    """(labels, cutoffs + 1): hit at each cutoff, then the reciprocal rank."""
    hits = [(places <= cutoff).astype(np.float64) for cutoff in CUTOFFS]
    reciprocal = np.where(places == _MISSED, 0.0, 1.0 / places)
    return np.stack([*hits, reciprocal], axis=1)
