"""Candidates to a slate: a ranker's scores, what the conversation taught, then the places, varied and explored.

The ranker is a fixed linear model over features in [0, 1] unless another one is given: the deterministic stand-in of
the learned one. Knows nothing of words, prompts or how the slate is shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.preferences import Preference
from agent.rank.drawing import draw
from agent.rank.session import SessionWeights
from retrieval.diversity import Likeness
from retrieval.encoder import FloatArray
from retrieval.items import AttributeValue, Item
from retrieval.query import Candidate
from retrieval.table import ItemTable
from retrieval.text import fold
from retrieval.unlearned import ASKED

Matrix: TypeAlias = NDArray[np.float64]
Taste: TypeAlias = Callable[[Sequence[int]], NDArray[np.float32]]
"""Rows of the table to how well they fit a customer's lasting taste: cosines, (rows,)."""

WEIGHTS: Mapping[str, float] = {
    "retrieval": 1.0,  # fused rank score against the best candidate's that was not asked for by title
    "soft_wishes": 0.9,  # share of positive soft wishes on attributes that the item meets
    "avoided": -1.2,  # share of negative soft wishes that it runs into
    "likeness": 0.5,  # cosine to the items that the customer named as liked
    "popularity": 0.25,  # log popularity against the catalogue's maximum
    "profile": 0.0,  # cosine to a named customer's taste: no fixed weight helps on MovieLens; for learned rankers
    "out_of_stock": -100.0,  # larger than every other difference: out of stock comes last
}
ASKED_LEAD = 0.75
"""How far an item that was asked for by title may be above the best other one, in `retrieval`.

Its fused score is some four times the others' (`retrieval.unlearned`): against that they would all be alike, and be
ordered by popularity and chance alone."""
OUT_OF_STOCK = "out_of_stock"
DIVERSITY = "diversity"
"""What an item lost for being like those above it, in the contributions; 0 or less."""
BASE = "base"
"""What a ranker gives to every candidate, in the contributions."""
POOL = 50
"""Candidates that may enter the slate where it is not the ranker's order: positions below are never sampled. Only these
have their contributions."""


@dataclass(frozen=True, slots=True)
class Matched:
    """A value of an item that meets a wish."""

    attribute: str
    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Shared:
    """A `value` of `attribute` that an item has like the item `like_id`, which the customer liked or spoke of."""

    attribute: str
    value: str
    like_id: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """One ranked item.

    `contributions` sum to `score`: the ranker's by feature, the session's by `session.` and what it learned of, and
    `DIVERSITY` where the slate was varied; {} beyond the first `POOL`. `features` are the ranker's. `log_propensity` is
    the natural log of the probability of this item at this position given the ones above it; None where the order was
    not explored.
    """

    item: Item
    score: float
    features: Mapping[str, float]
    contributions: Mapping[str, float]
    matched: tuple[Matched, ...] = ()
    log_propensity: float | None = None
    shared: Shared | None = None


@dataclass(frozen=True, slots=True)
class Slate:
    """What is offered, in order; `considered` is the whole ranking before any was varied, kept for "why not X?".

    `ranker` is the id of the one that ranked, "" where nothing was ranked; `spread` is that of its scores.
    """

    entries: tuple[Ranked, ...] = ()
    considered: tuple[Ranked, ...] = ()
    seed: int = 0
    temperature: float = 0.0
    ranker: str = ""
    spread: float = 1.0


@dataclass(frozen=True, slots=True)
class Pool:
    """What a ranker may look at: the candidates, their items and rows, the wishes with the rows that meet them.

    `taste` is None for a customer of whom nothing is known.
    """

    candidates: Sequence[Candidate]
    items: Sequence[Item]
    rows: Sequence[int]
    met: WishMasks
    wishes: Sequence[Preference]
    table: ItemTable
    taste: Taste | None = None

    @classmethod
    def of(
        cls,
        candidates: Sequence[Candidate],
        wishes: Sequence[Preference],
        table: ItemTable,
        taste: Taste | None = None,
    ) -> Pool:
        """Look every candidate up once."""
        rows = [table.row_of(candidate.item_id) for candidate in candidates]
        items = [table.items[row] for row in rows]
        return cls(candidates, items, rows, WishMasks.of(wishes, table), wishes, table, taste)


