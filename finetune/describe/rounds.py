"""One round: the writer's drafts, both checks, the discriminator, the choice by retrieval gain, and its files.

    writing first, into a journal (the slow part, goes on where it was stopped), then judging, then whole files.

Memory is bounded by a sample of the catalogue, whatever its size, besides ids and kept texts. Knows nothing of how an
engine is made, and of training.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from agent.llm.protocol import Engine
from finetune.describe.checking import backed
from finetune.describe.files import Journal, whole_file
from finetune.describe.finding import Catalogue, Finder, rivals_of
from finetune.describe.queries import MadeQueries
from finetune.describe.realness import SAMPLE, Discriminator, Example
from finetune.describe.reporting import ItemScores, RoundReport, Tally, refused_share
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
        only: ids of the items that may be described, in this order; empty: any.
        evaluation_only: nothing is learned from the catalogue: no discriminator, no pairs.
        writer: how it writes.
        model: the writer's base, for the record.
        adapter: what it was tuned with, for the record.
    """

    catalogue: Catalogue
    queries: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reviews: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    limit: int = 0
    only: tuple[str, ...] = ()
    evaluation_only: bool = False
    writer: WriterConfig = field(default_factory=WriterConfig)
    model: str = ""
    adapter: str | None = None

    def recipe(self) -> dict[str, Any]:
        """What must be the same for drafts to belong together."""
        prompt = hashlib.sha256(json.dumps([SYSTEM, EXAMPLES]).encode()).hexdigest()[:12]
        return {"model": self.model, "adapter": self.adapter, "prompt": prompt, **asdict(self.writer)}

    def tasks(self) -> Iterator[Task]:
        """The items to be described; those that say nothing of themselves cannot be."""
        usable = (item for item in self._chosen() if item.title and (item.text or item.attributes))
        limited = islice(usable, self.limit) if self.limit else usable
        return (Task(item, self.reviews.get(item.id, ())) for item in limited)

    def _chosen(self) -> Iterable[Item]:
        if self.only:
            wanted = frozenset(self.only)
            named = {item.id: item for item in self.catalogue if item.id in wanted}
            return (named[item_id] for item_id in self.only if item_id in named)
        if not self.queries:
            return self.catalogue
        return (item for asked in (True, False) for item in self.catalogue if (item.id in self.queries) is asked)

    @property
    def n_tasks(self) -> int:
        """For progress: no more than these."""
        most = len(self.only) or len(self.catalogue)
        return min(self.limit, most) if self.limit else most


@dataclass(frozen=True, slots=True)
class Finished:
    """A round that is over: what it came to, its items' scores, and the kept text by item id."""

    report: RoundReport
    scores: tuple[ItemScores, ...]
    kept: Mapping[str, str]


async def write_round(plan: Plan, engine: Engine, journal: Journal, told: Told, minutes: float | None = None) -> None:
    """Have the drafts written that the journal lacks; after `minutes` no further item is begun.

    Raises:
        EngineError: the engine failed; what is in the journal stays.
    """
    under_way: dict[str, tuple[int, Task]] = {}
    until = math.inf if minutes is None else time.monotonic() + minutes * 60

    def unwritten() -> Iterator[Task]:
        for number, task in enumerate(plan.tasks(), 1):
            if time.monotonic() >= until:
                return
            if not journal.has(task):
                under_way[task.item.id] = (number, task)
                yield task

    async for drafts in write_drafts(engine, unwritten(), plan.writer):
        number, task = under_way.pop(drafts.item_id)
        journal.add(task, drafts)
        told("writing", number, plan.n_tasks)


def judge_round(
    plan: Plan, encoder: Encoder, journal: Journal, told: Told, discriminator: Discriminator | None = None
) -> tuple[Iterator[Described], Discriminator]:
    """Every item whose drafts are in the journal, judged one by one as the iterator is read; and the discriminator.

    `discriminator` None: one that learns from these drafts, unless the catalogue is for evaluation only.
    """
    shape = CatalogueShape.of(plan.catalogue)
    rivals = rivals_of(plan.catalogue)
    told("judging", 0, plan.n_tasks)
    finder = Finder(rivals, encoder)
    made = _made_queries(rivals, shape)
    if discriminator is None:
        discriminator = Discriminator(examples_of(plan, journal), encoder)
    judge = _Judge(shape, finder, discriminator, plan.queries, made)

    def judged() -> Iterator[Described]:
        for number, task in enumerate(plan.tasks(), 1):
            if journal.has(task):
                yield judge.describe(task, journal)
            told("judging", number, plan.n_tasks)

    return judged(), discriminator


def examples_of(plan: Plan, journal: Journal) -> list[Example]:
    """What a discriminator may learn from: own texts beside the first drafts in the journal; not for evaluation."""
    if plan.evaluation_only:
        return []
    written = (task for task in plan.tasks() if journal.has(task))
    return [
        Example(task.item.id, task.item.text, drafts.drafts[0].text)
        for task in islice(written, SAMPLE)
        if (drafts := journal.drafts(task)).drafts
    ]


def finish_round(
    plan: Plan, described: Iterable[Described], discriminator: Discriminator, shape: CatalogueShape, files: RoundFiles
) -> Finished:
    """Write the files of a round, each complete or absent, the catalogue last; and what it came to.

    Raises:
        BadRequest: a file cannot be written.
    """
    tally = Tally(shape)
    kept: dict[str, str] = {}
    with whole_file(files.out) as out, whole_file(files.pairs) as pairs:
        for one in described:
            tally.add(one)
            out.write(json.dumps(_row(plan, one), ensure_ascii=False) + "\n")
            if one.kept is not None:
                kept[one.task.item.id] = one.kept.text
            if not plan.evaluation_only and (pair := pair_of(one)) is not None:
                pairs.write(json.dumps(pair, ensure_ascii=False) + "\n")
    with whole_file(files.items) as items:
        for item in plan.catalogue:
            items.write((extended(item, kept[item.id]) if item.id in kept else item).to_json() + "\n")
    return Finished(tally.report(plan.model, plan.adapter, discriminator), tally.scores, kept)


def pair_of(described: Described) -> dict[str, Any] | None:
    """What the writer can learn from an item: the text that was kept against the worst of its drafts.

    The worst has the largest share of refused sentences, then the smallest gain, then reads least real. None where
    nothing was kept, or the worst says the same.
    """
    if described.kept is None:
        return None
    worst = min(described.judged, key=lambda one: (-refused_share(one), one.gain, one.real))
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


def _made_queries(sample: Sequence[Item], shape: CatalogueShape) -> MadeQueries | None:
    """None where nothing can be said of the items: no attributes, no prices."""
    try:
        return MadeQueries(sample, shape)
    except BadRequest:
        return None
