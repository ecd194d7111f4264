"""`chatalogue bench offpolicy`: language model, bandit, and the model's opinion as the bandit's prior."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.bench.bandits.measuring import BanditReport, Plan, measure_bandits, streams_of
from agent.bench.bandits.opinions import Kept
from agent.settings import load_settings
from retrieval.encoder import SentenceEncoder
from retrieval.errors import BadRequest
from ui.bench.engines import engine_with
from ui.bench.render_offpolicy import SECTION, offpolicy_lines
from ui.commands.bench_others import Other, run_other


@dataclass(frozen=True, slots=True)
class BanditCall:
    """The options as typed; `ratings` None: simulated visitors alone, `keep` None: opinions are not kept."""

    out: Path
    ratings: Path | None = None
    visitors: int = 200
    seeds: int = 20
    minutes: float = 8.0
    keep: Path | None = None
    adapter: Path | None = None
    config: Path | None = None


def run_bandits(call: BanditCall) -> None:
    """Measure, put the figures into the benchmark file and print them.

    Raises:
        ChatalogueError: a folder cannot be used, the language model cannot be had, or there was too little time.
    """
    run_other(bandits_of(call), call.out)


def bandits_of(call: BanditCall) -> Other:
    """The benchmark as it was asked for.

    Raises:
        BadRequest: there is no such folder.
    """
    if call.ratings is not None and not call.ratings.is_dir():
        raise BadRequest(f"There is no folder {str(call.ratings)!r}; --ratings is a MovieLens folder.")
    return Other(SECTION, f"offpolicy{_options(call)}", lambda: _measured(call), offpolicy_lines)


def _options(call: BanditCall) -> str:
    plain = BanditCall(call.out)
    shown = ("ratings", "visitors", "seeds", "minutes", "keep", "adapter")
    given = [(name, getattr(call, name)) for name in shown if getattr(call, name) != getattr(plain, name)]
    return "".join(f" --{name} {value.name if isinstance(value, Path) else value}" for name, value in given)


def _measured(call: BanditCall) -> BanditReport:
    settings = load_settings(call.config).settings
    kept = Kept(call.keep)
    streams = streams_of(
        call.ratings, call.visitors, SentenceEncoder(settings.retrieval.encoder, dtype=settings.retrieval.dtype)
    )
    plan = Plan(call.visitors, call.seeds, call.minutes)

    async def measured() -> BanditReport:
        async with engine_with(settings, call.adapter) as engine:
            return await measure_bandits(streams, engine, kept, plan, _say)

    return asyncio.run(measured())


def _say(line: str) -> None:
    """Progress, on stderr."""
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
