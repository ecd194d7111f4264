"""`chatalogue bench loop`: a town teaches a real server, which learns; what it is worth to others of that town."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.console import Console

from agent.settings import load_settings
from ui.bench.loop import LoopPlan, run_loop
from ui.bench.loop_page import write_page
from ui.bench.loop_report import LoopReport
from ui.bench.processes import bench_settings
from ui.bench.render_loop import SECTION, loop_lines
from ui.commands.bench_others import Other, run_other


@dataclass(frozen=True, slots=True)
class LoopCall:
    """The options as typed; `page` is the folder for the readable record."""

    keep: Path
    out: Path
    page: Path | None = None
    plan: LoopPlan = LoopPlan()


def run_loop_bench(call: LoopCall) -> None:
    """Run what is not done yet, put the figures into the benchmark file and print them.

    Raises:
        ChatalogueError: a step failed.
    """
    signal.signal(signal.SIGTERM, _stop)  # or a server would stay behind and hold its data directory
    run_other(loop_of(call), call.out)


def loop_of(call: LoopCall) -> Other:
    """The benchmark as it was asked for."""
    plan, plain = call.plan, LoopPlan()
    names = ("taught", "full_text", "new", "canary", "poisoned")
    given = "".join(
        f" --{name.replace('_', '-')} {getattr(plan, name)}"
        for name in names
        if getattr(plan, name) != getattr(plain, name)
    )
    return Other(SECTION, f"loop{given} --keep loop", lambda: _measured(call), loop_lines)


def _measured(call: LoopCall) -> LoopReport:
    bench_settings(load_settings(None).settings, call.keep)  # refuses a database that a benchmark must not touch
    report = run_loop(call.plan, call.keep, _say)
    if call.page is not None:
        write_page(report, call.page)
    return report


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + signum)


def _say(line: str) -> None:
    """How far it is, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
