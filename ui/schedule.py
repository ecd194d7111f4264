"""When it is time to learn: begins each job as a process of its own, and knows how the last one ended.

Used by `chatalogue learn --every` and by the server, which stops it with itself. A job gives way to customers, and a
stop kills it: what it had done is on disk, and the next one goes on from there. Knows nothing of what is learned.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import structlog

from agent.datadir import DataDirectory
from agent.learning.live import NEVER
from agent.log.store import EventLog
from agent.runs import run_state
from agent.settings import Settings
from retrieval.errors import ChatalogueError, DataDirectoryError
from ui.bench.processes import CHATALOGUE
from ui.commands.replay import start_of

LOOK_SECONDS: Final = 1.0
"""Between two looks at the clock."""
RETRY: Final = timedelta(minutes=15)
"""After a job that failed; where jobs are due more often than that, as often."""
BUSY: Final = timedelta(minutes=1)
"""After which somebody asks again whether another job has ended."""
STOP_SECONDS: Final = 2.0
"""How long a job may take to end when it is asked to; then it is killed."""

Ended: TypeAlias = Literal["ok", "error"]

log = structlog.get_logger(__name__)


class Schedule:
    """One tenant's jobs, one after the other.

    Args:
        settings: of the shop.
        events: its log.
        every: a span: 24h, 7d, 30m.
        min_feedback: rows that it takes to train an adapter; None: as the settings say.
        config: the settings file that jobs read; None: as this process found it.
        ended: hears how each job ended.
    """

    def __init__(
        self,
        settings: Settings,
        events: EventLog,
        every: str,
        min_feedback: int | None = None,
        config: Path | None = None,
        ended: Callable[[Ended], None] = lambda how: None,
    ) -> None:
        self._every = datetime.now(UTC) - start_of(every)
        self._settings, self._min_feedback, self._config, self._ended = settings, min_feedback, config, ended
        self._data, self._log = DataDirectory(settings.data_dir), events
        self._due: datetime | None = None
        self._problem = ""
        self._job: asyncio.subprocess.Process | None = None

    @property
    def problem(self) -> str:
        """Why the last job could not be done, one sentence for the operator; empty where it was."""
        return self._problem

    @property
    def is_learning(self) -> bool:
        """Whether a job runs just now."""
        return self._job is not None

    async def run(self) -> None:
        """Until cancelled; a job that runs then is stopped first."""
        while True:
            try:
                if await asyncio.to_thread(self._is_time):
                    await self._do()
            except ChatalogueError as error:  # the database is away: again in a while
                self._failed(str(error))
            except Exception as error:  # a fault of ours must not end what learns: the operator is told
                log.exception("schedule_failed", tenant=self._settings.tenant)
                self._failed(f"Jobs cannot be begun ({type(error).__name__}: {error}).")
            await asyncio.sleep(LOOK_SECONDS)

    # --- when ---

    def _is_time(self) -> bool:
        """Whether a job is to begin now."""
        now = datetime.now(UTC)
        if self._due is None:
            self._due = self._first(now)
        if now < self._due:
            return False
        if not self._is_new():
            self._due = now + self._every
            return False
        try:
            with self._data.job_lock(self._settings.tenant):
                pass
        except DataDirectoryError:  # somebody learns by hand
            self._due = now + BUSY
            return False
        return True

    def _first(self, now: datetime) -> datetime:
        """So long after the last job's beginning; now where there was none, or where one was cut short."""
        begun, whole = self._last()
        return now if begun is None or not whole or self._is_unfinished() else begun + self._every

    def _is_new(self) -> bool:
        """Whether the log has anything that the last job did not see, or that job left something to do."""
        tenant = self._settings.tenant
        index = self._log.live_index(tenant)
        if index is None:  # no catalogue yet
            return False
        fields = self._report()
        seen = (fields.get("event_seq", 0), fields.get("index", index))
        now = (self._log.changes(tenant, NEVER).newest, index)
        return seen != now or not self._last()[1] or self._is_unfinished()

    def _is_unfinished(self) -> bool:
        runs = self._data.runs(self._settings.tenant)
        return any(run_state(folder) == "training" for folder in runs.glob("ada-*"))

    def _last(self) -> tuple[datetime | None, bool]:
        """When the last job began, and whether it did all that it had to."""
        fields = self._report()
        try:
            outcomes = {str(part["outcome"]) for part in fields["parts"]}
            return datetime.fromisoformat(fields["begun"]), not outcomes & {"failed", "stopped"}
        except (KeyError, TypeError, ValueError):
            return None, True

    def _report(self) -> dict[str, Any]:
        """The fields of the newest; none before the first. Only read as JSON: what wrote it loads too much for here."""
        for file in sorted(self._data.reports(self._settings.tenant).glob("2*Z.json"), reverse=True):
            with suppress(OSError, ValueError):
                found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
                return found
        return {}

    # --- what ---

    async def _do(self) -> None:
        command = [*CHATALOGUE, "learn", "--json", "--parent", str(os.getpid())]
        command += ["--min-feedback", str(self._min_feedback)] if self._min_feedback else []
        command += ["--config", str(self._config)] if self._config else []
        begun = datetime.now(UTC)
        log.info("learning_begun", tenant=self._settings.tenant)
        self._job = job = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is ours to hand on
        )
        try:
            out, err = await job.communicate()
        except asyncio.CancelledError:
            await _stop(job)
            raise
        finally:
            self._job = None
        if job.returncode == 0:
            self._problem, self._due = "", begun + self._every
            log.info("learning_ended", tenant=self._settings.tenant, parts=_outcomes(out))
            self._ended("ok")
        else:
            self._failed(_last_words(err) or f"It ended with exit code {job.returncode}.")

    def _failed(self, why: str) -> None:
        self._due = datetime.now(UTC) + min(RETRY, self._every)
        self._problem = f"The last learning job failed: {why}"
        log.error("learning_failed", tenant=self._settings.tenant, reason=why)
        self._ended("error")


async def _stop(job: asyncio.subprocess.Process) -> None:
    """Ask, then kill; with the processes that it began."""
    with suppress(ProcessLookupError):
        job.terminate()
    with suppress(TimeoutError):
        await asyncio.wait_for(job.wait(), STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(job.pid, signal.SIGKILL)
    await job.wait()


def _outcomes(out: bytes) -> dict[str, str]:
    """By part, of what the job printed."""
    try:
        return {part["name"]: part["outcome"] for part in json.loads(out)["report"]["parts"]}
    except (ValueError, KeyError, TypeError):
        return {}


def _last_words(err: bytes) -> str:
    """The sentence that a command ends with where something is wrong."""
    lines = [line.strip() for line in err.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].removeprefix("chatalogue: ")[:500] if lines else ""
