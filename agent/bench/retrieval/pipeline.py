"""Everything between a benchmark's files and its lists: catalogue, branches, training, the ranking of each row.

Reads `turns`, `mentioned` and `candidates` of a row that is ranked and nothing else of it. Knows nothing of files and
scoring. The parts are the product's own (`agent.rank`); here they only get their experiences from rows.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from agent.bench.retrieval.dialogues import Like, Ranked, Row
from agent.bench.retrieval.untrained import Untrained
from agent.bench.retrieval.users import UserBranch
from agent.rank.examples import Example, FeatureMatrix
from agent.rank.features import FeatureMaker, Moment
from agent.rank.habits import NEW
from agent.rank.lambdamart import LambdaMART, Options
from agent.rank.moments import Scout
from agent.rank.shortlist import LAST, summed
from agent.rank.workshop import Further, Sources, Workshop
from retrieval.branches.base import Scores
from retrieval.branches.conversational import DEMAND
from retrieval.branches.corpus import MENTION
from retrieval.encoder import Encoder, FloatArray
from retrieval.experience import Experience
from retrieval.fusion import top_rows
from retrieval.items import Item
from retrieval.query import Query, SeedItem
from retrieval.ratings.interactions import DISLIKED, LIKED, Interactions
from retrieval.ratings.movielens import join, read_movielens
from retrieval.table import BoolArray, ItemTable, RowArray

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told (stage, done, of): `of` counts what the stage goes through."""

LISTED = 50
"""Items of an answer."""

BRANCHES = ("lexical", "dense", "names", "conversational", "metapath", "collaborative", "habits")
"""What `without` may leave out before anything is fitted."""
GROUPS: Mapping[str, Callable[[str], bool]] = {
    "last": lambda name: name.startswith(LAST),
    "places": lambda name: name.endswith("#"),
    "facts": lambda name: name.startswith(("item.", "apart.", "kind.", "title.")),
    "query": lambda name: name.startswith("query."),
    "demand": lambda name: any(part in name for part in (DEMAND, NEW, ".popularity")),
}
"""What else `without` may name: groups of the ranker's features, by their names; "ranker" leaves out all."""
RANKER = "ranker"
FURTHER: Mapping[str, Further] = {"user-based-cf": UserBranch}
"""Branches that did not help and are in no system but that of their row in an ablation."""

OPTIONS = Options()


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a benchmark gives besides the test rows; everything but the items may be missing.

    `ratings` is a MovieLens folder.
    """

    items: tuple[Item, ...]
    train: tuple[Row, ...] = ()
    valid: tuple[Row, ...] = ()
    likes: tuple[Like, ...] = ()
    ratings: Path | None = None


class RetrievalSystem:
    """Ranks rows; made by `fit`. Without a model by the unlearned sum of the branches, or as on a shop's first day."""

    def __init__(
        self, workshop: Workshop, scout: Scout, model: LambdaMART | None, first_day: Untrained | None = None
    ) -> None:
        self._table = workshop.table
        self._reader = workshop.reader
        self._scout = scout
        self._maker = FeatureMaker(workshop.table)
        self._first_day = first_day
        self.vectors = workshop.vectors
        self.model = model

    @property
    def spread(self) -> float:
        """How far apart the ranker puts a good and a poor candidate; 1 without one."""
        return 1.0 if self.model is None else self.model.training.spread

    def rank(self, row: Row) -> Ranked:
        """The best 50 items for a row, without those in `mentioned`, only `candidates` where it has them.

        `ms` is the whole way from the words to the list: nothing is kept from one row for another.
        """
        started = time.perf_counter()
        scores: tuple[float, ...] = ()
        if self._first_day is not None:
            ids = self._filled(self._first_day.rank(row).ranked, row)
        else:
            moment = self._scout.moment(self._reader.read(query_of(row)))
            rows = self._scout.candidates(moment, self._allowed(row))
            if self.model is not None and len(rows):
                values = self.model.scores(self._maker.matrix(moment, rows))
                order = np.argsort(-values, kind="stable")
                rows, scores = rows[order], tuple(values[order[:LISTED]].tolist())
            ids = self._ids(rows[:LISTED])
        return Ranked(row.id, tuple(ids), (time.perf_counter() - started) * 1_000, scores)

    def branch_lists(self, row: Row, k: int) -> Mapping[str, list[str]]:
        """What each branch finds first, at most `k`, by the branch's name: its signals summed.

        "sum" is the unlearned order of all, "candidates" what the ranker gets to see, however many, and "union" the
        first `k` of every branch together.
        """
        moment = self._scout.moment(self._reader.read(query_of(row)))
        allowed = self._allowed(row)
        found: dict[str, list[str]] = {}
        for branch, total in _by_branch(moment, len(self._table)).items():
            rows = np.flatnonzero(allowed & (total > 0)).astype(np.int32)
            found[branch] = self._ids(top_rows(rows, total[rows], k, self._table.id_rank)[0])
        found["union"] = list(dict.fromkeys(item for ids in found.values() for item in ids))
        rows = np.flatnonzero(allowed).astype(np.int32)
        found["sum"] = self._ids(top_rows(rows, moment.total[rows], k, self._table.id_rank)[0])
        found["candidates"] = self._ids(self._scout.candidates(moment, allowed))
        return found

    def importance(self) -> Mapping[str, float]:
        """Share of each feature in what the trees gained, largest first; sums to 1. {} where nothing was learned."""
        return {} if self.model is None else self.model.importance()

    def _filled(self, found: Sequence[str], row: Row) -> list[str]:
        """What was found, then the most popular of what else may be listed."""
        allowed = self._allowed(row)
        rest = [number for number in self._table.by_popularity.tolist() if allowed[number]]
        return list(dict.fromkeys([*found, *(self._table.ids[number] for number in rest)]))[:LISTED]

    def _allowed(self, row: Row) -> BoolArray:
        allowed = np.full(len(self._table), row.candidates is None, dtype=np.bool_)
        if row.candidates is not None:
            allowed[self._table.rows_of(row.candidates)] = True
        allowed[self._table.rows_of(row.mentioned)] = False
        return allowed

    def _ids(self, rows: RowArray) -> list[str]:
        return [self._table.ids[number] for number in rows.tolist()]


