"""The benchmark file: one JSON object, one section a benchmark, each measured again by itself.

    report = read_report(path)                       an empty one where there is no file
    write_report(path, report.model_copy(update={"turns": section}))

Knows nothing of how anything is measured or printed.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from agent.bench.engine_load import EngineLoads
from agent.bench.retrieval.figures import Ablation, RetrievalFigures
from agent.bench.retrieval.llm_rank import LlmRankReport
from agent.bench.transcripts import Transcript
from agent.bench.turn_times import TurnTimes
from agent.bench.understanding import UnderstandingScores
from retrieval.errors import BadRequest
from ui.bench.ci import CITimes
from ui.bench.index import IndexCost
from ui.bench.machine import Machine, commit, load_1m
from ui.bench.startup import StartTimes

T = TypeVar("T")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Section(_Frozen, Generic[T]):
    """One benchmark's result and how it came about; `command` is what measures it again."""

    at: datetime
    commit: str
    load_1m: float
    seconds: float
    command: str
    result: T


class Report(_Frozen):
    """Everything measured on one machine; None is not measured.

    `talk_shop_rules` and `talk_films_rules` are the same conversations without the language model.
    `retrieval`, `ablation` and `rank_skill` are by the name of the set, `others` by that of the benchmark ("ratings").
    """

    v: Literal[1] = 1
    machine: Machine
    start: Section[StartTimes] | None = None
    index: Section[IndexCost] | None = None
    turns: Section[TurnTimes] | None = None
    engines: Section[EngineLoads] | None = None
    ci: Section[CITimes] | None = None
    understand: Section[UnderstandingScores] | None = None
    talk_shop: Section[Transcript] | None = None
    talk_films: Section[Transcript] | None = None
    talk_shop_rules: Section[Transcript] | None = None
    talk_films_rules: Section[Transcript] | None = None
    retrieval: dict[str, Section[RetrievalFigures]] = {}
    ablation: dict[str, Section[Ablation]] = {}
    rank_skill: dict[str, Section[LlmRankReport]] = {}
    others: dict[str, Section[JsonValue]] = {}


class Stamp:
    """Notes when a measurement begins and makes its section when it has ended."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._load = load_1m()
        self._at = datetime.now(UTC).replace(microsecond=0)

    def section(self, result: T) -> Section[T]:
        """The section of `result`, measured since this stamp was made."""
        return Section(
            at=self._at,
            commit=commit(),
            load_1m=self._load,
            seconds=round((datetime.now(UTC) - self._at).total_seconds(), 1),
            command=self._command,
            result=result,
        )


def read_report(path: Path) -> Report:
    """The report in the file.

    Raises:
        BadRequest: there is no such file, or it is not a benchmark file of this version.
    """
    try:
        return Report.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise BadRequest(f"There is no benchmark file {str(path)!r}; `chatalogue bench all` writes one.") from None
    except (OSError, ValidationError) as error:
        raise BadRequest(
            f"{str(path)!r} is not a benchmark file of this version ({_short(error)}); name another file, "
            "or move this one away."
        ) from None


def open_report(path: Path, machine: Machine) -> Report:
    """The report to add sections to: a new one, or the one in the file when it is of this machine.

    Raises:
        BadRequest: the file is of another machine or with other packages, or cannot be read.
    """
    if not path.exists():
        return Report(machine=machine)
    report = read_report(path)
    if report.machine != machine:
        raise BadRequest(
            f"The figures in {str(path)!r} come from another machine or other packages, and must not be mixed with "
            "new ones; name another file, or delete this one and measure everything again."
        )
    return report


def write_report(path: Path, report: Report) -> None:
    """Write the file whole or not at all; raises what `write_whole` raises."""
    write_whole(path, report.model_dump_json(indent=1) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file such that nobody ever finds half of it.

    Raises:
        BadRequest: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise BadRequest(f"{str(path)!r} cannot be written ({error.strerror}); name another file.") from None


def check_folder(path: Path) -> None:
    """Refuse a file that `write_whole` could not write, before anything takes minutes.

    Raises:
        BadRequest: its folder does not exist or cannot be written.
    """
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise BadRequest(f"The folder of {str(path)!r} does not exist or cannot be written; name another file.")


def _short(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
    return str(error)
