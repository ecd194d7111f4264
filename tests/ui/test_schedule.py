"""Jobs are small programs here, which write what a job writes; what a real one does is tested with the cycle."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.datadir import DataDirectory
from agent.log.store import EventLog
from agent.settings import Settings
from ui import schedule as schedule_module
from ui.schedule import Schedule

JOB = """
import json, os, sys, time
with open("begun", "a") as file:
    print(os.getpid(), os.getppid(), *sys.argv[1:], file=file)
if os.path.exists("sleep"):
    time.sleep(600)
if os.path.exists("fail"):
    sys.exit("chatalogue: The disk is full; make room.")
print(json.dumps({"report": {"parts": [{"name": "ranker", "outcome": "live"}]}}))
"""


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog.open(None, tmp_path)
    log.activate_index("default", "000001")
    log.record_consent("default", "", "the first one", consent=True)
    yield log
    log.close()


@pytest.fixture
def made(events: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Schedule, list[str]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(schedule_module, "CHATALOGUE", (sys.executable, "-c", JOB))
    monkeypatch.setattr(schedule_module, "LOOK_SECONDS", 0.05)
    ended: list[str] = []
    return Schedule(Settings(data_dir=tmp_path), events, "24h", 50, None, ended.append), ended


def reported(folder: Path, begun: datetime, seq: int, outcome: str = "live") -> None:
    """As the last job would have left it."""
    reports = DataDirectory(folder).reports("default")
    reports.mkdir(parents=True, exist_ok=True)
    parts = [{"name": "ranker", "outcome": outcome}]
    fields = {"begun": begun.isoformat(), "event_seq": seq, "index": "000001", "parts": parts}
    (reports / f"{begun:%Y-%m-%dT%H%M%SZ}.json").write_text(json.dumps(fields))


def jobs() -> list[list[str]]:
    return [line.split() for line in Path("begun").read_text().splitlines()] if Path("begun").exists() else []


async def while_it_runs(schedule: Schedule, until: float = 0.3, jobs_: int | None = None) -> None:
    """For so many seconds, or until so many jobs have begun (five minutes at most)."""
    work = asyncio.create_task(schedule.run())
    end = time.monotonic() + (until if jobs_ is None else 300.0)
    while time.monotonic() < end and (jobs_ is None or len(jobs()) < jobs_ or schedule.is_learning):
        if jobs_ is not None and Path("sleep").exists() and len(jobs()) >= jobs_:
            break
        await asyncio.sleep(0.05)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


async def test_the_first_job_comes_at_once_and_the_next_a_day_later(made: tuple[Schedule, list[str]]) -> None:
    schedule, ended = made
    await while_it_runs(schedule, jobs_=1)
    await while_it_runs(schedule)
    ((_, parent, *arguments),) = jobs()
    assert (ended, schedule.problem) == (["ok"], "")
    assert parent == str(os.getpid())
    assert arguments == ["learn", "--json", "--parent", parent, "--min-feedback", "50"]


async def test_a_restart_does_not_begin_a_job_before_its_time(made: tuple[Schedule, list[str]], tmp_path: Path) -> None:
    reported(tmp_path, datetime.now(UTC) - timedelta(hours=23), 0)
    await while_it_runs(made[0])
    assert jobs() == []


async def test_where_nothing_happened_there_is_nothing_to_learn(
    made: tuple[Schedule, list[str]], events: EventLog, tmp_path: Path
) -> None:
    reported(tmp_path, datetime.now(UTC) - timedelta(hours=25), 1)
    await while_it_runs(made[0])
    assert jobs() == []
    events.record_consent("default", "", "somebody", consent=True)
    again = Schedule(made[0]._settings, events, "24h")
    await while_it_runs(again, jobs_=1)
    assert len(jobs()) == 1


async def test_one_that_was_cut_short_is_not_waited_for(made: tuple[Schedule, list[str]], tmp_path: Path) -> None:
    reported(tmp_path, datetime.now(UTC), 0, "stopped")
    await while_it_runs(made[0], jobs_=1)
    assert len(jobs()) == 1


async def test_a_failure_is_told_and_comes_again_later(made: tuple[Schedule, list[str]]) -> None:
    schedule, ended = made
    Path("fail").touch()
    await while_it_runs(schedule, jobs_=1)
    await while_it_runs(schedule)
    assert (len(jobs()), ended) == (1, ["error"])
    assert schedule.problem == "The last learning job failed: The disk is full; make room."
    assert schedule._due is not None
    assert schedule._due < datetime.now(UTC) + timedelta(minutes=16)


async def test_it_waits_for_somebody_who_learns_by_hand(made: tuple[Schedule, list[str]], tmp_path: Path) -> None:
    with DataDirectory(tmp_path).job_lock("default"):
        await while_it_runs(made[0])
    assert (jobs(), made[0].problem) == ([], "")


async def test_a_job_ends_with_the_schedule(made: tuple[Schedule, list[str]]) -> None:
    Path("sleep").touch()
    await while_it_runs(made[0], jobs_=1)
    ((pid, *_),) = jobs()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_shop_without_a_catalogue_or_a_customer_waits(tmp_path: Path) -> None:
    log = EventLog.open(None, tmp_path)
    for index in (None, "000001"):
        if index is not None:
            log.activate_index("default", index)
        assert not Schedule(Settings(data_dir=tmp_path), log, "24h")._is_time()
    log.close()
