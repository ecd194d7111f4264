"""The language model's opinion of a shortlist: one number for each candidate, one feature of the ranker.

Three ways to ask, to be compared; `RankSkill` asks in one of them, within a budget of seconds, and says nothing
rather than keep a turn waiting. What a candidate's own text says can move that candidate's number and no other one.
Knows nothing of how the number is weighed.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.llm.protocol import Engine
from agent.rank.prompts import (
    ANSWERS,
    LABELS,
    judging_ending,
    judging_prompt,
    label_prompt,
    title_option,
    title_prompt,
)
from agent.settings import LLMSettings
from agent.skills import SkillName, is_on
from retrieval.errors import EngineError
from retrieval.items import Item

log = logging.getLogger(__name__)

Way: TypeAlias = Literal["labels", "titles", "verdicts"]
"""labels: which letter of a list follows. titles: how likely each title follows. verdicts: yes or no to each item."""

FEATURE = "llm"
"""The ranker's name for the skill's number."""
SHORTLIST = 20
"""Candidates worth asking about: they cost about 40 tokens each."""
SECONDS = 1.5
"""Budget of one shortlist, its wait for the engine included."""
SHUFFLES = 4
"""Orders in which `labels` shows the list; each costs one reading of it."""
MAX_KEPT = 20_000
"""Titles whose likelihood without a talk is remembered."""

Floats: TypeAlias = NDArray[np.float64]


def rank_skill(
    engine: Engine, settings: LLMSettings, switched_on: Collection[SkillName] | None = None
) -> RankSkill | None:
    """The skill for conversations; None where it is off (see `is_on`)."""
    return RankSkill(engine) if is_on("rank", settings.rank, switched_on) else None


class RankSkill:
    """Scores shortlists with the engine's present adapter; belongs to the engine's event loop.

    Args:
        engine: of the conversation.
        way: how the model is asked; an adapter is tuned for one of them.
        seconds: budget of one shortlist; None for measurements.
        read: told of each reading of a labelled list, for a measurement of the liking for labels.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        way: Way = "verdicts",
        seconds: float | None = SECONDS,
        read: Callable[[LabelReading], None] = lambda reading: None,
    ) -> None:
        self._engine = engine
        self._way = way
        self._seconds = seconds
        self._read = read
        self._usual: dict[tuple[str | None, str], float] = {}

    async def score(self, turns: Sequence[str], candidates: Sequence[Item]) -> tuple[float, ...] | None:
        """One number for each candidate, higher is better; comparable inside one list only.

        None when the model is not ready, fails, takes longer than the budget or gives what is no finite number: the
        feature is absent then.

        Args:
            turns: what was said, oldest first, of both sides.
            candidates: the shortlist; with the way "labels" at most 52.
        """
        if self._engine.status().state != "ready":
            return None
        try:
            async with asyncio.timeout(self._seconds):
                numbers = await self._asked(turns, candidates)
            if all(map(math.isfinite, numbers)):
                return numbers
            log.info("no opinion of the language model: not all of its numbers are finite")
        except TimeoutError:
            log.info("no opinion of the language model on %d candidates within %s s", len(candidates), self._seconds)
        except EngineError as error:
            log.info("no opinion of the language model: %s", error)
        return None

    async def _asked(self, turns: Sequence[str], candidates: Sequence[Item]) -> tuple[float, ...]:
        if not candidates:
            return ()
        if self._way == "labels":
            reading = await read_labels(self._engine, turns, candidates)
            self._read(reading)
            return reading.scores()
        if self._way == "titles":
            return await self._by_titles(turns, candidates)
        return await by_verdicts(self._engine, turns, candidates)

    async def _by_titles(self, turns: Sequence[str], items: Sequence[Item]) -> tuple[float, ...]:
        """Log-likelihood of each title after the talk, less that without one: how much the talk speaks for it."""
        options = [title_option(item) for item in items]
        adapter = self._engine.status().adapter
        unknown = [one for one in dict.fromkeys(options) if (adapter, one) not in self._usual]
        if len(self._usual) + len(unknown) > MAX_KEPT:
            self._usual.clear()
            unknown = list(dict.fromkeys(options))
        if unknown:
            usual = await self._engine.choose(title_prompt(()), unknown)
            self._usual.update({(adapter, one): score for one, score in zip(unknown, usual, strict=True)})
        scores = await self._engine.choose(title_prompt(turns), options)
        return tuple(score - self._usual[adapter, one] for score, one in zip(scores, options, strict=True))


async def by_verdicts(engine: Engine, turns: Sequence[str], items: Sequence[Item]) -> tuple[float, ...]:
    """Log-odds of yes against no for each item: the talk is read once, no item sees another.

    Raises:
        EngineError: as `Engine.judge`.
    """
    judged = await engine.judge(judging_prompt(turns), [judging_ending(item) for item in items], ANSWERS)
    return tuple(yes - no for yes, no in judged)


@dataclass(frozen=True, slots=True)
class LabelReading:
    """A list read in several orders. Both are (orders, candidates).

    `orders`: which candidate stood behind each label; the first order is the list's own. `logs`: log-probability of
    each label.
    """

    orders: NDArray[np.int64]
    logs: Floats

    def corrected(self) -> Floats:
        """`logs` less what the label gets in the other orders, where it stands before other candidates."""
        n = len(self.logs)
        return self.logs - (self.logs.sum(axis=0) - self.logs) / (n - 1) if n > 1 else self.logs

    def scores(self) -> tuple[float, ...]:
        """The mean over the orders for each candidate."""
        scores = np.zeros(self.logs.shape[1])
        for row, order in zip(self.corrected(), self.orders, strict=True):
            scores[order] += row / len(self.orders)
        return tuple(scores.tolist())


async def read_labels(
    engine: Engine, turns: Sequence[str], items: Sequence[Item], shuffles: int = SHUFFLES
) -> LabelReading:
    """Log-probability of each item's label, over several orders of the list.

    Models like some labels better whatever stands behind them (Zheng et al. 2024, "Large language models are not
    robust multiple choice selectors"). What a label gets anyway is told by the other orders, in which it stands before
    other items. The cost is a reading of the whole list for each order.

    Raises:
        EngineError: as `Engine.judge`.
    """
    labels = [f" {label}" for label in LABELS[: len(items)]]
    random = np.random.default_rng(0)
    orders = np.stack([np.arange(len(items)), *(random.permutation(len(items)) for _ in range(shuffles - 1))])
    told = []
    for order in orders:
        (row,) = await engine.judge(label_prompt(turns, [items[n] for n in order]), ("",), labels)
        told.append(row)
    return LabelReading(orders, np.array(told))


WAYS: tuple[Way, ...] = ("labels", "titles", "verdicts")
"""All ways, in the order of the comparison."""
