"""Learning a ranker from the event log, and judging it: it is worth nothing unless it beats what stands in for it.

Each lesson is lived again with what was known then: the search, the stand-in's list, and what branches say that did
not see the conversation. The ranker that is judged for a conversation has not seen it either. Knows nothing of files
and of what is live.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.learning.experiences import Lesson
from agent.learning.live import CUSTOMERS, own_lane, shared_lane
from agent.learning.ranker import Sight, Signals, workshop_of
from agent.learning.ranker_lessons import Then, capped, read_lessons, shareable
from agent.learning.ranker_parts import INDEX, PARTS, Part, features_of, without_columns
from agent.learning.signals import LogSignals
from agent.log.records import Consent
from agent.log.store import EventLog
from agent.rank.crossfit import cross_fitted, folds_of
from agent.rank.examples import Example
from agent.rank.intervals import Interval, intervals
from agent.rank.lambdamart import LambdaMART, Options
from agent.rank.workshop import Past, Progress
from agent.ranking import OUT_OF_STOCK, WEIGHTS, RankingOptions, rank
from agent.shop import Shop
from retrieval.branches.base import Branch
from retrieval.errors import BadRequest
from retrieval.query import Candidate
from retrieval.table import RowArray

MIN_LESSONS = 200
MIN_CUSTOMERS = 20
"""Below this a ranker is not even tried. Not tuned: fewer say more of chance than of customers."""
MIN_EFFECT = 0.02
"""How much nearer to 1 the mean of 1 / place of what was taken must come."""
MAX_LESSONS = 2_000
"""The newest ones: each one's features are held in memory, a quarter of a megabyte."""
OPTIONS = Options(trees=100, rate=0.1, threads=1)
"""Half as many trees, twice as bold, as on the benchmark: a customer waits while they are explained (TreeSHAP). One
thread: a server runs beside it, and two that wait for each other on busy cores take far longer."""
FOLDS = 4
"""See `Job`."""
CANDIDATES = 200
"""The setting's default."""
CUTOFFS = (1, 5, 10)
MRR = "mrr"

FitSignals: TypeAlias = Callable[[Collection[str]], Signals | None]
"""Fits without what is known of some conversations."""
Places: TypeAlias = NDArray[np.float64]
"""(lessons, 2): where the stand-in and the ranker put what was taken, from 1; infinite where they did not have it."""


@dataclass(frozen=True, slots=True)
class Bar:
    """What a ranker needs to be tried, and to go live."""

    lessons: int = MIN_LESSONS
    customers: int = MIN_CUSTOMERS
    effect: float = MIN_EFFECT


