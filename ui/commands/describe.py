"""`chatalogue describe`: better item descriptions, judged; and the training of their writer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.bench.retrieval.dialogues import read_rows
from agent.datadir import DataDirectory
from agent.settings import Settings, load_settings
from finetune.describe.files import Journal
from finetune.describe.queries import queries_by_item
from finetune.describe.realness import Discriminator
from finetune.describe.reporting import RoundReport
from finetune.describe.rounds import Finished, Plan, RoundFiles, Told, finish_round, judge_round, write_round
from finetune.describe.training import WriterTraining, read_pairs, train_writer
from finetune.describe.writing import WriterConfig, read_reviews
from retrieval.encoder import Encoder, SentenceEncoder
from retrieval.errors import BadRequest
from retrieval.loading import check_catalogue
from retrieval.shape import CatalogueShape
from ui.bench.engines import adapter_name, engine_with
from ui.bench.report import check_folder
from ui.commands.output import print_result
from ui.logs import configure_logs
from ui.progress import index_progress


@dataclass(frozen=True, slots=True)
class DescribeCall:
    """The options as typed; `limit` 0: all items, `model` None: that of the settings, `minutes` None: no bound."""

    out: Path
    items: Path | None = None
    reviews: Path | None = None
    queries: Path | None = None
    train_writer: Path | None = None
    model: str | None = None
    adapter: Path | None = None
    n_best: int = 4
    limit: int = 0
    steps: int = 40
    minutes: float | None = None
    as_json: bool = False
    config: Path | None = None


def run(call: DescribeCall) -> None:
    """Describe the items of a catalogue, or train the writer on the pairs of an earlier round.

    Raises:
        BadRequest: the options do not go together, or a file cannot be read or written.
        CatalogueError: the catalogue cannot be used.
        EngineError: the language model failed; the same command goes on.
        ModelUnavailable: a model or a package for training cannot be had.
    """
    if (call.items is None) is (call.train_writer is None):
        raise BadRequest(
            "Give either --items, to describe a catalogue, or --train-writer, to learn from an earlier one."
        )
    settings = settings_for(call)
    configure_logs(logging.WARNING)
    if call.train_writer is not None:
        _train(call, call.train_writer, settings)
    elif call.items is not None:
        _describe(call, call.items, settings)


def settings_for(call: DescribeCall) -> Settings:
    """Those of the file, with the model of the options."""
    settings = load_settings(call.config).settings
    if call.model is None:
        return settings
    return settings.model_copy(update={"llm": settings.llm.model_copy(update={"model": call.model})})


def written_round(
    plan: Plan, settings: Settings, adapter: Path | None, journal: Journal, told: Told, minutes: float | None = None
) -> None:
    """Write what the journal lacks, with an engine of our own; after `minutes` no further item is begun.

    Raises:
        EngineError: the language model failed; what is in the journal stays.
        KeyboardInterrupt: as pressed, after the engine has been stopped.
    """

    async def write() -> None:
        async with engine_with(settings, adapter) as engine:
            if adapter is None:
                await engine.use_adapter(None)  # whatever else is loaded was made for replies
            await write_round(plan, engine, journal, told, minutes)

    if any(not journal.has(task) for task in plan.tasks()):
        asyncio.run(write())


def described_round(
    plan: Plan,
    encoder: Encoder,
    journal: Journal,
    files: RoundFiles,
    told: Told,
    discriminator: Discriminator | None = None,
) -> Finished:
    """Judge what is in the journal and write the files of the round; `discriminator` as for `judge_round`.

    Raises:
        BadRequest: a file cannot be written.
    """
    described, discriminator = judge_round(plan, encoder, journal, told, discriminator)
    return finish_round(plan, described, discriminator, CatalogueShape.of(plan.catalogue), files)


def encoder_of(settings: Settings) -> Encoder:
    """The shop's."""
    return SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)


def named(adapter: Path | None) -> str | None:
    """The name of an adapter's weights.

    Raises:
        BadRequest: the folder holds no adapter.
    """
    return adapter_name(adapter) if adapter is not None else None


def _describe(call: DescribeCall, items: Path, settings: Settings) -> None:
    check_folder(call.out)
    files = RoundFiles(call.out)
    plan = Plan(
        catalogue=check_catalogue(items, keep_first=True),
        queries=queries_by_item(read_rows(call.queries)) if call.queries else {},
        reviews=read_reviews(call.reviews) if call.reviews else {},
        limit=call.limit,
        writer=WriterConfig(n=call.n_best),
        model=settings.llm.model,
        adapter=named(call.adapter),
    )
    journal = Journal(files.drafts, plan.recipe())
    try:
        with index_progress("Descriptions") as told:
            written_round(plan, settings, call.adapter, journal, told, call.minutes)
            report = described_round(plan, encoder_of(settings), journal, files, told).report
    except (KeyboardInterrupt, asyncio.CancelledError):
        _note("stopped; what is written so far is kept, and the same command goes on from there")
        raise
    finally:
        journal.close()
    print_result(report.model_dump_json() if call.as_json else "\n".join(_in_words(report, files)))


def _train(call: DescribeCall, pairs: Path, settings: Settings) -> None:
    from agent.llm.weights import resolve_model

    base = resolve_model(settings.llm.model, DataDirectory(settings.data_dir).models)
    with index_progress("Writer") as told:
        trained = train_writer(
            read_pairs(pairs),
            base,
            settings.llm.model,
            call.out,
            WriterTraining(steps=call.steps),
            call.adapter,
            lambda step, steps: told("training", step, steps),
            call.minutes,
        )
    print_result(
        f"The writer learned from {trained.pairs} pairs; the loss went from {trained.first_loss:.3f} to "
        f"{trained.last_loss:.3f}. Use it with --adapter {trained.folder}."
    )


def _in_words(report: RoundReport, files: RoundFiles) -> list[str]:
    lines = [
        f"{report.kept} of {report.items} items have a new text beside their own; {report.usable} of {report.drafts} "
        f"drafts had something that is backed.",
        f"{report.refused} of {report.sentences} sentences were refused, {report.slipped} of them by the independent "
        f"check alone; claims in kept texts that are not backed: {report.unbacked} of {report.claims}.",
    ]
    if report.gain is not None:
        lines.append(
            f"Retrieval gain on training queries: {report.gain.value:+.4f} "
            f"[{report.gain.low:+.4f}, {report.gain.high:+.4f}]; {report.made_queries} items had made queries only."
        )
    if (apart := report.discriminator) is not None:
        lines.append(
            f"The discriminator tells {apart.value:.1%} [{apart.low:.1%}, {apart.high:.1%}] of texts apart; 50% is "
            "chance."
        )
    lines.append(f"`chatalogue index {files.items}` takes the catalogue with the new texts.")
    return lines


def _note(words: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"note: {words}", markup=False)
