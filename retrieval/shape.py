"""`CatalogueShape`: what a catalogue is made of, attribute by attribute.

Used to understand words ("comedy" is a genre), to answer superlatives and to say what would match
if a wish were dropped. Knows nothing of embeddings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from retrieval.items import AttributeValue, Item

AttributeKind: TypeAlias = Literal["number", "text", "list"]


@dataclass(frozen=True, slots=True)
class AttributeShape:
    """One attribute over the whole catalogue.

    `count` is the number of items that have it. Numbers have `minimum` and `maximum`; text and
    lists have `values`: each value as written, with the number of items, most frequent first.
    """

    name: str
    kind: AttributeKind
    count: int
    minimum: float | None = None
    maximum: float | None = None
    values: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class CatalogueShape:
    """Attributes by name, with `price` among them where items have prices; `currency` if only one is used."""

    n_items: int
    attributes: Mapping[str, AttributeShape]
    currency: str | None = None

    @classmethod
    def of(cls, items: Iterable[Item]) -> CatalogueShape:
        """Read every item once."""
        numbers: dict[str, list[float]] = {}
        values: dict[str, Counter[str]] = {}
        lists: set[str] = set()
        counts: Counter[str] = Counter()
        currencies: set[str] = set()
        n_items = 0
        for item in items:
            n_items += 1
            if item.price is not None:
                counts["price"] += 1
                numbers.setdefault("price", []).append(float(item.price))
                currencies.add(item.currency or "")
            for name, value in item.attributes.items():
                if name == "price":  # the item's own field goes by this name
                    continue
                counts[name] += 1
                _tally(name, value, numbers, values, lists)
        shapes: dict[str, AttributeShape] = {}
        for name, count in counts.items():
            if name in values:  # one stray string among numbers makes the attribute text
                kind: AttributeKind = "list" if name in lists else "text"
                values[name].update(f"{number:.10g}" for number in numbers.get(name, ()))
                ordered = dict(values[name].most_common())
                shapes[name] = AttributeShape(name, kind, count, values=ordered)
            else:
                low, high = min(numbers[name]), max(numbers[name])
                shapes[name] = AttributeShape(name, "number", count, low, high)
        return cls(n_items, shapes, (currencies.pop() or None) if len(currencies) == 1 else None)


def _tally(
    name: str,
    value: AttributeValue,
    numbers: dict[str, list[float]],
    values: dict[str, Counter[str]],
    lists: set[str],
) -> None:
    if isinstance(value, tuple):
        lists.add(name)
        values.setdefault(name, Counter()).update(dict.fromkeys(value, 1))
    elif isinstance(value, str):
        values.setdefault(name, Counter())[value] += 1
    else:
        numbers.setdefault(name, []).append(float(value))
