"""How well ratings are predicted: 5-fold cross-validation on MovieLens, and users of whom little is known.

Knows nothing of ranking. Folds are by rating: a user's other ratings are the history from which each is predicted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.loading import check_catalogue
from retrieval.ratings.base import History, Rater, Ratings
from retrieval.ratings.baselines import BiasedFactors, CentredEase, GlobalMean, ItemMean, UserAndItemBias
from retrieval.ratings.movielens import MovieLens, join, read_movielens
from retrieval.table import ItemTable

Say: TypeAlias = Callable[[str], None]
Maker: TypeAlias = Callable[[Ratings], Rater]
NumberArray: TypeAlias = NDArray[np.float64]

FOLDS = 5
KNOWN = (0, 1, 2, 5, 10, 20)
"""Ratings known of a new user."""

ASKED_OF_A_NEW_USER = 100
"""Ratings at most, so that a few who rated thousands do not decide."""

RESAMPLES = 2_000
"""Draws of the bootstrap over users; the seed is fixed."""

ENCODED_AT_ONCE = 512
TEXT_CHARS = 300
"""Characters of an item's text that are embedded: an article begins with what, by whom, with whom."""

MODEL = "texts and history"
BIAS = "user and item bias"
BASELINES: Mapping[str, Maker] = {
    "global mean": GlobalMean,
    "item mean": ItemMean,
    BIAS: UserAndItemBias,
    "biased factors (ALS)": BiasedFactors,
    "EASE on centred ratings": CentredEase,
}


class Interval(BaseModel):
    """A number with its 95 % bootstrap interval over users."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


class MethodResult(BaseModel):
    """One method over all folds. `fit_s` seconds to learn one fold, `predict_ms` for one user's ratings of a fold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    rmse: Interval
    fit_s: float
    predict_ms: float


class Difference(BaseModel):
    """RMSE less that of `than`, on the same ratings: below 0 is better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    than: str
    rmse: Interval


class ColdStart(BaseModel):
    """Users who were not trained on, by how many of their ratings are known; the same ratings are asked each time.

    `against_bias`: the model against the biases alone, which are most of what can be known of a new user.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    known: int
    n_users: int
    n_ratings: int
    rmse: Mapping[str, Interval]
    against_bias: Difference


