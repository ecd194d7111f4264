"""`chatalogue bench learning`: forgetting, measured on streams of blocks; and the speed of training against TRL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.settings import load_settings
from finetune.bench.figures import NOTHING, LearningReport
from retrieval.errors import BadRequest
from ui.bench.render_learning import SECTION, learning_lines
from ui.commands.bench_others import Other, run_other


@dataclass(frozen=True, slots=True)
class LearningCall:
    """The options as typed; `dialogues` None: generated customers alone, `adapter` None: that of the settings."""

    out: Path
    keep: Path
    dialogues: Path | None = None
    methods: str = ""
    seeds: int = 3
    first_seed: int = 0
    examples: int = 32
    questions: int = 32
    pace_rows: int = 32
    adapter: Path | None = None
    recipe: Path | None = None
    threads: int = 0
    only_report: bool = False
    config: Path | None = None


def run_learning(call: LearningCall) -> None:
    """Measure what is missing, put the figures into the benchmark file and print them.

    Raises:
        ChatalogueError: a folder cannot be used, a package for training is missing, or the model cannot be had.
    """
    run_other(learning_of(call), call.out)


def learning_of(call: LearningCall) -> Other:
    """The benchmark as it was asked for.

    Raises:
        BadRequest: there is no such folder.
    """
    if call.dialogues is not None and not call.dialogues.is_dir():
        raise BadRequest(f"There is no folder {str(call.dialogues)!r}; --dialogues has items, train and valid.")
    return Other(SECTION, f"learning{_options(call)}", lambda: _measured(call), learning_lines)


def _options(call: LearningCall) -> str:
    """What has to be typed for the same run; files by their names."""
    plain = LearningCall(call.out, call.keep)
    shown = ("dialogues", "methods", "seeds", "first_seed", "examples", "questions", "pace_rows", "adapter", "recipe")
    given = [(name, getattr(call, name)) for name in shown if getattr(call, name) != getattr(plain, name)]
    words = (f" --{name.replace('_', '-')} {value.name if isinstance(value, Path) else value}" for name, value in given)
    return "".join((*words, f" --keep {call.keep.name}"))


def _measured(call: LearningCall) -> LearningReport:
    from agent.datadir import DataDirectory
    from agent.llm.quiet import quiet_transformers
    from agent.llm.weights import resolve_model
    from agent.starter.choosing import choose_adapter
    from finetune.bench.keeping import Kept
    from finetune.bench.measuring import STREAMS, Bench, Plan, bench_recipe
    from finetune.bench.streams import Sizes
    from finetune.train import check_packages
    from finetune.training.recipe import METHODS, read_recipe

    check_packages()
    quiet_transformers()
    if call.threads:
        import torch

        torch.set_num_threads(call.threads)
    settings = load_settings(call.config).settings
    models = DataDirectory(settings.data_dir).models
    chosen = choose_adapter(str(call.adapter or settings.llm.adapter), settings.llm.model, models)
    plan = Plan(
        resolve_model(settings.llm.model, models), settings.llm.model, chosen.folder if chosen else None,
        call.dialogues, bench_recipe(read_recipe(call.recipe)), call.keep.with_suffix(".adapters"),
        STREAMS if call.dialogues else ("domains",),
        tuple(call.methods.split(",")) if call.methods else (NOTHING, *METHODS), call.seeds, call.first_seed,
        Sizes(call.examples, call.questions), call.pace_rows,
    )  # fmt: skip
    bench = Bench(plan, Kept(call.keep, plan.decides()), _say)
    return bench.report() if call.only_report else bench.run()


def _say(line: str) -> None:
    """Progress, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
