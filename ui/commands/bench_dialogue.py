"""`chatalogue bench dialogue`: simulated customers talk to the bot of this process or to any other over HTTP."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.bench.dialogue.bots import OverHttp
from agent.bench.dialogue.figures import DialogueReport
from agent.bench.dialogue.measure import Plan, measure_dialogues
from agent.settings import load_settings
from retrieval.demo import demo_films_path
from retrieval.errors import BadRequest
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable
from ui.bench.processes import bench_settings
from ui.commands.bench_others import Other, run_other

API_KEY = "OPENAI_API_KEY"
"""The variable that clients of this interface read their key from."""


@dataclass(frozen=True, slots=True)
class DialogueCall:
    """The options as typed; `items` None: the demo shop, `url` None: the bot of this process."""

    out: Path
    items: Path | None = None
    n: int = 100
    k: int = 4
    seed: int = 0
    url: str | None = None
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
        BadRequest: there is no such file.
    """
    if call.items is not None and not call.items.is_file():
        raise BadRequest(f"There is no file {str(call.items)!r}; --items is the catalogue of the bot.")
    plan = Plan(call.n, call.k, call.seed, call.items.name if call.items else "the demo shop")
    given = "".join(
        f" --{option} {value}"
        for option, value in (
            ("items", call.items and call.items.name),
            ("n", call.n),
            ("k", call.k),
            ("seed", call.seed),
            ("url", call.url),
            ("name", call.name),
        )
        if value is not None
    )
    section = f"dialogue, {call.name}" if call.name else "dialogue"
    return Other(section, f"dialogue{given}", lambda: _measured(call, plan))


def _measured(call: DialogueCall, plan: Plan) -> DialogueReport:
    if call.url is not None:
        return asyncio.run(_over_http(call.url, call.items, plan))
    from ui.bench import talks

    settings = load_settings(call.config).settings
    with tempfile.TemporaryDirectory(prefix="chatalogue-bench-") as folder:
        return talks.customers(bench_settings(settings, Path(folder)), call.items, plan, _say)


async def _over_http(url: str, items: Path | None, plan: Plan) -> DialogueReport:
    table = ItemTable(load_catalogue(items or demo_films_path(), keep_first=True).items)
    bot = await OverHttp.open(url, os.environ.get(API_KEY, ""))
    try:
        return await measure_dialogues(bot, f"{bot.model} over HTTP", table, plan, _say)
    finally:
        await bot.close()


def _say(line: str) -> None:
    """Progress and faults, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
