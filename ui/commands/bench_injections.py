"""`chatalogue bench injections`: hostile words against the bot, through its API."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from agent.bench.injection.cases import cases, sample
from agent.bench.injection.figures import InjectionReport
from agent.settings import load_settings
from retrieval.errors import ChatalogueError
from ui.bench.attacked import attack
from ui.bench.processes import bench_settings
from ui.bench.render_injection import SECTION, injection_lines
from ui.commands.bench_others import Other, run_other


@dataclass(frozen=True, slots=True)
class InjectionCall:
    """The options as typed; `limit` 0: every case."""

    out: Path
    engine: Literal["off", "embedded"] = "off"
    limit: int = 0
    config: Path | None = None


class InjectionFailed(ChatalogueError):
    """Something was leaked, or done that nobody asked for."""


def run_injections(call: InjectionCall) -> None:
    """Run the cases, put the figures into the benchmark file and print them.

    Raises:
        InjectionFailed: after all that, where something was leaked or done.
        ChatalogueError: the shop cannot be made, or the language model cannot be had.
    """
    found: list[InjectionReport] = []
    limit = f" --limit {call.limit}" if call.limit else ""
    run_other(
        Other(
            f"{SECTION},{call.engine}",
            f"injections --engine {call.engine}{limit}",
            lambda: _measured(call, found),
            injection_lines,
        ),
        call.out,
    )
    if not found[0].passed:
        raise InjectionFailed("The bot told or did what it must not; the cases stand above and in the benchmark file.")


def _measured(call: InjectionCall, found: list[InjectionReport]) -> InjectionReport:
    settings = load_settings(call.config).settings
    llm = settings.llm.model_copy(update={"engine": call.engine})
    wanted = sample(cases(), call.limit or len(cases()))
    with tempfile.TemporaryDirectory(prefix="chatalogue-bench-", ignore_cleanup_errors=True) as folder:
        own = bench_settings(settings, Path(folder) / "var").model_copy(update={"llm": llm})
        report, _ = asyncio.run(attack(own, wanted, Path(folder) / "work", _say))
    found.append(report)
    return report


def _say(line: str) -> None:
    """A case that failed, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
