"""`chatalogue starter`: trains the adapter that the language model starts with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.progress import TaskID as Task

from agent.datadir import DataDirectory
from agent.settings import load_settings
from finetune.starter.build import Order, build
from finetune.starter.recipe import Recipe, read_recipe
from finetune.starter.redial import RedialFiles
from finetune.stopping import asked_to_stop
from retrieval.errors import BadRequest
from ui.commands.output import print_result

if TYPE_CHECKING:
    from finetune.starter.train import Progress as Step

LINE_EVERY = 20
"""Steps between two lines where there is no terminal."""


@dataclass(frozen=True, slots=True)
class StarterCall:
    """The options of `chatalogue starter`; `redial` are its turns, items and likes."""

    catalogue: Path | None
    mapping: Path | None
    noun: str
    model: str | None
    out: Path | None
    pretrain: bool
    minutes: float | None
    recipe: Path | None
    redial: tuple[Path | None, Path | None, Path | None]
    config: Path | None


def run(call: StarterCall) -> None:
    """Train, and print where the adapter lies and how well it answers what it has never seen.

    Raises:
        ChatalogueError: the model, the catalogue, the recipe or the folder cannot be used.
    """
    settings = load_settings(call.config).settings
    data = DataDirectory(settings.data_dir)
    data.create()
    recipe = _recipe(call)
    model = call.model or recipe.base
    out = call.out or settings.data_dir / "starter"
    order = Order(
        recipe, model, data.models, out, settings.data_dir / "starter-runs", call.catalogue, call.mapping,
        call.noun, call.pretrain, _redial(call),
    )  # fmt: skip
    console = Console(stderr=True, highlight=False, soft_wrap=True)

    def say(words: str) -> None:
        console.print(words, markup=False)

    with asked_to_stop(say) as stopped, _told(console) as told:
        trained = build(order, say, told, stopped)
    best = trained.best
    print_result(f"The adapter is in {str(out)!r}, after {trained.steps} steps in {trained.seconds / 60:.0f} minutes.")
    if best is not None:
        said = ", ".join(f"{name}: loss {one.loss:.3f}, {one.exact:.1%} exact" for name, one in best.skills.items())
        print_result(f"Unseen catalogue and phrases, at step {best.step}: {said}.")
    print_result(f"CHATALOGUE_LLM__ADAPTER={out.resolve()} uses it with CHATALOGUE_LLM__MODEL={model}.")


def _recipe(call: StarterCall) -> Recipe:
    recipe = read_recipe(call.recipe)
    if call.minutes is None:
        return recipe
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"minutes": call.minutes})})


def _redial(call: StarterCall) -> RedialFiles | None:
    rows, items, likes = call.redial
    if rows is None and items is None and likes is None:
        return None
    if rows is None or items is None or likes is None:
        raise BadRequest("Give --redial, --redial-items and --redial-likes together, or none of them.")
    return RedialFiles(rows, items, likes)


@contextmanager
def _told(console: Console) -> Iterator[Callable[[Step], None]]:
    """A bar at a terminal, else a line now and then."""
    columns = (TextColumn("training"), BarColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task: Task = bar.add_task("", total=1.0)
        looked = 0

        def told(step: Step) -> None:
            nonlocal looked
            words = (
                f"step {step.step}: loss {step.loss:.3f}, {step.tokens_per_s:.0f} tokens/s, {_rest(step.left_s)} left"
            )
            bar.update(task, completed=step.done, description=words)
            seen = step.watched
            if seen is not None and seen.step != looked:
                looked = seen.step
                each = ", ".join(f"{name} {one.loss:.3f} ({one.exact:.0%})" for name, one in seen.skills.items())
                console.print(f"step {seen.step}: held-out loss (exact answers): {each}", markup=False)
            if not console.is_terminal and step.step % LINE_EVERY == 0:
                console.print(words, markup=False)

        yield told


def _rest(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
