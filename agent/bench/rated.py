"""Do the signals of the event log help a ranker? MovieLens as a shop's imported history, with the real log and ranker.

A fifth of each customer's ratings is held out, by chance, and in no log. Of everything else that a customer did not
rate, the ranker shall put the held-out films that they liked first. Customers are cut into folds: signals for one are
fitted without the fold's customers, and the ranker learns from the other folds. Sampled negatives are for learning
alone; what is measured ranks the whole catalogue. Not covered: the order of time, and wishes: nobody says anything.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.learning.signals import RATING, SATISFACTION, TASTES, LogSignals
from agent.log.records import PastDeed
from agent.log.store import EventLog
from agent.rank.examples import Example, FeatureMatrix
from agent.rank.lambdamart import LambdaMART, Options
from retrieval.bench.ratings import Films, Interval, RatingReport, measure_films, read_films
from retrieval.encoder import Encoder, FloatArray
from retrieval.ratings.base import Ratings
from retrieval.table import ItemTable

Say: TypeAlias = Callable[[str], None]
Array: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]

POPULARITY = "popularity"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "popularity": (POPULARITY,),
    "popularity and satisfaction": (POPULARITY, SATISFACTION),
    "popularity and rating": (POPULARITY, RATING),
    "popularity and tastes": (POPULARITY, TASTES),
    "all": (POPULARITY, SATISFACTION, RATING, TASTES),
}
"""What the rankers see; the first is what the others are measured against."""
LIKED_STARS = 4.0
HELD_OUT = 0.2
FOLDS = 5
NEGATIVES = 200
"""Films that a customer did not rate, by chance, that the ranker learns from besides those held out."""
CUTOFF = 10
RESAMPLES = 2_000
OPTIONS = Options(trees=100, feature_share=1.0, threads=1)
"""Fixed beforehand."""

_THEN = datetime(2016, 1, 1, tzinfo=UTC)
_NOW = _THEN + timedelta(days=1)
_TENANT = "default"
_AT_ONCE = 1_000


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RankedBy(_Frozen):
    """A ranker with some features, means over customers.

    `ndcg` of the first `CUTOFF` places; `auc` that a liked film comes before one that is not known to be liked; the
    two after it are the differences to the first ranker, customer by customer. `auc_rated` is among the films that the
    customer held out, liked against not liked.
    """

    name: str
    ndcg: Interval
    auc: Interval
    ndcg_more: Interval
    auc_more: Interval
    auc_rated: Interval


class RankingReport(_Frozen):
    """`n_customers` have something liked held out, `n_liked` in all. `fit_s`: to fit the signals of one fold.

    `ms`: to ask for one customer's signals, which reads the log and predicts for the whole catalogue.
    """

    n_customers: int
    n_liked: int
    n_items: int
    fit_s: float
    ms: float
    rankers: tuple[RankedBy, ...]
    seconds: float


class FullReport(RatingReport):
    """How well ratings are predicted, and what the prediction is worth to a ranker."""

    ranking: RankingReport


def measure_rated(folder: Path, items_file: Path | None, encoder: Encoder, say: Say) -> FullReport:
    """Both, minutes; arguments and errors as `retrieval.bench.ratings.read_films`."""
    started = time.perf_counter()
    films = read_films(folder, items_file, encoder, say)
    predicted, ranking = measure_films(films, say), measure_ranking(films, say)
    seconds = round(time.perf_counter() - started, 1)
    return FullReport(**{**dict(predicted), "seconds": seconds}, ranking=ranking)


def measure_ranking(films: Films, say: Say) -> RankingReport:
    """Rank everything for each customer of whom something liked is held out."""
    started = time.perf_counter()
    ratings = films.movies.ratings
    held = np.random.default_rng(0).random(len(ratings)) < HELD_OUT
    with tempfile.TemporaryDirectory() as folder:
        shop = _Shop.opened(Path(folder), films, ratings.only(~held))
        try:
            customers, seconds = _customers(shop, ratings.only(held), say)
        finally:
            shop.log.close()
    scores = {}
    for name, columns in COLUMNS.items():
        say(f"ranking by {name}")
        scores[name] = np.array(list(_measured(customers, columns)))
    first = next(iter(scores.values()))
    return RankingReport(
        n_customers=len(customers),
        n_liked=sum(len(one.liked) for one in customers),
        n_items=ratings.n_items,
        fit_s=round(seconds.fit_s / FOLDS, 2),
        ms=round(seconds.ask_s * 1e3 / len(customers), 1),
        rankers=tuple(_ranked(name, values, first) for name, values in scores.items()),
        seconds=round(time.perf_counter() - started, 1),
    )


@dataclass(frozen=True, slots=True)
class _Shop:
    """A log with everything that is not held out; `people` are person ids by user."""

    log: EventLog
    table: ItemTable
    vectors: FloatArray
    known: Ratings
    people: tuple[str, ...]

    @classmethod
    def opened(cls, folder: Path, films: Films, known: Ratings) -> _Shop:
        log = EventLog.open(None, folder)
        table = ItemTable(films.items)
        deeds = [
            PastDeed(f"u{user}", table.ids[item], "rating", stars, _THEN)
            for user, item, stars in zip(known.user.tolist(), known.item.tolist(), known.stars.tolist(), strict=True)
        ]
        for start in range(0, len(deeds), _AT_ONCE):
            log.record_past(_TENANT, "", deeds[start : start + _AT_ONCE])
        people = [log.start_conversation(_TENANT, "", f"u{user}").person_id or "" for user in range(known.n_users)]
        return cls(log, table, films.vectors, known, tuple(people))


@dataclass(frozen=True, slots=True)
class _Customer:
    """`values` float32 (items, 4): the columns of the last of `COLUMNS`; `liked` and `others` are rows held out."""

    user: int
    fold: int
    values: FloatArray
    known: Flags
    liked: NDArray[np.int32]
    others: NDArray[np.int32]

    def example(self) -> Example:
        """Everything held out, and some films that the customer did not rate."""
        free = ~self.known
        free[self.liked] = free[self.others] = False
        drawn = np.random.default_rng(self.user).permutation(np.flatnonzero(free))[:NEGATIVES]
        rows = np.concatenate([self.liked, self.others, drawn])
        labels = (np.arange(len(rows)) < len(self.liked)).astype(np.int8)
        return Example(self.features(rows), labels, str(self.user))

    def features(self, rows: NDArray[np.int64]) -> FeatureMatrix:
        return FeatureMatrix(COLUMNS["all"], self.values[rows])


@dataclass(slots=True)
class _Seconds:
    fit_s: float = 0.0
    ask_s: float = 0.0


def _customers(shop: _Shop, held: Ratings, say: Say) -> tuple[list[_Customer], _Seconds]:
    """With signals of which their fold's customers are no part; those of whom nothing liked is held out are not."""
    fold = np.random.default_rng(1).permutation(held.n_users) % FOLDS
    asked, known = held.histories(), shop.known.histories()
    found, seconds = [], _Seconds()
    for number in range(FOLDS):
        say(f"signals of fold {number + 1} of {FOLDS}")
        inside = np.flatnonzero(fold == number).tolist()
        started = time.perf_counter()
        without = [shop.people[user] for user in inside]
        signals = LogSignals.fit(shop.log, _TENANT, shop.table, shop.vectors, without=without)
        seconds.fit_s += time.perf_counter() - started
        of_others = shop.known.only(fold[shop.known.user] != number)
        demand = np.log1p(np.bincount(of_others.item, minlength=held.n_items)).astype(np.float32)
        for user in inside:
            liked = asked[user].stars >= LIKED_STARS
            if not liked.any():
                continue
            started = time.perf_counter()
            of_user = signals.of(shop.people[user], _NOW)
            seconds.ask_s += time.perf_counter() - started
            nothing = np.full(held.n_items, np.nan, dtype=np.float32)
            columns = [demand, *(of_user.get(name, nothing) for name in COLUMNS["all"][1:])]
            is_known = np.zeros(held.n_items, dtype=np.bool_)
            is_known[known[user].items] = True
            items = asked[user].items
            found.append(_Customer(user, number, np.stack(columns, axis=1), is_known, items[liked], items[~liked]))
    return found, seconds


