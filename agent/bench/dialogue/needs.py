"""Information needs, drawn by seed from any catalogue: what a simulated customer wants, and which items would do.

After the information needs of UserSimCRS (Afzali et al., WSDM 2023): constraints and targets, the targets being every
item that meets all constraints. Knows nothing of how a need is put into words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from agent.ranking import value_of
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.query import Filter, FilterOperator
from retrieval.shape import AttributeShape
from retrieval.table import BoolArray, ItemTable

Told: TypeAlias = Literal["first", "later", "asked"]
"""When a wish is said: in the first message, when a list did not fit, or only as the answer to a question."""

MIN_WISHES, MAX_WISHES = 2, 5
TARGETS = 10
"""A need has at most so many targets, fewer in a small catalogue and more in a big one."""
SMALL_SHARE, BIG_SHARE = 0.1, 0.005
"""Shares of the catalogue that are targets at most: of one below 100 items, of one above 2,000."""
MAX_SHARE = 0.5
"""A value that more items have is no wish: it says next to nothing."""
MIN_NUMBER_SHARE, MAX_NUMBER_SHARE = 0.05, 0.8
"""Share of the items that a bound on a number lets through."""
STEPS = 10
"""Bounds are round numbers, at least so many over an attribute's range."""
MIN_PATIENCE, MAX_PATIENCE = 4, 10
"""Turns after which a customer leaves."""
MAX_FIRST = 2
"""Wishes in the first message."""

TASTE = frozenset("mood tag theme keyword vibe style topic occasion".split())
"""Attributes on which opinions differ: a wish for such a value is soft, however it is put; a "no" is hard.

Their names may have more words ("style_tags") and be plural.
"""
ASKABLE = 60
"""A wish for a value of an attribute with more values (people, titles) is not kept back: nobody asks for such."""

_FIRST, _LATER = 0.4, 0.35
_HARD, _NEGATIVE, _CHANGE = 0.65, 0.25, 0.25
_TRIES = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """One condition on an attribute (or `price`); `op` "ne" is a value that must not be there."""

    attribute: str
    op: FilterOperator
    value: str | float
    hard: bool = True
    told: Told = "first"

    def mask(self, table: ItemTable) -> BoolArray:
        """Which rows meet it: bool, (len(table),)."""
        return table.mask((Filter(self.attribute, self.op, (self.value,)),))


@dataclass(frozen=True, slots=True)
class Need:
    """What one customer wants. `targets` are the ids of the items that meet every wish.

    With `mistaken` the customer says that in place of the first wish until turn `changes_at`. `patience` is in turns.
    """

    number: int
    wishes: tuple[Wish, ...]
    targets: frozenset[str]
    patience: int
    mistaken: Wish | None = None
    changes_at: int = 0


def draw_needs(table: ItemTable, n: int, seed: int) -> tuple[Need, ...]:
    """`n` needs, each from a seed of its own: the first ones are the same whatever `n` is.

    Raises:
        BadRequest: the items have too few attributes in common to want something.
    """
    needs = []
    for number in range(n):
        random = np.random.default_rng([seed, number])
        drawn = (_draw(table, number, random) for _ in range(_TRIES if len(table) else 0))
        need = next((one for one in drawn if one is not None), None)
        if need is None:
            raise BadRequest(
                f"No information need could be drawn from this catalogue of {len(table)} items; it takes items that "
                "share values of at least two attributes."
            )
        needs.append(need)
    return tuple(needs)


def _draw(table: ItemTable, number: int, random: np.random.Generator) -> Need | None:
    """A need around a random item; None where its attributes do not single out few enough items."""
    item = table.items[int(random.integers(len(table)))]
    most = max(1, min(TARGETS, int(SMALL_SHARE * len(table))), int(BIG_SHARE * len(table)))
    left = np.ones(len(table), dtype=np.bool_)
    chosen: list[Wish] = []
    for wish in _wishes_of(item, table, random):
        if len(chosen) >= MIN_WISHES and left.sum() <= most:
            break
        narrowed = left & wish.mask(table)
        if len(chosen) < MAX_WISHES and narrowed.sum() < left.sum():
            chosen.append(wish)
            left = narrowed
    if len(chosen) < MIN_WISHES or left.sum() > most or all(map(_is_taste, chosen)):
        return None
    wishes = _told(chosen, table, random)
    mistaken = _mistaken(wishes[0], item, table, random) if random.random() < _CHANGE else None
    return Need(
        number,
        wishes,
        frozenset(table.ids[row] for row in np.flatnonzero(left)),
        int(random.integers(MIN_PATIENCE, MAX_PATIENCE + 1)),
        mistaken,
        int(random.integers(2, 4)) if mistaken else 0,
    )


