"""How fast a job goes through its rows, beside TRL as it comes and TRL with our settings: the same rows, by turns.

Example:
    python -m finetune.training.speed --rows 64 --rounds 3

The rows are turns to understand, of the catalogue that the starter never saw. All learn the same LoRA on the same base
from the same tokens; "tokens" are those of the rows, before anything is packed or padded. TRL as it comes: base in
float32 under autocast to bfloat16, gradient checkpointing, batches of 8, padded.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from finetune.training.lessons import Lesson
    from finetune.training.rows import Tokens

BATCH = 8
"""Rows of a step of TRL, its default."""
SEED = 5


@dataclass(frozen=True, slots=True)
class Speed:
    """Rows and their own tokens a second: the median of the rounds; and every round's rows a second.

    `rows_per_cpu_s`: of the processor's time that the process had, which others on the machine do not change much.
    """

    rows_per_s: float
    rows_per_cpu_s: float
    tokens_per_s: float
    rounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Moment:
    """Seconds on the clock, and of the processor."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> _Moment:
        return cls(time.monotonic(), time.process_time())


def compare(
    base: Path, lessons: Sequence[Lesson], rounds: int, say: Callable[[str], None] = lambda words: None
) -> Mapping[str, Speed]:
    """Train on `lessons` once a round with each, in turn; a first step of each is not counted.

    Args:
        base: folder of the base model.
        lessons: at least three steps of them.
        rounds: how often each.
        say: is told each run in one line.

    Raises:
        ModelUnavailable: a package for training is missing.
    """
    from agent.llm.tokens import PromptRenderer
    from finetune.train import check_packages
    from finetune.training.rows import encode

    check_packages()
    tokens = encode(lessons, PromptRenderer.from_folder(base), 1024)
    contestants: Mapping[str, Callable[[Path], _Moment]] = {
        "ours": lambda scratch: _ours(base, lessons, _room(tokens), scratch),
        "TRL": lambda scratch: _trl(base, tokens, scratch, {}),
        "TRL, our settings": lambda scratch: _trl(base, tokens, scratch, {"gradient_checkpointing": False}),
    }
    took: dict[str, list[_Moment]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            with tempfile.TemporaryDirectory() as scratch:
                took[name].append(run(Path(scratch)))
            last = took[name][-1]
            say(f"{name}: {len(tokens)} rows in {last.wall:.1f} s, {last.cpu:.1f} s of the processor")
    whole = sum(len(one.endings[0].ids) for one in tokens)
    return {
        name: Speed(
            len(tokens) / statistics.median(one.wall for one in runs),
            len(tokens) / statistics.median(one.cpu for one in runs),
            whole / statistics.median(one.wall for one in runs),
            tuple(round(len(tokens) / one.wall, 3) for one in runs),
        )
        for name, runs in took.items()
    }


def _room(tokens: Sequence[Tokens]) -> int:
    """Tokens of a packed row that holds a batch: as many rows a step as TRL has, so as many steps."""
    from finetune.starter.batches import shared_tokens

    shared = shared_tokens([one.endings[0] for one in tokens])
    return shared + BATCH * (sum(one.size for one in tokens) // len(tokens) - shared + 1)


def _ours(base: Path, lessons: Sequence[Lesson], row_tokens: int, scratch: Path) -> _Moment:
    """What all lessons take."""
    from finetune.train import Job, train
    from finetune.training.recipe import read_recipe

    recipe = read_recipe()
    once = recipe.train.model_copy(update={"epochs": 1, "every": 10**6, "row_tokens": row_tokens, "rows": 1})
    recipe = recipe.model_copy(update={"method": "naive", "refit_every": 0, "train": once})
    ends: list[_Moment] = []
    job = Job(lessons, base, "base", None, scratch / "out", scratch / "runs", recipe)
    train(job, lambda now: ends.append(_Moment.now()))
    return _pace(ends)


def _trl(base: Path, tokens: Sequence[Tokens], scratch: Path, changed: Mapping[str, object]) -> _Moment:
    """The same, of TRL's SFTTrainer; with `changed` the base is in bfloat16 as well."""
    import peft
    import torch
    from datasets import Dataset  # type: ignore[import-not-found,import-untyped,unused-ignore]
    from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
    from trl import SFTConfig, SFTTrainer  # type: ignore[import-not-found,import-untyped,unused-ignore]

    from finetune.rank_model import TARGETS, LoraShape, best_dtype

    ends: list[_Moment] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            ends.append(_Moment.now())

    rows = [
        {
            "input_ids": list(one.endings[0].ids),
            "completion_mask": [0] * (len(one.endings[0].ids) - one.endings[0].answer) + [1] * one.endings[0].answer,
        }
        for one in tokens
    ]
    gpu, shape = torch.cuda.is_available(), LoraShape()
    net: Any = str(base)
    settings: dict[str, object] = {"bf16": gpu or best_dtype() == torch.bfloat16}
    if changed:
        net = AutoModelForCausalLM.from_pretrained(base, dtype=best_dtype(), local_files_only=True)
        settings = {"bf16": False, **changed}
    trainer = SFTTrainer(
        model=net,
        args=SFTConfig(
            output_dir=str(scratch), num_train_epochs=1, per_device_train_batch_size=BATCH, completion_only_loss=True,
            save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=not gpu, dataloader_pin_memory=gpu,
            seed=SEED, **settings,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(base, local_files_only=True),
        peft_config=peft.LoraConfig(
            r=shape.rank, lora_alpha=shape.alpha, lora_dropout=0.0, target_modules=list(TARGETS), task_type="CAUSAL_LM"
        ),
        callbacks=[Clock()],
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return _pace(ends)


def _pace(ends: Sequence[_Moment]) -> _Moment:
    """What all steps take at the pace of those after the first one."""
    share = len(ends) / (len(ends) - 1)
    return _Moment(share * (ends[-1].wall - ends[0].wall), share * (ends[-1].cpu - ends[0].cpu))


def rows_of(count: int) -> list[Lesson]:
    """Turns to understand, of the catalogue that the starter never saw."""
    from finetune.starter.catalogues import held_out
    from finetune.starter.examples import over_catalogues
    from finetune.training.lessons import Lesson

    made = over_catalogues([held_out(SEED)], count, SEED, "held_out", 0.1)
    return [
        Lesson(f"speed {number}", "sft", one.prompt, (one.answer,), domain="held out")
        for number, one in enumerate(made)
    ]


def main(
    model: Annotated[str, typer.Option(help="As CHATALOGUE_LLM__MODEL.")] = "smollm2-135m-instruct",
    models_dir: Annotated[Path, typer.Option(help="Where weights are kept.")] = Path("var/models"),
    rows: Annotated[int, typer.Option(min=3 * BATCH)] = 64,
    rounds: Annotated[int, typer.Option(min=1)] = 3,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: all cores.", min=0)] = 0,
) -> None:
    """Print rows and tokens a second of each, as JSON."""
    import torch

    from agent.llm.quiet import quiet_transformers
    from agent.llm.weights import resolve_model
    from retrieval.errors import ChatalogueError

    quiet_transformers()
    if threads:
        torch.set_num_threads(threads)
    try:
        found = compare(
            resolve_model(model, models_dir), rows_of(rows), rounds, lambda words: typer.echo(words, err=True)
        )
    except ChatalogueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    fields = {name: {"rows_per_s": round(one.rows_per_s, 3), "rows_per_cpu_s": round(one.rows_per_cpu_s, 3),
                     "tokens_per_s": round(one.tokens_per_s, 1),
                     "rounds": one.rounds} for name, one in found.items()}  # fmt: skip
    typer.echo(json.dumps({"rows": rows, "threads": torch.get_num_threads(), "speed": fields}, indent=1))


if __name__ == "__main__":
    typer.run(main)
