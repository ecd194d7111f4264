"""A town whose taste the shop does not know, and its people: what each one says, and which items they would take.

The taste, shared by the town: old films, unpopular ones, short ones, and quiet, sad or nostalgic moods; each person
departs from it by luck. It is never said: a bot hears wishes alone, some of them in the town's own words ("a weepie").
Which items a person takes are the best by taste among those that meet every wish. Needs and customers are those of
agent/bench/dialogue. Knows nothing of bots.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.bench.dialogue.needs import Need, Told, Wish
from agent.bench.dialogue.words import Words
from agent.rank.axes import values_of
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.shape import CatalogueShape
from retrieval.table import ItemTable

Array: TypeAlias = NDArray[np.float64]
WishSet: TypeAlias = frozenset[tuple[str, str, str | float]]

OF_NUMBERS: Final[Mapping[str, float]] = {"year": -0.8, "popularity": -0.8, "runtime_min": -0.5}
"""What a standard deviation of a number is worth to the town, of popularity that of its logarithm."""
OF_MOODS: Final[Mapping[str, float]] = {"quiet": 0.7, "melancholy": 0.7, "nostalgic": 0.7}
"""What a mood is worth."""
OWN: Final = 0.5
"""Standard deviation of what one person adds to the town's taste of an item, where that of the town's is 1."""

SLANG: Final[Mapping[tuple[str, str], str]] = {
    ("mood", "melancholy"): "a weepie",
    ("mood", "funny"): "a giggler",
    ("mood", "spooky"): "a goosebumper",
    ("mood", "tense"): "a knuckle-whitener",
    ("genre", "Romance"): "a canoodler",
    ("genre", "War"): "a tin-hat film",
    ("genre", "Western"): "an oater",
    ("genre", "Sci-Fi"): "a saucer flick",
    ("genre", "Musical"): "a hoofer",
    ("genre", "Crime"): "a gumshoe",
}
"""Values in the town's own words. A test proves that the rules read none of them as the value."""
USES_SLANG: Final = 0.5
"""Share of those who could use such a word."""

FEWEST, MOST = 15, 200
"""Items that meet all wishes of a person: fewer leave nothing to taste."""
TARGET_SHARE, MIN_TARGETS = 0.1, 2
"""Of these items the best by taste are taken."""
MIN_PATIENCE, MAX_PATIENCE = 2, 5
"""Turns."""
_LATER, _SECOND_HARD = 0.4, 0.6
_TRIES = 400


@dataclass(frozen=True, slots=True)
class Townsperson:
    """One person with one need, whose targets are the first of `order`.

    Attributes:
        need: what they say, when, and how patient they are.
        order: ids of the items that meet every wish, the best by their taste first.
        slang: whether they say the first wish in the town's own words.
    """

    need: Need
    order: tuple[str, ...]
    slang: bool

    @property
    def wishes(self) -> WishSet:
        """What is wished, whatever the words and the moment."""
        return frozenset((wish.attribute, wish.op, wish.value) for wish in self.need.wishes)

    def gain(self, item_id: str) -> float:
        """1 for the best item, falling to 0 for the last that meets the wishes; 0 for what does not meet them."""
        return 1.0 - self.order.index(item_id) / len(self.order) if item_id in self.order else 0.0


