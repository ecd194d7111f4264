"""The live ranker of each tenant over the catalogue that is open, made ready beside the searches.

The trees come from their folder. The branches are made from the log and never stored: words of customers lie in one
place only. What was erased there, or may not be learned from any more, is gone from here with the next look, seconds
later, before anything new is made of the rest: seconds to minutes, in which the linear ranker serves, as it does when
anything fails. What was withdrawn or undone is no secret: it goes when the rest is made, and until then all serves on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import structlog

from agent.datadir import DataDirectory
from agent.learning.experiences import Lesson, lessons, read_talks
from agent.learning.live import CUSTOMERS, LOOK_BACK, NEVER
from agent.learning.ranker import STAND_IN, LearnedRanking, Sight, workshop_of
from agent.learning.ranker_lessons import read_lessons, shareable
from agent.learning.ranking_store import read_manifest, read_ranker
from agent.learning.signals import LogSignals
from agent.log.records import NOBODY, Consent
from agent.log.store import EventLog
from agent.rank.lambdamart import LambdaMART
from agent.shop import Shop
from retrieval.encoder import same_space
from retrieval.errors import ChatalogueError, IndexUnavailable
from retrieval.table import ItemTable

RETRY_SECONDS = 60.0
"""Between two tries to make a ranker ready that could not be."""
RENEW_SECONDS = 24 * 3600.0
"""What the log says of items is counted anew so often; what a search learns at once is the live lane's."""

Gone: TypeAlias = Literal["erased", "withdrawn"]
"""erased: or the customer may not be learned from any more. withdrawn: or undone."""

MIN_SHARED = 0.5
"""A ranker serves where at least so much of the larger one of two catalogues, the one that it was learned over and the
one that is open, is in both. Ids are compared, and no digest of the content: a shop indexes every night, and new prices
and some items more or less leave a judgement as good as it was. Not tuned: a night changes some per cent, and another
shop's catalogue has hardly an item in common. An attribute that is gone is nothing to the trees but unknown."""

log = structlog.get_logger(__name__)


