"""`chatalogue bench ...`: each benchmark writes its section of one JSON file, `render` makes BENCHMARKS.md of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rich.console import Console

from agent.bench.scripts import Script, films_script, reel_shop_script
from agent.bench.transcripts import Transcript
from agent.settings import Settings, load_settings
from retrieval.demo import demo_films_path
from retrieval.encoder import SentenceEncoder
from retrieval.errors import SettingsError
from ui.bench import index, startup
from ui.bench.ci import read_times
from ui.bench.machine import this_machine
from ui.bench.processes import bench_settings
from ui.bench.render import render
from ui.bench.render_offpolicy import pictures
from ui.bench.report import Report, Section, Stamp, check_folder, open_report, read_report, write_report, write_whole
from ui.bench.understand_call import UnderstandCall
from ui.commands.bench_others import personal, ratings_of, with_other
from ui.commands.output import print_result
from ui.logs import configure_logs

SIMULATED_NEEDS = 30
"""Needs of simulated customers in `bench all`: the model takes seconds a turn."""


@dataclass(frozen=True, slots=True)
class BenchCall:
    """The options of every benchmark, as typed.

    `films` None: only what the demo shop can show; `dialogues` None: no recommendation dialogues; `ratings` None: no
    rating prediction.
    """

    out: Path
    films: Path | None = None
    work: Path | None = None
    config: Path | None = None
    cold: int = 2
    warm: int = 3
    dialogues: Path | None = None
    ratings: Path | None = None
    understand: UnderstandCall = UnderstandCall()


@dataclass(frozen=True, slots=True)
class Bench:
    """One run: where its data directories lie, and the settings in force."""

    call: BenchCall
    settings: Settings
    work: Path
    console: Console

    def say(self, line: str) -> None:
        """Progress, on stderr."""
        self.console.print(f"  {line}", markup=False, soft_wrap=True)

    def at(self, name: str) -> Settings:
        """The settings over the data directory `name` of this run."""
        return bench_settings(self.settings, self.work / name)

    def command(self, rest: str) -> str:
        """How a section is measured again."""
        return f"chatalogue bench {rest} --out {self.call.out.name}"


Measure: TypeAlias = Callable[[Bench, Report], Report]


def start(bench: Bench, report: Report) -> Report:
    """Cold and warm starts of the server."""
    stamp = Stamp(bench.command("start"))
    settings = bench.at("start")
    call = bench.call
    result = startup.measure_start(settings.data_dir, settings, call.config, bench.say, cold=call.cold, warm=call.warm)
    return report.model_copy(update={"start": stamp.section(result)})


def index_cost(bench: Bench, report: Report) -> Report:
    """Indexing and searching: the films where they are given, else the demo shop."""
    films = bench.call.films
    stamp = Stamp(bench.command(f"index{f' --films {films.name}' if films else ''}"))
    settings = bench.at("films" if films else "shop-index")
    result = index.measure_index(films or demo_films_path(), settings, bench.call.config, bench.say)
    return report.model_copy(update={"index": stamp.section(result)})


def turns(bench: Bench, report: Report) -> Report:
    """Times of single turns, with the model and without."""
    from ui.bench import talks

    stamp = Stamp(bench.command("turns"))
    result = talks.turns(bench.at("shop"), bench.say)
    return report.model_copy(update={"turns": stamp.section(result)})


def engines(bench: Bench, report: Report) -> Report:
    """Embedded engine and vLLM side by side; left out, and said, where vLLM is not installed."""
    from agent.llm.vllm.finding import find_vllm_python
    from ui.bench import talks

    try:
        find_vllm_python(bench.settings.llm.vllm)
    except SettingsError as error:
        bench.say(str(error))
        return report
    stamp = Stamp(bench.command("engines"))
    result = talks.load(bench.at("shop"), bench.say)
    return report.model_copy(update={"engines": stamp.section(result)})


def understand(bench: Bench, report: Report) -> Report:
    """Facts read by rules, by the model, by both."""
    from ui.bench.understanding import measure_understanding

    call = bench.call.understand
    stamp = Stamp(bench.command(f"understand{call.options()}"))
    result = measure_understanding(bench.at("shop"), call, bench.say)
    return report.model_copy(update={"understand": stamp.section(result)})


def talk_shop(bench: Bench, report: Report) -> Report:
    """Ten turns in the demo shop, by rules alone and with the model."""
    script, command = reel_shop_script(), bench.command("talk")
    rules, model = (_talk(bench, command, script, None, settings) for settings in _without_and_with(bench, "shop"))
    return report.model_copy(update={"talk_shop_rules": rules, "talk_shop": model})


def talk_films(bench: Bench, report: Report) -> Report:
    """Ten turns over the films, likewise; nothing without them."""
    films = bench.call.films
    if films is None:
        return report
    script, command = films_script(), bench.command(f"talk --films {films.name}")
    rules, model = (_talk(bench, command, script, films, settings) for settings in _without_and_with(bench, "films"))
    return report.model_copy(update={"talk_films_rules": rules, "talk_films": model})


def _without_and_with(bench: Bench, folder: str) -> tuple[Settings, Settings]:
    """The settings without the language model and as they are, over one data directory."""
    settings = bench.at(folder)
    return settings.model_copy(update={"llm": settings.llm.model_copy(update={"engine": "off"})}), settings


def _talk(bench: Bench, command: str, script: Script, films: Path | None, settings: Settings) -> Section[Transcript]:
    from ui.bench import talks

    stamp = Stamp(command)
    section: Section[Transcript] = stamp.section(talks.talk(settings, script, films, bench.say))
    return section


def simulated(bench: Bench, report: Report) -> Report:
    """Simulated customers of the demo shop: rules alone against the model as it is served, every skill on."""
    from ui.bench.customers import served_cells
    from ui.commands.bench_dialogue import DialogueCall, dialogue_of

    cells = ",".join(served_cells(bench.settings))
    call = DialogueCall(bench.call.out, n=SIMULATED_NEEDS, cells=cells, config=bench.call.config)
    return with_other(report, dialogue_of(call), bench.call.out)


def recommendation(bench: Bench, report: Report) -> Report:
    """Recommendation dialogues, set by set; nothing without them."""
    from ui.commands.bench_retrieval import measured_set, retrieval_command, sets_in

    retrieval = bench.settings.retrieval
    sets = sets_in(bench.call.dialogues) if bench.call.dialogues else {}
    for name, files in sets.items():
        bench.say(name)
        stamp = Stamp(retrieval_command(files))
        encoder = SentenceEncoder(retrieval.encoder, dtype=retrieval.dtype)
        figures = measured_set(files, bench.work / f"{name}.jsonl", encoder)
        report = report.model_copy(update={"retrieval": {**report.retrieval, name: stamp.section(figures)}})
    return report


def personal_ranking(bench: Bench, report: Report) -> Report:
    """Simulated customers."""
    return with_other(report, personal(), bench.call.out)


def rating_prediction(bench: Bench, report: Report) -> Report:
    """Nothing without a folder of ratings."""
    call = bench.call
    if call.ratings is None:
        return report
    return with_other(report, ratings_of(call.ratings, call.films, bench.settings.retrieval), call.out)


START: tuple[tuple[str, Measure], ...] = (("Start and stop", start),)
INDEX: tuple[tuple[str, Measure], ...] = (("Index and search", index_cost),)
TURNS: tuple[tuple[str, Measure], ...] = (("Single turns", turns),)
ENGINES: tuple[tuple[str, Measure], ...] = (("Engines under load", engines),)
UNDERSTAND: tuple[tuple[str, Measure], ...] = (("Understanding", understand),)
SIMULATED: tuple[tuple[str, Measure], ...] = (("Simulated customers", simulated),)
TALK: tuple[tuple[str, Measure], ...] = (("Conversation in the Reel Shop", talk_shop), ("Over the films", talk_films))
RECOMMENDATION: tuple[tuple[str, Measure], ...] = (
    ("Recommendation dialogues", recommendation),
    ("Learning within a conversation", personal_ranking),
    ("Rating prediction", rating_prediction),
)
ALL = (*START, *INDEX, *TURNS, *ENGINES, *UNDERSTAND, *TALK, *SIMULATED, *RECOMMENDATION)


def run(call: BenchCall, measures: tuple[tuple[str, Measure], ...]) -> None:
    """Measure one section after the other and put them into the file, beside what stands there."""
    report = open_report(call.out, this_machine())
    _run(call, measures, report, call.out)
    _say_where(call.out)


def run_all(call: BenchCall) -> None:
    """Measure everything into a new file, which appears when it is complete; what there is until then is in `.part`."""
    part = call.out.with_name(call.out.name + ".part")
    if call.dialogues is not None:
        from ui.commands.bench_retrieval import sets_in

        sets_in(call.dialogues)  # refused before anything takes minutes
    if call.ratings is not None:
        ratings_of(call.ratings, call.films, load_settings(call.config).settings.retrieval)  # likewise
    _run(call, ALL, Report(machine=this_machine()), part)
    os.replace(part, call.out)
    _say_where(call.out)


def _run(call: BenchCall, measures: tuple[tuple[str, Measure], ...], report: Report, file: Path) -> None:
    settings = load_settings(call.config).settings
    bench_settings(settings, call.out)  # refuses what it must before anything takes minutes
    check_folder(file)
    configure_logs()
    console = Console(stderr=True, highlight=False)
    with _work_folder(call.work) as work:
        bench = Bench(call, settings, work, console)
        for title, measure in measures:
            console.print(f"{title} ...", style="bold")
            report = measure(bench, report)
            write_report(file, report)


def _say_where(out: Path) -> None:
    print_result(f"The figures are in {out}; `chatalogue bench render {out}` makes BENCHMARKS.md of them.")


def run_ci(times: Path, out: Path) -> None:
    """Put the times of the last `.ci/run` into the file."""
    stamp = Stamp(f".ci/run; chatalogue bench ci {times} --out {out.name}")
    report = open_report(out, this_machine())
    write_report(out, report.model_copy(update={"ci": stamp.section(read_times(times))}))
    _say_where(out)


def run_render(file: Path, to: Path) -> None:
    """Write the page of a benchmark file, and the pictures beside it."""
    report = read_report(file)
    write_whole(to, render(report, file.name))
    for name, drawn in pictures(report).items():
        (to.parent / name).parent.mkdir(exist_ok=True)
        write_whole(to.parent / name, drawn)
    print_result(f"{to} is written.")


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="chatalogue-bench-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
