"""`chatalogue bench describe`: what descriptions of the writer are worth to search, on items that dialogues led to.

The items are those that held-out dialogues of other catalogues led to, joined by title and year; texts are chosen by
the training dialogues and measured on the held-out ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.bench.retrieval.dialogues import read_items, read_rows
from agent.settings import Settings
from finetune.describe.files import Journal, json_lines
from finetune.describe.measuring import DescribeFigures, Wanted, joined, measure_texts, wanted_items
from finetune.describe.queries import MAX_QUERIES, queries_by_item, renamed
from finetune.describe.rounds import Plan, RoundFiles
from finetune.describe.writing import WriterConfig
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.loading import load_catalogue
from retrieval.remembering import Remembering
from ui.commands.bench_others import Other, run_other
from ui.commands.describe import DescribeCall, described_round, encoder_of, named, settings_for, written_round
from ui.progress import index_progress


@dataclass(frozen=True, slots=True)
class DescribeBenchCall:
    """The options as typed; `work` keeps drafts and texts, so that a stopped run goes on."""

    items: Path
    dialogues: Path
    work: Path
    out: Path
    limit: int = 100
    n_best: int = 4
    adapter: Path | None = None
    model: str | None = None
    name: str | None = None
    config: Path | None = None


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
    name = call.name or call.items.resolve().parent.name
    given = f"--items {call.items.parent.name}/{call.items.name} --dialogues {call.dialogues.name} --limit {call.limit}"
    given += f" --n-best {call.n_best} --work {call.work.name}"
    given += f" --adapter {call.adapter.name}" if call.adapter else ""
    run_other(Other(f"describe, {name}", f"describe {given}", lambda: _measured(call, name)), call.out)


def task_of(call: DescribeBenchCall, settings: Settings) -> Task:
    """Join dialogues and catalogue, and choose the items.

    Raises:
        BadRequest: no held-out dialogue leads to an item of the catalogue.
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
    chosen = frozenset(_drawn({one.item_id for one in wanted} & with_text, call.limit))
    if not chosen:
        raise BadRequest(
            f"No held-out dialogue in {str(call.dialogues)!r} leads to an item of {str(call.items)!r}; give a folder "
            "of sets with items, train and valid, and a catalogue with titles and years."
        )
    plan = Plan(
        catalogue=items,
        queries=queries,
        only=chosen,
        writer=WriterConfig(n=call.n_best),
        model=settings.llm.model,
        adapter=named(call.adapter),
    )
    return Task(items, plan, tuple(one for one in wanted if one.item_id in chosen))


def _measured(call: DescribeBenchCall, name: str) -> DescribeFigures:
    settings = settings_for(DescribeCall(call.out, model=call.model, config=call.config))
    call.work.mkdir(parents=True, exist_ok=True)
    files = RoundFiles(call.work / f"{name}.jsonl")
    encoder = Remembering(encoder_of(settings))
    with index_progress("bench describe") as told:
        task = task_of(call, settings)
        journal = Journal(files.drafts, task.plan.recipe())
        try:
            written_round(task.plan, settings, call.adapter, journal, told)
            report = described_round(task.plan, encoder, journal, files, told)
        finally:
            journal.close()
        kept = {row["id"]: row["kept"] for row, _ in json_lines(files.out) if row["kept"]}
        _say(f"{report.items} items described, {len(kept)} with a new text; {len(task.wanted)} queries")
        found, n_ranked = measure_texts(task.items, kept, task.wanted, encoder, told)
    return DescribeFigures(
        catalogue=name,
        n_items=report.items,
        n_kept=len(kept),
        n_ranked=n_ranked,
        n_queries=len(task.wanted),
        n_dialogues=len({one.dialogue_id for one in task.wanted}),
        found=found,
        round=report,
    )


def _drawn(item_ids: set[str], n: int) -> Sequence[str]:
    """At most `n` of the ids, by their hashes: neither the popular nor the first; more of them are those and others."""
    return sorted(item_ids, key=lambda one: hashlib.sha256(one.encode()).digest())[:n]


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
