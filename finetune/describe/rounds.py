"""One round: the writer's drafts, both checks, the discriminator, the choice by retrieval gain, and its files.

    writing first, into a journal (the slow part, goes on where it was stopped), then judging, then whole files.

Memory is bounded by a sample of the catalogue, whatever its size, besides ids and kept texts. Knows nothing of how an
engine is made, and of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from agent.grounding import Grounding
from agent.llm.protocol import Engine
from agent.rank.intervals import Interval, intervals
from finetune.describe.checking import SLIPPED, backed, claims, sentences
from finetune.describe.files import Journal, whole_file
from finetune.describe.finding import Catalogue, Finder, rivals_of
from finetune.describe.queries import MadeQueries
from finetune.describe.realness import SAMPLE, Discriminator, Example
from finetune.describe.types import Described, Judged, Task, extended
from finetune.describe.writing import EXAMPLES, SYSTEM, WriterConfig, write_drafts, writing_prompt
from retrieval.encoder import Encoder
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.shape import CatalogueShape

Told: TypeAlias = Callable[[str, int, int], None]
"""Progress: stage, done, of."""

MIN_GAIN = 1e-6
"""Less than the rounding of a vector can make."""


@dataclass(frozen=True, slots=True)
class RoundFiles:
    """Where a round writes, all beside `out`: what was made of each item; drafts so far; pairs; the new catalogue."""

    out: Path

    @property
    def drafts(self) -> Path:
        """The journal."""
        return self._beside("drafts")

    @property
    def pairs(self) -> Path:
        """For `--train-writer`."""
        return self._beside("pairs")

    @property
    def items(self) -> Path:
        """For `chatalogue index`: every item, with what was kept behind its own text."""
        return self._beside("items")

    def _beside(self, what: str) -> Path:
        return self.out.with_name(f"{self.out.name.removesuffix('.jsonl')}.{what}.jsonl")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a round works on.

    Attributes:
        catalogue: all items.
        queries: training queries by item id.
        reviews: by item id.
        limit: so many items are described, those with queries first; 0: all.
        only: ids of the items that may be described; empty: any.
        writer: how it writes.
        model: the writer's base, for the record.
        adapter: what it was tuned with, for the record.
    """

    catalogue: Catalogue
    queries: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reviews: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limit: int = 0
    only: frozenset[str] = frozenset()
    writer: WriterConfig = field(default_factory=WriterConfig)
    model: str = ""
    adapter: str | None = None

    def recipe(self) -> dict[str, Any]:
        """What must be the same for drafts to belong together."""
        prompt = hashlib.sha256(json.dumps([SYSTEM, EXAMPLES]).encode()).hexdigest()[:12]
        return {"model": self.model, "adapter": self.adapter, "prompt": prompt, **asdict(self.writer)}

    def tasks(self) -> Iterator[Task]:
        """The items to be described; those that say nothing of themselves cannot be."""
        if not self.queries:
            chosen: Iterable[Item] = self.catalogue
        else:
            chosen = (item for asked in (True, False) for item in self.catalogue if (item.id in self.queries) is asked)
        named = (item for item in chosen if not self.only or item.id in self.only)
        usable = (item for item in named if item.title and (item.text or item.attributes))
        limited = islice(usable, self.limit) if self.limit else usable
        return (Task(item, self.reviews.get(item.id, ())) for item in limited)

    @property
    def n_tasks(self) -> int:
        """For progress: no more than these."""
        most = len(self.only) or len(self.catalogue)
        return min(self.limit, most) if self.limit else most