@dataclass(frozen=True, slots=True)
class Judgement:
    """Both lists of each lesson compared, the conversations drawn by a bootstrap; by metric: "mrr", "first_5" ...

    `parts`: what the mean of 1 / place loses without a part of what was learned (ranker_parts.py).
    """

    conversations: int
    linear: Mapping[str, Interval]
    learned: Mapping[str, Interval]
    gain: Mapping[str, Interval]
    parts: Mapping[Part, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compared:
    """`without`: by part, where what was taken came without it, (lessons,); a part that adds nothing is not there."""

    places: Places
    without: Mapping[Part, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Learned:
    """What became of it. `model` is None where it is not to go live; `reason` says why or why not, one sentence.

    `lessons` and `customers` count what was learned from, `event_seq` is the number of the log's newest event then.
    """

    model: LambdaMART | None
    reason: str
    lessons: int
    customers: int
    event_seq: int
    judgement: Judgement | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One catalogue and one log. `customers`: see `shareable`; `candidates`: how many the retriever gives.

    `folds`: each lesson is lived again so often to be judged, and once more to be learned from.
    """

    shop: Shop
    log: EventLog
    tenant: str
    consent: Consent = "opt_out"
    customers: int = CUSTOMERS
    candidates: int = CANDIDATES
    bar: Bar = Bar()
    options: Options = OPTIONS
    folds: int = FOLDS
    progress: Progress = field(default=lambda stage, done, of: None)

    def run(self, version: str) -> Learned:
        """Learn a ranker that is called `version`.

        A refit, too, is grown anew, on the newest `MAX_LESSONS` of the log: minutes. No trees are added to older ones,
        because the branches know more by now, and so the features of the old lessons have changed.
        """
        seq = self.log.changes(self.tenant, 0).newest
        everything = read_lessons(self.log, self.tenant, self.consent, self.shop.table)
        kept = capped(everything)[-MAX_LESSONS:]
        n_customers = len({one.customer for one in kept})
        if len(kept) < self.bar.lessons or n_customers < self.bar.customers:
            reason = (
                f"There is too little to learn from: {len(kept)} lessons of {n_customers} customers, and it takes "
                f"{self.bar.lessons} of {self.bar.customers}."
            )
            return Learned(None, reason, len(kept), n_customers, seq)
        lives = _Lives(self, everything, kept)
        try:
            compared = cross_judged(lives, self)
            judgement = judged(compared.places, [past.group for past in lives.pasts], compared.without)
            good, reason = verdict(judgement, self.bar)
            model = None
            if good:
                examples = [one.example for one in lives.again(lives.pasts, "learning")]
                self.progress("growing", 0, 1)
                model = LambdaMART.train(examples, self.options, version=version)
        except BadRequest as error:  # nothing that was taken is among the candidates
            return Learned(None, f"Nothing can be learned: {error}", len(kept), n_customers, seq)
        return Learned(model, reason, len(kept), n_customers, seq, judgement)

    def signals(self, without: Collection[str]) -> Signals | None:
        """See `FitSignals`."""
        table, vectors = self.shop.table, self.shop.retriever.dense.vectors
        return LogSignals.fit(self.log, self.tenant, table, vectors, self.consent, without)


@dataclass(frozen=True, slots=True)
class Lived:
    """One lesson lived again: the ranker's example, and what it takes to make a list of its scores.

    `held` is what stock takes from each score, float64; `ids` break ties; `place` is the stand-in's, from 1, and
    `bare` is the same without the live lanes.
    """

    example: Example
    held: NDArray[np.float64]
    ids: RowArray
    place: float
    bare: float

    def place_by(self, model: LambdaMART) -> float:
        """Where the ranker puts what was taken."""
        taken = np.flatnonzero(self.example.labels)
        if not len(taken):
            return float("inf")
        scores = model.scores(self.example.features) + self.held
        ahead = (scores > scores[taken[0]]) | ((scores == scores[taken[0]]) & (self.ids < self.ids[taken[0]]))
        return 1.0 + float(ahead.sum())


@dataclass(frozen=True, slots=True)
class _Fold:
    sight: Sight
    shared: Branch | None
    signals: Signals | None


class _Lives:
    """Lives the lessons of one job again, each by branches that did not see its conversation."""

    def __init__(self, job: Job, everything: Sequence[Lesson], kept: Sequence[Lesson]) -> None:
        self._job = job
        self._then = Then(job.shop, job.log, job.tenant, job.consent, everything, kept)
        self._kept = [one for one in kept if self._then.knows(one)]  # not what was erased a moment ago
        self._workshop = workshop_of(job.shop, [one.experience for one in self._kept], job.progress)

    @property
    def pasts(self) -> Sequence[Past]:
        """The lessons, read."""
        return self._workshop.pasts

    def again(self, pasts: Sequence[Past], stage: str) -> list[Lived]:
        """Each by branches that learned from the other conversations among `pasts`, in their order."""
        report = self._job.progress
        return cross_fitted(
            pasts,
            self._fit,
            self._live,
            n_folds=self._job.folds,
            progress=lambda done, of: report(stage, done, of),
        )

    def by_strangers(self, pasts: Sequence[Past], strangers: Sequence[Past]) -> list[Lived]:
        """`pasts`, by branches that learned from `strangers`."""
        fold = self._fit(strangers)
        return [self._live(fold, past) for past in pasts]

    def _fit(self, pasts: Sequence[Past]) -> _Fold:
        seen = [self._kept[past.number] for past in pasts]
        told = shareable(seen, self._job.customers)
        names = {(one.session_id, one.item_id) for one in told}
        teaching = [past for past, one in zip(pasts, seen, strict=True) if (one.session_id, one.item_id) in names]
        out = {one.session_id for one in self._kept} - {one.session_id for one in seen}
        lane = shared_lane(self._job.shop.table, told)
        sight = Sight.of(self._workshop, self._job.shop.retriever, teaching)
        return _Fold(sight, lane, self._job.signals(out))

    def _live(self, fold: _Fold, past: Past) -> Lived:
        lesson, then, table = self._kept[past.number], self._then, self._job.shop.table
        query = then.query(lesson, self._job.candidates)
        lanes = [lane for lane in (fold.shared, own_lane(table, then.own(lesson))) if lane is not None]
        search = self._job.shop.retriever.search
        found = search(query, lanes)
        profile = then.profile(lesson)
        taste = None if profile is None else profile.similarity
        wishes = then.wishes(lesson)
        stock_last = not any(wish.attribute == "in_stock" for wish in wishes)
        options = RankingOptions(stock_last=stock_last, taste=taste)

        def place(candidates: Sequence[Candidate]) -> float:
            order = [entry.item.id for entry in rank(candidates, wishes, table, options).considered]
            return 1.0 + order.index(lesson.item_id) if lesson.item_id in order else float("inf")

        stand_in = place(found.candidates)
        session = {} if fold.signals is None else fold.signals.of(then.person(lesson), lesson.order[0])
        whole, last = past.views.whole.vector, past.views.last.vector
        vectors = None if whole is None or last is None else (whole, last)
        seen = fold.sight.look(query, wishes, found.candidates, taste=taste, session=session, vectors=vectors)
        rows = table.rows_of(candidate.item_id for candidate in seen.candidates)
        gone = [stock_last and table.items[row].in_stock is False for row in rows.tolist()]
        labels = np.isin(rows, past.taken).astype(np.int8)
        missed = int(not labels.any())
        matrix = fold.sight.maker.matrix(seen.moment, rows)
        return Lived(
            Example(matrix, labels, past.group, missed, past.experience.weight),
            WEIGHTS[OUT_OF_STOCK] * np.array(gone, dtype=np.float64),
            table.id_rank[rows],
            stand_in,
            place(search(query).candidates) if lanes else stand_in,
        )


def cross_judged(lives: _Lives, job: Job) -> Compared:
    """Each conversation by a ranker that knows nothing of it, nor do the branches whose features it was trained with.

    Cross-fitted twice, therefore: with one set of features for all folds, what the branches lack of an item in one fold
    tells what was taken there, and pure noise was found to be learnable (1 / place .13 by chance, .25 "learned").

    Raises:
        BadRequest: as `LambdaMART.train`.
    """
    pasts, fold = lives.pasts, folds_of([past.group for past in lives.pasts], job.folds, seed=1)
    places = np.full((len(pasts), 2), np.inf)
    less: dict[Part, NDArray[np.float64]] = {INDEX: np.full(len(pasts), np.inf)}
    for number in range(job.folds):
        inside = np.flatnonzero(fold == number).tolist()
        outside = [past for past, at in zip(pasts, fold.tolist(), strict=True) if at != number]
        if not inside:
            continue
        examples = [one.example for one in lives.again(outside, f"judging {number + 1}/{job.folds}")]
        model = LambdaMART.train(examples, job.options)
        lived = lives.by_strangers([pasts[at] for at in inside], outside)
        places[inside] = [(one.place, one.place_by(model)) for one in lived]
        less[INDEX][inside] = [one.bare for one in lived]
        for part in PARTS:
            if names := features_of(part, examples):
                poorer = LambdaMART.train(without_columns(examples, names), job.options)
                less.setdefault(part, np.full(len(pasts), np.nan))[inside] = [one.place_by(poorer) for one in lived]
    # In a fold where a part said nothing it loses nothing.
    return Compared(places, {part: np.where(np.isnan(each), places[:, 1], each) for part, each in less.items()})


def judged(
    places: Places, groups: Sequence[str], without: Mapping[Part, NDArray[np.float64]] | None = None
) -> Judgement:
    """Intervals over conversations; `without` as in `Compared`."""
    linear, learned = (_metrics(column) for column in places.T)
    _, numbers = np.unique(np.array(groups), return_inverse=True)
    owner = numbers.astype(np.int64)
    names = (MRR, *(f"first_{cutoff}" for cutoff in CUTOFFS))
    of_each = (intervals(columns, owner) for columns in (linear, learned, learned - linear))
    one, other, gain = (dict(zip(names, each, strict=True)) for each in of_each)
    parts = {
        part: intervals((1.0 / places[:, 0 if part == INDEX else 1] - 1.0 / each)[:, None], owner)[0]
        for part, each in (without or {}).items()
    }
    return Judgement(len(np.unique(owner)), one, other, gain, parts)


def verdict(found: Judgement, bar: Bar) -> tuple[bool, str]:
    """Whether the ranker goes live, and one sentence that says why."""
    gain, before, now = found.gain[MRR], found.linear[MRR].value, found.learned[MRR].value
    good = gain.value >= bar.effect and gain.low > 0
    told = f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] in the mean of 1 / place ({before:.3f} -> {now:.3f})"
    if good:
        return True, f"It beats the linear ranker: {told}."
    return False, f"It does not beat the linear ranker: {told}, and it takes {bar.effect:+g}, surely above 0."


def _metrics(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """(lessons, metrics)."""
    return np.stack([1.0 / places, *((places <= cutoff).astype(np.float64) for cutoff in CUTOFFS)], axis=1)
