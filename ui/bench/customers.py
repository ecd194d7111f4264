"""Simulated customers talk to the bots of this process, one cell after the other, and to any other over HTTP.

Puts parts together; what is measured and how stands in agent/bench/dialogue.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from agent.bench.dialogue.bots import InProcess, OverHttp
from agent.bench.dialogue.figures import DialogueReport
from agent.bench.dialogue.keeping import Kept
from agent.bench.dialogue.measure import Held, Plan, Progress, Side, Simulation, shortest_failures, transcript
from agent.bench.dialogue.phrasing import AsWritten, ByModel, Phraser
from agent.conversation import Conversations
from agent.llm.protocol import Engine
from agent.llm.weights import DEFAULT_MODEL
from agent.settings import LLMSettings, Settings
from agent.starter.choosing import MANIFEST, NO_ADAPTER, STARTER, starter_folder
from retrieval.demo import demo_films_path
from retrieval.errors import BadRequest, EngineError
from retrieval.loading import load_catalogue
from retrieval.table import ItemTable
from ui.bench import talks
from ui.bench.engines import until_ready
from ui.wiring import make_engine, make_keeper, started

CellName: TypeAlias = Literal["rules", "base", "adapter", "vllm"]
CELLS: Final[tuple[CellName, ...]] = get_args(CellName)
HTTP = "http"
"""The cell of a bot over HTTP that has no name."""
API_KEY = "OPENAI_API_KEY"
"""The variable that clients of this interface read their key from."""


@dataclass(frozen=True, slots=True)
class Bots:
    """Who is measured: `cells` of this process over `settings`, and the bot at `url`, called `name`.

    `adapter`: the folder for the cell "adapter"; None: what the settings name.
    """

    settings: Settings
    cells: tuple[CellName, ...] = ()
    adapter: Path | None = None
    url: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Listeners:
    """`bar` follows the conversations, `say` hears a line when a cell has ended."""

    bar: Progress
    say: Callable[[str], None]


async def measure(bots: Bots, items: Path | None, plan: Plan, kept: Kept, to: Listeners) -> DialogueReport:
    """Let the same customers, who want items of that catalogue (None: the demo shop), talk to every bot.

    Raises:
        ChatalogueError: the catalogue or a language model cannot be had, or the bot at the URL cannot be reached.
    """
    async with AsyncExitStack() as stack:
        http = None if bots.url is None else await OverHttp.open(bots.url, os.environ.get(API_KEY, ""))
        if http is not None:
            stack.push_async_callback(http.close)
        shop: talks.Open | None = None
        if bots.cells:
            shop = await stack.enter_async_context(talks.opened(cell_settings("rules", bots), items))
            table = shop.parts.shops.current(bots.settings.tenant).table
        else:
            table = ItemTable(load_catalogue(items or demo_films_path(), keep_first=True).items)
        phraser, customer = await _phraser(bots, plan, table, stack)
        simulation = Simulation(table, replace(plan, customer=customer), phraser, kept)
        held = [] if shop is None else [await _held_here(simulation, cell, bots, shop, to) for cell in bots.cells]
        if http is not None:
            held.append(await _held(simulation, Side(bots.name or HTTP, f"{http.model} over HTTP", http), to))
        return simulation.report(held)


async def _held_here(simulation: Simulation, cell: CellName, bots: Bots, shop: talks.Open, to: Listeners) -> Held:
    async with _side(cell, bots, shop) as side:
        return await _held(simulation, side, to)


def cell_settings(cell: CellName, bots: Bots) -> Settings:
    """What a cell runs with: its engine and adapter, and every skill of the model but those that are switched off.

    What the verdicts say plays no part: they are made of figures like these. Ranking stays with them, at its price.
    """
    llm = bots.settings.llm
    adapter = str(bots.adapter.resolve()) if bots.adapter is not None else llm.adapter
    changes: dict[CellName, dict[str, object]] = {
        "rules": {"engine": "off"},
        "base": {"engine": "embedded", "adapter": "none"},
        "adapter": {"engine": "embedded", "adapter": adapter},
        "vllm": {"engine": "vllm"},
    }
    skills = {"understand": _unless_off(llm.understand), "reply": _unless_off(llm.reply)}
    return bots.settings.model_copy(update={"llm": llm.model_copy(update={**skills, **changes[cell]})})


def _unless_off(skill: str) -> str:
    return "off" if skill == "off" else "on"


@asynccontextmanager
async def _side(cell: CellName, bots: Bots, shop: talks.Open) -> AsyncIterator[Side]:
    """A bot of this process, its engine up for as long as the block runs."""
    settings = cell_settings(cell, bots)
    if cell == "rules":
        yield Side(cell, "rules only", _bot(settings, shop, shop.parts.engine))
        return
    async with _engine(settings, needs_adapter=cell == "adapter") as engine:
        status = engine.status()
        name = " with ".join(filter(None, (status.model, status.adapter)))
        dull = settings.model_copy(update={"llm": settings.llm.model_copy(update={"reply": "off"})})
        full = _bot(settings, shop, engine) if settings.llm.reply == "on" else None
        yield Side(cell, f"{name}, {settings.llm.engine}", _bot(dull, shop, engine), full)


@asynccontextmanager
async def _engine(settings: Settings, *, needs_adapter: bool) -> AsyncIterator[Engine]:
    """The engine of these settings, ready, with their adapter."""
    engine = make_engine(settings)
    keeper = make_keeper(settings, engine)
    async with started(engine, keeper):
        await until_ready(engine)
        await keeper.settled()
        if keeper.problem:
            raise EngineError(keeper.problem)
        if needs_adapter and engine.status().adapter is None:
            raise BadRequest("There is no adapter to measure; name one by --adapter, or run `make starter`.")
        yield engine


def _bot(settings: Settings, shop: talks.Open, engine: Engine) -> InProcess:
    return InProcess(Conversations(settings, shop.parts.log, shop.parts.shops, engine), settings.tenant)


async def _phraser(bots: Bots, plan: Plan, table: ItemTable, stack: AsyncExitStack) -> tuple[Phraser, str]:
    """Who puts the customers' acts into words, and its name: a base model with an engine of its own, or templates."""
    if plan.customer != "llm":
        return AsWritten(), plan.customer
    llm = bots.settings.llm
    own: LLMSettings = llm.model_copy(
        update={"adapter": "none", "engine": "embedded" if llm.engine == "off" else llm.engine}
    )
    settings = bots.settings.model_copy(update={"llm": own})
    engine = await stack.enter_async_context(_engine(settings, needs_adapter=False))
    return ByModel(engine, table), f"llm, {engine.status().model}"