class RoundReport(BaseModel):
    """What a round came to.

    `refused` counts sentences, `slipped` those of them that only the independent check found. `unbacked` are claims in
    kept texts that either check objects to when it reads them again: 0, or something is wrong. `discriminator`: share
    of texts told apart, 0.5 is chance. `gain`: mean over all items, 0 where nothing was kept. `copied`: share of kept
    sentences that stand word for word in the item's own text.
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
    share_kept: Interval | None
    gain: Interval | None
    made_queries: int
    discriminator: Interval | None
    claims: int
    unbacked: int
    copied: float


async def write_round(plan: Plan, engine: Engine, journal: Journal, told: Told) -> None:
    """Have the drafts written that the journal lacks.

    Raises:
        EngineError: the engine failed; what is in the journal stays.
    """
    under_way: dict[str, tuple[int, Task]] = {}

    def unwritten() -> Iterator[Task]:
        for number, task in enumerate(plan.tasks(), 1):
            if not journal.has(task):
                under_way[task.item.id] = (number, task)
                yield task

    async for drafts in write_drafts(engine, unwritten(), plan.writer):
        number, task = under_way.pop(drafts.item_id)
        journal.add(task, drafts)
        told("writing", number, plan.n_tasks)


def judge_round(
    plan: Plan, encoder: Encoder, journal: Journal, told: Told
) -> tuple[Iterator[Described], Discriminator]:
    """Every item whose drafts are in the journal, judged one by one as the iterator is read; and the discriminator."""
    shape = CatalogueShape.of(plan.catalogue)
    rivals = rivals_of(plan.catalogue)
    told("judging", 0, plan.n_tasks)
    finder = Finder(rivals, encoder)
    made = _made_queries(rivals, shape)
    written = (task for task in plan.tasks() if journal.has(task))
    examples = [
        Example(task.item.id, task.item.text, drafts.drafts[0].text)
        for task in islice(written, SAMPLE)
        if (drafts := journal.drafts(task)).drafts
    ]
    discriminator = Discriminator(examples, encoder)
    judge = _Judge(shape, finder, discriminator, plan.queries, made)

    def judged() -> Iterator[Described]:
        for number, task in enumerate(plan.tasks(), 1):
            if journal.has(task):
                yield judge.describe(task, journal)
            told("judging", number, plan.n_tasks)

    return judged(), discriminator


def finish_round(
    plan: Plan, described: Iterable[Described], discriminator: Discriminator, shape: CatalogueShape, files: RoundFiles
) -> RoundReport:
    """Write the files of a round, each complete or absent, the catalogue last; and what it came to.

    Raises:
        BadRequest: a file cannot be written.
    """
    tally = _Tally(plan, shape)
    kept: dict[str, str] = {}
    with whole_file(files.out) as out, whole_file(files.pairs) as pairs:
        for one in described:
            tally.add(one)
            out.write(json.dumps(_row(plan, one), ensure_ascii=False) + "\n")
            if one.kept is not None:
                kept[one.task.item.id] = one.kept.text
            if (pair := pair_of(one)) is not None:
                pairs.write(json.dumps(pair, ensure_ascii=False) + "\n")
    with whole_file(files.items) as items:
        for item in plan.catalogue:
            items.write((extended(item, kept[item.id]) if item.id in kept else item).to_json() + "\n")
    return tally.report(discriminator)


def pair_of(described: Described) -> dict[str, Any] | None:
    """What the writer can learn from an item: the text that was kept against the worst of its drafts.

    The worst has the largest share of refused sentences, then the smallest gain, then reads least real. None where
    nothing was kept, or the worst says the same.
    """
    if described.kept is None:
        return None
    worst = min(described.judged, key=lambda one: (-_refused_share(one), one.gain, one.real))
    if worst.draft.text == described.kept.text:
        return None
    prompt = writing_prompt(described.task)
    return {
        "id": described.task.item.id,
        "prompt": [{"role": message.role, "text": message.text} for message in prompt.messages],
        "chosen": described.kept.text,
        "rejected": worst.draft.text,
    }


def best_of(judged: Sequence[Judged]) -> Judged | None:
    """The one that adds most to the item's place for its training queries, then reads most real; None: none adds."""
    adding = [one for one in judged if one.text and one.gain > MIN_GAIN]
    return max(adding, key=lambda one: (one.gain, one.real), default=None)


