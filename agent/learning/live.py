"""The live lane: what customers took moves searches within seconds, without a training run.

A lesson counts at once in the searches of its own customer. In everybody else's it counts when its item was taken by
`customers` distinct customers, and then with masked words. Caps: of one customer the first `PER_CUSTOMER` items count,
each once, however many talks there were; of one item the first `PER_ITEM` customers. The first, because then whoever
comes with many cannot push out what others said.

Everything is in memory and worked out from the log: each search first looks for events that are new there, from
whatever process. An item that may not be shared any more is out of the next search. What takes longer, fitting words,
is done by a thread beside the searches, within seconds. Knows nothing of HTTP and pages.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import structlog

from agent.learning.experiences import KEPT, Lesson, lessons, read_talks
from agent.log.records import Consent, ConversationState
from agent.log.store import EventLog
from retrieval.branches.base import Branch, Cues, Scores
from retrieval.branches.conversational import WORDS, ConversationalBranch
from retrieval.branches.corpus import context_of
from retrieval.errors import ChatalogueError
from retrieval.experience import Experience
from retrieval.lexical import terms
from retrieval.table import ItemTable
from retrieval.text import plain

CUSTOMERS = 3
"""Distinct customers that must have taken an item before others see it; the setting's default."""
PER_CUSTOMER = 20
PER_ITEM = 50

LOOK_BACK = 200
"""Events before the newest one that are looked at again: on PostgreSQL one that got its number earlier may become
visible later. Longer than any number of transactions under way."""

NEVER = 2**62
"""The number of an event that will not come."""

NEAR_BEST = 0.5
"""A shared lesson counts for an item whose words, those of its lessons included, match at least this share of the best
match. Fusion looks at ranks alone: without this bound the few items with lessons would come first in their list for
whatever was asked. Not tuned."""
ALIKE = 0.3
"""The cosine of two sets of words from which a customer's own lesson counts. Not tuned."""

SHARED, OWN = "live.shared", "live.own"

log = structlog.get_logger(__name__)


class LiveLessons:
    """The lessons of one process, by tenant. Thread-safe: a search never waits for another one's reading."""

    def __init__(self, events: EventLog, *, customers: int = CUSTOMERS, consent: Consent = "opt_out") -> None:
        self._events = events
        self._customers = customers
        self._consent = consent
        self._books: dict[str, _Book] = {}
        self._books_lock = threading.Lock()

    def follow(self, tenant: str, table: ItemTable) -> None:
        """Learn for this catalogue from now on; at once, but not before this returns."""
        book = self._book(tenant)
        with book.lock:
            book.target = table
            self._catch_up(tenant, book)

    def branches(self, table: ItemTable, state: ConversationState) -> tuple[Branch, ...]:
        """What a search of this conversation takes along: signal `SHARED`, and `OWN` where the customer has lessons.

        A log that cannot be read is no reason to find nothing: then it is what was known before.
        """
        tenant = state.conversation.tenant
        book = self._book(tenant)
        # Whoever comes while another one reads goes on with what there is: it is as new as the other one's start.
        if book.lock.acquire(blocking=False):
            try:
                self._read(tenant, book)
                book.target = book.target or table
                if not book.is_fitted:
                    self._catch_up(tenant, book)
            finally:
                book.lock.release()
        lanes: list[Branch] = []
        shared = book.lane
        if shared is not None and shared.table is table:
            lanes.append(shared.only(book.shared))
        if own := book.lessons_of(state):
            lanes.append(_OwnLane(table, own))
        return tuple(lanes)

    def settle(self, tenant: str) -> None:
        """Wait until what was read so far is fitted."""
        worker = self._book(tenant).worker
        if worker is not None:
            worker.join()

    def _catch_up(self, tenant: str, book: _Book) -> None:
        """Fit beside the searches; under the book's lock."""
        if book.worker is None:
            worker = threading.Thread(target=self._fit, args=(tenant, book), name="live lessons", daemon=True)
            worker.start()  # before it can be seen: others join it
            book.worker = worker

    def _fit(self, tenant: str, book: _Book) -> None:
        try:
            while True:
                with book.lock:
                    readable = self._read(tenant, book)
                    if book.is_fitted or not readable:
                        book.worker = None
                        return
                    target, wanted, version = book.target, dict(book.shared), book.version
                if target is not None:
                    book.lane = _SharedLane.of(target, wanted, version, book.lane)
        except Exception:
            book.worker = None
            log.exception("lessons_not_fitted", tenant=tenant)

    def _book(self, tenant: str) -> _Book:
        with self._books_lock:
            return self._books.setdefault(tenant, _Book(self._customers))

    def _read(self, tenant: str, book: _Book) -> bool:
        """Bring the book up to date with the log; False where that failed, which must not end a conversation."""
        try:
            self._read_on(tenant, book)
        except ChatalogueError as error:
            log.error("lessons_not_read", tenant=tenant, reason=str(error))
        except Exception:  # whatever it was: a search without new lessons is better than none
            log.exception("lessons_not_learned", tenant=tenant)
        else:
            return True
        return False

    def _read_on(self, tenant: str, book: _Book) -> None:
        first = book.newest == 0
        begin = self._events.changes(tenant, NEVER).newest if first else book.newest
        changes = self._events.changes(tenant, begin - LOOK_BACK)
        if changes.newest < begin:  # another database stands in its place: a copy was restored
            book.clear()
            return self._read_on(tenant, book)
        if first:
            ids: Sequence[str] = self._events.fruitful(tenant, KEPT)
        else:
            ids = list(dict.fromkeys(one.session_id for one in changes.found if one.seq not in book.seen))
        for batch, states in read_talks(self._events, tenant, ids, self._consent):
            found = {state.conversation.id: lessons(state) for state in states}
            for session_id in batch:
                book.learn(session_id, found.get(session_id, ()))
        book.seen, book.newest = {one.seq for one in changes.found}, changes.newest