class RatingReport(BaseModel):
    """All that was measured. `share_with_text`: films whose text was found; `ratings_with_text`: ratings of those.

    `against_best`: the model against the best baseline. `parts`: the model with one part changed against the model
    itself, on the first fold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_ratings: int
    n_users: int
    n_items: int
    share_with_text: float
    ratings_with_text: float
    methods: tuple[MethodResult, ...]
    against_best: Difference
    cold_start: tuple[ColdStart, ...]
    parts: tuple[Difference, ...]
    seconds: float


def read_films(folder: Path, items_file: Path | None, encoder: Encoder, say: Say) -> Films:
    """Read films and ratings and embed the films' texts.

    Args:
        folder: has movies.csv and ratings.csv, see `read_movielens`.
        items_file: a catalogue of films with descriptions, joined by title and year; None leaves title and genres.
        encoder: embeds the films' texts.
        say: hears of the progress.

    Raises:
        CatalogueError: a file cannot be used.
        BadRequest: there are too few ratings to measure anything.
    """
    movies = read_movielens(folder)
    if not len(_new_users(movies.ratings).asked):
        raise BadRequest(
            f"{str(folder)!r} has {len(movies.ratings)} ratings by {movies.ratings.n_users} users: give at least "
            f"{FOLDS} users with more than {max(KNOWN)} ratings each."
        )
    texts = _texts(movies, items_file)
    return Films(movies, _encoded(texts.texts, encoder, say), texts.found, texts.items)


def measure_films(films: Films, say: Say) -> RatingReport:
    """Measure how well ratings are predicted; minutes."""
    started = time.perf_counter()
    ratings, vectors = films.movies.ratings, films.vectors
    new = _new_users(ratings)
    makers = {**BASELINES, MODEL: _trained(vectors, say)}
    folds = _folds(len(ratings))
    errors, seconds = _cross_validated(ratings, folds, makers, say)
    best = min(BASELINES, key=lambda name: errors[name].rmse)
    return RatingReport(
        n_ratings=len(ratings),
        n_users=ratings.n_users,
        n_items=ratings.n_items,
        share_with_text=round(float(films.with_text.mean()), 3),
        ratings_with_text=round(float(films.with_text[ratings.item].mean()), 3),
        methods=tuple(
            MethodResult(name=name, rmse=_interval(one), fit_s=seconds[name].fit_s, predict_ms=seconds[name].predict_ms)
            for name, one in errors.items()
        ),
        against_best=Difference(name=MODEL, than=best, rmse=_difference(errors[MODEL], errors[best])),
        cold_start=_cold_start(ratings, new, makers, say),
        parts=_parts(ratings, folds == 0, vectors, say),
        seconds=round(time.perf_counter() - started, 1),
    )


@dataclass(frozen=True, slots=True)
class Films:
    """Films, who rated them, their `vectors`, float32 (films, dim), and which have more text than title and genres.

    `items`: one for each film, with the attributes that the catalogue has of it and MovieLens' genres.
    """

    movies: MovieLens
    vectors: FloatArray
    with_text: NDArray[np.bool_]
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class _Texts:
    """A text and an item for each film, and bool (n,): whether the catalogue gave the text."""

    texts: tuple[str, ...]
    found: NDArray[np.bool_]
    items: tuple[Item, ...]


def _texts(movies: MovieLens, items_file: Path | None) -> _Texts:
    table = ItemTable([] if items_file is None else list(check_catalogue(items_file, keep_first=True)))
    partners = join(table, movies)
    texts: list[str] = []
    items: list[Item] = []
    for position, film in enumerate(movies.films):
        partner = table.get(partners[position]) if position in partners else Item(film.id, film.titles[0])
        items.append(replace(partner, id=film.id, attributes={**partner.attributes, "genres": film.genres}))
        text = partner.text[:TEXT_CHARS]
        year = "" if film.year is None else f" ({film.year})"
        texts.append(f"{film.titles[0]}{year}. {', '.join(film.genres)}. {text}".strip())
    return _Texts(tuple(texts), np.isin(np.arange(len(texts)), list(partners)), tuple(items))


def _encoded(texts: Sequence[str], encoder: Encoder, say: Say) -> FloatArray:
    vectors = np.zeros((len(texts), encoder.dim), dtype=np.float32)
    for start in range(0, len(texts), ENCODED_AT_ONCE):
        part = slice(start, start + ENCODED_AT_ONCE)
        vectors[part] = encoder.encode(texts[part])
        say(f"{min(part.stop, len(texts)):,} of {len(texts):,} texts embedded")
    return vectors


def _trained(vectors: FloatArray, say: Say) -> Maker:
    from retrieval.ratings.training import train

    return lambda ratings: train(ratings, vectors, say=lambda words: say(f"{MODEL}: {words}"))


@dataclass(frozen=True, slots=True)
class _Errors:
    """By user: the sum of squared errors and the number of ratings asked, float64 (n_users,)."""

    squares: NumberArray
    count: NumberArray

    @property
    def rmse(self) -> float:
        return float(np.sqrt(self.squares.sum() / self.count.sum()))

    def plus(self, other: _Errors) -> _Errors:
        return _Errors(self.squares + other.squares, self.count + other.count)


@dataclass(frozen=True, slots=True)
class _Seconds:
    fit_s: float
    predict_ms: float


def _folds(n: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(n) % FOLDS


def _cross_validated(
    ratings: Ratings, folds: NDArray[np.int64], makers: Mapping[str, Maker], say: Say
) -> tuple[dict[str, _Errors], dict[str, _Seconds]]:
    zero = _Errors(np.zeros(ratings.n_users), np.zeros(ratings.n_users))
    errors = dict.fromkeys(makers, zero)
    fits, predictions = dict.fromkeys(makers, 0.0), dict.fromkeys(makers, 0.0)
    for fold in range(FOLDS):
        known, asked = ratings.only(folds != fold), ratings.only(folds == fold)
        for name, make in makers.items():
            say(f"fold {fold + 1} of {FOLDS}: {name}")
            start = time.perf_counter()
            rater = make(known)
            fitted = time.perf_counter()
            errors[name] = errors[name].plus(_asked(rater, known.histories(), asked))
            fits[name] += fitted - start
            predictions[name] += time.perf_counter() - fitted
    return errors, {
        name: _Seconds(round(fits[name] / FOLDS, 2), round(predictions[name] * 1e3 / FOLDS / ratings.n_users, 3))
        for name in makers
    }


def _asked(rater: Rater, histories: Sequence[History], asked: Ratings) -> _Errors:
    squares, count = np.zeros(asked.n_users), np.zeros(asked.n_users)
    for user, question in enumerate(asked.histories()):
        if len(question.items):
            wrong = rater.predict(histories[user], question.items) - question.stars
            squares[user], count[user] = float((wrong.astype(np.float64) ** 2).sum()), len(wrong)
    return _Errors(squares, count)


@dataclass(frozen=True, slots=True)
class _NewUsers:
    """`train`: ratings of the others; `order`: of each new user all ratings in random order; `asked`: the late ones."""

    train: Ratings
    order: tuple[History, ...]
    asked: Ratings


def _new_users(ratings: Ratings) -> _NewUsers:
    """Every fifth user by chance is new; those with more than the largest of `KNOWN` ratings are asked."""
    rng = np.random.default_rng(1)
    is_new = rng.permutation(ratings.n_users) % FOLDS == 0
    order: list[History] = []
    late = np.zeros(len(ratings), dtype=np.bool_)
    for user in range(ratings.n_users):
        mine = rng.permutation(np.flatnonzero(ratings.user == user)) if is_new[user] else np.zeros(0, dtype=np.int64)
        order.append(History(ratings.item[mine], ratings.stars[mine]))
        late[mine[max(KNOWN) :][:ASKED_OF_A_NEW_USER]] = True
    return _NewUsers(ratings.only(~is_new[ratings.user]), tuple(order), ratings.only(late))


def _cold_start(ratings: Ratings, new: _NewUsers, makers: Mapping[str, Maker], say: Say) -> tuple[ColdStart, ...]:
    raters: dict[str, Rater] = {}
    for name, make in makers.items():
        say(f"new users: {name}")
        raters[name] = make(new.train)
    points: list[ColdStart] = []
    for known in KNOWN:
        histories = [History(one.items[:known], one.stars[:known]) for one in new.order]
        errors = {name: _asked(rater, histories, new.asked) for name, rater in raters.items()}
        points.append(
            ColdStart(
                known=known,
                n_users=len(np.unique(new.asked.user)),
                n_ratings=len(new.asked),
                rmse={name: _interval(one) for name, one in errors.items()},
                against_bias=Difference(name=MODEL, than=BIAS, rmse=_difference(errors[MODEL], errors[BIAS])),
            )
        )
    return tuple(points)


def _parts(ratings: Ratings, asked: NDArray[np.bool_], vectors: FloatArray, say: Say) -> tuple[Difference, ...]:
    """The model with one part changed, on one fold."""
    from retrieval.ratings.training import Recipe, train

    usual, nothing = Recipe(), np.zeros((len(vectors), 1), dtype=np.float32)
    known = ratings.only(~asked)

    def errors(recipe: Recipe, texts: FloatArray) -> _Errors:
        return _asked(train(known, texts, recipe), known.histories(), ratings.only(asked))

    changed = {
        "without dropout": (replace(usual, dropout=0.0), vectors),
        "with negative sampling": (replace(usual, negatives=0.2), vectors),
        "without short histories": (replace(usual, short_histories=0.0), vectors),
        "without offsets (texts alone)": (replace(usual, offsets=False), vectors),
        "without texts (offsets alone)": (usual, nothing),
    }
    whole = errors(usual, vectors)
    found: list[Difference] = []
    for name, (recipe, texts) in changed.items():
        say(f"parts: {name}")
        found.append(Difference(name=name, than=MODEL, rmse=_difference(errors(recipe, texts), whole)))
    return tuple(found)


def _interval(errors: _Errors) -> Interval:
    return _quantiles(errors.rmse, _drawn_rmse(errors))


def _difference(one: _Errors, other: _Errors) -> Interval:
    return _quantiles(one.rmse - other.rmse, _drawn_rmse(one) - _drawn_rmse(other))


def _drawn_rmse(errors: _Errors) -> NumberArray:
    """RMSE of `RESAMPLES` draws of users; the same draws for the same users."""
    asked = errors.count > 0
    n = int(asked.sum())
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float64)
    means: NumberArray = np.sqrt((drawn @ errors.squares[asked]) / (drawn @ errors.count[asked]))
    return means


def _quantiles(value: float, drawn: NumberArray) -> Interval:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(value=round(value, 4), low=round(float(low), 4), high=round(float(high), 4))