def _measured(customers: Sequence[_Customer], columns: tuple[str, ...]) -> Iterator[tuple[float, float, float]]:
    """NDCG, AUC and AUC of what was rated, of each customer, by a ranker that learned from the other folds."""
    examples = [one.example() for one in customers]
    rankers = {}
    for number in sorted({one.fold for one in customers}):
        others = [example for example, one in zip(examples, customers, strict=True) if one.fold != number]
        cut = [Example(_only(one.features, columns), one.labels, one.group) for one in others]
        rankers[number] = LambdaMART.train(cut, OPTIONS)
    for one in customers:
        rows = np.flatnonzero(~one.known)
        scores = rankers[one.fold].scores(_only(one.features(rows), columns))
        liked = np.isin(rows, one.liked)
        rated = liked | np.isin(rows, one.others)
        yield _ndcg(scores, liked), _auc(scores, liked), _auc(scores[rated], liked[rated])


def _only(features: FeatureMatrix, columns: tuple[str, ...]) -> FeatureMatrix:
    return FeatureMatrix(columns, features.aligned(columns))


def _ndcg(scores: Array, liked: Flags) -> float:
    """Of the first `CUTOFF` places; equal scores in the order of the catalogue."""
    gains = 1 / np.log2(np.arange(2, CUTOFF + 2))
    first = liked[np.argsort(-scores, kind="stable")[:CUTOFF]]
    return float((gains[: len(first)] * first).sum() / gains[: int(liked.sum())].sum())


def _auc(scores: Array, liked: Flags) -> float:
    """That a liked one has more than another, equal ones half (Mann and Whitney); NaN where all are of one kind."""
    n, others = int(liked.sum()), int((~liked).sum())
    if not n or not others:
        return float("nan")
    below = np.sort(scores[~liked])
    places = np.searchsorted(below, scores[liked], "left") + np.searchsorted(below, scores[liked], "right")
    return float(places.mean() / 2 / others)


def _ranked(name: str, values: Array, first: Array) -> RankedBy:
    more = values - first
    return RankedBy(
        name=name,
        ndcg=_interval(values[:, 0]),
        auc=_interval(values[:, 1]),
        ndcg_more=_interval(more[:, 0]),
        auc_more=_interval(more[:, 1]),
        auc_rated=_interval(values[:, 2]),
    )


def _interval(values: Array) -> Interval:
    """The mean over customers who have a value, with its bootstrap interval."""
    known = values[~np.isnan(values)]
    drawn = np.random.default_rng(0).multinomial(len(known), np.full(len(known), 1 / len(known)), RESAMPLES)
    low, high = np.quantile(drawn @ known / len(known), (0.025, 0.975))
    return Interval(value=round(float(known.mean()), 4), low=round(float(low), 4), high=round(float(high), 4))
