"""Does learning within a conversation pay? Simulated customers with hidden tastes, over the demo shop's real films.

A customer says one wish or none, is shown lists of five, never the same film twice, and reacts to some of them. The
stand-in for learning is what conversations do anyway: search around what was accepted, leave out what was rejected. The
taste is never seen by the ranker: *linear* tastes add up over attribute values, numbers and closeness to a favourite;
*crooked* ones do not (the nearer of two favourites, a genre only if it is old, a best year, a veto), so that the
session's linear model is wrong. Reactions are noisy: some films are not looked at, some likings are mistaken, a click
may mean nothing, and part of each taste is chance. All systems meet the same customers with the same luck.

Regret is measured in films: how many more of the shown ones would have been liked, in expectation, had the list been
drawn up by somebody who knows the taste. The prior of the session was picked on customers with the seeds from
`TUNING_SEED` on; those reported have other seeds.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.spread import Spread
from agent.preferences import Preference
from agent.querying import build_query
from agent.rank.axes import Axes, number_of, values_of
from agent.rank.session import Evidence, Prior, Reacted, SessionWeights
from agent.ranking import RankingOptions, rank
from retrieval.demo import demo_films_path
from retrieval.encoder import Encoder, SentenceEncoder
from retrieval.index import build_index, open_index
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.remembering import Remembering
from retrieval.search import Retriever

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]
TasteKind: TypeAlias = Literal["linear", "crooked"]

CUSTOMERS = 200
ROUNDS = 6
LIST = 5
CANDIDATES = 200
SEED, TUNING_SEED = 10_000, 90_000
RESAMPLES = 2_000
TEMPERATURES = (0.05, 0.15, 0.5)
"""0.15 is what `serve` explores with unless told otherwise."""

_LIKED_FROM = 1.0
"""Standard deviations of a customer's utility over the catalogue from which a film is more liked than not."""
_DECIDED = 2.5
"""Slope of liking in utility: how sure customers are of their own taste."""
_LOOKED_AT, _MISTAKEN = 0.8, 0.05
_ACCEPTED, _CLICKED, _REJECTED, _CLICKED_ANYWAY = 0.5, 0.3, 0.5, 0.08
"""Of the liked films that were looked at so many are accepted, or else clicked; of the others rejected, or clicked."""
_CHANCE = 0.4
"""Standard deviation of the part of a taste that nothing explains."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Mean(_Frozen):
    """A mean over customers with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class System(_Frozen):
    """One way of ranking. `accepted` is by round the share of shown films that are liked, in expectation.

    `regret` is cumulative after each round, in films; `saved` the regret of the stand-in after all rounds minus this
    one's, customer by customer.
    """

    name: str
    temperature: float
    accepted: list[Mean]
    regret: list[Mean]
    saved: Mean


class TasteReport(_Frozen):
    """All systems on customers of one kind; `oracle` is `accepted` of somebody who knows the tastes."""

    taste: TasteKind
    systems: list[System]
    oracle: list[Mean]


class PersonalReport(_Frozen):
    """`update_ms`: a conversation's evidence folded and `candidates` ranked by it, after all rounds but the last."""

    customers: int
    rounds: int
    items_per_list: int
    candidates: int
    catalogue: int
    tastes: list[TasteReport]
    update_ms: Spread


