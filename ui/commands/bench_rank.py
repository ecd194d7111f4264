"""The language model over ranked lists: `chatalogue bench rank-skill`, and `bench retrieval --llm on`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from agent.bench.retrieval.dialogues import Ranked, Row, read_items, read_ranked, read_rows
from agent.bench.retrieval.figures import ModelOrder
from agent.bench.retrieval.llm_rank import LlmRankReport, Reordered, compare_ways, reordered
from agent.bench.retrieval.pipeline import Progress
from agent.bench.retrieval.run import Inputs
from agent.rank.blend import TunedRank, read_tuned
from agent.rank.llm import SHORTLIST, WAYS, Way
from agent.settings import Settings, load_settings
from retrieval.errors import BadRequest, EngineError
from retrieval.items import Item
from ui.bench.engines import adapter_name, engine_with
from ui.bench.machine import this_machine
from ui.bench.render_rank import rank_lines
from ui.bench.report import Stamp, check_folder, open_report, write_report
from ui.commands.output import print_result
from ui.logs import configure_logs
from ui.progress import index_progress

STAGE = "language model"


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """The engine's settings, and the adapter that it uses; None: the model as it comes."""

    settings: Settings
    tuned: TunedRank | None = None

    @classmethod
    def of(cls, settings: Settings, adapter: Path | None) -> ChosenModel:
        """Look at the adapter before anything takes minutes.

        Raises:
            BadRequest: the folder is not that of a finished training.
        """
        if adapter is None:
            return cls(settings)
        tuned = read_tuned(adapter)
        adapter_name(tuned.adapter)
        return cls(settings, tuned)

    @property
    def prior(self) -> float | None:
        """That the adapter was trained with."""
        return self.tuned.prior if self.tuned else None

    @property
    def adapter(self) -> Path | None:
        """The adapter's folder."""
        return self.tuned.adapter if self.tuned else None


@dataclass(frozen=True, slots=True)
class RankCall:
    """The options of `bench rank-skill`; `limit` 0: all rows."""

    items: Path
    rows: Path
    lists: Path
    out: Path
    adapter: Path | None = None
    ways: tuple[Way, ...] = WAYS
    n: int = SHORTLIST
    limit: int = 0
    name: str | None = None
    as_json: bool = False
    config: Path | None = None


def known_ways(names: Sequence[str]) -> tuple[Way, ...]:
    """The ways of these names, each once; all where none is named.

    Raises:
        BadRequest: a name is none.
    """
    for name in names:
        if name not in WAYS:
            raise BadRequest(f"There is no way {name!r} to ask; there are {', '.join(WAYS)}.")
    return tuple(way for way in WAYS if way in names) or WAYS


def ordered_by(model: ChosenModel, inputs: Inputs, lists: Sequence[Ranked], progress: Progress) -> Reordered:
    """The lists with their first items ordered by the model, too; the ranker's, and said so once, where it fails.

    Raises:
        BadRequest: the adapter has gone.
    """
    items = {item.id: item for item in inputs.bundle.items}

    async def run() -> Reordered:
        async with engine_with(model.settings, model.adapter) as engine:
            told = partial(progress, STAGE)
            return await reordered(inputs.test, items, lists, engine, model.prior, told=told)

    try:
        found = asyncio.run(run())
    except EngineError as error:
        _note(f"the lists are the ranker's alone: {error}")
        nobody = ModelOrder(
            model=model.settings.llm.model, adapter=None, prior=model.prior, n=SHORTLIST, unanswered=len(lists)
        )
        return Reordered(tuple(lists), nobody)
    if found.order.unanswered:
        _note(f"the language model failed on {found.order.unanswered} of {len(lists)} lists; they are the ranker's.")
    return found


def run_rank_skill(call: RankCall) -> None:
    """Compare the ways to ask on the lists of a ranker; print the table and put it into the benchmark file.

    Raises:
        BadRequest: a file cannot be read or written, or the lists are of other rows.
        EngineError: the language model cannot be had.
    """
    check_folder(call.out)
    open_report(call.out, this_machine())
    model = ChosenModel.of(load_settings(call.config).settings, call.adapter)
    configure_logs(logging.WARNING)
    stamp = Stamp(_command(call))
    items = {item.id: item for item in reversed(read_items(call.items))}
    lists = read_ranked(call.lists)
    rows = _rows(call, lists)
    report = asyncio.run(_compared(call, model, rows, items, lists))
    section = {call.name or call.rows.resolve().parent.name: stamp.section(report)}
    file = open_report(call.out, this_machine())  # again: another run may have written into it meanwhile
    write_report(call.out, file.model_copy(update={"rank_skill": {**file.rank_skill, **section}}))
    print_result(report.model_dump_json() if call.as_json else "\n".join(rank_lines(report)))


async def _compared(
    call: RankCall, model: ChosenModel, rows: Sequence[Row], items: dict[str, Item], lists: Sequence[Ranked]
) -> LlmRankReport:
    async with engine_with(model.settings, model.adapter) as engine:
        with index_progress("bench rank-skill") as progress:
            return await compare_ways(rows, items, lists, engine, call.ways, call.n, model.prior, progress)


def _rows(call: RankCall, lists: Sequence[Ranked]) -> list[Row]:
    """The rows to score: with a new target, evenly taken where there is a limit."""
    rows = [row for row in read_rows(call.rows) if row.novel]
    if call.limit:
        rows = rows[:: max(1, len(rows) // call.limit)][: call.limit]
    listed = {one.id for one in lists}
    if rows and not any(row.id in listed for row in rows):
        raise BadRequest(
            f"{str(call.lists)!r} has no list for a row of {str(call.rows)!r}; `chatalogue bench retrieval --test "
            f"{call.rows.name} --out {call.lists.name}` makes them."
        )
    return rows


def _command(call: RankCall) -> str:
    parts = [f"--items {call.items.parent.name}/{call.items.name}", f"--rows {call.rows.parent.name}/{call.rows.name}"]
    parts += [f"--lists {call.lists.name}", *([f"--adapter {call.adapter.resolve().name}"] if call.adapter else [])]
    parts += [f"--way {way}" for way in call.ways if call.ways != WAYS]
    parts += [f"--n {call.n}", *([f"--limit {call.limit}"] if call.limit else [])]
    return " ".join(["chatalogue bench rank-skill", *parts, f"--out {call.out.name}"])


def _note(words: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"note: {words}", markup=False)