@dataclass(slots=True)
class _Book:
    """What is known of one tenant; changed under `lock`, all but `lane`, which belongs to the `worker`.

    `counted`: by customer and item the lessons under the caps. `takers`: the same by item and customer. `shared`: those
    that others may see, by item; `version` counts its changes. `lane`: what is fitted of it for `target`, the catalogue
    that is searched. `newest` and `seen`: what was read of the log last.
    """

    customers: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    newest: int = 0
    seen: set[int] = field(default_factory=set)
    talks: dict[str, tuple[Lesson, ...]] = field(default_factory=dict)
    talks_of: dict[str, frozenset[str]] = field(default_factory=dict)
    counted: dict[str, dict[str, Lesson]] = field(default_factory=dict)
    takers: dict[str, dict[str, Lesson]] = field(default_factory=lambda: defaultdict(dict))
    shared: dict[str, tuple[Lesson, ...]] = field(default_factory=dict)
    version: int = 0
    target: ItemTable | None = None
    lane: _SharedLane | None = None
    worker: threading.Thread | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether the lane is up to date, or there is nothing to be in it."""
        if self.lane is None:
            return not self.shared
        return self.lane.table is self.target and self.lane.version == self.version

    def clear(self) -> None:
        """Forget everything."""
        self.newest, self.version = 0, self.version + 1
        for known in (self.seen, self.talks, self.talks_of, self.counted, self.takers, self.shared):
            known.clear()

    def learn(self, session_id: str, now: tuple[Lesson, ...]) -> None:
        """What a conversation teaches is `now`, whatever it was before; () forgets it."""
        before = self.talks.get(session_id, ())
        if now == before:
            return
        if now:
            self.talks[session_id] = now
        else:
            del self.talks[session_id]
        for name in {name for one in (*before, *now) for name in (one.owner, one.customer)}:
            theirs = self.talks_of.get(name, frozenset()) - {session_id} | ({session_id} if now else frozenset())
            self.talks_of[name] = theirs
            if not theirs:
                del self.talks_of[name]
        for customer in {one.customer for one in (*before, *now)}:
            self._count(customer)

    def lessons_of(self, state: ConversationState) -> tuple[Lesson, ...]:
        """The customer's own, those of this conversation as it stands."""
        talk = state.conversation
        others = (self.talks.get(one, ()) for one in self.talks_of.get(talk.person_id or talk.id, ()))
        return (*(one for each in others for one in each if one.session_id != talk.id), *lessons(state))

    def _count(self, customer: str) -> None:
        lessons_ = (one for session_id in self.talks_of.get(customer, ()) for one in self.talks[session_id])
        first: dict[str, Lesson] = {}
        for one in sorted(lessons_, key=lambda lesson: (lesson.order, lesson.item_id)):
            if one.item_id in first or len(first) < PER_CUSTOMER:
                first.setdefault(one.item_id, one)
        before = self.counted.pop(customer, {})
        if first:
            self.counted[customer] = first
        for item_id in before.keys() | first.keys():
            if before.get(item_id) != first.get(item_id):
                self.takers[item_id].pop(customer, None)
                if item_id in first:
                    self.takers[item_id][customer] = first[item_id]
                self._share(item_id)

    def _share(self, item_id: str) -> None:
        takers = sorted(self.takers[item_id].values(), key=lambda lesson: lesson.order)
        now = tuple(takers[:PER_ITEM]) if len(takers) >= self.customers else ()
        self.shared.pop(item_id, None)
        if now:
            self.shared[item_id] = now
        self.version += 1


