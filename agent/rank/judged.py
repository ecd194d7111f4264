"""The language model's number as one more feature beside those of any ranker, for the query that is being answered.

Knows nothing of prompts and engines, and waits for whoever it asks: rank in a thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from agent.rank.blend import standardised
from agent.rank.llm import FEATURE, SECONDS, SHORTLIST, RankSkill
from agent.ranking import Matrix, Pool, Ranker
from retrieval.items import Item

log = logging.getLogger(__name__)

WEIGHT = 0.1
"""What one standard deviation of the model's numbers counts, as a share of the ranker's spread: as `UNTUNED_WEIGHT`, a
choice for whoever switches the skill on and no measurement. Between the best and the worst of a shortlist it is about
0.4, as much as between the first and the thirtieth found."""
GRACE = 5.0
"""Seconds over the skill's own budget after which nobody waits any more, whatever became of the event loop."""

Ask: TypeAlias = Callable[[Sequence[Item]], Sequence[float] | None]
"""A shortlist to its numbers, higher is better; None where the model says nothing. Blocks."""


def asking(skill: RankSkill, turns: Sequence[str]) -> Ask:
    """`skill` about this talk, for a thread: what is asked there is answered on the event loop that calls this."""
    loop = asyncio.get_running_loop()

    def ask(items: Sequence[Item]) -> Sequence[float] | None:
        asked = asyncio.run_coroutine_threadsafe(skill.score(turns, items), loop)
        try:
            return asked.result(SECONDS + GRACE)
        except (TimeoutError, concurrent.futures.CancelledError):  # the server stops
            asked.cancel()
            log.info("no opinion of the language model: its event loop is gone")
            return None

    return ask


@dataclass(frozen=True, slots=True)
class JudgedRanker:
    """Fits `agent.ranking.Ranker`: `ranker`, and what the model says of its first `SHORTLIST` candidates.

    The feature is in standard deviations above the shortlist's worst; 0 for all others, so that nothing falls behind
    what the model was not asked about. Where the model says nothing, the scores are the ranker's.
    """

    ranker: Ranker
    ask: Ask

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the ranker, and the model's number."""
        return (*self.ranker.names, FEATURE)

    @property
    def spread(self) -> float:
        """The ranker's."""
        return self.ranker.spread

    def features(self, pool: Pool) -> Matrix:
        """See `Ranker.features`; asks the model."""
        own = self.ranker.features(pool)
        return np.column_stack([own, self._opinion(pool, own)])

    def scores(self, features: Matrix) -> Matrix:
        """See `Ranker.scores`."""
        scores: Matrix = self.ranker.scores(features[:, :-1]) + self._part(features)
        return scores

    def contributions(self, features: Matrix) -> Matrix:
        """See `Ranker.contributions`."""
        own = self.ranker.contributions(features[:, :-1])
        return np.column_stack([own[:, :-1], self._part(features), own[:, -1]])

    def _part(self, features: Matrix) -> Matrix:
        part: Matrix = WEIGHT * self.spread * features[:, -1]
        return part

    def _opinion(self, pool: Pool, own: Matrix) -> Matrix:
        column: Matrix = np.zeros(len(own))
        if len(own) < 2:  # there is nothing to order
            return column
        scores = self.ranker.scores(own)
        first = sorted(range(len(own)), key=lambda i: (-scores[i], pool.items[i].id))[:SHORTLIST]
        numbers = self.ask([pool.items[i] for i in first])
        if numbers is not None:
            values = standardised(numbers)
            column[first] = values - values.min()
        return column
