"""Streams of visitors: each says a few words, and some items are there that they would like or not.

Two kinds: simulated visitors with hidden tastes over the demo shop, and real ratings. Knows nothing of who chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.bench.personal import SEED, TasteKind, World, customer_of
from agent.rank.axes import values_of
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.ratings.base import History
from retrieval.ratings.movielens import MovieLens, read_movielens

Array: TypeAlias = NDArray[np.float64]
Rows: TypeAlias = NDArray[np.int64]

ROUNDS, OPTIONS = 5, 6
"""A visitor is offered one of `OPTIONS` items, `ROUNDS` times, never the same one twice."""
SHOWN = ROUNDS * OPTIONS
LIKED_STARS, DISLIKED_STARS = 4.0, 2.5
TOLD = 3
"""Films that a visitor names as liked; they are never offered."""
FAVOURITES = 0.03
"""A simulated visitor names films of this best share of the catalogue."""
SMOOTHING = 5.0
"""Ratings at the mean with which the share of likes of a film begins."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """One visitor and the `SHOWN` items of the visit.

    `words` is all that is told beforehand, oldest first. `liking` (items,): the probability that each is liked, of real
    ratings 0 or 1. `features` (items, stream's features), standardised over the stream. `vectors` (items, dim) are unit
    vectors, or zeros, in which items are near to each other; `profile` (dim,) is the mean of what was named as liked.
    """

    name: str
    words: tuple[str, ...]
    items: tuple[Item, ...]
    liking: Array
    features: Array
    vectors: Array
    profile: Array


@dataclass(frozen=True, slots=True)
class Stream:
    """`features` names the columns; `by` is the one that a shop without any learning would sort by."""

    name: str
    visitors: tuple[Visitor, ...]
    features: tuple[str, ...]
    by: str


def simulated(world: World, taste: TasteKind, n: int) -> Stream:
    """Customers of `agent.bench.personal` who say their wish, where they have one, and two films that they love."""
    table = world.axes.table
    demand = np.log1p([max(0.0, item.popularity) for item in table.items])
    numbers = list(world.axes.numbers)
    vectors = _units(world.axes.descriptions(np.arange(len(table))))
    visitors = []
    for number in range(n):
        customer = customer_of(world, taste, SEED + number)
        random = np.random.default_rng([SEED, number])
        best = np.argsort(-customer.liking)[: max(TOLD, int(FAVOURITES * len(table)))]
        named = random.choice(best, 2, replace=False)
        others = np.setdiff1d(np.arange(len(table)), named)
        rows = random.choice(others, SHOWN, replace=False)
        wish = customer.wishes[0] if customer.wishes else None
        value = str(wish.values[0]) if wish is not None else ""
        met = np.array([float(wish is not None and _has(table.items[row], wish.attribute, value)) for row in rows])
        visitors.append(
            Visitor(
                f"{taste}-{number}",
                _words([table.items[row].title for row in named], value),
                tuple(table.items[row] for row in rows),
                customer.liking[rows],
                np.column_stack([demand[rows], world.numbers[rows], met]),
                vectors[rows],
                vectors[named].mean(axis=0),
            )
        )
    names = ("popularity", *numbers, "wish met")
    return Stream(f"simulated, {taste} tastes", _standardised(visitors), names, "popularity")


def _has(item: Item, attribute: str | None, value: str) -> bool:
    return value in values_of(item, attribute or "")


def _words(titles: Sequence[str], wish: str = "") -> tuple[str, ...]:
    said = f"I loved {' and '.join(titles)}."
    return (f"I am looking for something like this: {wish}.", said) if wish else (said,)


def rated(folder: Path, n: int) -> Stream:
    """Users of a MovieLens folder: what they rated is what can be offered, four stars and more is liked.

    Half of the users at most are visitors; what is popular and well liked is told by the others alone.

    Raises:
        CatalogueError: a file is missing or not of this format.
        BadRequest: there is no user with enough ratings.
    """
    movies = read_movielens(folder)
    histories = movies.ratings.histories()
    able = [user for user, history in enumerate(histories) if _is_able(history)]
    random = np.random.default_rng(0)
    chosen = sorted(random.permutation(able)[: min(n, movies.ratings.n_users // 2)].tolist())
    if not chosen:
        raise BadRequest(
            f"No user of {str(folder)!r} rated {SHOWN + TOLD} films, {TOLD} of them {LIKED_STARS:g} stars or more; "
            "give a fuller MovieLens folder."
        )
    known = _told_by_others(movies, set(chosen))
    genres = _genres(movies)
    visitors = [_rater(user, histories[user], movies, known, genres) for user in chosen]
    return Stream("real ratings (MovieLens)", _standardised(visitors), tuple(known), "liked by others")


def _is_able(history: History) -> bool:
    return len(history.items) >= SHOWN + TOLD and int((history.stars >= LIKED_STARS).sum()) >= TOLD


def _told_by_others(movies: MovieLens, visitors: set[int]) -> dict[str, Array]:
    """By name a column of numbers, one for each film: float64, (films,)."""
    ratings = movies.ratings
    others = ~np.isin(ratings.user, list(visitors))
    item, liked = ratings.item[others], ratings.stars[others] >= LIKED_STARS
    count = np.bincount(item, minlength=ratings.n_items).astype(np.float64)
    likes = np.bincount(item[liked], minlength=ratings.n_items)
    mean = float(liked.mean()) if len(liked) else 0.0
    years = np.array([film.year or 0 for film in movies.films], dtype=np.float64)
    middle = float(np.median(years[years > 0])) if (years > 0).any() else 0.0
    return {
        "popularity": np.log1p(count),
        "liked by others": (likes + SMOOTHING * mean) / (count + SMOOTHING),
        "year": np.where(years > 0, years, middle),
    }


def _genres(movies: MovieLens) -> Array:
    names = sorted({genre for film in movies.films for genre in film.genres})
    has = [[float(name in film.genres) for name in names] for film in movies.films]
    return _units(np.array(has, dtype=np.float64).reshape(len(movies.films), -1))


def _rater(user: int, history: History, movies: MovieLens, known: Mapping[str, Array], genres: Array) -> Visitor:
    random = np.random.default_rng([1, user])
    order = random.permutation(len(history.items))
    liked = history.stars[order] >= LIKED_STARS
    named = history.items[order][liked][:TOLD]
    offered = order[~np.isin(history.items[order], named)][:SHOWN]
    films = history.items[offered].astype(np.int64)
    return Visitor(
        f"user-{user}",
        _words([movies.films[film].titles[0] for film in named]),
        tuple(_item(movies, film) for film in films.tolist()),
        (history.stars[offered] >= LIKED_STARS).astype(np.float64),
        np.column_stack([column[films] for column in known.values()]),
        genres[films],
        genres[named].mean(axis=0),
    )


def _item(movies: MovieLens, position: int) -> Item:
    film = movies.films[position]
    year = {} if film.year is None else {"year": float(film.year)}
    return Item(film.id, film.titles[0], attributes={"genre": film.genres, **year})


def _units(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Array = vectors / np.where(lengths > 0, lengths, 1.0)
    return units


def _standardised(visitors: Sequence[Visitor]) -> tuple[Visitor, ...]:
    """Each feature with mean 0 and deviation 1 over all items of all visits; what never varies is 0."""
    every = np.vstack([one.features for one in visitors])
    mean, deviation = every.mean(axis=0), every.std(axis=0)
    scale = np.where(deviation > 0, deviation, 1.0)
    return tuple(replace(one, features=(one.features - mean) / scale) for one in visitors)
