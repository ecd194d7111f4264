"""Candidates to a slate: weighted features, then Plackett-Luce where exploration is on.

The deterministic stand-in of the learned ranker: a fixed linear model over features in [0, 1].
Knows nothing of words, prompts or how the slate is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from agent.preferences import Preference
from retrieval.items import AttributeValue, Item
from retrieval.query import Candidate
from retrieval.table import ItemTable
from retrieval.text import fold

WEIGHTS: Mapping[str, float] = {
    "retrieval": 1.0,  # fused rank score against the best candidate's
    "soft_wishes": 0.9,  # share of positive soft wishes on attributes that the item meets
    "avoided": -1.2,  # share of negative soft wishes that it runs into
    "likeness": 0.5,  # cosine to the items that the customer named as liked
    "popularity": 0.25,  # log popularity against the catalogue's maximum
    "out_of_stock": -100.0,  # larger than every other difference: out of stock comes last
}
POOL = 50
"""Candidates that may enter the slate; positions below are never sampled."""


@dataclass(frozen=True, slots=True)
class Matched:
    """A value of an item that meets a wish."""

    attribute: str
    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Ranked:
    """One ranked item. `contributions` are weight times feature and sum to `score`.

    `log_propensity` is the natural log of the probability of this item at this position given the
    ones above it (Plackett-Luce); None where the order was not explored.
    """

    item: Item
    score: float
    features: Mapping[str, float]
    contributions: Mapping[str, float]
    matched: tuple[Matched, ...] = ()
    log_propensity: float | None = None


@dataclass(frozen=True, slots=True)
class Slate:
    """What is offered, in order; `considered` is the whole ranking, kept for "why not X?"."""

    entries: tuple[Ranked, ...] = ()
    considered: tuple[Ranked, ...] = ()
    seed: int = 0
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """`temperature` 0 keeps the ranker's order; `stock_last` moves what cannot be bought to the end."""

    size: int = 5
    temperature: float = 0.0
    seed: int = 0
    stock_last: bool = True
    weights: Mapping[str, float] = field(default_factory=lambda: WEIGHTS)


def rank(
    candidates: Sequence[Candidate], wishes: Sequence[Preference], table: ItemTable, options: RankingOptions
) -> Slate:
    """Order `candidates` for `wishes` and take the first `options.size`."""
    scored = sorted(_scored(candidates, wishes, table, options), key=lambda ranked: (-ranked.score, ranked.item.id))
    if options.temperature <= 0 or len(scored) < 2:
        return Slate(tuple(scored[: options.size]), tuple(scored), options.seed)
    explored = plackett_luce(scored[:POOL], options.size, options.temperature, options.seed)
    return Slate(explored, tuple(scored), options.seed, options.temperature)


def _scored(
    candidates: Sequence[Candidate], wishes: Sequence[Preference], table: ItemTable, options: RankingOptions
) -> list[Ranked]:
    best = max((candidate.score for candidate in candidates), default=0.0) or 1.0
    most_popular = _demand(table.items[table.by_popularity[0]]) if len(table) else 0.0
    met = WishMasks.of(wishes, table)
    liked = [w for w in met.wishes if w.kind == "soft" and w.polarity == "positive"]
    avoided = [w for w in met.wishes if w.kind == "soft" and w.polarity == "negative"]
    ranked = []
    for candidate in candidates:
        item = table.get(candidate.item_id)
        row = table.row_of(item.id)
        features = {
            "retrieval": candidate.score / best,
            "soft_wishes": sum(met.meets(row, w) for w in liked) / len(liked) if liked else 0.0,
            "avoided": sum(not met.meets(row, w) for w in avoided) / len(avoided) if avoided else 0.0,
            "likeness": max(0.0, candidate.branches["seeds"].score) if "seeds" in candidate.branches else 0.0,
            "popularity": _demand(item) / (most_popular or 1.0),
            "out_of_stock": float(item.in_stock is False and options.stock_last),
        }
        contributions = {name: options.weights[name] * value for name, value in features.items()}
        score = sum(contributions.values())
        ranked.append(Ranked(item, score, features, contributions, met.matched(item, row)))
    return ranked


def _demand(item: Item) -> float:
    """Log of one plus the popularity; 0 where it is negative or no number."""
    return math.log1p(max(0.0, item.popularity))


def matched_slate(items: Sequence[Item], wishes: Sequence[Preference], table: ItemTable) -> Slate:
    """A slate in the order given (a superlative, a comparison), with what of each item meets `wishes`."""
    met = WishMasks.of(wishes, table)
    entries = (Ranked(item, 0.0, {}, {}, met.matched(item, table.row_of(item.id))) for item in items)
    return Slate(tuple(entries))


def plackett_luce(ranked: Sequence[Ranked], size: int, temperature: float, seed: int) -> tuple[Ranked, ...]:
    """Sample `size` of `ranked` without replacement, each position with its exact log-propensity.

    P(item at a position) = exp(score / T) / sum over the items not yet placed. Plackett (1975),
    "The analysis of permutations"; sampled with the Gumbel trick of Kool et al. (2019),
    "Stochastic beams and where to find them".
    """
    logits = np.array([entry.score for entry in ranked]) / temperature
    noise = np.random.default_rng(seed).gumbel(size=len(ranked))
    order = np.argsort(-(logits + noise), kind="stable")[:size]
    left = np.ones(len(ranked), dtype=bool)
    placed = []
    for index in order:
        log_total = np.logaddexp.reduce(logits[left])
        placed.append(replace(ranked[index], log_propensity=float(logits[index] - log_total)))
        left[index] = False
    return tuple(placed)


@dataclass(frozen=True, slots=True)
class WishMasks:
    """Which rows of the table meet which attribute wish, hard and soft alike, by exact filters."""

    wishes: tuple[Preference, ...]
    masks: Mapping[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, wishes: Sequence[Preference], table: ItemTable) -> WishMasks:
        """One pass over the table for each attribute wish; free text and liked items are left out."""
        conditions = {wish.id: replace(wish, kind="hard").as_filter() for wish in wishes}
        masks = {key: table.mask((condition,)) for key, condition in conditions.items() if condition is not None}
        return cls(tuple(wish for wish in wishes if wish.id in masks), masks)

    def meets(self, row: int, wish: Preference) -> bool:
        """Whether the item at `row` meets `wish`."""
        return bool(self.masks[wish.id][row])

    def broken(self, row: int) -> tuple[Preference, ...]:
        """The wishes that the item at `row` does not meet."""
        return tuple(wish for wish in self.wishes if not self.meets(row, wish))

    def matched(self, item: Item, row: int) -> tuple[Matched, ...]:
        """The values of `item` that meet a positive wish, in the order of the wishes."""
        found: dict[str, Matched] = {}
        for wish in self.wishes:
            attribute = str(wish.attribute)
            if wish.polarity == "positive" and self.meets(row, wish):
                value = value_of(item, attribute)
                if isinstance(value, tuple):
                    wanted = {fold(str(v)) for v in wish.values}
                    value = tuple(v for v in value if fold(v) in wanted)
                if value is not None:
                    found.setdefault(f"{attribute}:{value}", Matched(attribute, value))
        return tuple(found.values())


def value_of(item: Item, attribute: str) -> AttributeValue | None:
    """An attribute of the catalogue or one of the item's own fields, as filters name them."""
    if attribute == "price":
        return None if item.price is None else float(item.price)
    if attribute == "in_stock":
        return None if item.in_stock is None else ("yes" if item.in_stock else "no")
    if attribute == "popularity":
        return item.popularity
    if attribute == "title":
        return item.title
    return item.attributes.get(attribute)
