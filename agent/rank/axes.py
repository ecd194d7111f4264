"""The directions in which the items of one catalogue differ: attribute values, numbers, descriptions.

What a conversation learns is learned along these. Knows nothing of reactions and of how items are ranked.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from retrieval.encoder import FloatArray
from retrieval.items import Item
from retrieval.table import ItemTable

AxisKind: TypeAlias = Literal["value", "number", "feature"]

FAR = 2.0
"""Standard deviations beyond which a number is no further out: one odd price must not outweigh all else."""
SAMPLED = 10_000
"""Items that means are taken over; more would not change them and take seconds in a catalogue of a million."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A value of an attribute (genre, Horror), a number (year, ""), or a feature of the ranker (popularity, "")."""

    kind: AxisKind
    name: str
    value: str = ""

    def __str__(self) -> str:
        if self.kind == "value":
            return f"{self.name}={self.value}"
        return f"feature.{self.name}" if self.kind == "feature" else self.name


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the numbers of an attribute lie."""

    mean: float
    deviation: float

    def standard(self, number: float) -> float:
        """Standard deviations from the mean, within `FAR`; 0 for what is no number."""
        if not math.isfinite(number):
            return 0.0
        return min(FAR, max(-FAR, (number - self.mean) / self.deviation))


@dataclass(frozen=True, slots=True)
class Axes:
    """All axes of one catalogue; immutable and shared by its conversations.

    `vectors` are the unit vectors of the descriptions by row of `table`: float32, (len(table), dim); `centre` is
    their mean: what every item of a film shop says says nothing of taste. `texts` are the attributes with values.
    """

    table: ItemTable
    vectors: FloatArray
    texts: tuple[str, ...]
    numbers: Mapping[str, Spread]
    centre: FloatArray

    @classmethod
    def of(cls, table: ItemTable, vectors: FloatArray) -> Axes:
        """Read at most `SAMPLED` items, evenly spread."""
        rows = np.unique(np.linspace(0, max(len(table) - 1, 0), min(SAMPLED, len(table))).astype(np.int64))
        items = [table.items[row] for row in rows.tolist()]
        shapes = table.shape.attributes.values()
        texts = tuple(shape.name for shape in shapes if shape.values is not None)
        names = [shape.name for shape in shapes if shape.values is None]
        spreads = {name: _spread([number_of(item, name) for item in items]) for name in names}
        centre = vectors[rows].mean(axis=0) if len(rows) else np.zeros(vectors.shape[1:])
        known = {name: spread for name, spread in spreads.items() if spread is not None}
        return cls(table, vectors, texts, known, centre.astype(np.float32))

    def rarity(self, axis: Axis) -> float:
        """Share of items without the value: what all have (English in a shop of English films) is no taste."""
        shape = self.table.shape.attributes.get(axis.name)
        if shape is None or shape.values is None:
            return 0.0
        return 1.0 - shape.values.get(axis.value, 0) / len(self.table)

    def knows(self, axis: Axis) -> bool:
        """Whether the catalogue has the value or the number; features are the ranker's to know."""
        if axis.kind == "number":
            return axis.name in self.numbers
        shape = self.table.shape.attributes.get(axis.name)
        return axis.kind == "feature" or (shape is not None and axis.value in (shape.values or {}))

    def standard(self, item: Item, name: str) -> float:
        """The item's number in standard deviations from the catalogue's mean; 0 where it has none."""
        number = number_of(item, name)
        return 0.0 if number is None or name not in self.numbers else self.numbers[name].standard(number)

    def descriptions(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """What the descriptions of `rows` say beyond the catalogue's mean: float64, (len(rows), dim)."""
        return (self.vectors[rows] - self.centre).astype(np.float64)


def values_of(item: Item, attribute: str) -> tuple[str, ...]:
    """The item's values of one of `Axes.texts`, as it lists them."""
    value = item.attributes.get(attribute)
    if isinstance(value, tuple):
        return value
    return () if value is None else (_written(value),)


def number_of(item: Item, name: str) -> float | None:
    """The item's number, its price among them."""
    if name == "price":
        return None if item.price is None else float(item.price)
    value = item.attributes.get(name)
    return float(value) if isinstance(value, int | float) else None


def _written(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"  # as `CatalogueShape` counts stray numbers


def _spread(numbers: list[float | None]) -> Spread | None:
    """None where nothing varies."""
    known = np.array([number for number in numbers if number is not None and math.isfinite(number)])
    deviation = float(known.std()) if len(known) else 0.0
    return Spread(float(known.mean()), deviation) if deviation > 0 else None