class Studio:
    """Branches and examples of one bundle, made once for the systems that differ in the ranker's features alone."""

    def __init__(
        self,
        bundle: Bundle,
        encoder: Encoder,
        *,
        without: frozenset[str] = frozenset(),
        further: Sequence[str] = (),
        progress: Progress = lambda stage, done, of: None,
    ) -> None:
        """Read everything.

        Args:
            bundle: what the benchmark gives. Nothing is learned from valid rows: they are for choices, and those that
                were made by them stand in the code (`agent.rank`).
            encoder: turns item documents and dialogues into vectors.
            without: names of `BRANCHES` that are left out.
            further: names of `FURTHER` that come on top.
            progress: told of each step.
        """
        table = ItemTable(bundle.items)
        self._progress = progress
        self._encoder = encoder
        self.workshop = Workshop(
            table,
            encoder,
            [experience_of(row) for row in bundle.train],
            _sources(bundle, table),
            without=without,
            further=[FURTHER[name] for name in further],
            progress=progress,
        )
        self._scout = cache(self.workshop.scout)
        self._examples = cache(self.workshop.examples)

    def first_day(self) -> RetrievalSystem:
        """As a shop ranks that has learned nothing."""
        workshop = self.workshop
        untrained = Untrained(workshop.table, self._encoder, workshop.vectors)
        return RetrievalSystem(workshop, self._scout(), None, untrained)

    def system(self, without: frozenset[str] = frozenset()) -> RetrievalSystem:
        """A ranker learned without the features of some of `GROUPS`; with `RANKER` the branches' unlearned sum."""
        model = None if RANKER in without else self._learned(without)
        return RetrievalSystem(self.workshop, self._scout(), model)

    def _learned(self, without: frozenset[str]) -> LambdaMART | None:
        """A ranker over cross-fitted examples; None where there is nothing to learn from."""
        examples: Sequence[Example] = self._examples()
        if not any(one.labels.any() for one in examples):
            return None
        dropped = [GROUPS[name] for name in without if name in GROUPS]
        if dropped:
            examples = [replace(one, features=_less(one.features, dropped)) for one in examples]
        self._progress("growing trees", 0, 1)
        return LambdaMART.train(examples, OPTIONS)


def fit(
    bundle: Bundle,
    encoder: Encoder,
    *,
    without: frozenset[str] = frozenset(),
    learned: bool = True,
    progress: Progress = lambda stage, done, of: None,
) -> RetrievalSystem:
    """Everything that can be made before the first test row comes.

    Args:
        bundle: see `Studio`.
        encoder: see `Studio`.
        without: names of branches (`BRANCHES`) or groups of features (`GROUPS`) that are left out, for an ablation.
        learned: False: the branches' unlearned sum, although there is training data.
        progress: told of each step.
    """
    studio = Studio(bundle, encoder, without=without & frozenset(BRANCHES), progress=progress)
    if not bundle.train and not without:
        return studio.first_day()
    return studio.system(without if learned else without | {RANKER})


def query_of(row: Row) -> Query:
    """What a row asks."""
    return Query(
        turns=tuple(turn.text for turn in row.turns),
        seeds=tuple(SeedItem(item, MENTION) for item in row.mentioned),
    )


def experience_of(row: Row) -> Experience:
    """What a row of a train file teaches."""
    query = query_of(row)
    return Experience(query.turns, query.seeds, row.targets, row.dialogue_id)


def _less(features: FeatureMatrix, dropped: Sequence[Callable[[str], bool]]) -> FeatureMatrix:
    """The columns that no group drops."""
    kept = [place for place, name in enumerate(features.names) if not any(drops(name) for drops in dropped)]
    return FeatureMatrix(tuple(features.names[place] for place in kept), features.values[:, kept])


def _by_branch(moment: Moment, n_rows: int) -> Mapping[str, FloatArray]:
    """The signals of each branch summed, each over its own maximum: float32, (n_rows,)."""
    branches: defaultdict[str, dict[str, Scores]] = defaultdict(dict)
    for name, scores in moment.signals.items():
        branches[name.removeprefix(LAST).partition(".")[0]][name.removeprefix(LAST)] = scores
    return {branch: summed(signals, {}, n_rows) for branch, signals in branches.items()}


def _sources(bundle: Bundle, table: ItemTable) -> Sources:
    """Ratings and likes; a like belongs to the dialogue of its speaker ("16162-i" spoke in "redial-16162")."""
    fixed = {}
    if bundle.ratings is not None:
        movies = read_movielens(bundle.ratings)
        fixed["ratings"] = movies.interactions(join(table, movies))
    if not bundle.likes:
        return Sources(fixed)
    likes = Interactions.of((one.user, one.item, LIKED if one.liked else DISLIKED) for one in bundle.likes)
    dialogues = {row.dialogue_id.rpartition("-")[2]: row.dialogue_id for row in bundle.train}
    group_of = {user: dialogues.get(user.partition("-")[0], user) for user in likes.users}
    return Sources(fixed, {"likes": likes}, group_of)
