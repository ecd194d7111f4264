"""`chatalogue learn` and `chatalogue rankers`: what the event log teaches, judged before it serves.

Beside the running server, and giving way to it. `--every` only keeps time (ui/schedule.py): each job is a process of
its own, whose memory is free again when it ends.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from agent.datadir import DataDirectory
from agent.learning.ranking_store import RankerManifest, rankers, roll_back
from agent.log.opening import open_log
from agent.settings import Settings, load_settings
from finetune.stopping import asked_to_stop
from retrieval.errors import ChatalogueError, IndexUnavailable
from retrieval.remembering import Remembering
from ui.commands.output import print_result
from ui.logs import configure_logs

if TYPE_CHECKING:
    from agent.shop import Shop
    from finetune.cycle import CycleReport, CycleRequest, PartReport, Stage
    from finetune.training.telling import Progress
    from ui.wiring import Parts

NICENESS = 10
"""Customers who wait come first."""
PARENT_SECONDS = 1.0
"""Between two looks whether the process that began this one is still there."""


@dataclass(frozen=True, slots=True)
class LearnCall:
    """What was asked for. `parent`: process whose end ends this one; 0: nobody's."""

    dry_run: bool = False
    as_json: bool = False
    every: str | None = None
    min_feedback: int | None = None
    tensorboard: Path | None = None
    parent: int = 0
    config: Path | None = None


class PartFailed(ChatalogueError):
    """A part of a learning job could not be done; the message says which and why."""


def run(call: LearnCall) -> None:
    """Learn once, or again and again; what is better goes live, or on trial.

    Raises:
        PartFailed: a part could not be done; the others were.
    """
    settings = load_settings(call.config).settings
    configure_logs(logging.INFO if call.every else logging.WARNING)
    if call.every:
        _keep_time(settings, call)
        return
    _give_way(call.parent)
    report = _once(settings, call)
    print_result(json.dumps(_as_json(report)) if call.as_json else _in_words(report))
    if report.failed:
        raise PartFailed(" ".join(f"The {one.name} could not be learned: {one.told}" for one in report.failed))


def run_list(as_json: bool, config: Path | None) -> None:
    """Print the rankers on disk, the oldest first, and which one is live."""
    settings = load_settings(config).settings
    log = open_log(settings)
    try:
        live = log.live_ranker(settings.tenant)
    finally:
        log.close()
    found = rankers(DataDirectory(settings.data_dir).rankers(settings.tenant))
    if as_json:
        print_result(json.dumps({"live": live, "rankers": [_listed(one) for one in found]}))
        return
    for one in found:
        print_result(_line(one, is_live=one.id == live))
    if live is None:
        print_result("The linear ranker is in use.")
    elif live not in {one.id for one in found}:
        print_result(f"The live ranker {live} is not there or cannot be read, so the linear one ranks.")


def run_rollback(config: Path | None) -> None:
    """Go back to the ranker before the live one."""
    settings = load_settings(config).settings
    data = DataDirectory(settings.data_dir)
    log = open_log(settings)
    try:
        with data.learn_lock(settings.tenant):
            now = roll_back(data.rankers(settings.tenant), log, settings.tenant)
    finally:
        log.close()
    if now.missing is not None:
        print_result(f"The ranker {now.missing} is not there any more or cannot be read; it could not be gone back to.")
    print_result(f"The {'linear ranker' if now.live is None else f'ranker {now.live}'} is live again.")


# -- one job ---------------------------------------------------------------------------------------


def _give_way(parent: int) -> None:
    """Come after everybody else; end where `parent` has ended."""
    os.nice(NICENESS)
    if os.getsid(0) == os.getpid():
        # Where the kernel groups sessions, niceness counts inside of one only: the group itself has to give way.
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(NICENESS), encoding="ascii")
    if parent:
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()