class Ranker(Protocol):
    """Anything that scores candidates; safe to share between threads."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its features, one for each column of `features`."""
        ...

    @property
    def spread(self) -> float:
        """How far apart it puts a good and a poor candidate: what a conversation teaches is scaled by it."""
        ...

    def features(self, pool: Pool) -> Matrix:
        """One row a candidate: float64, (candidates, names)."""
        ...

    def scores(self, features: Matrix) -> Matrix:
        """float64, (candidates,); higher is better."""
        ...

    def contributions(self, features: Matrix) -> Matrix:
        """What each feature adds: float64, (candidates, names + 1), rows sum to the scores; the last one is the base.

        Asked only for the rows that may be shown: it may take longer than `scores`.
        """
        ...


@dataclass(frozen=True, slots=True)
class LinearRanker:
    """Weight times feature; the stand-in, and what a learned ranker has to beat."""

    weights: Mapping[str, float]
    names: tuple[str, ...]
    spread: float = 1.0

    @classmethod
    def of(cls, weights: Mapping[str, float]) -> LinearRanker:
        """`weights` as `WEIGHTS`; that of `out_of_stock` belongs to all rankers and is left out."""
        return cls(weights, tuple(name for name in weights if name != OUT_OF_STOCK))

    def features(self, pool: Pool) -> Matrix:
        """See `Ranker.features`; each in [0, 1], `retrieval` of what is asked for by title up to 1 + `ASKED_LEAD`."""
        table, met = pool.table, pool.met
        most_popular = _demand(table.items[table.by_popularity[0]]) if len(table) else 0.0
        liked = [w for w in met.wishes if w.kind == "soft" and w.polarity == "positive"]
        avoided = [w for w in met.wishes if w.kind == "soft" and w.polarity == "negative"]
        taste = pool.taste(pool.rows).tolist() if pool.taste is not None else [0.0] * len(pool.rows)
        rows = []
        found = zip(pool.candidates, _relevance(pool.candidates), pool.items, pool.rows, taste, strict=True)
        for candidate, relevance, item, row, fit in found:
            values = {
                "retrieval": relevance,
                "soft_wishes": sum(met.meets(row, w) for w in liked) / len(liked) if liked else 0.0,
                "avoided": sum(not met.meets(row, w) for w in avoided) / len(avoided) if avoided else 0.0,
                "likeness": max(0.0, candidate.branches["seeds"].score) if "seeds" in candidate.branches else 0.0,
                "popularity": _demand(item) / (most_popular or 1.0),
                "profile": max(0.0, fit),
            }
            rows.append([values[name] for name in self.names])
        return np.array(rows, dtype=np.float64).reshape(-1, len(self.names))

    def scores(self, features: Matrix) -> Matrix:
        """See `Ranker.scores`."""
        scores: Matrix = self.contributions(features).sum(axis=1)
        return scores

    def contributions(self, features: Matrix) -> Matrix:
        """See `Ranker.contributions`; the base is 0."""
        weights = np.array([self.weights[name] for name in self.names])
        return np.hstack([features * weights, np.zeros((len(features), 1))])


LINEAR = LinearRanker.of(WEIGHTS)


@dataclass(frozen=True, slots=True)
class Diversity:
    """Maximal marginal relevance: an item loses `knob` (0 .. 1) of the ranker's spread for each 1 of likeness.

    That is at most what lies between a good and a poor candidate, so what cannot be bought stays last. `vectors` are
    the unit vectors of the table's rows: float32, (len(table), dim).

    Why the default is .2, and why not calibrated lists (Steck 2018), on opendialkg's valid part: the five shown find as
    much as without (R@5 +.002 [-.005, +.010] with the learned ranker, n = 609; -.007 [-.016, .000] with the linear one,
    n = 306) and are 2 % further apart; at .5 -.003 [-.016, +.010] and 5 %, at 1 -.025 [-.041, -.008] and 9 %. Lists
    calibrated to the genres of what was spoken of cost the first place at once (R@1 .478, then .440 at .25), are no
    more varied, and a talk's first list has nothing to be calibrated to.
    """

    knob: float
    vectors: FloatArray


@dataclass(frozen=True, slots=True)
class RankingOptions:
    """`temperature` 0 leaves nothing to chance; `stock_last` moves what cannot be bought to the end.

    `session` is what this conversation taught, None for nothing. `taste`: see `Pool`. `diversity` None keeps the
    ranker's order.
    """

    size: int = 5
    temperature: float = 0.0
    seed: int = 0
    stock_last: bool = True
    ranker: Ranker = LINEAR
    session: SessionWeights | None = None
    taste: Taste | None = None
    diversity: Diversity | None = None


