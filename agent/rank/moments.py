"""A query seen by all branches: what is said and named, the signals of each branch, and which items are worth ranking.

The same for a benchmark's row, a moment that is learned from and a customer who waits. Knows nothing of trees.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent.rank.features import Moment
from agent.rank.habits import NEW
from agent.rank.shortlist import LAST, Shortlisting, shortlist, summed
from agent.ranking import WishMasks
from retrieval.branches.base import Branch, Cues, Links, Scores
from retrieval.branches.conversational import DEMAND, LAST_WORDS, WORDS
from retrieval.branches.corpus import context_of
from retrieval.branches.cues import read_cues
from retrieval.branches.linker import EntityLinker
from retrieval.encoder import Encoder, FloatArray
from retrieval.errors import ModelUnavailable
from retrieval.query import Query
from retrieval.table import BoolArray, ItemTable, RowArray

log = logging.getLogger(__name__)

SAME = frozenset({DEMAND, WORDS, LAST_WORDS, NEW})
"""Signals that are the same for the last turn, or are told of it already."""
EMBEDDED_CHARS = 320
"""What is embedded of a talk, its end: the encoder would read the beginning and leave the latest words out."""


@dataclass(frozen=True, slots=True)
class Views:
    """One query read twice: everything that was said, and the last turn alone."""

    whole: Cues
    last: Cues


class Reader:
    """Reads queries for one catalogue; safe to share between threads."""

    def __init__(self, table: ItemTable, linker: EntityLinker, encoder: Encoder | None) -> None:
        self._table = table
        self._linker = linker
        self._encoder = encoder

    def read(self, query: Query, vectors: tuple[FloatArray, FloatArray] | None = None) -> Views:
        """The two views; `vectors` of `texts_of(query)` where they are known, else they are computed."""
        whole = read_cues(query, self._linker, self._table)
        own = query.own if query.own is None else query.own[-1:]
        latest = replace(query, turns=query.turns[-1:], own=own, seeds=())
        last = read_cues(latest, self._linker, self._table)
        if vectors is None:
            vectors = self._vectors(_end(whole.text), _end(last.text))
        if vectors is not None:
            whole, last = replace(whole, vector=vectors[0]), replace(last, vector=vectors[1])
        return Views(whole, replace(last, seeds=_latest(last.links, whole.seeds)))

    def _vectors(self, whole: str, last: str) -> tuple[FloatArray, FloatArray] | None:
        if self._encoder is None or not whole.strip():
            return None
        try:
            vectors = self._encoder.encode([whole] if whole == last else [whole, last])
        except (ModelUnavailable, RuntimeError, OSError) as error:  # RuntimeError: what torch raises
            log.warning("the encoder failed, the ranker goes by words alone: %s", error)
            return None
        return vectors[0], vectors[-1]


def _differs(name: str) -> bool:
    """Whether a signal may say something else of the last turn than of the whole."""
    return name not in SAME and not name.endswith(".popularity")


def texts_of(query: Query) -> tuple[str, str]:
    """What is embedded of a query with turns: the end of the last turns together, and of the last one."""
    return _end(context_of(query.turns)), _end(context_of(query.turns[-1:]))


def _end(text: str) -> str:
    return text[-EMBEDDED_CHARS:]


def _latest(links: Links, seeds: Mapping[int, float]) -> Mapping[int, float]:
    """The seeds that the last turn names, else the one spoken of last."""
    named = {row: seeds[row] for row in links.items if row in seeds}
    if named or not seeds:
        return named
    row = max(seeds, key=lambda row: (abs(seeds[row]), -row))
    return {row: seeds[row]}


class Scout:
    """The branches over one catalogue; safe to share between threads."""

    def __init__(self, table: ItemTable, branches: Sequence[Branch], how: Shortlisting) -> None:
        self.table = table
        self._branches = tuple(branches)
        self.how = how

    def moment(
        self, views: Views, wishes: WishMasks | None = None, session: Mapping[str, FloatArray] | None = None
    ) -> Moment:
        """What every branch says to both views."""
        signals: dict[str, Scores] = {}
        for branch in self._branches:
            signals |= branch.scores(views.whole)
            signals |= {LAST + name: scores for name, scores in branch.scores(views.last).items() if _differs(name)}
        total = summed(signals, self.how.weights, len(self.table))
        return Moment(views.whole, views.last, signals, total, wishes, session or {})

    def candidates(self, moment: Moment, allowed: BoolArray) -> RowArray:
        """The rows that are worth ranking, best first by the unlearned sum."""
        return shortlist(moment.signals, moment.total, allowed, self.table.id_rank, self.how)
