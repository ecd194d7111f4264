"""Which lessons of the log a ranker learns from, and what was known when each of them was made.

Two rules. The trees hold no words and no ids, so they learn from everybody, under caps: of one customer the first
items, of one item the first customers, for whoever comes with many must not push out what others said. The branches
that find candidates do hold words and tell everybody what others took, so they learn what the live lane may share and
nothing else: masked words, and only of items that enough distinct customers took.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from agent.learning.experiences import KEPT, Asked, Lesson, asked_in, lessons, read_talks
from agent.learning.live import PER_CUSTOMER, PER_ITEM
from agent.learning.profile import TALKS, Profile, profile_of
from agent.log.records import Consent, Deed, StatedWishes
from agent.log.store import EventLog
from agent.meant import unwanted_words
from agent.preferences import Preference
from agent.querying import build_query, disliked
from agent.shop import Shop
from retrieval.query import Query
from retrieval.table import ItemTable

READ_TALKS = 10_000
"""A customer's conversations whose wishes are read at all."""


def read_lessons(log: EventLog, tenant: str, consent: Consent, table: ItemTable) -> tuple[Lesson, ...]:
    """Every lesson of the log about an item that the catalogue has, the oldest first."""
    talks = read_talks(log, tenant, log.fruitful(tenant, KEPT), consent)
    found = (one for _, states in talks for state in states for one in lessons(state) if one.item_id in table)
    return tuple(sorted(found, key=_age))


def capped(found: Iterable[Lesson]) -> tuple[Lesson, ...]:
    """Of each customer the first `PER_CUSTOMER` items, each once; of each item the first `PER_ITEM` customers."""
    return tuple(sorted((one for each in _takers(found).values() for one in each[:PER_ITEM]), key=_age))


def shareable(found: Iterable[Lesson], customers: int) -> tuple[Lesson, ...]:
    """Those of `capped` whose item at least `customers` distinct customers took: what others may be told."""
    takers = (each[:PER_ITEM] for each in _takers(found).values() if len(each) >= customers)
    return tuple(sorted((one for each in takers for one in each), key=_age))


def _takers(found: Iterable[Lesson]) -> Mapping[str, list[Lesson]]:
    """By item the lessons under the cap of customers, one of each, the oldest first."""
    first: dict[str, dict[str, Lesson]] = defaultdict(dict)
    for one in sorted(found, key=_age):
        if len(first[one.customer]) < PER_CUSTOMER:
            first[one.customer].setdefault(one.item_id, one)
    takers: dict[str, list[Lesson]] = defaultdict(list)
    for each in first.values():
        for one in each.values():
            takers[one.item_id].append(one)
    return {item_id: sorted(each, key=_age) for item_id, each in takers.items()}


def _age(one: Lesson) -> tuple[object, ...]:
    return (*one.order, one.session_id, one.item_id)


class Then:
    """What a search knew when a lesson was made, worked out again from the log.

    `found` are all lessons, `kept` those that will be asked about.
    """

    def __init__(
        self,
        shop: Shop,
        log: EventLog,
        tenant: str,
        consent: Consent,
        found: Sequence[Lesson],
        kept: Sequence[Lesson],
    ) -> None:
        self._shop = shop
        self._log = log
        self._tenant = tenant
        self._consent = consent
        self._range = log.rating_range(tenant)
        self._known: dict[str, tuple[tuple[Deed, ...], tuple[StatedWishes, ...]]] = {}
        self._of_owner: dict[str, list[Lesson]] = defaultdict(list)
        for one in found:
            self._of_owner[one.owner].append(one)
        self._asked = dict(self._read(kept))

    def knows(self, lesson: Lesson) -> bool:
        """Whether its conversation is still there."""
        return _key(lesson) in self._asked

    def query(self, lesson: Lesson, k: int) -> Query:
        """As `search_and_rank` makes it."""
        asked, table, wishes = self._asked[_key(lesson)], self._shop.table, self.wishes(lesson)
        rejected = (asked.rejected | disliked(wishes, self._shop.ids_by_title)) - {lesson.item_id}
        known = frozenset(item_id for item_id in rejected if item_id in table)
        return build_query(
            wishes,
            k=k,
            exclude=asked.hidden,
            accepted=[item_id for item_id in asked.accepted if item_id in table and item_id not in known],
            rejected=known,
            said=lesson.experience.turns,
            own=asked.own,
            unwanted=unwanted_words(wishes, _there(asked.gone, table), known, lambda item_id: table.get(item_id).title),
        )

    def wishes(self, lesson: Lesson) -> tuple[Preference, ...]:
        """Those in force, without likes of items that the catalogue does not have."""
        return _there(self._asked[_key(lesson)].wishes, self._shop.table)

    def own(self, lesson: Lesson) -> tuple[Lesson, ...]:
        """What the customer had taken before."""
        return tuple(one for one in self._of_owner[lesson.owner] if one.order < lesson.order)

    def person(self, lesson: Lesson) -> str | None:
        """The id of a customer with a name."""
        return None if lesson.owner == lesson.session_id else lesson.owner

    def profile(self, lesson: Lesson) -> Profile | None:
        """A named customer's lasting taste before the conversation."""
        person, at = self.person(lesson), lesson.order[0]
        if person is None:
            return None
        if person not in self._known:
            deeds = self._log.deeds(self._tenant, self._consent, person)
            self._known[person] = deeds, self._log.stated(self._tenant, person, READ_TALKS, self._consent)
        deeds, stated = self._known[person]
        before = [one for one in stated if one.at < at][-TALKS:]
        vectors = self._shop.retriever.dense.vectors
        return profile_of([deed for deed in deeds if deed.at < at], before, self._range, self._shop.table, vectors, at)

    def _read(self, kept: Sequence[Lesson]) -> Iterator[tuple[tuple[str, str], Asked]]:
        of_session: dict[str, list[Lesson]] = defaultdict(list)
        for one in kept:
            of_session[one.session_id].append(one)
        titles = self._shop.rules.titles
        for _, states in read_talks(self._log, self._tenant, list(of_session), self._consent):
            for state in states:
                yield from ((_key(one), asked_in(state, one, titles)) for one in of_session[state.conversation.id])


def _there(wishes: Iterable[Preference], table: ItemTable) -> tuple[Preference, ...]:
    return tuple(wish for wish in wishes if wish.op != "like" or str(wish.values[0]) in table)


def _key(one: Lesson) -> tuple[str, str]:
    return one.session_id, one.item_id