async def _held(simulation: Simulation, side: Side, to: Listeners) -> Held:
    """Hold the conversations, then tell the shortest one of each kind of failure."""
    held = await simulation.hold(side, to.bar)
    every = (*held.dialogues, *held.full)
    to.say(f"{side.cell} ({side.name}): {sum(one.success is not None for one in every)} of {len(every)} succeeded")
    for kind, dialogue in shortest_failures(every):
        to.say(f"shortest with {kind!r}: " + "\n    ".join(transcript(dialogue)))
    return held


def served_cells(settings: Settings) -> tuple[CellName, ...]:
    """The rules, and the cell that comes nearest to what these settings serve, where a model is served."""
    llm = settings.llm
    if llm.engine in ("off", "vllm"):
        return ("rules",) if llm.engine == "off" else ("rules", "vllm")
    made = (starter_folder() / MANIFEST).exists() and llm.model == DEFAULT_MODEL
    has_adapter = made if llm.adapter == STARTER else llm.adapter != NO_ADAPTER
    return ("rules", "adapter" if has_adapter else "base")


def known_cells(names: str) -> tuple[CellName, ...]:
    """The cells that are listed, each once, in the order of `CELLS`.

    Raises:
        BadRequest: a name is none.
    """
    given: Sequence[str] = [name.strip() for name in names.split(",") if name.strip()]
    for name in given:
        if name not in CELLS:
            raise BadRequest(f"There is no cell {name!r}; --cells takes {', '.join(CELLS)}, with commas between them.")
    return tuple(cell for cell in CELLS if cell in given)
