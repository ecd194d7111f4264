"""`chatalogue bench shift`: a support shift on the demo shop, over HTTP, every step with its expectations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from rich.console import Console

from agent.bench.shift.script import Shift, read_shift
from agent.bench.shift.working import ServedDoor, ShiftRecord, work
from agent.settings import load_settings
from agent.support.actions.demo import demo_orders_file, ensure_demo_orders
from retrieval.errors import ChatalogueError
from ui.bench.loop_notes import Notes, Serving
from ui.bench.processes import bench_settings
from ui.bench.render_shift import SECTION, shift_lines
from ui.commands.bench_others import Other, run_other

TIMEOUT_S = 120.0
TENANT = "default"


@dataclass(frozen=True, slots=True)
class ShiftCall:
    """The options as typed; `engine` False: without a language model."""

    out: Path
    script: Path | None = None
    engine: bool = True
    work: Path | None = None


def run_shift(call: ShiftCall) -> None:
    """Hold the conversations, put the record into the benchmark file and print it; a failure is an exit code.

    Raises:
        ChatalogueError: the server did not start, or an expectation was not met.
    """
    shift = read_shift(call.script) if call.script else read_shift()
    records: list[ShiftRecord] = []

    def measure() -> ShiftRecord:
        records.append(_worked(shift, call))
        return records[0]

    run_other(Other(SECTION, "shift" if call.engine else "shift --no-engine", measure, shift_lines), call.out)
    failed = [talk.name for record in records for talk in record.talks if not talk.passed]
    if failed:
        raise ChatalogueError(f"Not every expectation was met: {'; '.join(failed)}.")


def _worked(shift: Shift, call: ShiftCall) -> ShiftRecord:
    with TemporaryDirectory(prefix="chatalogue-shift-") as temporary:
        folder = (call.work or Path(temporary)).resolve()
        bench_settings(load_settings(None).settings, folder)  # refuses a database that a benchmark must not touch
        variables = {"CHATALOGUE_LEARNING__EVERY": "", **({} if call.engine else {"CHATALOGUE_LLM__ENGINE": "off"})}
        serving = Serving(folder, writes=call.engine, variables=variables)
        with Notes(SECTION).served(serving) as base, httpx.Client(base_url=base, timeout=TIMEOUT_S) as client:
            return work(shift, ServedDoor(client), lambda: _orders(folder), "on" if call.engine else "off", _say)


def _orders(folder: Path) -> Mapping[str, str]:
    """Every order of the served shop as one line: status, address, what goes back."""
    from sqlalchemy import create_engine, func, select

    from agent.support.actions.sql import LINES, ORDERS

    file = ensure_demo_orders(demo_orders_file(folder, TENANT), datetime.now(UTC).date())  # as the server does, once
    engine = create_engine(f"sqlite:///{file}")
    try:
        with engine.connect() as connection:
            going = select(LINES.c.order_id, func.sum(LINES.c.going_back)).group_by(LINES.c.order_id)
            back = dict(connection.execute(going).tuples().all())
            return {
                row.id: f"{row.status}, {row.address}, {row.country}{', going back' if back.get(row.id) else ''}"
                for row in connection.execute(select(ORDERS))
            }
    finally:
        engine.dispose()


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(f"  {line}", markup=False, soft_wrap=True)
