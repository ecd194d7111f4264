"""`chatalogue bench ...`: benchmarks of what learns. Knows nothing of how anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ui.cli_bench import AdapterOption, BenchOutOption, NameOption, RatingsOption, WorkOption, bench_app
from ui.cli_options import ConfigOption

__all__ = ["bench_app"]


@bench_app.command("starters")
def bench_starters(
    of: Annotated[list[str], typer.Option(help="NAME=FOLDER or NAME=FOLDER@BASE; give two or more.")],
    n: Annotated[int, typer.Option(min=30, help="Held-out turns; a third as many replies.")] = 300,
    made: Annotated[str, typer.Option(help="How they came about: it stands above the table.")] = "",
    out: BenchOutOption = Path("bench.json"),
    config: ConfigOption = None,
) -> None:
    """Starter adapters side by side on the held-out catalogue; differences are to the first one."""
    from agent.datadir import DataDirectory
    from agent.settings import load_settings
    from ui.commands.bench_others import run_other, starters_of

    models = DataDirectory(load_settings(config).settings.data_dir).models
    run_other(starters_of(of, n, models, made), out)


@bench_app.command("loop")
def bench_loop(
    keep: Annotated[Path, typer.Option(help="Folder of the run: what is done in it already is not done again.")],
    out: BenchOutOption = Path("bench.json"),
    page: Annotated[Path | None, typer.Option(help="Folder for the readable record of the run.")] = None,
    taught: Annotated[int, typer.Option(min=1, help="Customers who teach the shop.")] = 300,
    full_text: Annotated[int, typer.Option(min=0, help="Of these, so many read replies that the model writes.")] = 30,
    new: Annotated[int, typer.Option(min=1, help="Other customers, who meet the shop before and after.")] = 300,
    canary: Annotated[int, typer.Option(min=1, help="Customers while an adapter is on trial.")] = 40,
    poisoned: Annotated[int, typer.Option(min=20, help="Customers of the cycle of which 5 % push one item.")] = 120,
) -> None:
    """One run of the whole loop: a town with a taste of its own teaches a server; gate, canary, campaign, rollback.

    A run that was stopped goes on with the step where it was; delete the folder when the code has changed.
    """
    from ui.bench.loop import LoopPlan
    from ui.commands.bench_loop import LoopCall, run_loop_bench

    run_loop_bench(LoopCall(keep, out, page, LoopPlan(taught, full_text, new, canary, poisoned)))


@bench_app.command("privacy")
def bench_privacy(
    out: BenchOutOption = Path("bench.json"),
    people: Annotated[int, typer.Option(min=2, help="Simulated customers who are learned from.")] = 80,
    visits: Annotated[float, typer.Option(min=1, help="Steps that ask each of them, on average.")] = 6.0,
    rate: Annotated[float, typer.Option(min=0, help="Learning rate; 0: the recipe's.")] = 0.0,
    threads: Annotated[int, typer.Option(min=0, help="Of the CPU; 0: all.")] = 0,
    config: ConfigOption = None,
) -> None:
    """What differential privacy costs: the same lessons without it, clipped alone, and with epsilon 8, 3 and 1."""
    from ui.commands.bench_privacy import PrivacyCall, run_privacy

    run_privacy(PrivacyCall(out, people, visits, rate, threads, config))


@bench_app.command("describe")
def bench_describe(
    items: Annotated[Path, typer.Option(help="A catalogue with titles and years.")],
    dialogues: Annotated[Path, typer.Option(help="A folder with one folder for each set of dialogues.")],
    work: Annotated[Path, typer.Option(help="Folder that keeps drafts and texts: a stopped run goes on.")],
    limit: Annotated[int, typer.Option(min=1, help="Items that are described.")] = 100,
    skip: Annotated[int, typer.Option(min=0, help="Items before them: what the tuned writer learned from.")] = 0,
    n_best: Annotated[int, typer.Option(min=1, max=16, help="Drafts for each item.")] = 4,
    minutes: Annotated[float | None, typer.Option(min=0.1, help="Begin no more items after so many.")] = None,
    evaluation_only: Annotated[bool, typer.Option("--evaluation-only", help="Learn nothing from the items.")] = False,
    adapter: Annotated[Path | None, typer.Option(help="Folder of a tuned writer, to be compared.")] = None,
    model: Annotated[str | None, typer.Option(help="The writer; default: the model of the settings.")] = None,
    out: BenchOutOption = Path("bench.json"),
    name: NameOption = None,
    config: ConfigOption = None,
) -> None:
    """What the model's descriptions are worth to search: original, generated and both texts on held-out dialogues."""
    from ui.commands.bench_describe import DescribeBenchCall, run_describe

    call = DescribeBenchCall(
        items, dialogues, work, out, limit, skip, n_best, minutes, evaluation_only, adapter, model, name, config
    )
    run_describe(call)


