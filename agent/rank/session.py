"""What one conversation teaches the ranker: each reaction moves the weights of features for this customer.

A Bayesian linear regression with a Gaussian prior, in closed form (Rasmussen & Williams 2006, "Gaussian Processes for
Machine Learning", section 2.1; the same model under which Agrawal & Goyal 2013, "Thompson Sampling for Contextual
Bandits with Linear Payoffs", learn while they act). The weights are corrections on top of a ranker's score, with prior
mean 0: with a linear ranker that is a prior around its own weights, and any other ranker is corrected alike. Solved in
the space of the reactions, of which a conversation has few, so the number of axes does not matter.

A fold over what is stored: equal evidence gives equal weights, in whatever process and whatever order. Knows nothing
of the log, of words and of how a list is drawn from scores. What was shown and ignored is no evidence.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.rank.axes import Axes, Axis, values_of
from retrieval.errors import BadRequest
from retrieval.items import Item

Matrix: TypeAlias = NDArray[np.float64]
ReactionKind: TypeAlias = Literal["buy", "accept", "thumb_up", "click", "thumb_down", "reject"]

SESSION = "session"
PREFIX = f"{SESSION}."
"""What the contributions of the session begin with: `session.genre=Horror`, `session.year`, `session.description`."""
DESCRIPTION = "description"
MAX_ADJUSTMENT = 1.0
"""How far a prior mean may be moved: as much as a reaction that speaks of nothing else would move it."""
MAX_EVIDENCE = 200
"""Only the latest count: the time for an update grows with their cube."""


@dataclass(frozen=True, slots=True)
class Worth:
    """What a reaction says: `target` 1 for liking and -1 for not liking, with a noise of this variance."""

    target: float
    noise: float


WORTH: Mapping[ReactionKind, Worth] = {
    "buy": Worth(1.0, 0.25),
    "accept": Worth(1.0, 0.5),
    "thumb_up": Worth(1.0, 0.5),
    "click": Worth(1.0, 4.0),  # curiosity more often than liking
    "thumb_down": Worth(-1.0, 0.5),
    "reject": Worth(-1.0, 0.5),
}
FEATURES: Mapping[str, float] = {"retrieval": 1.0, "soft_wishes": 1.0, "likeness": 1.0, "popularity": 0.6}
"""Of the linear ranker; those of another ranker that have these names have to lie in [0, 1] too."""
CRITIQUE = Worth(1.0, 0.5)
LEANING = Worth(1.0, 2.0)
"""Of a critique that is a filter, too: with the noise of any other one "like X but older" was about age alone."""


@dataclass(frozen=True, slots=True)
class Reacted:
    """A reaction to an item. `features` are the ranker's, as stored when it was shown; {} where they are not known."""

    item_id: str
    kind: ReactionKind
    features: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Critique:
    """Less (-1) or more (1) of a number, whatever the item: "cheaper", "newer".

    `is_bound`: a filter keeps to it already ("older than that one"), so what is left of it is a leaning.
    """

    name: str
    direction: Literal[-1, 1]
    is_bound: bool = False


Evidence: TypeAlias = Reacted | Critique


@dataclass(frozen=True, slots=True)
class Prior:
    """Standard deviations of the weights before any reaction, and how much of what is learned goes into the score.

    `values`: a value that no other item has, of an attribute with one value. `numbers`: one standard deviation.
    `description`: a unit vector's length. `features`: of the ranker, by name. `bias` is how much more a customer may
    like or dislike in general than we expect, which is nothing that tells items apart. `gain` scales the correction,
    for a ranker between whose good and poor candidates lies 1. Picked on simulated customers (agent/bench/personal.py)
    with seeds of their own.
    """

    values: float = 0.4
    numbers: float = 0.2
    description: float = 0.85
    features: Mapping[str, float] = field(default_factory=lambda: FEATURES)
    bias: float = 1.4
    gain: float = 3.0

    def variance(self, axis: Axis, axes: Axes) -> float:
        """Of one weight."""
        if axis.kind == "value":
            return self.values**2 * axes.rarity(axis)
        return (self.numbers if axis.kind == "number" else self.features.get(axis.name, 0.0)) ** 2


