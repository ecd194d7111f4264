"""`chatalogue bench ratings | personal | speed | scale`: results that stand in the benchmark file as they are."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import BaseModel, JsonValue
from rich.console import Console

from agent.settings import RetrievalSettings, Settings
from retrieval.encoder import SentenceEncoder
from retrieval.errors import BadRequest
from ui.bench.machine import this_machine
from ui.bench.processes import run_measured
from ui.bench.render_plain import plain_lines
from ui.bench.render_speed import SWITCH, switch_lines
from ui.bench.report import Report, Stamp, check_folder, open_report, write_report
from ui.commands.output import print_result
from ui.logs import configure_logs

_STARTER = re.compile(r"([^=]+)=([^@]+)(?:@(.+))?")


@dataclass(frozen=True, slots=True)
class Other:
    """One benchmark: the name of its section, the command that measures it again, how it is measured and printed."""

    name: str
    command: str
    measure: Callable[[], BaseModel | Sequence[BaseModel]]
    lines: Callable[[JsonValue], list[str]] = plain_lines


def ratings_of(folder: Path, items: Path | None, settings: RetrievalSettings) -> Other:
    """Rating prediction on a MovieLens folder and what it is worth to a ranker, with texts where `items` has the films.

    Raises:
        BadRequest: there is no such folder.
    """
    if not folder.is_dir():
        raise BadRequest(f"There is no folder {str(folder)!r}; --ratings is a MovieLens folder.")
    encoder = SentenceEncoder(settings.encoder, dtype=settings.dtype)
    named = f" --items {items.parent.name}/{items.name}" if items else ""

    def measure() -> BaseModel:
        from agent.bench.rated import measure_rated

        return measure_rated(folder, items, encoder, _say)

    return Other("ratings", f"ratings --ratings {folder.name}{named}", measure)


def personal() -> Other:
    """Simulated customers with hidden tastes over the demo shop."""

    def measure() -> BaseModel:
        from agent.bench.personal import measure_personal

        return measure_personal(_say)

    return Other("personal", "personal", measure)


def speed_of(models: Path) -> Other:
    """The embedded engine against transformers and llama.cpp, with the model folder `models`."""

    def measure() -> BaseModel:
        from agent.bench.engine_speed import measure_speed

        return measure_speed(models, _say)

    return Other("speed", "speed", measure)


def switch_of(settings: Settings, rounds: int) -> Other:
    """A vLLM server as the settings have it, in folders of its own; the starter adapter, under a new name each time.

    Raises:
        SettingsError: as `make_vllm_engine`.
    """
    from agent.datadir import DataDirectory
    from agent.llm.vllm.making import loads_at_run_time

    way = "at run time" if loads_at_run_time(settings.llm.vllm) else "merged weights"
    if settings.llm.threads:
        way += f", llm.threads = {settings.llm.threads}"

    async def pauses() -> BaseModel:
        from agent.bench.engine_switch import measure_pauses
        from agent.llm.probe import make_probe, save_probe
        from agent.llm.vllm.making import make_vllm_engine
        from agent.llm.weights import resolve_model
        from agent.starter.choosing import starter_folder
        from ui.bench.engines import until_ready
        from ui.wiring import started

        models = DataDirectory(settings.data_dir).models
        with TemporaryDirectory(prefix="chatalogue-switch-") as folder:
            ignored = shutil.ignore_patterns("*.py", "__pycache__")
            adapter = Path(shutil.copytree(starter_folder(), Path(folder) / "adapter", ignore=ignored))
            async with started(make_vllm_engine(settings.llm, models, Path(folder) / "vllm")) as engine:
                await until_ready(engine)
                # As beside one that was trained here.
                save_probe(await make_probe(resolve_model(settings.llm.model, models), adapter), adapter)
                return await measure_pauses(engine, adapter, _say, rounds=rounds)

    return Other(f"{SWITCH},vLLM, {way}", f"switch --rounds {rounds}", lambda: asyncio.run(pauses()), switch_lines)


def starters_of(adapters: Sequence[str], n: int, models: Path, made: str) -> Other:
    """Adapters, each `NAME=FOLDER` or `NAME=FOLDER@BASE`, on `n` held-out turns; `made`: how they came about.

    Raises:
        BadRequest: one of them is written otherwise.
    """

    def measure() -> BaseModel:
        from agent.llm.weights import DEFAULT_MODEL, resolve_model
        from finetune.starter.comparing import Contestant, compare

        found = []
        for one in adapters:
            name, folder, base = _STARTER.fullmatch(one).groups()  # type: ignore[union-attr]
            found.append(Contestant(name, Path(folder), resolve_model(base or DEFAULT_MODEL, models)))
        return compare(found, n, _say, made)

    for one in adapters:
        if not _STARTER.fullmatch(one):
            raise BadRequest(f"{one!r} is no adapter; write NAME=FOLDER, with @BASE behind it for another base.")
    names = " ".join(f"--of {one.partition('=')[0]}=..." for one in adapters)
    return Other("starters", f"starters {names} --n {n}", measure)


def scale_of(films: Path, sizes: Sequence[int], folder: Path) -> Other:
    """Build and search indexes of several sizes, each in a process of its own so that its memory is its own.

    Raises:
        BadRequest: there is no such file.
    """
    if not films.is_file():
        raise BadRequest(f"There is no file {str(films)!r}; --films is the catalogue that is repeated.")

    def measured(size: int) -> BaseModel:
        from retrieval.bench.scale import ScaleReport

        command = [sys.executable, "-m", "retrieval.bench.scale", "--items", str(films), "--n", str(size)]
        command += ["--folder", str(folder)]
        for _ in range(2):  # what building left in memory is not that of serving: a finished index is measured again
            said = run_measured(command, os.environ, "Measuring a big catalogue").stdout
            report = ScaleReport.model_validate_json(said)
            if not report.built_now:
                break
        return report

    given = " ".join(f"--size {size}" for size in sizes)
    return Other(
        "scale", f"scale --films {films.name} {given} --work indexes", lambda: [measured(one) for one in sizes]
    )


def run_other(other: Other, out: Path) -> None:
    """Measure, put the result into the benchmark file and print it."""
    check_folder(out)
    open_report(out, this_machine())
    configure_logs(logging.WARNING)
    measured = with_other(Report(machine=this_machine()), other, out).others
    report = open_report(out, this_machine())  # again: another run may have written into it meanwhile
    report = report.model_copy(update={"others": {**report.others, **measured}})
    write_report(out, report)
    print_result("\n".join(other.lines(report.others[other.name].result)))


def with_other(report: Report, other: Other, out: Path) -> Report:
    """The report with the section measured anew."""
    stamp = Stamp(f"chatalogue bench {other.command} --out {out.name}")
    section = stamp.section(_json(other.measure()))
    return report.model_copy(update={"others": {**report.others, other.name: section}})


def _json(result: BaseModel | Sequence[BaseModel]) -> JsonValue:
    if isinstance(result, BaseModel):
        value: JsonValue = result.model_dump(mode="json")
        return value
    return [_json(one) for one in result]


def _say(line: str) -> None:
    """Progress, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