@dataclass(frozen=True, slots=True)
class Arm:
    """A way of ranking: with `prior` the session learns, None is the stand-in alone.

    `seeds`: what was accepted is searched around, as in every conversation; False uses no reaction at all.
    """

    name: str
    prior: Prior | None = None
    temperature: float = 0.0
    seeds: bool = True


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody with a taste: `liking` is the probability that each row's film is liked; `luck` decides what is done.

    `liking` is (films,), `luck` (films, 4), uniform.
    """

    wishes: tuple[Preference, ...]
    liking: Array
    luck: Array
    seed: int


@dataclass(frozen=True, slots=True)
class World:
    """The catalogue as retrieval and as tastes see it: `attributes` has a column for each common value."""

    retriever: Retriever
    axes: Axes
    values: tuple[tuple[str, str], ...]
    attributes: Array
    numbers: Array

    @classmethod
    def of(cls, retriever: Retriever) -> World:
        """Values that at least 2 % of the items have make tastes; numbers are standardised."""
        table = retriever.table
        axes = Axes.of(table, retriever.dense.vectors)
        shapes = [shape for shape in table.shape.attributes.values() if shape.values is not None]
        values = [(s.name, v) for s in shapes for v, n in (s.values or {}).items() if 0.02 <= n / len(table) <= 0.5]
        has = [[float(value in values_of(item, name)) for name, value in values] for item in table.items]
        numbers = [[_number(item, name, axes) for name in axes.numbers] for item in table.items]
        return cls(retriever, axes, tuple(values), np.array(has), np.array(numbers))


def _number(item: Item, name: str, axes: Axes) -> float:
    number = number_of(item, name)
    return 0.0 if number is None else axes.numbers[name].standard(number)


def measure_personal(say: Callable[[str], None], encoder: Encoder | None = None) -> PersonalReport:
    """All systems on fresh customers of both kinds; some two minutes on one core. `say` hears how far it is."""
    arms = [Arm("stand-in"), Arm("session", Prior()), Arm("no reactions", seeds=False)]
    arms += [Arm("session", Prior(), temperature) for temperature in TEMPERATURES]
    with tempfile.TemporaryDirectory() as folder:
        films = load_catalogue(demo_films_path(), strict=True).items
        encoder = Remembering(encoder or SentenceEncoder())
        say(f"encoding {len(films)} films")
        retriever = open_index(build_index(films, Path(folder), encoder), encoder, stores=None)
        try:
            world = World.of(retriever)
            tastes = []
            for taste in ("linear", "crooked"):
                customers = [customer_of(world, taste, SEED + n) for n in range(CUSTOMERS)]
                say(f"{len(customers)} customers with {taste} tastes")
                tastes.append(_report(taste, arms, customers, world, say))
            update = _update_times(world, customers, Prior())
        finally:
            retriever.close()
    return PersonalReport(
        customers=CUSTOMERS,
        rounds=ROUNDS,
        items_per_list=LIST,
        candidates=CANDIDATES,
        catalogue=len(films),
        tastes=tastes,
        update_ms=update,
    )


def customer_of(world: World, taste: TasteKind, seed: int) -> Customer:
    """The customer of a seed; the wish, where there is one, is for something that the customer likes."""
    random = np.random.default_rng(seed)
    frequency = world.attributes.mean(axis=0)
    values = random.choice(len(frequency), 7, replace=False, p=frequency / frequency.sum())
    liked, disliked = values[:4], values[4:]
    utility = _linear(world, liked, disliked, random) if taste == "linear" else _crooked(world, liked, random)
    utility = (utility - utility.mean()) / utility.std() + random.normal(0, _CHANCE, len(utility))
    wishes: tuple[Preference, ...] = ()
    if random.random() < 0.5:
        name, value = world.values[liked[0]]
        wishes = (Preference("wish", "soft", name, "eq", (value,), "positive", value, 1),)
    return Customer(
        wishes,
        1 / (1 + np.exp(-_DECIDED * (utility - _LIKED_FROM))),
        random.random((len(utility), 4)),
        seed,
    )


def _linear(world: World, liked: Rows, disliked: Rows, random: np.random.Generator) -> Array:
    """Four values liked, three others not, a leaning in each number, and closeness to one film."""
    weights = np.zeros(len(world.values))
    weights[liked] = random.uniform(0.6, 1.4, len(liked))
    weights[disliked] = -random.uniform(0.6, 1.4, len(disliked))
    leanings = random.normal(0, 0.35, world.numbers.shape[1])
    return world.attributes @ weights + world.numbers @ leanings + 0.5 * _closeness(world, random)


def _crooked(world: World, liked: Rows, random: np.random.Generator) -> Array:
    """Near one of two favourites, one liked value only in the old (or new) films, a best year, and a veto."""
    favourites = np.maximum(_closeness(world, random), _closeness(world, random))
    year = world.numbers[:, random.integers(world.numbers.shape[1])]
    values = world.attributes[:, liked]
    only_if = values[:, 0] * np.sign(year * random.choice([-1.0, 1.0]))
    either = values[:, 1:3].max(axis=1)
    vetoed = values[:, 3]
    best = random.normal(0, 0.7)
    utility: Array = favourites + only_if + either - 1.5 * vetoed - 0.4 * (year - best) ** 2
    return utility


def _closeness(world: World, random: np.random.Generator) -> Array:
    """Cosine to a film's description beyond what all films share, in standard deviations."""
    vectors = world.axes.descriptions(np.arange(len(world.axes.table)))
    near: Array = vectors @ vectors[random.integers(len(vectors))]
    standard: Array = (near - near.mean()) / near.std()
    return standard


def accepted(world: World, customers: Sequence[Customer], arm: Arm) -> Array:
    """The liking of what `arm` shows, in films: float64, (customers, ROUNDS)."""
    liked: Array = np.array([_talk(world, customer, arm) for customer in customers])
    return liked