class Town:
    """The taste over one catalogue."""

    def __init__(self, table: ItemTable) -> None:
        self.table = table
        told = sum((weight * _standard(table, name) for name, weight in OF_NUMBERS.items()), np.zeros(len(table)))
        told = told + np.array([_of_moods(item) for item in table.items])
        spread = float(told.std())
        if spread == 0:
            raise BadRequest("The town's taste is about years, popularity, lengths and moods; this catalogue has none.")
        self.taste: Array = (told - told.mean()) / spread

    def people(self, n: int, seed: int, known: Collection[WishSet] = ()) -> tuple[Townsperson, ...]:
        """`n` people, the first ones the same whatever `n` is.

        Args:
            n: how many.
            seed: of their needs, their luck and their words.
            known: nobody wishes exactly what one of these does.

        Raises:
            BadRequest: this catalogue has too few items that share genres or moods.
        """
        found = []
        for number in range(n):
            random = np.random.default_rng([seed, number])
            drawn = (self._draw(number, random) for _ in range(_TRIES if len(self.table) else 0))
            person = next((one for one in drawn if one is not None and one.wishes not in known), None)
            if person is None:
                raise BadRequest(f"Nobody can be drawn from {len(self.table)} items; it takes more that share values.")
            found.append(person)
        return tuple(found)

    def _draw(self, number: int, random: np.random.Generator) -> Townsperson | None:
        first = self._first(random)
        second = None if first is None else self._second(first, random)
        if first is None or second is None:
            return None
        wishes = (first, second)
        met = np.logical_and.reduce([wish.mask(self.table) for wish in wishes])
        if not min(FEWEST, len(self.table) // 5) <= met.sum() <= MOST:
            return None
        liking = self.taste + OWN * random.normal(size=len(self.table))
        rows = np.flatnonzero(met)
        order = tuple(self.table.ids[row] for row in rows[np.argsort(-liking[rows], kind="stable")])
        n_targets = max(MIN_TARGETS, round(TARGET_SHARE * len(order)))
        patience = int(random.integers(MIN_PATIENCE, MAX_PATIENCE + 1))
        slang = (first.attribute, first.value) in SLANG and bool(random.random() < USES_SLANG)
        return Townsperson(Need(number, wishes, frozenset(order[:n_targets]), patience), order, slang)

    def _first(self, random: np.random.Generator) -> Wish | None:
        """A genre or a mood, firmly: those of whom the town has a word come as often as all others."""
        counts = {(name, value): n for name in ("genre", "mood") for value, n in self._values(name).items()}
        common = [one for one, n in counts.items() if n >= min(FEWEST, len(self.table) // 5)]
        spoken = [one for one in common if one in SLANG]
        of = spoken if spoken and random.random() < 0.5 else common
        if not of:
            return None
        name, value = of[int(random.integers(len(of)))]
        return Wish(name, "eq", value)

    def _second(self, first: Wish, random: np.random.Generator) -> Wish | None:
        """A bound on the price, a genre or mood besides, or a genre that must not be."""
        told: Told = "later" if random.random() < _LATER else "first"
        kind = random.random()
        if kind < 0.3:
            prices = sorted(float(item.price) for item in self.table.items if item.price is not None)
            bound = round(prices[int(random.uniform(0.4, 0.9) * len(prices))]) if prices else 0
            return Wish("price", "le", float(bound), told=told) if bound else None
        name = "mood" if first.attribute == "genre" else "genre"
        values = sorted(self._values(name))
        if not values:
            return None
        value = values[int(random.integers(len(values)))]
        if kind < 0.6:
            return Wish(name, "ne", value, told=told)
        return Wish(name, "eq", value, hard=bool(random.random() < _SECOND_HARD) and name == "genre", told=told)

    def _values(self, name: str) -> Mapping[str, int]:
        shape = self.table.shape.attributes.get(name)
        return (shape.values if shape is not None else None) or {}


class TownWords(Words):
    """The words of a person; the first wish is said in the town's own until it has to be said again."""

    def __init__(self, shape: CatalogueShape, random: np.random.Generator, person: Townsperson) -> None:
        super().__init__(shape, random)
        self._slang = person.slang

    def phrase(self, wish: Wish) -> str:
        """See `Words.phrase`."""
        word = SLANG.get((wish.attribute, str(wish.value))) if wish.op == "eq" else None
        if self._slang and word is not None:
            self._slang = False
            return word
        return super().phrase(wish)


def within(people: Sequence[Townsperson], turns: int) -> tuple[Townsperson, ...]:
    """The same people, who leave after so many turns at the latest."""
    return tuple(replace(one, need=replace(one.need, patience=min(one.need.patience, turns))) for one in people)


def _standard(table: ItemTable, name: str) -> Array:
    """A number of all items in standard deviations, the mean where an item has none."""
    if name == "popularity":
        numbers = np.array([np.nan if item.popularity is None else np.log1p(item.popularity) for item in table.items])
    elif name in table.shape.attributes:
        numbers = table.numbers(name).astype(np.float64)
    else:
        return np.zeros(len(table))
    known = numbers[np.isfinite(numbers)]
    if not len(known) or known.std() == 0:
        return np.zeros(len(table))
    standard: Array = np.nan_to_num((numbers - known.mean()) / known.std())
    return standard


def _of_moods(item: Item) -> float:
    return sum(OF_MOODS.get(mood, 0.0) for mood in values_of(item, "mood"))
