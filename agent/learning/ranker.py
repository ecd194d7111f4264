"""The learned ranker over one open catalogue: what it looks at, the same when it learns, is judged and serves.

It sees what the retriever found and the stand-in's features of it, so that it begins where the stand-in ends, and what
the branches that learned from the log say and find besides. Knows nothing of the log and of files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np

from agent.preferences import Preference
from agent.rank.features import FeatureMaker, Moment
from agent.rank.lambdamart import LambdaMART
from agent.rank.learned import LearnedRanker
from agent.rank.moments import Reader, Scout
from agent.rank.workshop import Past, Progress, Workshop
from agent.ranking import LINEAR, Pool, Taste, WishMasks
from agent.shop import Shop
from retrieval.encoder import FloatArray
from retrieval.experience import Experience
from retrieval.query import Candidate, Query
from retrieval.search import Retriever
from retrieval.table import BoolArray, ItemTable

STAND_IN = "linear"
"""The feature that is the stand-in's own score."""
LINEAR_ID = "linear"
"""What a turn says of who ranked where no learned ranker did."""


class Signals(Protocol):
    """What is known of items and of one customer's taste (`agent.learning.signals.LogSignals`)."""

    def of(self, customer: str | None, before: datetime | None = None) -> Mapping[str, FloatArray]:
        """By name one value for each row of the table, NaN where nothing is known."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """One query: the moment as the ranker sees it, and everything that it ranks."""

    moment: Moment
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """What a ranker sees of a catalogue, where `retriever` finds. Read-only; safe to share between threads."""

    retriever: Retriever
    reader: Reader
    scout: Scout
    maker: FeatureMaker

    @classmethod
    def of(cls, workshop: Workshop, retriever: Retriever, pasts: Sequence[Past] | None = None) -> Sight:
        """With branches fitted on some of the experiences, on all of them where None."""
        return cls(retriever, workshop.reader, workshop.scout(pasts), FeatureMaker(workshop.table))

    def look(
        self,
        query: Query,
        wishes: Sequence[Preference],
        found: Sequence[Candidate],
        *,
        taste: Taste | None = None,
        session: Mapping[str, FloatArray] | None = None,
        vectors: tuple[FloatArray, FloatArray] | None = None,
    ) -> Seen:
        """Look at a query.

        Args:
            query: what was searched for; filters and excluded items hold for what is found here, too.
            wishes: those that it was made of.
            found: what the retriever found for it.
            taste: of the customer, None where nothing is known.
            session: further features by name, float32, (table,).
            vectors: see `Reader.read`.
        """
        table = self.scout.table
        met = WishMasks.of(wishes, table)
        moment = self.scout.moment(self.reader.read(query, vectors), met)
        rows = self.scout.candidates(moment, _allowed(query, self.retriever))
        known = {candidate.item_id for candidate in found}
        ids = (table.ids[row] for row in rows.tolist())
        candidates = (*found, *(Candidate(item_id, 0.0) for item_id in ids if item_id not in known))
        own = [table.row_of(candidate.item_id) for candidate in candidates]
        items = [table.items[row] for row in own]
        pool = Pool(candidates, items, own, met, wishes, table, taste)
        return Seen(replace(moment, session={**(session or {}), **_of_stand_in(pool)}), candidates)


@dataclass(frozen=True, slots=True)
class LearnedRanking:
    """A ranker that is live, over the catalogue that is open."""

    sight: Sight
    model: LambdaMART
    signals: Signals | None = field(default=None, compare=False)

    @property
    def id(self) -> str:
        """Of the ranker, such as "rnk-000003"."""
        return self.model.version

    @property
    def table(self) -> ItemTable:
        """The catalogue."""
        return self.sight.scout.table

    def look(
        self,
        query: Query,
        wishes: Sequence[Preference],
        found: Sequence[Candidate],
        *,
        taste: Taste | None = None,
        customer: str | None = None,
    ) -> Seen:
        """See `Sight.look`; `customer` is a person's id, None for somebody without a name."""
        session = {} if self.signals is None else self.signals.of(customer)
        return self.sight.look(query, wishes, found, taste=taste, session=session)

    def ranker(self, seen: Seen) -> LearnedRanker:
        """For `agent.ranking.rank` over the candidates of `seen`."""
        return LearnedRanker(self.model, self.sight.maker, seen.moment)


def workshop_of(
    shop: Shop, experiences: Sequence[Experience], progress: Progress = lambda stage, done, of: None
) -> Workshop:
    """A workshop over an open catalogue, with the vectors of its index."""
    retriever = shop.retriever
    return Workshop(retriever.table, retriever.encoder, experiences, vectors=retriever.dense.vectors, progress=progress)


def _allowed(query: Query, retriever: Retriever) -> BoolArray:
    """As in `Retriever.search`; and what is known not to be meant, which comes last there, does not join at all."""
    table, against = retriever.table, retriever.further.against(query)
    allowed = table.mask(query.filters)
    if against is not None:
        allowed &= ~against
    allowed[table.rows_of(query.exclude)] = False
    allowed[table.rows_of(seed.item_id for seed in query.seeds)] = False
    return allowed


def _of_stand_in(pool: Pool) -> dict[str, FloatArray]:
    """The stand-in's features of the candidates, and its score: float32, (table,), NaN for all other rows."""
    matrix = LINEAR.features(pool)
    columns = dict(zip(LINEAR.names, matrix.T, strict=True)) | {STAND_IN: LINEAR.scores(matrix)}
    found: dict[str, FloatArray] = {}
    for name, values in columns.items():
        column = np.full(len(pool.table), np.nan, dtype=np.float32)
        column[pool.rows] = values
        found[name] = column
    return found