def _talk(world: World, customer: Customer, arm: Arm) -> list[float]:
    shown: set[str] = set()
    evidence: list[Evidence] = []
    liked = []
    for turn in range(ROUNDS):
        entries = _ranked(world, customer, arm, evidence, shown, customer.seed * ROUNDS + turn)
        rows = [world.axes.table.row_of(item_id) for item_id in entries]
        liked.append(float(customer.liking[rows].sum()))
        shown.update(entries)
        for item_id, row in zip(entries, rows, strict=True):
            evidence += _reaction(item_id, customer.liking[row], customer.luck[row], entries[item_id])
    return liked


def _ranked(
    world: World, customer: Customer, arm: Arm, evidence: Sequence[Evidence], shown: set[str], seed: int
) -> Mapping[str, Mapping[str, float]]:
    """The next list as a conversation makes it ("more"): item ids in order, with the ranker's features."""
    reacted = [one for one in evidence if isinstance(one, Reacted)] if arm.seeds else []
    query = build_query(
        customer.wishes,
        k=CANDIDATES,
        exclude=frozenset(shown),
        accepted=[one.item_id for one in reacted if one.kind == "accept"],
        rejected=frozenset(one.item_id for one in reacted if one.kind == "reject"),
    )
    left = world.retriever.search(query).candidates
    session = None if arm.prior is None else SessionWeights.of(evidence, world.axes, arm.prior)
    options = RankingOptions(LIST, arm.temperature, seed, stock_last=False, session=session)
    slate = rank(left, customer.wishes, world.axes.table, options)
    return {entry.item.id: entry.features for entry in slate.entries}


def _reaction(item_id: str, liking: float, luck: Array, features: Mapping[str, float]) -> list[Evidence]:
    """What a customer does with a shown film, mostly nothing."""
    looks, likes, errs, acts = luck.tolist()
    if looks > _LOOKED_AT:
        return []
    if (likes < liking) != (errs < _MISTAKEN):
        kinds: tuple[Literal["accept", "reject", "click"], float, float] = ("accept", _ACCEPTED, _CLICKED)
    else:
        kinds = ("reject", _REJECTED, _CLICKED_ANYWAY)
    if acts < kinds[1]:
        return [Reacted(item_id, kinds[0], features)]
    return [Reacted(item_id, "click", features)] if acts < kinds[1] + kinds[2] else []


def _oracle(customers: Sequence[Customer]) -> Array:
    """The best films, the best of them first: (customers, ROUNDS)."""
    best = np.array([-np.sort(-customer.liking)[: LIST * ROUNDS] for customer in customers])
    liked: Array = best.reshape(len(customers), ROUNDS, LIST).sum(axis=2)
    return liked


def _report(
    taste: TasteKind, arms: Sequence[Arm], customers: Sequence[Customer], world: World, say: Callable[[str], None]
) -> TasteReport:
    best = _oracle(customers)
    results = []
    for arm in arms:
        say(f"{taste}: {arm.name}, temperature {arm.temperature:g}")
        results.append(accepted(world, customers, arm))
    regrets = [(best - result).cumsum(axis=1) for result in results]
    return TasteReport(
        taste=taste,
        systems=[
            System(
                name=arm.name,
                temperature=arm.temperature,
                accepted=_means(result / LIST),
                regret=_means(regret),
                saved=_means((regrets[0] - regret)[:, -1:])[0],
            )
            for arm, result, regret in zip(arms, results, regrets, strict=True)
        ],
        oracle=_means(best / LIST),
    )


def _means(by_customer: Array) -> list[Mean]:
    """One mean a column, customers drawn again, the same ones for all columns and systems."""
    draws = np.random.default_rng(0).integers(0, len(by_customer), (RESAMPLES, len(by_customer)))
    lows, highs = np.quantile(by_customer[draws].mean(axis=1), [0.025, 0.975], axis=0)
    values = by_customer.mean(axis=0)
    return [
        Mean(value=round(float(value), 4), low=round(float(low), 4), high=round(float(high), 4))
        for value, low, high in zip(values, lows, highs, strict=True)
    ]


def _update_times(world: World, customers: Sequence[Customer], prior: Prior) -> Spread:
    """Of 100 customers who reacted to every film of all lists but the last: the most evidence there is."""
    times = []
    for customer in customers[:100]:
        query = build_query(customer.wishes, k=CANDIDATES + LIST * (ROUNDS - 1))
        found = world.retriever.search(query).candidates
        some, left = found[: LIST * (ROUNDS - 1)], found[LIST * (ROUNDS - 1) :]
        evidence = [Reacted(one.item_id, "accept" if n % 3 else "reject") for n, one in enumerate(some)]
        started = time.perf_counter()
        session = SessionWeights.of(evidence, world.axes, prior)
        rank(left, customer.wishes, world.axes.table, RankingOptions(LIST, session=session))
        times.append((time.perf_counter() - started) * 1e3)
    spread = Spread.of(times)
    assert spread is not None  # noqa: S101 - there are customers
    return spread