@bench_app.command("offpolicy")
def bench_offpolicy(
    out: BenchOutOption = Path("bench.json"),
    ratings: RatingsOption = None,
    visitors: Annotated[int, typer.Option(min=20, help="Visitors of each stream, at most.")] = 200,
    seeds: Annotated[int, typer.Option(min=2, help="Orders of visitors, each with luck of its own.")] = 20,
    minutes: Annotated[float, typer.Option(min=0.0, help="For which the model is asked; 0: only what is kept.")] = 8.0,
    keep: Annotated[Path | None, typer.Option(help="File of the model's opinions: none is asked for twice.")] = None,
    adapter: AdapterOption = None,
    config: ConfigOption = None,
) -> None:
    """Language model, contextual bandit, or the model's opinion as the bandit's prior; and are estimates right?"""
    from ui.commands.bench_offpolicy import BanditCall, run_bandits

    run_bandits(BanditCall(out, ratings, visitors, seeds, minutes, keep, adapter, config))


@bench_app.command("learning")
def bench_learning(
    keep: Annotated[Path, typer.Option(help="File of finished cells (JSON lines): what is in it is not done again.")],
    out: BenchOutOption = Path("bench.json"),
    dialogues: Annotated[
        Path | None, typer.Option(help="Folder of OpenDialKG: items, train and valid; default: without that stream.")
    ] = None,
    methods: Annotated[str, typer.Option(help="With commas, none among them; default: all.")] = "",
    seeds: Annotated[int, typer.Option(min=1, help="Of none, naive and the default; the others have the first.")] = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="Another one than 0 is for tuning.")] = 0,
    examples: Annotated[int, typer.Option(min=1, help="To learn from, a block.")] = 32,
    questions: Annotated[int, typer.Option(min=1, help="To ask about a block.")] = 32,
    pace_rows: Annotated[int, typer.Option(min=0, help="Rows of the comparison with TRL; 0: without.")] = 32,
    adapter: AdapterOption = None,
    recipe: Annotated[Path | None, typer.Option(help="TOML file; default: the product's.")] = None,
    threads: Annotated[int, typer.Option(min=0, help="Of the processor; 0: all cores.")] = 0,
    only_report: Annotated[bool, typer.Option("--only-report", help="Measure nothing more: what is kept.")] = False,
    config: ConfigOption = None,
) -> None:
    """What each way to learn gains and forgets, on streams of blocks; and the speed of training against TRL.

    The budget is told before anything is computed. A run that was stopped goes on where it was when it is given the
    same file by --keep.
    """
    from ui.commands.bench_learning import LearningCall, run_learning

    call = LearningCall(
        out, keep, dialogues, methods, seeds, first_seed, examples, questions, pace_rows, adapter, recipe, threads,
        only_report, config,
    )  # fmt: skip
    run_learning(call)


@bench_app.command("beside-learn")
def bench_beside_learn(
    turns: Annotated[int, typer.Option(min=2, help="Messages, each asked with and without a training.")] = 40,
    customers: Annotated[int, typer.Option(min=8, help="Who talk before, so that there is something to learn.")] = 40,
    work: WorkOption = None,
) -> None:
    """What a customer waits while `chatalogue learn` trains on the same machine."""
    from ui.commands.bench_beside import run

    run(turns, customers, work)
