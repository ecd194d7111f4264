"""The price of variety: the first places given as the product gives them, by the knob, and what that costs and brings.

Two ways beside each other: likeness to what stands above, which is served, and calibration to the taste that the items
spoken of show. Knows nothing of how the lists were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.bench.retrieval.exposure import measure_exposure
from agent.bench.retrieval.figures import SLATE, Diversified
from agent.bench.retrieval.recall import score, share_found
from agent.rank.axes import values_of
from agent.rank.drawing import Variety, draw
from retrieval.diversity import Likeness, Miscalibration, mean_distance
from retrieval.encoder import FloatArray
from retrieval.items import Item

KNOBS = (0.25, 0.5, 0.75, 1.0)
"""Values of the knob whose price is shown, after 0."""
CALIBRATED = "genre"
"""The attribute whose values a calibrated list shares out like the taste does, in a catalogue that has it."""

Way: TypeAlias = Literal["likeness", "calibration"]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What is known of items: `row_of` an id; `vectors` (items, dim), unit, and `shares` (items, values), float32."""

    items: Sequence[Item]
    row_of: Mapping[str, int]
    vectors: FloatArray
    shares: FloatArray

    @classmethod
    def of(cls, items: Sequence[Item], vectors: FloatArray) -> Catalogue:
        """Look up the values of `CALIBRATED` once; several of one item divide it among them."""
        own = [values_of(item, CALIBRATED) for item in items]
        place = {value: at for at, value in enumerate(dict.fromkeys(value for values in own for value in values))}
        shares = np.zeros((len(items), len(place)), dtype=np.float32)
        for row, values in enumerate(own):
            for value in values:
                shares[row, place[value]] += 1 / len(values)
        return cls(items, {item.id: row for row, item in enumerate(items)}, vectors, shares)

    def taste(self, item_ids: Sequence[str]) -> FloatArray:
        """The shares of the values in these items together; zeros where they have none: (values,)."""
        sums = self.shares[[self.row_of[one] for one in item_ids if one in self.row_of]].sum(axis=0)
        taste: FloatArray = sums / np.maximum(sums.sum(), np.float32(1e-9))
        return taste


def prices(
    rows: Sequence[Row], lists: Sequence[Ranked], catalogue: Catalogue, popularity: Mapping[str, float], spread: float
) -> tuple[Diversified, ...]:
    """The lists themselves, then each way at each of `KNOBS`.

    Args:
        rows: some have novel labels.
        lists: one for each row. Without scores the relevance is 1 / log2(1 + place) over a spread of 1.
        catalogue: of the lists' items.
        popularity: see `measure_exposure`.
        spread: what lies between a good and a poor candidate's score.
    """
    tastes = [catalogue.taste(row.mentioned) for row in rows]

    def at(way: Way | None, knob: float) -> Diversified:
        turned = [
            one if way is None else _turned(one, catalogue, taste, way, knob, spread)
            for one, taste in zip(lists, tastes, strict=True)
        ]
        return _measured(rows, turned, tastes, catalogue, popularity, way or "likeness", knob)

    ways: tuple[Way, ...] = ("likeness", "calibration") if catalogue.shares.any() else ("likeness",)
    return (at(None, 0.0), *(at(way, knob) for way in ways for knob in KNOBS))


def _turned(one: Ranked, catalogue: Catalogue, taste: FloatArray, way: Way, knob: float, spread: float) -> Ranked:
    """The first `SLATE` places given anew, the others after them in their order."""
    rows = [catalogue.row_of[item_id] for item_id in one.ranked]
    scores = np.array(one.scores) if one.scores else 1.0 / np.log2(np.arange(len(rows)) + 2.0)
    make: Callable[[], Variety] = (
        (lambda: Likeness(catalogue.vectors[rows]))
        if way == "likeness"
        else (lambda: Miscalibration(catalogue.shares[rows], taste))
    )
    places = draw(scores, SLATE, variety=make(), weight=knob * (spread if one.scores else 1.0))
    first = [one.ranked[place.position] for place in places]
    return Ranked(one.id, tuple(dict.fromkeys([*first, *one.ranked])), one.ms)


def _measured(
    rows: Sequence[Row],
    lists: Sequence[Ranked],
    tastes: Sequence[FloatArray],
    catalogue: Catalogue,
    popularity: Mapping[str, float],
    way: Way,
    knob: float,
) -> Diversified:
    shown = [[catalogue.row_of[item_id] for item_id in one.ranked[:SLATE]] for one in lists]
    exposure = measure_exposure(lists, catalogue.items, popularity, length=SLATE)
    apart = [_apart(catalogue.shares[own], taste) for own, taste in zip(shown, tastes, strict=True) if taste.any()]
    return Diversified(
        way=way,
        knob=knob,
        distance=round(float(np.mean([mean_distance(catalogue.vectors[own]) for own in shown])), 4),
        miscalibration=round(float(np.mean(apart)), 4) if apart else None,
        coverage=exposure.coverage,
        gini=exposure.gini,
        in_slate=share_found(rows, [one.ranked[:SLATE] for one in lists]),
        novel=score(rows, lists),
    )


def _apart(shares: FloatArray, taste: FloatArray) -> float:
    """The divergence of a whole list from the taste."""
    together = shares.sum(axis=0, keepdims=True)
    return float(Miscalibration(together, taste).penalties()[0])