def _end_with(parent: int) -> None:
    """As by a power cut, which a job survives: whoever began this one cannot ask for it any more."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def threads_of(data: DataDirectory, parent: int) -> int:
    """CPU threads of a job: half of the cores where a server runs on the same data; 0, as it comes, where none does."""
    beside = parent or data.server_process() is not None
    return max(1, (os.cpu_count() or 2) // 2) if beside else 0


def _once(settings: Settings, call: LearnCall) -> CycleReport:
    data = DataDirectory(settings.data_dir)
    threads = threads_of(data, call.parent)
    if threads:  # before torch is imported, by this process and by the gate's worker
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        llm = settings.llm.model_copy(update={"threads": threads})
        settings = settings.model_copy(update={"llm": llm})
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from agent.shop import open_shop
    from finetune.cycle import run_cycle
    from ui.wiring import make_parts

    parts = make_parts(settings, exact_only=True)
    try:
        name = parts.log.live_index(settings.tenant)
        if name is None:
            raise IndexUnavailable("There is no catalogue yet; run `chatalogue index FILE` to add one.")
        shop = open_shop(parts.data.index(settings.tenant) / name, Remembering(parts.encoder), None, stores=None)
        try:
            with _shown() as told, asked_to_stop(_say_stopping) as stopped:
                return run_cycle(_request(parts, shop, call, threads, told, stopped))
        finally:
            shop.close()
    finally:
        parts.log.close()


def _request(
    parts: Parts,
    shop: Shop,
    call: LearnCall,
    threads: int,
    told: Callable[[Stage | Progress], None],
    stopped: Callable[[], bool],
) -> CycleRequest:
    from agent.llm.weights import resolve_model
    from finetune.cycle import CycleRequest
    from finetune.cycle_rows import anchor_lessons
    from finetune.feedback.masking import CatalogueNames, masker, presidio_finder
    from finetune.gate import judge, read_rules
    from finetune.training.recipe import read_recipe

    settings = parts.settings
    llm, learning = settings.llm, settings.learning

    @cache
    def mask() -> Callable[[str], str]:  # its models take seconds, and often nobody has said anything
        return masker(CatalogueNames.of(shop.table.items), presidio_finder())

    return CycleRequest(
        settings,
        parts.data,
        parts.log,
        shop,
        None if llm.engine == "off" else cache(lambda: resolve_model(llm.model, parts.data.models)),
        lambda text: mask()(text),
        lambda candidate, heard: judge(candidate, read_rules(), heard),
        read_recipe(learning.recipe),
        anchor_lessons,
        call.min_feedback or learning.min_feedback,
        learning.device,
        threads,
        call.tensorboard,
        call.dry_run,
        told=told,
        stopped=stopped,
    )


def _say_stopping(_: str) -> None:
    Console(stderr=True).print("stopping after this step; `chatalogue learn` goes on from there, again to stop at once")


@contextmanager
def _shown() -> Iterator[Callable[[Stage | Progress], None]]:
    """A bar at a terminal, with the losses as they come; nothing otherwise: the report says it all."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    from finetune.cycle import Stage
    from finetune.training.telling import Look

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, disable=not console.is_terminal) as drawn:
        task = drawn.add_task("learning", total=None)
        last: list[Look | None] = [None]

        def told(now: Stage | Progress) -> None:
            if isinstance(now, Stage):
                drawn.update(task, description=now.name[:70], completed=now.done, total=now.of or None)
                return
            words = f"training: loss {now.loss:.3f}, {now.tokens_per_s:.0f} tokens/s"
            drawn.update(task, description=words, completed=now.step, total=now.steps)
            if console.is_terminal and now.look is not None and now.look != last[0]:
                last[0] = now.look
                sets = ", ".join(f"{name} {loss:.3f}" for name, loss in sorted(now.look.losses.items()))
                drawn.console.print(f"step {now.step} of {now.steps}: {words}; {sets}", markup=False)

        yield told


# -- again and again -------------------------------------------------------------------------------


def _keep_time(settings: Settings, call: LearnCall) -> None:
    from ui.schedule import Schedule

    async def keep() -> None:
        loop, here = asyncio.get_running_loop(), asyncio.current_task()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, here.cancel if here else sys.exit)
        with suppress(asyncio.CancelledError):
            await schedule.run()

    data = DataDirectory(settings.data_dir)
    data.create()
    events = open_log(settings)
    try:
        schedule = Schedule(settings, events, call.every or "", call.min_feedback, call.config)
        asyncio.run(keep())
    finally:
        events.close()


# -- words -----------------------------------------------------------------------------------------


def _listed(one: RankerManifest) -> dict[str, Any]:
    """Without the items: hundreds of ids, for the machine."""
    return {name: value for name, value in asdict(one).items() if name != "items"}


def _line(one: RankerManifest, *, is_live: bool) -> str:
    gain = one.metrics["gain"]["mrr"]
    told = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] over the linear one"
    mark = "  live" if is_live else ""
    return f"{one.id}  {one.created[:16]}  {one.lessons} lessons of {one.customers} customers  {told}{mark}"


def _as_json(report: CycleReport) -> dict[str, Any]:
    """The report, and its two jobs by name: what programs read most."""
    ranker, adapter = report.part("ranker"), report.part("adapter")
    of_ranker = {"conversations": None, "metrics": None, **ranker.more, "reason": ranker.told}
    of_adapter = {**adapter.more, "outcome": adapter.outcome, "told": adapter.told}
    return {"ranker": of_ranker | {"dry_run": report.dry_run}, "adapter": of_adapter, "report": report.as_json()}


def _in_words(report: CycleReport) -> str:
    lines = [f"{one.name}: {one.outcome}. {one.told}" for one in report.parts if one.name != "ranker"]
    helped = ", ".join(f"{one.name} {one.gain}" for one in report.helped)
    told = [*_ranker_lines(report.part("ranker"), report.dry_run), *lines]
    return "\n".join([*told, f"What helped: {helped or 'no part surely'}."])


def _ranker_lines(part: PartReport, dry_run: bool) -> Iterator[str]:
    yield f"ranker: {part.outcome}. {part.told}"
    metrics = part.more.get("metrics") or {}
    for name, gain in metrics.get("gain", {}).items():
        before, now = metrics["linear"][name]["value"], metrics["learned"][name]["value"]
        told = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]"
        yield f"  {name:9} linear {before:.3f}  learned {now:.3f}  gain {told}"
    if part.more.get("new"):
        yield f"{part.more['live']} is live; a running server takes it over by itself."
    elif part.outcome != "failed":
        live = part.more.get("live") or "the linear ranker"
        yield f"Nothing was changed{' (--dry-run)' if dry_run else ''}; {live} goes on."
