"""What the rules that ask a model stand on: candidate and champion behind one engine, and how texts are scored.

Knows nothing of what is asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from agent.llm.protocol import Engine, Prompt
from agent.llm.tokens import PromptRenderer
from agent.rank.prompts import ANSWERS
from finetune.gating.rules import GateRules
from finetune.gating.types import Candidate
from finetune.training.lessons import Lesson
from retrieval.demo import demo_films_path
from retrieval.encoder import Encoder
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable

SURE = -1e-6
"""Log-probability of what is as good as certain: its complement has a logarithm."""


@dataclass(frozen=True)
class Ground:
    """Everything that a rule may use.

    Attributes:
        candidate: who is judged.
        rules: against what.
        ours: the engine, answering as the candidate.
        theirs: the same engine as the champion, or as the base where there is none.
        renderer: of the base, for counting tokens.
        table: the catalogue.
        encoder: of texts, for a shop of the gate's own; asked for once it is needed.
        seconds: what the same messages took on both sides, (candidate, champion); the rule on readings fills it.
        scores: of the rows that were asked about already, candidate and champion.
    """

    candidate: Candidate
    rules: GateRules
    ours: Engine
    theirs: Engine
    renderer: PromptRenderer
    table: ItemTable
    encoder: Encoder
    seconds: list[tuple[float, float]] = field(default_factory=list)
    scores: dict[Lesson, tuple[float, float]] = field(default_factory=dict)

    @property
    def sides(self) -> tuple[Engine, Engine]:
        """Candidate, champion."""
        return self.ours, self.theirs

    async def likely(self, engine: Engine, prompt: Prompt, answers: Sequence[str]) -> list[float]:
        """Log-likelihood of each answer, nats a token."""
        told = await engine.choose(prompt, answers)
        return [value / self.tokens(answer) for value, answer in zip(told, answers, strict=True)]

    def tokens(self, text: str) -> int:
        """How many tokens an answer has; at least one."""
        return max(1, len(self.renderer.encode_text(text)))

    async def scored(self, lesson: Lesson) -> tuple[float, float]:
        """How well candidate and champion know a row; asked once, though several rules want it."""
        if lesson not in self.scores:
            self.scores[lesson] = (await self._score(self.ours, lesson), await self._score(self.theirs, lesson))
        return self.scores[lesson]

    async def _score(self, engine: Engine, lesson: Lesson) -> float:
        """How well a row is known, in nats, 0 at best: minus its loss, in the terms of its kind.

        sft: log-likelihood a token. kto: of a liked answer the same, of a disliked one that of its complement. dpo: of
        preferring the better one. rank: of naming a right one, by the odds that each item fits.
        """
        if lesson.kind == "rank":
            rows = await engine.judge(lesson.prompt, lesson.answers, ANSWERS)
            return _softmax_share([yes - no for yes, no in rows], lesson.good)
        if lesson.kind == "dpo":
            return _softmax_share(await engine.choose(lesson.prompt, lesson.answers), (0,))
        (value,) = await self.likely(engine, lesson.prompt, lesson.answers)
        return value if lesson.good else math.log(-math.expm1(min(value, SURE)))


@cache
def demo_table() -> ItemTable:
    """The demo shop's catalogue, for what cannot be asked about the shop's own."""
    return ItemTable(load_catalogue(demo_films_path()).items)


def _softmax_share(values: Sequence[float], good: Sequence[int]) -> float:
    """Log of the share that `good` have."""
    told = np.asarray(values, dtype=np.float64)
    return float(np.logaddexp.reduce(told[list(good)]) - np.logaddexp.reduce(told))
