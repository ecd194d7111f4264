"""What customers' deeds say of items, as signals of the learned ranker: their contentment, and one customer's taste.

Fitted on the event log alone. A customer's own history is read from the log when it is asked for: a deed counts at
once, and somebody who was erased or said no to learning has none. Knows nothing of how a list is ranked.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from agent.learning.deeds import as_thumbs, counted, left_out
from agent.learning.interactions import Range
from agent.learning.satisfaction import Votes
from agent.learning.taste import agreement, fit_taste, history_of, predicted
from agent.log.records import Consent, Deed
from agent.log.store import EventLog
from retrieval.encoder import FloatArray
from retrieval.errors import ChatalogueError
from retrieval.ratings.base import History
from retrieval.ratings.model import RatingModel
from retrieval.table import ItemTable

SATISFACTION, RATING, TASTES = "satisfaction", "rating", "tastes"
KEPT_BYTES = 32 * 2**20
"""Predictions that are kept for customers who come again at once, in all."""

MAX_ITEMS = 50_000
"""A bigger catalogue has no signals of one customer: they are made for every item, while the customer waits."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class LogSignals:
    """The signals of one catalogue, as fitted; safe to share between threads.

    `out` are the customers whose deeds were not learned from: what is known of one of them before a moment may be
    used, without a moment nothing.
    """

    events: EventLog
    tenant: str
    table: ItemTable
    consent: Consent
    scale: Range | None
    out: frozenset[str]
    votes: Votes | None
    model: RatingModel | None
    _contentment: FloatArray | None = None
    _kept: _Kept = field(default_factory=lambda: _Kept())

    @classmethod
    def fit(
        cls,
        events: EventLog,
        tenant: str,
        table: ItemTable,
        vectors: FloatArray | None,
        consent: Consent = "opt_out",
        without: Collection[str] = (),
    ) -> LogSignals:
        """Learn from everything that the log has; seconds, and torch where there are enough ratings.

        Args:
            events: the log.
            tenant: whose.
            table: the catalogue.
            vectors: unit vectors of its items, float32, (items, dim); None: nothing is predicted.
            consent: who may be learned from.
            without: ids of customers and of conversations: nothing is learned from those, nor from the customers to
                whom the conversations belong. For cross-fitting.

        Raises:
            DataDirectoryError: the log cannot be read.
        """
        done, scale = events.deeds(tenant, consent), events.rating_range(tenant)
        out = left_out(done, without)
        deeds = counted(done, frozenset(table.ids), out)
        votes = Votes.fit(tuple(as_thumbs(deeds, scale)), table)
        small = len(table) <= MAX_ITEMS
        model = fit_taste(deeds, scale, table, vectors) if vectors is not None and small else None
        contentment = None if votes is None else votes.contentment()
        return cls(events, tenant, table, consent, scale, out, votes, model, contentment)

    def of(self, customer: str | None, before: datetime | None = None) -> Mapping[str, FloatArray]:
        """Signals by name, each float32, (table,); a signal that has nothing to say is not there.

        `SATISFACTION`: how content customers were with each item, 0 .. 1, NaN where nobody did anything. `RATING`: the
        stars, 0.5 .. 5, that `customer`, a person's id, would give; nobody is known by a conversation alone. `TASTES`:
        how many values an item has that they like, less those they dislike. `before` is the moment that the signals
        speak of; None is now.
        """
        found: dict[str, FloatArray] = {}
        if self.votes is not None and self._contentment is not None:
            found[SATISFACTION] = self._contentment if before is None else self.votes.contentment(before)
        deeds = self._deeds(customer, before)
        history = history_of(deeds, self.scale, self.table, before) if self.model is not None else None
        if self.model is not None and history is not None:
            found[RATING] = self._kept.of(self.model, history, len(self.table))
        tastes = agreement(deeds, self.scale, self.table, before)
        if tastes is not None:
            found[TASTES] = tastes
        return found

    def _deeds(self, customer: str | None, before: datetime | None) -> tuple[Deed, ...]:
        """The customer's own; none also where the log cannot be read, which must not end a conversation."""
        is_hidden = before is None and customer in self.out
        if customer is None or is_hidden or len(self.table) > MAX_ITEMS:
            return ()
        try:
            return self.events.deeds(self.tenant, self.consent, customer)
        except ChatalogueError as error:
            log.error("history_not_read", tenant=self.tenant, reason=str(error))
            return ()


class _Kept:
    """The latest predictions, by history: a conversation asks for the same one with each turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[bytes, bytes], FloatArray] = OrderedDict()

    def of(self, model: RatingModel, history: History, n_rows: int) -> FloatArray:
        key = history.items.tobytes(), history.stars.tobytes()
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        stars = predicted(model, history, n_rows)
        stars.flags.writeable = False
        with self._lock:
            self._found[key] = stars
            while len(self._found) > max(1, KEPT_BYTES // stars.nbytes):
                self._found.popitem(last=False)
        return stars