@dataclass(frozen=True, slots=True)
class SessionWeights:
    """The posterior mean of the corrections after the evidence of one conversation.

    `values` by attribute, then value; `numbers` and `features` by name; `description` is a direction in the space of
    the vectors: float64, (dim,), None without a reaction to an item. All are in units of the score.
    """

    axes: Axes
    values: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    features: Mapping[str, float] = field(default_factory=dict)
    description: Matrix | None = None

    @classmethod
    def of(
        cls,
        evidence: Sequence[Evidence],
        axes: Axes,
        prior: Prior = Prior(),
        adjustments: Mapping[Axis, float] | None = None,
    ) -> SessionWeights:
        """Fold the evidence, oldest first; items that the catalogue no longer has are left out.

        Args:
            evidence: of several reactions to one item the surest counts, among equals the latest.
            axes: the catalogue's.
            prior: how much is believed before.
            adjustments: prior means other than 0, such as a language model reads them from the dialogue; see `checked`.

        Raises:
            BadRequest: an adjustment is not one.
        """
        means = checked(adjustments or {}, axes, prior)
        seen = _Observed.of(_surest(evidence, axes), axes, prior)
        if not seen.rows and not means:
            return cls(axes)
        columns = list(dict.fromkeys((*seen.columns, *means)))
        mean = np.array([means.get(axis, 0.0) for axis in columns])
        variance = np.array([prior.variance(axis, axes) for axis in columns])
        design = seen.design(columns)
        learned = seen.solve(seen.targets - design @ mean, (design * variance) @ design.T, prior)
        weights = prior.gain * (mean + variance * (design.T @ learned))
        described = prior.gain * prior.description**2 * (seen.descriptions.T @ learned)
        return _sorted_out(axes, columns, weights, described if described.any() else None)

    def scores(self, items: Sequence[Item], features: Sequence[Mapping[str, float]]) -> Matrix:
        """What the session adds to the score of each item: float64, (items,); the sums of `contributions`."""
        named = [self._sum(item, of_ranker) for item, of_ranker in zip(items, features, strict=True)]
        scores: Matrix = np.array(self._described(items)) + np.array(named)
        return scores

    def _sum(self, item: Item, features: Mapping[str, float]) -> float:
        total = 0.0
        for name, weight_of in self.values.items():
            if own := values_of(item, name):
                total += _part(own) * sum([weight_of.get(value, 0.0) for value in own])
        total += sum([weight * self.axes.standard(item, name) for name, weight in self.numbers.items()])
        return total + sum([weight * features.get(name, 0.0) for name, weight in self.features.items()])

    def contributions(
        self, items: Sequence[Item], features: Sequence[Mapping[str, float]]
    ) -> tuple[Mapping[str, float], ...]:
        """The same by `session.` and the axis, zeros left out: slower, for what is shown and explained."""
        described = self._described(items)
        return tuple(
            self._of_item(item, of_ranker, by_text)
            for item, of_ranker, by_text in zip(items, features, described, strict=True)
        )

    def _described(self, items: Sequence[Item]) -> list[float]:
        if self.description is None or not items:
            return [0.0] * len(items)
        rows = np.array([self.axes.table.row_of(item.id) for item in items])
        told: list[float] = (self.axes.descriptions(rows) @ self.description).tolist()
        return told

    def _of_item(self, item: Item, features: Mapping[str, float], described: float) -> Mapping[str, float]:
        # Added, not set: a list may have a value twice, and a catalogue a number called "description".
        parts: defaultdict[str, float] = defaultdict(float)
        for name, weight_of in self.values.items():
            own = values_of(item, name)
            for value in own:
                parts[f"{PREFIX}{Axis('value', name, value)}"] += weight_of.get(value, 0.0) * _part(own)
        for name, weight in self.numbers.items():
            parts[f"{PREFIX}{Axis('number', name)}"] += weight * self.axes.standard(item, name)
        for name, weight in self.features.items():
            parts[f"{PREFIX}{Axis('feature', name)}"] += weight * features.get(name, 0.0)
        parts[PREFIX + DESCRIPTION] += described
        return {name: part for name, part in parts.items() if part}


def checked(adjustments: Mapping[Axis, float], axes: Axes, prior: Prior = Prior()) -> dict[Axis, float]:
    """Prior means by axis, from -1 (speaks against an item) to 1 (for it), in units of a reaction's target.

    Raises:
        BadRequest: an axis that the catalogue does not have or that nothing is learned along, or a number out of range.
    """
    for axis, mean in adjustments.items():
        if not axes.knows(axis) or prior.variance(axis, axes) == 0:
            raise BadRequest(f"There is nothing to learn along {str(axis)!r}; name a value that tells items apart.")
        if not (math.isfinite(mean) and abs(mean) <= MAX_ADJUSTMENT):
            raise BadRequest(f"The adjustment of {str(axis)!r} is {mean!r}; give a number from -1 to 1.")
    return dict(adjustments)


