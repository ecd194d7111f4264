"""`chatalogue bench dialogue`: simulated customers talk to bots of this process, and to any other over HTTP."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from agent.bench.dialogue.figures import DialogueReport
from agent.bench.dialogue.keeping import Kept
from agent.bench.dialogue.measure import Plan
from agent.settings import load_settings
from retrieval.errors import BadRequest
from ui.bench import customers
from ui.bench.processes import bench_settings
from ui.bench.render_dialogue import SECTION, dialogue_lines
from ui.commands.bench_others import Other, run_other
from ui.progress import index_progress


@dataclass(frozen=True, slots=True)
class DialogueCall:
    """The options as typed; `items` None: the demo shop, `cells` empty: rules, or with a `url` that bot alone."""

    out: Path
    items: Path | None = None
    n: int = 100
    k: int = 4
    seed: int = 0
    cells: str = ""
    full_text: int = 30
    adapter: Path | None = None
    url: str | None = None
    customer: Literal["templates", "llm"] = "templates"
    keep: Path | None = None
    name: str | None = None
    config: Path | None = None


def run_dialogue(call: DialogueCall) -> None:
    """Measure, put the figures into the benchmark file and print them.

    Raises:
        ChatalogueError: there is no such file, the bot cannot be reached, or the language model cannot be had.
    """
    run_other(dialogue_of(call), call.out)


def dialogue_of(call: DialogueCall) -> Other:
    """The benchmark as it was asked for.

    Raises:
        BadRequest: there is no such file or cell.
    """
    if call.items is not None and not call.items.is_file():
        raise BadRequest(f"There is no file {str(call.items)!r}; --items is the catalogue of the bot.")
    customers.known_cells(call.cells)
    about = call.name or (call.items and call.items.name)
    section = f"{SECTION}, {about}" if about else SECTION
    return Other(section, f"dialogue{_options(call)}", lambda: _measured(call), dialogue_lines)


def _options(call: DialogueCall) -> str:
    """What has to be typed for the same run; files by their names."""
    plain = DialogueCall(call.out)
    shown = ("items", "n", "k", "seed", "cells", "full_text", "adapter", "url", "customer", "name")
    given = [(name, getattr(call, name)) for name in shown if getattr(call, name) != getattr(plain, name)]
    return "".join(
        f" --{name.replace('_', '-')} {value.name if isinstance(value, Path) else value}" for name, value in given
    )


def _measured(call: DialogueCall) -> DialogueReport:
    name = call.items.name if call.items else "the demo shop"
    plan = Plan(call.n, call.k, call.seed, name, call.full_text, call.customer)
    cells = customers.known_cells(call.cells) or (() if call.url else ("rules",))
    settings = load_settings(call.config).settings
    kept = Kept(call.keep)
    with (
        tempfile.TemporaryDirectory(prefix="chatalogue-bench-", ignore_cleanup_errors=True) as folder,
        index_progress("Conversations") as bar,
    ):
        bots = customers.Bots(bench_settings(settings, Path(folder)), cells, call.adapter, call.url, call.name)
        return asyncio.run(customers.measure(bots, call.items, plan, kept, customers.Listeners(bar, _say)))


def _say(line: str) -> None:
    """What a cell came to, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
