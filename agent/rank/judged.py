"""What the language model adds to any ranker's order, as one more part of the scores of the query being answered.

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

from agent.rank.blend import blended
from agent.rank.llm import FEATURE, SECONDS, SHORTLIST, RankSkill
from agent.ranking import Matrix, Pool, Ranker
from retrieval.items import Item

log = logging.getLogger(__name__)

STEP = 1e-9
"""Of the ranker's spread, between places whose scores the ranker left equal."""
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
        except Exception:  # whatever it was: the ranker's own list is better than none
            log.exception("no opinion of the language model")
        return None

    return ask


@dataclass(frozen=True, slots=True)
class JudgedRanker:
    """Fits `agent.ranking.Ranker`: `ranker`, with its first `SHORTLIST` candidates in the order of `blended`.

    That is the order which `bench rank-skill` and `bench retrieval --llm on` measure. The ranker's scores stay and
    change hands: what now has a place has the score that the ranker gave for this place, so that scores mean what they
    meant and nothing falls behind what the model was not asked about. The feature is what that adds; 0 for all others
    and where the model says nothing.

    `prior`: see `blended`; None as long as no adapter of a training serves.
    """

    ranker: Ranker
    ask: Ask
    prior: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the ranker, and the model's."""
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
        scores: Matrix = self.ranker.scores(features[:, :-1]) + features[:, -1]
        return scores

    def contributions(self, features: Matrix) -> Matrix:
        """See `Ranker.contributions`."""
        own = self.ranker.contributions(features[:, :-1])
        return np.column_stack([own[:, :-1], features[:, -1], own[:, -1]])

    def _opinion(self, pool: Pool, own: Matrix) -> Matrix:
        column: Matrix = np.zeros(len(own))
        if len(own) < 2:  # there is nothing to order
            return column
        scores = self.ranker.scores(own)
        first = sorted(range(len(own)), key=lambda i: (-scores[i], pool.items[i].id))[:SHORTLIST]
        numbers = self.ask([pool.items[i] for i in first])
        if numbers is None:
            return column
        places = scores[first] + STEP * self.spread * np.arange(len(first))[::-1]
        turned = np.argsort(-blended(numbers, self.prior), kind="stable")
        column[np.array(first)[turned]] = places - scores[first][turned]
        return column