class LiveRankers:
    """The rankers of one process, by tenant. Thread-safe: a search never waits.

    `with_tastes` False predicts nobody's ratings, for a process without named customers: it saves fitting a network.
    """

    def __init__(
        self, data: DataDirectory, events: EventLog, *, customers: int = CUSTOMERS, consent: Consent = "opt_out"
    ) -> None:
        self._data = data
        self._events = events
        self._customers = customers
        self._consent = consent
        self.with_tastes = True
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()

    def follow(self, tenant: str, shop: Shop) -> None:
        """Look which ranker is live and whether the log still says what it stands on; blocks for two short queries.

        Raises:
            DataDirectoryError: the log cannot be read; what is there goes on.
        """
        place = self._place(tenant)
        name = self._events.live_ranker(tenant)
        with place.lock:
            wanted = None if name is None else (name, shop.index_name)
            if wanted != place.wanted:
                place.change(wanted)
            elif place.ready is not None and (gone := self._gone(tenant, place.ready)) is not None:
                log.info("ranker_made_anew", tenant=tenant, reason=f"something that it stands on was {gone}")
                if gone == "erased":
                    place.change(wanted)
                place.due = 0.0
            if name is not None and place.is_due and place.worker is None:
                worker = threading.Thread(
                    target=self._make, args=(tenant, shop, name, place), name="live ranker", daemon=True
                )
                worker.start()  # before it can be seen: others join it
                place.worker = worker

    def ranking(self, tenant: str, table: ItemTable) -> LearnedRanking | None:
        """The live one for this catalogue; None: the linear ranker ranks."""
        ready = self._place(tenant).ready
        return ready.ranking if ready is not None and ready.ranking.table is table else None

    def problem(self, tenant: str) -> str:
        """Why the live ranker is not in use, one sentence for the operator; empty where it is or will be."""
        return self._place(tenant).problem

    def settle(self, tenant: str) -> None:
        """Wait until what is being made is ready."""
        worker = self._place(tenant).worker
        if worker is not None:
            worker.join()

    def _make(self, tenant: str, shop: Shop, name: str, place: _Place) -> None:
        problem, ready = "", None
        try:
            ready = self._made(tenant, shop, name)
        except ChatalogueError as error:
            problem = str(error)
        except Exception as error:  # whatever it was: the linear ranker serves, and the operator is told
            log.exception("ranker_not_made", tenant=tenant, ranker=name)
            problem = f"The ranker {name!r} could not be made ready ({type(error).__name__}); the linear one ranks."
        with place.lock:
            place.worker = None
            if place.wanted == (name, shop.index_name):
                place.finish(ready, problem)
        if problem:
            log.error("ranker_not_live", tenant=tenant, ranker=name, reason=problem)
        else:
            log.info("ranker_live", tenant=tenant, ranker=name)

    def _made(self, tenant: str, shop: Shop, name: str) -> _Ready:
        model = self._read(tenant, shop, name)
        newest = self._events.changes(tenant, NEVER).newest  # before the rest: what comes meanwhile is looked at later
        told = shareable(read_lessons(self._events, tenant, self._consent, shop.table), self._customers)
        workshop = workshop_of(shop, [one.experience for one in told])
        vectors = shop.retriever.dense.vectors if self.with_tastes else None
        signals = LogSignals.fit(self._events, tenant, shop.table, vectors, self._consent)
        ranking = LearnedRanking(Sight.of(workshop, shop.retriever), model, signals)
        held: dict[str, dict[str, Lesson]] = {}
        for one in told:
            held.setdefault(one.session_id, {})[one.item_id] = one
        return _Ready(ranking, held, newest)

    def _read(self, tenant: str, shop: Shop, name: str) -> LambdaMART:
        """The trees, if what they were judged on is what is open."""
        folder = self._data.rankers(tenant) / name
        model, manifest, retriever = read_ranker(folder), read_manifest(folder), shop.retriever
        other = ""
        if STAND_IN not in model.names:
            other = "from other features"
        elif not same_space(manifest.encoder, retriever.encoder.name):
            other = f"with another encoder ({manifest.encoder!r}, and now it is {retriever.encoder.name!r})"
        elif (shared := manifest.shared_with(retriever.table)) < MIN_SHARED:
            other = f"over another catalogue ({shared:.0%} of the items are in both)"
        if other:
            raise IndexUnavailable(
                f"The ranker {name!r} was learned {other}, so the linear one ranks: run `chatalogue learn`."
            )
        return model

    def _gone(self, tenant: str, ready: _Ready) -> Gone | None:
        """What became of something that the branches stand on, if anything."""
        changes = self._events.changes(tenant, ready.newest - LOOK_BACK)
        if changes.newest < ready.newest:  # another database stands in its place: a copy was restored
            return "erased"
        new = {one.session_id for one in changes.found if one.seq not in ready.looked_at}
        touched = new & ready.held.keys()
        now: dict[str, tuple[Lesson, ...]] = {}
        for _, states in read_talks(self._events, tenant, sorted(touched), self._consent):
            now |= {state.conversation.id: lessons(state) for state in states}
        # Last on purpose: what could not be read has not been looked at.
        ready.looked_at, ready.newest = {one.seq for one in changes.found}, changes.newest
        if not touched <= now.keys() or NOBODY in new:
            return "erased"
        return "withdrawn" if any(_lost(ready.held[one], now[one]) for one in touched) else None

    def _place(self, tenant: str) -> _Place:
        with self._lock:
            return self._places.setdefault(tenant, _Place())


@dataclass(slots=True)
class _Ready:
    """`held`: the lessons in the branches, by conversation and item. `newest`, `looked_at`: how far it is read."""

    ranking: LearnedRanking
    held: Mapping[str, Mapping[str, Lesson]]
    newest: int
    looked_at: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Place:
    """What one tenant has; changed under `lock`. `wanted`: the ranker and the index, None for the linear one."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    wanted: tuple[str, str] | None = None
    ready: _Ready | None = None
    problem: str = ""
    due: float = 0.0
    worker: threading.Thread | None = None

    @property
    def is_due(self) -> bool:
        return time.monotonic() >= self.due

    def change(self, wanted: tuple[str, str] | None) -> None:
        """The linear ranker serves from now on, and something is to be made at once."""
        self.wanted, self.ready, self.problem, self.due = wanted, None, "", 0.0

    def finish(self, ready: _Ready | None, problem: str) -> None:
        """What was made is in use; where nothing was, what was there goes on."""
        self.ready, self.problem = ready or self.ready, problem
        self.due = time.monotonic() + (RENEW_SECONDS if ready else RETRY_SECONDS)


def _lost(held: Mapping[str, Lesson], now: Iterable[Lesson]) -> bool:
    """Whether a lesson, a word or an item spoken of is not there any more."""
    by_item = {one.item_id: one.experience for one in now}
    for item_id, one in held.items():
        left = by_item.get(item_id)
        if left is None or not set(one.experience.turns) <= set(left.turns):
            return True
        if not {seed.item_id for seed in one.experience.spoken} <= {seed.item_id for seed in left.spoken}:
            return True
    return False
