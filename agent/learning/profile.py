"""A named customer's lasting taste: where the items that they liked lie, and which values these share.

From everything that the log has of them: talks, reactions, what they did on the shop's pages, imported history. What
is older counts less. Knows nothing of how a list is ranked.

Measured on MovieLens (528 users, the last fifth of each one's ratings held out): the cosine of MiniLM's descriptions
with such a taste puts a liked film before one that was not rated in .527 of the cases, popularity in .750. So the
taste is a feature for learned rankers and stands in where nothing was said; it moves no other list. The values that
liked items share do order them, if a ranker learned how far to go by them (`agent.bench.rated`).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from agent.history import facts_in_force
from agent.learning.attitudes import attitudes
from agent.learning.interactions import Range, attitudes_of
from agent.learning.standing import standing
from agent.log.records import Consent, ConversationState, Deed, StatedWishes
from agent.log.store import EventLog
from agent.preferences import Added, Preference, fold
from retrieval.encoder import FloatArray
from retrieval.items import Item
from retrieval.query import SeedItem
from retrieval.shape import CatalogueShape
from retrieval.table import ItemTable, RowArray

HALF_LIFE_DAYS = 180.0
"""An item that was liked so long ago counts half. Not tuned."""
TALKS = 20
"""The newest conversations whose words count."""
SEEDS = 10
"""Items that stand for the taste in a search without words, those that count most."""
MIN_EVIDENCE = 3
"""Items that must agree before a value counts as a lasting taste."""
MIN_LIFT = 2.0
"""How much more often than in the whole catalogue: of films in English nobody is a fan because most are."""
RANGE_SECONDS = 600.0
"""The shop's scale of ratings is looked up so often: it changes with an import."""

_SECONDS_A_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Taste:
    """A value that the liked items share (`likes`), or the disliked ones; `liked` and `disliked` count items."""

    attribute: str
    value: str
    likes: bool
    liked: int
    disliked: int


@dataclass(frozen=True, slots=True)
class Profile:
    """`vector`: unit, float32, (dim,); `vectors`: those of the catalogue, (items, dim). `seeds`: what counts most."""

    vector: FloatArray
    vectors: FloatArray
    seeds: tuple[SeedItem, ...]
    tastes: tuple[Taste, ...]

    def similarity(self, rows: RowArray | Sequence[int]) -> FloatArray:
        """The cosine of items with the taste: float32, (rows,)."""
        found: FloatArray = self.vectors[np.asarray(rows, dtype=np.int32)] @ self.vector
        return found.astype(np.float32)


class Profiles:
    """Makes the profiles of one log's customers, from what the log has at that moment. Thread-safe."""

    def __init__(self, events: EventLog, *, consent: Consent = "opt_out") -> None:
        self._events = events
        self._consent = consent
        self._ranges: dict[str, tuple[float, Range | None]] = {}
        self._lock = threading.Lock()

    def of(self, table: ItemTable, vectors: FloatArray, state: ConversationState) -> Profile | None:
        """The profile of who talks; None for somebody without a name, or of whom nothing is known that they like."""
        talk = state.conversation
        if talk.person_id is None:
            return None
        deeds = self._events.deeds(talk.tenant, self._consent, talk.person_id)
        stated = self._events.stated(talk.tenant, talk.person_id, TALKS, self._consent)
        return profile_of(deeds, stated, self._range(talk.tenant), table, vectors)

    def standing(self, shape: CatalogueShape, state: ConversationState) -> tuple[Added, ...]:
        """What a named customer wishes again and again and this conversation does not speak of yet."""
        talk = state.conversation
        return self.lasting(talk.tenant, talk.person_id, shape, fold(facts_in_force(state)))

    def lasting(
        self, tenant: str, person_id: str | None, shape: CatalogueShape, present: Iterable[Preference]
    ) -> tuple[Added, ...]:
        """What a named customer wishes again and again and `present` does not speak of."""
        if person_id is None:
            return ()
        return standing(self._events.stated(tenant, person_id, TALKS, self._consent), shape, present)

    def _range(self, tenant: str) -> Range | None:
        with self._lock:
            until, found = self._ranges.get(tenant, (0.0, None))
            if time.monotonic() > until:
                found = self._events.rating_range(tenant)
                self._ranges[tenant] = time.monotonic() + RANGE_SECONDS, found
            return found


def profile_of(
    deeds: Sequence[Deed],
    stated: Iterable[StatedWishes],
    ratings: Range | None,
    table: ItemTable,
    vectors: FloatArray,
    now: datetime | None = None,
) -> Profile | None:
    """Put a profile together; None where no item of this catalogue is liked.

    Args:
        deeds: what the customer did, oldest first.
        stated: their wishes by conversation, oldest first: items named as liked or hated count.
        ratings: the scale of the shop.
        table: the catalogue.
        vectors: unit vectors of its items, float32, (items, dim).
        now: the moment from which ages count; None is this one.
    """
    values, when = attitudes_of(deeds, ratings), {deed.item_id: deed.at for deed in deeds}
    for talk in stated:
        said = attitudes(fold(talk.facts), ())
        values |= said
        when |= dict.fromkeys(said, talk.at)
    known = {item_id: value for item_id, value in values.items() if value and item_id in table}
    if not any(value > 0 for value in known.values()):
        return None
    weights = {item_id: value * _freshness(when[item_id], now or datetime.now(UTC)) for item_id, value in known.items()}
    mean = np.array(list(weights.values()), dtype=np.float32) @ vectors[table.rows_of(weights)]
    length = float(np.linalg.norm(mean))
    if length == 0:
        return None
    strongest = sorted(weights, key=lambda item_id: (-abs(weights[item_id]), item_id))[:SEEDS]
    return Profile(
        vector=(mean / length).astype(np.float32),
        vectors=vectors,
        seeds=tuple(SeedItem(item_id, float(np.clip(weights[item_id], -2, 2))) for item_id in strongest),
        tastes=tastes_of(known, table),
    )


def _freshness(at: datetime, now: datetime) -> float:
    days = max(0.0, (now - at).total_seconds() / _SECONDS_A_DAY)
    return float(0.5 ** (days / HALF_LIFE_DAYS))


def tastes_of(values: Mapping[str, float], table: ItemTable) -> tuple[Taste, ...]:
    """Values that at least `MIN_EVIDENCE` items of one side have, `MIN_LIFT` times as often as the catalogue.

    `values` are attitudes by id towards items of the table. The tastes with most items come first.
    """
    liked = [table.get(item_id) for item_id, value in values.items() if value > 0]
    disliked = [table.get(item_id) for item_id, value in values.items() if value < 0]
    yes, no = _counted(liked), _counted(disliked)
    found = []
    for attribute, value in {**yes, **no}:
        shape = table.shape.attributes[attribute]
        share = (shape.values or {}).get(value, 0) / len(table)
        ups, downs = yes[attribute, value], no[attribute, value]
        likes = ups > downs
        count, of = (ups - downs, len(liked)) if likes else (downs - ups, len(disliked))
        if count >= MIN_EVIDENCE and count >= MIN_LIFT * share * of:
            found.append(Taste(attribute, value, likes, ups, downs))
    return tuple(sorted(found, key=lambda taste: (-max(taste.liked, taste.disliked), taste.attribute, taste.value)))


def _counted(items: Iterable[Item]) -> Counter[tuple[str, str]]:
    """How many items have each value of a text or list attribute."""
    return Counter(
        (name, each)
        for item in items
        for name, value in item.attributes.items()
        if not isinstance(value, int | float)
        for each in dict.fromkeys((value,) if isinstance(value, str) else value)
    )
