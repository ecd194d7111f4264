"""What a round came to: each item's scores, and the report that is made of them.

Every kept text is read again by both checks here, apart from where it was chosen. Knows nothing of who wrote what, and
of files.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from agent.grounding import Grounding
from agent.rank.intervals import Interval, intervals
from finetune.describe.checking import SLIPPED, claims, sentences
from finetune.describe.realness import Discriminator
from finetune.describe.types import Described, Judged, Task
from retrieval.shape import CatalogueShape

HELD_REAL = 0.5
"""From this probability on the discriminator holds a text for one of the catalogue's own."""


@dataclass(frozen=True, slots=True)
class ItemScores:
    """One item, all between 0 and 1 but `gain`.

    Attributes:
        item_id: whose.
        passed: share of drafts that nothing was taken out of.
        refused: share of a draft's sentences that were taken out, the mean of the drafts.
        real: share of drafts that the discriminator holds for real.
        kept: 1.0 where a text was kept.
        gain: of the kept text on the training queries; 0.0 where none was kept.
    """

    item_id: str
    passed: float
    refused: float
    real: float
    kept: float
    gain: float


class RoundReport(BaseModel):
    """What a round came to; intervals are over items.

    `refused` counts sentences, `slipped` those of them that only the independent check found. `unbacked` are claims in
    kept texts that either check objects to when it reads them again: 0, or something is wrong. `passed`,
    `refused_share` and `held_real` are as in `ItemScores`. `discriminator`: share of texts told apart, 0.5 is chance.
    `gain`: mean over all items, 0 where nothing was kept. `copied`: share of kept sentences that stand word for word in
    the item's own text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    adapter: str | None
    items: int
    drafts: int
    sentences: int
    refused: int
    slipped: int
    usable: int
    kept: int
    passed: Interval | None
    refused_share: Interval | None
    held_real: Interval | None
    share_kept: Interval | None
    gain: Interval | None
    made_queries: int
    discriminator: Interval | None
    claims: int
    unbacked: int
    copied: float


class Tally:
    """Counts what a round came to."""

    def __init__(self, shape: CatalogueShape) -> None:
        self._shape = shape
        self._scores: list[ItemScores] = []
        self._counts = dict.fromkeys(
            ("drafts", "sentences", "refused", "slipped", "usable", "made_queries", "claims", "unbacked"), 0
        )
        self._copied = self._said = 0

    def add(self, one: Described) -> None:
        """Count an item."""
        counts = self._counts
        for judged in one.judged:
            counts["drafts"] += 1
            counts["sentences"] += len(sentences(judged.draft.text))
            counts["refused"] += len(judged.refused)
            counts["slipped"] += sum(refused.reason.startswith(SLIPPED) for refused in judged.refused)
            counts["usable"] += bool(judged.text)
        counts["made_queries"] += one.made
        self._scores.append(scores_of(one))
        if one.kept is not None:
            self._read_again(one.task, one.kept.text)

    @property
    def scores(self) -> tuple[ItemScores, ...]:
        """Of the items counted, in their order."""
        return tuple(self._scores)

    def report(self, model: str, adapter: str | None, discriminator: Discriminator) -> RoundReport:
        """Of everything counted; `model` and `adapter` are the writer's."""
        n = len(self._scores)
        columns = np.array([astuple(one)[1:] for one in self._scores], dtype=np.float64)
        passed, refused, real, kept, gain = intervals(columns, np.arange(n)) if n else (None,) * 5
        return RoundReport(
            model=model,
            adapter=adapter,
            items=n,
            kept=int(sum(one.kept for one in self._scores)),
            passed=passed,
            refused_share=refused,
            held_real=real if discriminator.accuracy is not None else None,
            share_kept=kept,
            gain=gain,
            discriminator=discriminator.accuracy,
            copied=round(self._copied / self._said, 3) if self._said else 0.0,
            **self._counts,
        )

    def _read_again(self, task: Task, text: str) -> None:
        found = claims(text, task.item)
        self._counts["claims"] += found.n
        self._counts["unbacked"] += len(found.unbacked)
        grounding = Grounding(task.source, self._shape)
        own = " ".join(task.item.text.split())
        for sentence in sentences(text):
            self._said += 1
            self._copied += sentence in own
            self._counts["unbacked"] += grounding.objection(sentence) is not None


def scores_of(one: Described) -> ItemScores:
    """The scores of an item; one whose drafts all ran out of time passed nothing."""
    n = len(one.judged)
    return ItemScores(
        item_id=one.task.item.id,
        passed=sum(not judged.refused and bool(judged.text) for judged in one.judged) / n if n else 0.0,
        refused=sum(map(refused_share, one.judged)) / n if n else 1.0,
        real=sum(judged.real > HELD_REAL for judged in one.judged) / n if n else 0.0,
        kept=float(one.kept is not None),
        gain=one.kept.gain if one.kept else 0.0,
    )


def refused_share(judged: Judged) -> float:
    """The share of a draft's sentences that were taken out."""
    return len(judged.refused) / max(1, len(sentences(judged.draft.text)))
