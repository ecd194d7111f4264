"""`python -m finetune`: trains an adapter for the rank skill; goes on where it was stopped.

Examples:
    python -m finetune --items items.jsonl.gz --rows train.jsonl.gz --lists train.lists.jsonl --out var/rank
    python -m finetune ... the same ... --export      the adapter of the best checkpoint so far, also while it trains

Ctrl-C or SIGTERM ends a training after the step under way, with the adapter of the best checkpoint so far; a second
one ends it at once, without. What the adapter is worth: `chatalogue bench rank-skill --adapter var/rank`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.bench.retrieval.dialogues import Row
    from finetune.rank_data import Example
    from finetune.rank_train import Progress
    from retrieval.items import Item

log = logging.getLogger("finetune")

LISTS_TOLD = 200
"""Lists between two lines about them."""


def train(
    items: Annotated[list[Path], typer.Option(help="Items of a benchmark; once for each set.")],
    rows: Annotated[list[Path], typer.Option(help="Its training turns, in the same order.")],
    lists: Annotated[list[Path], typer.Option(help="Lists of them; a missing file is made, cross-fitted, in minutes.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: checkpoint, adapter, recipe.json.")],
    model: Annotated[str, typer.Option(help="As CHATALOGUE_LLM__MODEL.")] = "smollm2-135m-instruct",
    models_dir: Annotated[Path, typer.Option(help="Where weights are kept.")] = Path("var/models"),
    epochs: Annotated[int, typer.Option(min=1)] = 3,
    limit: Annotated[int, typer.Option(help="Learn from so many examples only; 0: all.", min=0)] = 0,
    fold: Annotated[int, typer.Option(help="Which part of the dialogues is held out.", min=0)] = 0,
    folds: Annotated[int, typer.Option(help="Of how many; 2 gives adapters to cross-fit with.", min=2)] = 20,
    watch: Annotated[int, typer.Option(help="Held-out examples that are scored at each checkpoint.", min=0)] = 60,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: all cores.", min=0)] = 0,
    seed: Annotated[int, typer.Option()] = 0,
    export: Annotated[bool, typer.Option(help="Write the adapter of the best checkpoint so far; no training.")] = False,
) -> None:
    """Train the rank skill on cross-fitted lists; the same command again goes on from the last checkpoint."""
    import torch

    from agent.llm.weights import resolve_model
    from finetune.rank_data import split_groups
    from finetune.rank_model import RankModel, best_dtype
    from finetune.rank_train import RankTrainer, TrainConfig
    from finetune.stopping import asked_to_stop
    from retrieval.errors import ChatalogueError

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if threads:
        torch.set_num_threads(threads)
    config = replace(TrainConfig(), epochs=epochs, watch=watch, seed=seed)
    try:
        learned, held_out = split_groups(_examples(items, rows, lists, seed), fold, folds)
        learned = learned[:limit] if limit else learned
        log.info("%d examples to learn from, %d of other dialogues held out", len(learned), len(held_out))
        network = RankModel(resolve_model(model, models_dir), config.lora, seed, best_dtype())
        trainer = RankTrainer(network, model, learned, held_out, config, out)
        if export:
            adapter = trainer.export()
        else:
            with asked_to_stop(log.info) as stopped:
                adapter = trainer.run(_tell, stopped)
    except ChatalogueError as error:
        log.error("%s", error)
        raise typer.Exit(1) from None
    log.info("the adapter is in %s, how it was made in %s", adapter, out / "recipe.json")


def _examples(items: list[Path], rows: list[Path], lists: list[Path], seed: int) -> list[Example]:
    from agent.bench.retrieval.dialogues import read_items, read_ranked, read_rows
    from finetune.rank_data import Moment, NegativeRules, build_examples
    from retrieval.errors import BadRequest

    if not len(items) == len(rows) == len(lists):
        raise BadRequest("Give --items, --rows and --lists equally often, in the same order.")
    found: list[Example] = []
    for item_file, row_file, list_file in zip(items, rows, lists, strict=True):
        catalogue = {item.id: item for item in read_items(item_file)}
        said = read_rows(row_file)
        if not list_file.exists():
            _make_lists(list_file, tuple(catalogue.values()), said)
        ranked = {one.id: one.ranked for one in read_ranked(list_file)}
        moments = [Moment.of_row(row) for row in said]
        built = build_examples(moments, ranked, catalogue, NegativeRules(), seed)
        why = ", ".join(f"{count} because {reason}" for reason, count in built.left_out.items())
        log.info("%s: %d examples; left out: %s", row_file, len(built.examples), why)
        found += built.examples
    return found


def _make_lists(file: Path, items: Sequence[Item], rows: Sequence[Row]) -> None:
    from agent.bench.retrieval.dialogues import write_ranked
    from finetune.rank_lists import FOLDS, cross_fitted_lists
    from retrieval.encoder import SentenceEncoder
    from retrieval.remembering import Remembering

    def told(done: int, of: int) -> None:
        if done % LISTS_TOLD == 0 or done == of:
            log.info("lists: %d of %d", done, of)

    log.info("making %s: %d rankers, one after the other", file, FOLDS)
    write_ranked(file, cross_fitted_lists(items, rows, Remembering(SentenceEncoder()), told))


def _tell(progress: Progress) -> None:
    log.info(
        "step %d of %d: loss %.3f, prior %.2f, %.2f s an example, about %.0f min left",
        progress.step, progress.steps, progress.loss, progress.prior, progress.seconds,
        progress.left_s / 60,
    )  # fmt: skip
    if (watched := progress.watched) is not None and watched.step == progress.step:
        log.info(
            "held out: loss %.3f; best first %.3f alone, %.3f with the ranker, %.3f the ranker",
            watched.loss, watched.alone, watched.fused, watched.ranker,
        )  # fmt: skip


if __name__ == "__main__":
    typer.run(train)