def _part(values: Sequence[str]) -> float:
    """Of an attribute with many values each one tells less: two items' product is the cosine of their value sets."""
    return float(len(values) ** -0.5)


def _surest(evidence: Sequence[Evidence], axes: Axes) -> list[Evidence]:
    by_item: dict[str, Reacted] = {}
    critiques: dict[Critique, None] = {}
    for one in evidence:
        if isinstance(one, Critique):
            critiques[one] = None
        elif one.item_id in axes.table:
            known = by_item.get(one.item_id)
            if known is None or WORTH[one.kind].noise <= WORTH[known.kind].noise:
                by_item.pop(one.item_id, None)  # so that the latest stand last
                by_item[one.item_id] = one
    # In one order whatever the order they came in, to the last bit.
    kept = list(by_item.values())[-MAX_EVIDENCE:]
    return [*sorted(kept, key=lambda r: r.item_id), *sorted(critiques, key=lambda c: (c.name, c.direction, c.is_bound))]


@dataclass(frozen=True, slots=True)
class _Observed:
    """The evidence in numbers: a row of `rows` for each piece, its position by axis; critiques say nothing in general.

    `descriptions` is (evidence, dim), `general` 1 for a reaction to an item and 0 for a critique.
    """

    rows: Sequence[Mapping[Axis, float]]
    descriptions: Matrix
    targets: Matrix
    noise: Matrix
    general: Matrix

    @classmethod
    def of(cls, evidence: Sequence[Evidence], axes: Axes, prior: Prior) -> _Observed:
        worth = [_worth(one) for one in evidence]
        items = np.array([isinstance(one, Reacted) for one in evidence], dtype=bool)
        table_rows = [axes.table.row_of(one.item_id) for one in evidence if isinstance(one, Reacted)]
        descriptions = np.zeros((len(evidence), axes.vectors.shape[1]))
        descriptions[items] = axes.descriptions(np.array(table_rows, dtype=np.int64))
        return cls(
            [_position(one, axes, prior) for one in evidence],
            descriptions,
            np.array([one.target for one in worth]),
            np.array([one.noise for one in worth]),
            items.astype(np.float64),
        )

    @property
    def columns(self) -> list[Axis]:
        """The axes that some piece of evidence speaks of."""
        return [axis for row in self.rows for axis in row]

    def design(self, columns: Sequence[Axis]) -> Matrix:
        """(evidence, columns)."""
        place = {axis: column for column, axis in enumerate(columns)}
        design = np.zeros((len(self.rows), len(columns)))
        for number, row in enumerate(self.rows):
            design[number, [place[axis] for axis in row]] = list(row.values())
        return design

    def solve(self, residuals: Matrix, kernel: Matrix, prior: Prior) -> Matrix:
        """What each piece of evidence pulls: (K + noise) learned = residuals; K with descriptions and bias."""
        described = prior.description**2 * (self.descriptions @ self.descriptions.T)
        in_general = prior.bias**2 * np.outer(self.general, self.general)
        learned = np.linalg.solve(kernel + described + in_general + np.diag(self.noise), residuals)
        return learned.astype(np.float64)


def _worth(one: Evidence) -> Worth:
    if isinstance(one, Reacted):
        return WORTH[one.kind]
    return LEANING if one.is_bound else CRITIQUE


def _position(one: Evidence, axes: Axes, prior: Prior) -> dict[Axis, float]:
    if isinstance(one, Critique):
        return {Axis("number", one.name): float(one.direction)} if one.name in axes.numbers else {}
    item = axes.table.get(one.item_id)
    position: defaultdict[Axis, float] = defaultdict(float)
    for attribute in axes.texts:
        own = values_of(item, attribute)
        for value in own:
            position[Axis("value", attribute, value)] += _part(own)
    position |= {Axis("number", name): axes.standard(item, name) for name in axes.numbers}
    position |= {Axis("feature", name): one.features.get(name) or 0.0 for name in prior.features}
    return position


def _sorted_out(axes: Axes, columns: Sequence[Axis], weights: Matrix, description: Matrix | None) -> SessionWeights:
    values: dict[str, dict[str, float]] = {}
    others: dict[str, dict[str, float]] = {"number": {}, "feature": {}}
    for axis, weight in zip(columns, weights.tolist(), strict=True):
        if axis.kind == "value":
            values.setdefault(axis.name, {})[axis.value] = weight
        else:
            others[axis.kind][axis.name] = weight
    return SessionWeights(axes, values, others["number"], others["feature"], description)
