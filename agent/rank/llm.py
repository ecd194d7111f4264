"""The language model's opinion of a shortlist: one number for each candidate, one feature of the ranker.

Three ways to ask, to be compared; `RankSkill` asks in one of them, within a budget of seconds, and says nothing
rather than keep a turn waiting. What a candidate's own text says can move that candidate's number and no other one.
Knows nothing of how the feature is weighed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

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
from agent.skills import is_on
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


def rank_skill(engine: Engine, settings: LLMSettings) -> RankSkill | None:
    """The skill for conversations; None where it is off (the setting, else the verdict in agent/skills.toml)."""
    return RankSkill(engine) if is_on("rank", settings.rank) else None


class RankSkill:
    """Scores shortlists with the engine's present adapter; belongs to the engine's event loop.

    Args:
        engine: of the conversation.
        way: how the model is asked; an adapter is tuned for one of them.
        seconds: budget of one shortlist; None for measurements.
    """

    def __init__(self, engine: Engine, *, way: Way = "verdicts", seconds: float | None = SECONDS) -> None:
        self._engine = engine
        self._way = way
        self._seconds = seconds
        self._usual: dict[tuple[str | None, str], float] = {}

    async def score(self, turns: Sequence[str], candidates: Sequence[Item]) -> tuple[float, ...] | None:
        """One number for each candidate, higher is better; comparable inside one list only.

        None when the model is not ready, fails, or takes longer than the budget: the feature is absent then.

        Args:
            turns: what was said, oldest first, of both sides.
            candidates: the shortlist; with the way "labels" at most 52.
        """
        if self._engine.status().state != "ready":
            return None
        try:
            async with asyncio.timeout(self._seconds):
                return await self._asked(turns, candidates)
        except TimeoutError:
            log.info("no opinion of the language model on %d candidates within %s s", len(candidates), self._seconds)
        except EngineError as error:
            log.info("no opinion of the language model: %s", error)
        return None

    async def _asked(self, turns: Sequence[str], candidates: Sequence[Item]) -> tuple[float, ...]:
        if not candidates:
            return ()
        if self._way == "labels":
            return await by_labels(self._engine, turns, candidates)
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


async def by_labels(
    engine: Engine, turns: Sequence[str], items: Sequence[Item], shuffles: int = SHUFFLES
) -> tuple[float, ...]:
    """Log-probability of each item's label, over several orders of the list, less what the label gets anyway.

    Models like some labels better whatever stands behind them (Zheng et al. 2024, "Large language models are not
    robust multiple choice selectors"). What a label gets anyway is told by the other orders, in which it stands before
    other items. The cost is a reading of the whole list for each order.

    Raises:
        EngineError: as `Engine.judge`.
    """
    labels = [f" {label}" for label in LABELS[: len(items)]]
    random = np.random.default_rng(0)
    orders = [np.arange(len(items)), *(random.permutation(len(items)) for _ in range(shuffles - 1))]
    told = []
    for order in orders:
        (row,) = await engine.judge(label_prompt(turns, [items[n] for n in order]), ("",), labels)
        told.append(row)
    logs = np.array(told)  # (orders, labels)
    if len(orders) > 1:
        logs = logs - (logs.sum(axis=0) - logs) / (len(orders) - 1)
    scores = np.zeros(len(items))
    for row, order in zip(logs, orders, strict=True):
        scores[order] += row / len(orders)
    return tuple(float(score) for score in scores)


WAYS: tuple[Way, ...] = ("labels", "titles", "verdicts")
"""All ways, in the order of the comparison."""
