"""`chatalogue bench describe`: what descriptions of the writer are worth to search, on items that dialogues led to.

The items are those that held-out dialogues of other catalogues led to, joined by title and year, in the order of their
hashes: a run that is cut short has drawn fewer, not others. Texts are chosen by the training dialogues and measured on
the held-out ones. With a tuned writer, the untuned one describes the same items, and the difference is measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from agent.bench.retrieval.dialogues import read_items, read_rows
from agent.settings import Settings
from finetune.describe.files import Journal
from finetune.describe.measuring import (
    Compared,
    DescribeFigures,
    Ranked,
    Wanted,
    compared_items,
    compared_places,
    found_by,
    joined,
    rank_texts,
    wanted_items,
)
from finetune.describe.queries import MAX_QUERIES, queries_by_item, renamed
from finetune.describe.realness import Discriminator
from finetune.describe.rounds import Finished, Plan, RoundFiles, Told, examples_of
from finetune.describe.training import learned_from
from finetune.describe.writing import WriterConfig
from retrieval.encoder import Encoder
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.remembering import Remembering
from ui.bench.render_describe import SECTION, describe_lines
from ui.commands.bench_others import Other, run_other
from ui.commands.describe import DescribeCall, described_round, encoder_of, named, settings_for, written_round
from ui.progress import index_progress


@dataclass(frozen=True, slots=True)
class DescribeBenchCall:
    """The options as typed.

    Attributes:
        items: a catalogue.
        dialogues: a folder with a folder for each set.
        work: keeps drafts and texts, so that a stopped run goes on.
        out: the benchmark file.
        limit: items that are described.
        skip: of the items in their order, those that are left to others: what a writer learned from.
        n_best: drafts for each item.
        minutes: no item is begun after so many, for each writer; None: no bound.
        evaluation_only: nothing may be learned from the catalogue; texts are chosen by queries made of attributes.
        adapter: folder of a tuned writer.
        model: the writer; None: that of the settings.
        name: of the section; None: that of the catalogue's folder.
        config: file of the settings.
    """

    items: Path
    dialogues: Path
    work: Path
    out: Path
    limit: int = 100
    skip: int = 0
    n_best: int = 4
    minutes: float | None = None
    evaluation_only: bool = False
    adapter: Path | None = None
    model: str | None = None
    name: str | None = None
    config: Path | None = None

    @property
    def catalogue(self) -> str:
        """What it is called."""
        return self.name or self.items.resolve().parent.name

    @property
    def section(self) -> str:
        """Of the benchmark file."""
        return f"{SECTION}, {self.catalogue}" + (", tuned writer" if self.adapter else "")

    @property
    def command(self) -> str:
        """What measures it again."""
        given = f"describe --items {self.items.parent.name}/{self.items.name} --dialogues {self.dialogues.name}"
        given += f" --work {self.work.name} --limit {self.limit} --n-best {self.n_best}"
        given += f" --skip {self.skip}" if self.skip else ""
        given += f" --minutes {self.minutes:g}" if self.minutes else ""
        given += " --evaluation-only" if self.evaluation_only else ""
        return given + (f" --adapter {self.adapter.name}" if self.adapter else "")


@dataclass(frozen=True, slots=True)
class Task:
    """What is measured: a round over items that held-out dialogues lead to, and those dialogues' queries."""

    items: tuple[Item, ...]
    plan: Plan
    wanted: tuple[Wanted, ...]


def run_describe(call: DescribeBenchCall) -> None:
    """Describe, measure, put the figures into the benchmark file and print them.

    Raises:
        ChatalogueError: a file cannot be read, no dialogue leads to an item, or the language model cannot be had.
    """
    run_other(Other(call.section, call.command, lambda: _measured(call), describe_lines), call.out)


def task_of(call: DescribeBenchCall, settings: Settings) -> Task:
    """Join dialogues and catalogue, and choose the items.

    Raises:
        BadRequest: no held-out dialogue leads to an item of the catalogue that is not skipped, or the writer learned
            from one.
    """
    items = tuple(load_catalogue(call.items, keep_first=True).items)
    queries: dict[str, tuple[str, ...]] = {}
    wanted: list[Wanted] = []
    for folder in sorted(call.dialogues.iterdir()):
        files = [folder / f"{part}.jsonl.gz" for part in ("items", "train", "valid")]
        if not all(file.is_file() for file in files):
            continue
        try:
            names = joined(read_items(files[0]), items)
            train, valid = read_rows(files[1]), read_rows(files[2])
        except BadRequest:  # sets of another kind lie beside those of dialogues
            continue
        for item_id, texts in renamed(queries_by_item(train), names).items():
            queries[item_id] = (*queries.get(item_id, ()), *texts)[:MAX_QUERIES]
        wanted += wanted_items(valid, names)
    with_text = {item.id for item in items if item.text}
    drawn = _drawn({one.item_id for one in wanted} & with_text)
    chosen = tuple(drawn[call.skip : call.skip + call.limit])
    if not chosen:
        raise BadRequest(
            f"Held-out dialogues in {str(call.dialogues)!r} lead to {len(drawn)} items of {str(call.items)!r}, and "
            f"{call.skip} are skipped; give a folder of sets with items, train and valid, a catalogue with titles and "
            "years, and skip fewer."
        )
    if call.adapter and (known := learned_from(call.adapter).intersection(chosen)):
        raise BadRequest(
            f"The writer learned from {len(known)} of these items, so they tell nothing; give --skip with the --limit "
            "of the run that it learned from."
        )
    plan = Plan(
        catalogue=items,
        queries={} if call.evaluation_only else queries,
        only=chosen,
        evaluation_only=call.evaluation_only,
        writer=WriterConfig(n=call.n_best),
        model=settings.llm.model,
        adapter=named(call.adapter),
    )
    return Task(items, plan, tuple(one for one in wanted if one.item_id in chosen))