@dataclass(frozen=True, slots=True)
class _Judge:
    """All that is asked about a draft."""

    shape: CatalogueShape
    finder: Finder
    discriminator: Discriminator
    queries: Mapping[str, Sequence[str]]
    made: MadeQueries | None

    def describe(self, task: Task, journal: Journal) -> Described:
        drafts = journal.drafts(task).drafts
        checked = [backed(draft.text, task, self.shape) for draft in drafts]
        asked = self.queries.get(task.item.id, ())
        made = not asked
        if made and self.made is not None:
            asked = self.made.of(task.item)
        texts = list(dict.fromkeys(text for text, _ in checked if text))
        gains = dict(zip(texts, self.finder.gains(task.item, texts, self.finder.ask(asked)), strict=True))
        real = self.discriminator.real(task.item.id, [draft.text for draft in drafts])
        judged = tuple(
            Judged(draft, text, refused, share, gains.get(text, 0.0))
            for draft, (text, refused), share in zip(drafts, checked, real, strict=True)
        )
        return Described(task, judged, best_of(judged), len(asked), made)


class _Tally:
    """Counts what a round came to."""

    def __init__(self, plan: Plan, shape: CatalogueShape) -> None:
        self._plan, self._shape = plan, shape
        self._gains: list[float] = []
        self._kept: list[float] = []
        self._counts = dict.fromkeys(
            ("drafts", "sentences", "refused", "slipped", "usable", "made_queries", "claims", "unbacked"), 0
        )
        self._copied = self._said = 0

    def add(self, one: Described) -> None:
        counts = self._counts
        for judged in one.judged:
            counts["drafts"] += 1
            counts["sentences"] += len(sentences(judged.draft.text))
            counts["refused"] += len(judged.refused)
            counts["slipped"] += sum(refused.reason.startswith(SLIPPED) for refused in judged.refused)
            counts["usable"] += bool(judged.text)
        counts["made_queries"] += one.made
        self._kept.append(float(one.kept is not None))
        self._gains.append(one.kept.gain if one.kept else 0.0)
        if one.kept is not None:
            self._read_again(one.task, one.kept.text)

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

    def report(self, discriminator: Discriminator) -> RoundReport:
        n = len(self._kept)
        columns = np.array([self._kept, self._gains]).T
        shares = intervals(columns, np.arange(n)) if n else (None, None)
        return RoundReport(
            model=self._plan.model,
            adapter=self._plan.adapter,
            items=n,
            kept=int(sum(self._kept)),
            share_kept=shares[0],
            gain=shares[1],
            discriminator=discriminator.accuracy,
            copied=round(self._copied / self._said, 3) if self._said else 0.0,
            **self._counts,
        )


def _row(plan: Plan, one: Described) -> dict[str, Any]:
    """A line of the round's file."""
    return {
        "id": one.task.item.id,
        "original": one.task.item.text,
        "kept": one.kept.text if one.kept else "",
        "gain": round(one.kept.gain, 5) if one.kept else 0.0,
        "queries": one.queries,
        "made_queries": one.made,
        "drafts": [
            {
                "text": judged.draft.text,
                "seed": judged.draft.seed,
                "backed": judged.text,
                "refused": [asdict(refused) for refused in judged.refused],
                "real": round(judged.real, 4),
                "gain": round(judged.gain, 5),
            }
            for judged in one.judged
        ],
        "model": plan.model,
        "adapter": plan.adapter,
    }


def _refused_share(judged: Judged) -> float:
    return len(judged.refused) / max(1, len(sentences(judged.draft.text)))


def _made_queries(sample: Sequence[Item], shape: CatalogueShape) -> MadeQueries | None:
    """None where nothing can be said of the items: no attributes, no prices."""
    try:
        return MadeQueries(sample, shape)
    except BadRequest:
        return None