def _wishes_of(item: Item, table: ItemTable, random: np.random.Generator) -> Iterator[Wish]:
    """Wishes that the item meets, one an attribute, in random order."""
    shapes = list(table.shape.attributes.values())
    for position in random.permutation(len(shapes)):
        shape = shapes[position]
        if shape.values is None:
            wish = _bound(item, shape, table, random)
        elif random.random() < _NEGATIVE:
            wish = _absent(item, shape, len(table), random)
        else:
            wish = _present(item, shape, len(table), random)
        if wish is not None:
            yield wish


def _values(item: Item, attribute: str) -> tuple[str, ...]:
    value = value_of(item, attribute)
    return value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()


def _present(item: Item, shape: AttributeShape, n: int, random: np.random.Generator) -> Wish | None:
    counts = shape.values or {}
    return _one_of(
        shape, [v for v in _values(item, shape.name) if 2 <= counts.get(v, 0) <= MAX_SHARE * n], "eq", random
    )


def _absent(item: Item, shape: AttributeShape, n: int, random: np.random.Generator) -> Wish | None:
    """Something common that the item has not; an item that says nothing of the attribute denies nothing."""
    own = _values(item, shape.name)
    common = [v for v, count in (shape.values or {}).items() if MAX_SHARE / 5 * n <= count <= MAX_SHARE * n]
    return _one_of(shape, [value for value in common if value not in own] if own else [], "ne", random)


def _one_of(
    shape: AttributeShape, values: Sequence[str], op: FilterOperator, random: np.random.Generator
) -> Wish | None:
    return Wish(shape.name, op, values[int(random.integers(len(values)))]) if values else None


def _bound(item: Item, shape: AttributeShape, table: ItemTable, random: np.random.Generator) -> Wish | None:
    """A round bound that the item keeps; a price only from above."""
    number = value_of(item, shape.name)
    if not isinstance(number, int | float) or shape.minimum is None or shape.maximum is None:
        return None
    step = _round_step((shape.maximum - shape.minimum) / STEPS)
    if step == 0:
        return None
    if shape.name == "price" or random.random() < 0.5:
        wish = Wish(shape.name, "le", _times(step, math.ceil(number / step)))
    else:
        wish = Wish(shape.name, "ge", _times(step, math.floor(number / step)))
    share = wish.mask(table).mean()
    return wish if MIN_NUMBER_SHARE <= share <= MAX_NUMBER_SHARE else None


def _times(step: float, n: int) -> float:
    """So many steps, as a customer says it: 4.6, and not 4.6000000000000005."""
    return float(f"{n * step:.10g}")


def _round_step(step: float) -> float:
    """The greatest of 1, 2, 5, 10, 20 ... (or 0.5, 0.2 ...) that is not greater; 0 where all numbers are the same."""
    if step <= 0:
        return 0
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (5, 2, 1) if factor * power <= step * (1 + 1e-9))


def _told(wishes: Sequence[Wish], table: ItemTable, random: np.random.Generator) -> tuple[Wish, ...]:
    """When each is said and how firmly; the first, a value if there is one, is hard and said at once."""
    ordered = sorted(wishes, key=lambda wish: (_is_taste(wish), wish.op == "ne", wish.op != "eq"))
    told = [replace(ordered[0], told="first", hard=True)]
    for wish in ordered[1:]:
        luck, first = random.random(), sum(one.told == "first" for one in told)
        when: Told = "later" if luck < _FIRST + _LATER or not _is_askable(wish, table) else "asked"
        when = "first" if luck < _FIRST and first < MAX_FIRST else when
        firm = wish.op == "ne" or bool(random.random() < _HARD)
        told.append(replace(wish, told=when, hard=firm and not _is_taste(wish)))
    return tuple(told)


def _is_askable(wish: Wish, table: ItemTable) -> bool:
    return len(table.shape.attributes[wish.attribute].values or ()) <= ASKABLE


def _is_taste(wish: Wish) -> bool:
    return wish.op == "eq" and any(part.removesuffix("s") in TASTE for part in wish.attribute.split("_"))


def _mistaken(wish: Wish, item: Item, table: ItemTable, random: np.random.Generator) -> Wish | None:
    """Another value of the same attribute, which the item has not."""
    counts = table.shape.attributes[wish.attribute].values
    if wish.op != "eq" or counts is None:
        return None
    others = [v for v, count in counts.items() if 2 <= count <= MAX_SHARE * len(table)]
    others = [value for value in others if value not in _values(item, wish.attribute)]
    return replace(wish, value=others[int(random.integers(len(others)))]) if others else None