def _measured(call: DescribeBenchCall) -> DescribeFigures:
    settings = settings_for(DescribeCall(call.out, model=call.model, config=call.config))
    call.work.mkdir(parents=True, exist_ok=True)
    encoder = Remembering(encoder_of(settings))
    with index_progress("bench describe") as told:
        task = task_of(call, settings)
        if call.adapter is None:
            one = _described(call, task, settings, encoder, told)
            return _figures(call, task, one, _ranked(task, one, encoder, told))
        before, after = _both(call, task, settings, encoder, told)
        ranked_before, ranked_after = (_ranked(task, one, encoder, told) for one in (before, after))
    tuned = (*compared_items(before.scores, after.scores), *compared_places(ranked_before, ranked_after))
    return _figures(call, task, after, ranked_after, tuned)


def _described(call: DescribeBenchCall, task: Task, settings: Settings, encoder: Encoder, told: Told) -> Finished:
    """The round of the untuned writer."""
    files = RoundFiles(call.work / f"{call.catalogue}.jsonl")
    with closing(Journal(files.drafts, task.plan.recipe())) as journal:
        written_round(task.plan, settings, None, journal, told, call.minutes)
        return described_round(task.plan, encoder, journal, files, told)


def _both(
    call: DescribeBenchCall, task: Task, settings: Settings, encoder: Encoder, told: Told
) -> tuple[Finished, Finished]:
    """The rounds of the untuned and the tuned writer over the items that both came to, judged by one discriminator.

    Their files are not those of the untuned writer's own run: the pairs that the tuned one learned from stay.
    """
    tuned = task.plan
    untuned = replace(tuned, adapter=None)
    files = [RoundFiles(call.work / f"{call.catalogue}.{name}.jsonl") for name in ("untuned", tuned.adapter)]
    with (
        closing(Journal(files[0].drafts, untuned.recipe())) as first,
        closing(Journal(files[1].drafts, tuned.recipe())) as second,
    ):
        written_round(untuned, settings, None, first, told, call.minutes)
        written_round(tuned, settings, call.adapter, second, told, call.minutes)
        done = tuple(one.item.id for one in tuned.tasks() if first.has(one) and second.has(one))
        untuned, tuned = (replace(plan, only=done) for plan in (untuned, tuned))
        judge = Discriminator([*examples_of(untuned, first), *examples_of(tuned, second)], encoder)
        return (
            described_round(untuned, encoder, first, files[0], told, judge),
            described_round(tuned, encoder, second, files[1], told, judge),
        )


def _ranked(task: Task, one: Finished, encoder: Encoder, told: Told) -> Ranked:
    return rank_texts(task.items, one.kept, _asked(task, one), encoder, told)


def _asked(task: Task, one: Finished) -> Sequence[Wanted]:
    """The queries for items that were described."""
    described = {scores.item_id for scores in one.scores}
    return [wanted for wanted in task.wanted if wanted.item_id in described]


def _figures(
    call: DescribeBenchCall, task: Task, one: Finished, ranked: Ranked, tuned: tuple[Compared, ...] = ()
) -> DescribeFigures:
    asked = _asked(task, one)
    return DescribeFigures(
        catalogue=call.catalogue,
        evaluation_only=call.evaluation_only,
        n_items=one.report.items,
        n_kept=len(one.kept),
        n_ranked=ranked.n,
        n_queries=len(asked),
        n_queries_kept=sum(wanted.item_id in one.kept for wanted in asked),
        n_dialogues=len({wanted.dialogue_id for wanted in asked}),
        found=found_by(ranked),
        round=one.report,
        tuned=tuned,
    )


def _drawn(item_ids: set[str]) -> Sequence[str]:
    """The ids by their hashes: neither the popular nor the first come first."""
    return sorted(item_ids, key=lambda one: hashlib.sha256(one.encode()).digest())
