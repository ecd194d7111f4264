"""`chatalogue bench replies`: what is said of the first item, by code alone, by the model as it comes, and tuned."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.settings import load_settings
from finetune.replies.measure import ReplyScores, measure_side
from retrieval.demo import demo_films_path
from retrieval.errors import BadRequest
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable
from ui.bench.engines import engine_with
from ui.bench.processes import bench_settings
from ui.commands.bench_others import Other, run_other


@dataclass(frozen=True, slots=True)
class RepliesCall:
    """The options as typed; `items` None: the demo shop; `adapter` None: the model as it comes, and code."""

    out: Path
    items: Path | None = None
    adapter: Path | None = None
    n: int = 100
    seed: int = 0
    config: Path | None = None


def run_replies(call: RepliesCall) -> None:
    """Measure, put the figures into the benchmark file and print them.

    Raises:
        ChatalogueError: there is no such file, or the language model or its adapter cannot be had.
    """
    if call.items is not None and not call.items.is_file():
        raise BadRequest(f"There is no file {str(call.items)!r}; --items is a catalogue.")
    named = f" --items {call.items.name}" if call.items else ""
    named += f" --adapter {call.adapter.name}" if call.adapter else ""
    run_other(Other("replies", f"replies{named} --n {call.n} --seed {call.seed}", lambda: _measured(call)), call.out)


def _measured(call: RepliesCall) -> ReplyScores:
    table = ItemTable(load_catalogue(call.items or demo_films_path(), keep_first=True).items)
    return asyncio.run(_sides(call, table))


async def _sides(call: RepliesCall, table: ItemTable) -> ReplyScores:
    sides = [await measure_side("code alone", None, table, call.n, call.seed, _say)]
    with tempfile.TemporaryDirectory(prefix="chatalogue-bench-") as folder:
        settings = bench_settings(load_settings(call.config).settings, Path(folder))
        async with engine_with(settings, call.adapter) as engine:
            tuned, model = engine.status().adapter, engine.status().model
            await engine.use_adapter(None)
            sides.append(await measure_side(model, engine, table, call.n, call.seed, _say))
            if tuned is not None:
                await engine.use_adapter(tuned)
                sides.append(await measure_side(f"{model} with {tuned}", engine, table, call.n, call.seed, _say))
    return ReplyScores(items=len(table), sides=sides)


def _say(line: str) -> None:
    """Faults, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