@dataclass(frozen=True, slots=True)
class _SharedLane:
    """What everybody's searches may know: `held` of the book's `version`, each lesson as a group of its own."""

    table: ItemTable
    learned: ConversationalBranch
    held: Mapping[str, tuple[Lesson, ...]]
    version: int

    @classmethod
    def of(
        cls, table: ItemTable, wanted: Mapping[str, tuple[Lesson, ...]], version: int, before: _SharedLane | None
    ) -> _SharedLane | None:
        """Fit `wanted`, or bring a lane up to date; None where there is nothing to fit."""
        if not wanted:
            return None
        now = {_group(one): one for each in wanted.values() for one in each}
        if before is None or before.table is not table:
            learned = ConversationalBranch.fit(table, [_alone(one) for one in now.values()])
            return cls(table, learned, wanted, version)
        held = {_group(one): one for each in before.held.values() for one in each}
        for group in held:
            if now.get(group) != held[group]:
                before.learned.remove(group)
        for group in now:
            if now[group] != held.get(group):
                before.learned.add(_alone(now[group]))
        return cls(table, before.learned, wanted, version)

    def only(self, items: Mapping[str, tuple[Lesson, ...]]) -> _SharedLane:
        """Without items that may not be shared any more, though their words are still fitted."""
        return self if items.keys() >= self.held.keys() else replace(self, held=_both(self.held, items))

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`."""
        words = self.learned.scores(replace(cues, text=_asked(cues)))[WORDS]
        near = words.values >= NEAR_BEST * words.values.max(initial=0.0)
        keep = near & np.isin(words.rows, self.table.rows_of(self.held))
        return {SHARED: Scores(words.rows[keep], words.values[keep])}


@dataclass(frozen=True, slots=True)
class _OwnLane:
    """What a customer's own searches know: items that they took after saying much the same."""

    table: ItemTable
    lessons: tuple[Lesson, ...]

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`."""
        asked = _words(_asked(cues))
        values = np.zeros(len(self.table), dtype=np.float32)
        for one in self.lessons:
            alike = _alike(asked, _words(context_of(one.experience.turns)))
            if alike >= ALIKE and one.item_id in self.table:
                row = self.table.row_of(one.item_id)
                values[row] = max(values[row], alike * one.experience.weight)
        return {OWN: Scores.of(values)}


def shared_lane(table: ItemTable, lessons_: Sequence[Lesson]) -> Branch | None:
    """The lane of lessons that may be shared, for those who ask what it would have found; None without any."""
    wanted: dict[str, tuple[Lesson, ...]] = {}
    for one in lessons_:
        wanted[one.item_id] = (*wanted.get(one.item_id, ()), one)
    return _SharedLane.of(table, wanted, 0, None)


def own_lane(table: ItemTable, lessons_: Sequence[Lesson]) -> Branch | None:
    """The lane of one customer's lessons; None without any."""
    return _OwnLane(table, tuple(lessons_)) if lessons_ else None


def _both(held: Mapping[str, tuple[Lesson, ...]], items: Container[str]) -> dict[str, tuple[Lesson, ...]]:
    return {item_id: each for item_id, each in held.items() if item_id in items}


def _group(lesson: Lesson) -> str:
    return f"{lesson.session_id}/{lesson.item_id}"


def _alone(lesson: Lesson) -> Experience:
    """The experience as a group of its own, so that it can be forgotten alone."""
    return replace(lesson.experience, group=_group(lesson))


def _asked(cues: Cues) -> str:
    """The same part of a talk as in a lesson."""
    return context_of(cues.query.turns) or cues.text


def _words(text: str) -> frozenset[str]:
    return frozenset(terms(plain(text)))


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    """The cosine of two sets."""
    return len(one & other) / math.sqrt(len(one) * len(other)) if one and other else 0.0