def rank(
    candidates: Sequence[Candidate], wishes: Sequence[Preference], table: ItemTable, options: RankingOptions
) -> Slate:
    """Order `candidates` for `wishes` and take the first `options.size`."""
    scored = _scored(Pool.of(candidates, wishes, table, options.taste), options)
    explored = options.temperature > 0 and len(scored) > 1
    if not explored and options.diversity is None:
        return Slate(tuple(scored[: options.size]), tuple(scored), options.seed, spread=options.ranker.spread)
    temperature = options.temperature if explored else 0.0
    placed = _placed(scored[:POOL], table, options, temperature)
    return Slate(placed, tuple(scored), options.seed, temperature, spread=options.ranker.spread)


def _placed(
    pool: Sequence[Ranked], table: ItemTable, options: RankingOptions, temperature: float
) -> tuple[Ranked, ...]:
    """Those of the pool that get a place, with what variety took from their scores."""
    varied = options.diversity
    variety, weight = None, 0.0
    if varied is not None:
        rows = table.rows_of(entry.item.id for entry in pool)
        variety, weight = Likeness(varied.vectors[rows]), varied.knob * options.ranker.spread
    scores = np.array([entry.score for entry in pool])
    chance = temperature * options.ranker.spread  # as much of it whatever the units of the scores
    places = draw(scores, options.size, temperature=chance, seed=options.seed, variety=variety, weight=weight)
    shown = [replace(pool[place.position], log_propensity=place.log_propensity) for place in places]
    if varied is None:
        return tuple(shown)
    return tuple(
        replace(
            entry,
            score=entry.score - place.penalty,
            contributions={**entry.contributions, DIVERSITY: 0.0 - place.penalty},
        )
        for entry, place in zip(shown, places, strict=True)
    )


def _scored(pool: Pool, options: RankingOptions) -> list[Ranked]:
    """All candidates, best first, ties by id."""
    ranker, session = options.ranker, options.session
    matrix = ranker.features(pool)
    features = [dict(zip(ranker.names, row, strict=True)) for row in matrix.tolist()]
    gone = [float(item.in_stock is False and options.stock_last) for item in pool.items]
    scores = ranker.scores(matrix) + WEIGHTS[OUT_OF_STOCK] * np.array(gone)
    if session is not None:
        scores = scores + ranker.spread * session.scores(pool.items, features)
    order = sorted(range(len(pool.items)), key=lambda i: (-scores[i], pool.items[i].id))
    explained = dict(zip(order[:POOL], _contributions(pool, order[:POOL], matrix, options), strict=True))
    return [
        Ranked(
            item=pool.items[i],
            score=float(scores[i]),
            features=features[i] | {OUT_OF_STOCK: gone[i]},
            contributions=explained[i] | {OUT_OF_STOCK: WEIGHTS[OUT_OF_STOCK] * gone[i]} if i in explained else {},
            matched=pool.met.matched(pool.items[i], pool.rows[i]),
        )
        for i in order
    ]


def _contributions(
    pool: Pool, order: Sequence[int], matrix: Matrix, options: RankingOptions
) -> Iterator[dict[str, float]]:
    """By feature, what the ranker and the session add to the candidates at `order`; a base of 0 is left out."""
    ranker, session = options.ranker, options.session
    rows = matrix[list(order)]
    items = [pool.items[i] for i in order]
    features = [dict(zip(ranker.names, row, strict=True)) for row in rows.tolist()]
    learned = session.contributions(items, features) if session is not None else ({},) * len(items)
    for parts, extra in zip(ranker.contributions(rows).tolist(), learned, strict=True):
        named = dict(zip((*ranker.names, BASE), parts, strict=True))
        if not named[BASE]:
            del named[BASE]
        yield named | {name: ranker.spread * part for name, part in extra.items()}


def _demand(item: Item) -> float:
    """Log of one plus the popularity; 0 where it is negative or no number."""
    return math.log1p(max(0.0, item.popularity))


def _relevance(candidates: Sequence[Candidate]) -> list[float]:
    """Each fused score against the best of those that were not asked for by title."""
    best = max((one.score for one in candidates), default=0.0) or 1.0
    ordinary = max((one.score for one in candidates if ASKED not in one.branches), default=best) or 1.0
    return [
        min(one.score / ordinary, (1 + ASKED_LEAD) * one.score / best)
        if ASKED in one.branches
        else one.score / ordinary
        for one in candidates
    ]


def matched_slate(items: Sequence[Item], wishes: Sequence[Preference], table: ItemTable) -> Slate:
    """A slate in the order given (a superlative, a comparison), with what of each item meets `wishes`."""
    met = WishMasks.of(wishes, table)
    entries = (Ranked(item, 0.0, {}, {}, met.matched(item, table.row_of(item.id))) for item in items)
    return Slate(tuple(entries))


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
