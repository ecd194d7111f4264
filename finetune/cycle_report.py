"""What came of one learning job, part by part: for the machine (JSON) and as a page. Does nothing itself.

<data_dir>/learn/<tenant>/2026-11-23T042000Z.json, .md   one of each for every job
                         /unfinished.json                what a job that was killed had done already
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from retrieval.errors import DataDirectoryError

UNFINISHED: Final = "unfinished.json"
KEPT: Final = 100
"""Reports that stay."""

PartName: TypeAlias = Literal["conversational index", "satisfaction", "collaborative model", "ranker", "adapter"]
PART_NAMES: tuple[PartName, ...] = get_args(PartName)

Outcome: TypeAlias = Literal[
    "live", "canary", "champion", "candidate",  # it serves, or may
    "helped", "did not help",  # judged; it serves as it did, for nothing switches it
    "better", "refused",  # judged: a dry run, and no
    "too little", "on trial", "not due", "not judged",  # nothing was done
    "stopped", "failed",
]  # fmt: skip

SPEEDS: Mapping[PartName, str] = {
    "conversational index": "seconds: it follows the log by itself",
    "satisfaction": "with the ranker, anew every day",
    "collaborative model": "with the ranker, anew every day",
    "ranker": "this job",
    "adapter": "this job",
}
"""How soon a part knows what a customer did."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What a part adds: a mean with its 95 % interval over `n` cases, in `unit`."""

    value: float
    low: float
    high: float
    n: int
    unit: str

    @property
    def is_sure(self) -> bool:
        """Whether the whole interval is above zero."""
        return self.low > 0

    def __str__(self) -> str:
        return f"{self.value:+.3f} [{self.low:+.3f}, {self.high:+.3f}] {self.unit} (n = {self.n})"


@dataclass(frozen=True, slots=True)
class PartReport:
    """One part. `told` is a sentence or more for a person; `gain` None: not measured. `more` is for the machine."""

    name: PartName
    outcome: Outcome
    told: str
    gain: Gain | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CycleReport:
    """One job. `begun`, `ended`: UTC. `event_seq`, `index`: newest event of the log, and the catalogue, as it began."""

    tenant: str
    begun: datetime
    ended: datetime
    event_seq: int
    index: str
    parts: tuple[PartReport, ...]
    dry_run: bool = False

    def part(self, name: PartName) -> PartReport:
        """The one of this name."""
        return next(one for one in self.parts if one.name == name)

    @property
    def failed(self) -> tuple[PartReport, ...]:
        """Those that could not be done."""
        return tuple(one for one in self.parts if one.outcome == "failed")

    @property
    def is_whole(self) -> bool:
        """Whether nothing was cut short: the next job has new things to do, not the rest of this one."""
        return not any(one.outcome in ("failed", "stopped") for one in self.parts)

    @property
    def helped(self) -> tuple[PartReport, ...]:
        """Those that surely add something, the most first among those measured alike."""
        sure = [one for one in self.parts if one.gain is not None and one.gain.is_sure]
        return tuple(sorted(sure, key=lambda one: (one.gain.unit, -one.gain.value) if one.gain else ("", 0.0)))

    def as_json(self) -> dict[str, Any]:
        """Its fields."""
        times = {"begun": self.begun.isoformat(), "ended": self.ended.isoformat()}
        return asdict(self) | times | {"helped": [one.name for one in self.helped]}

    def page(self) -> str:
        """Markdown."""
        helped = "; ".join(f"{one.name} {one.gain}" for one in self.helped) or "no part surely"
        rows = [f"| {one.name} | {one.outcome} | {one.gain or '-'} | {SPEEDS[one.name]} |" for one in self.parts]
        told = [f"## {one.name}\n\n{one.told}\n" for one in self.parts]
        return "\n".join([
            f"# What was learned on {self.begun:%Y-%m-%d %H:%M} UTC for {self.tenant}",
            "",
            f"{(self.ended - self.begun).total_seconds():.0f} s, up to event {self.event_seq} of the log, over the "
            f"catalogue {self.index}.{' Nothing was changed (--dry-run).' if self.dry_run else ''}",
            "",
            f"What helped: {helped}.",
            "",
            "| part | outcome | what it adds | it learns within |",
            "|---|---|---|---|",
            *rows,
            "",
            *told,
        ])  # fmt: skip


def report_from(fields: Mapping[str, Any]) -> CycleReport:
    """What `as_json` gave.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    parts = tuple(part_from(one) for one in fields["parts"])
    plain: dict[str, Any] = {name: fields[name] for name in ("tenant", "event_seq", "index", "dry_run")}
    begun, ended = (datetime.fromisoformat(fields[name]) for name in ("begun", "ended"))
    return CycleReport(parts=parts, begun=begun, ended=ended, **plain)


def part_from(fields: Mapping[str, Any]) -> PartReport:
    """One part of it.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    if fields["name"] not in PART_NAMES or fields["outcome"] not in get_args(Outcome):
        raise ValueError(f"{fields['name']!r} {fields['outcome']!r}")
    gain = None if fields["gain"] is None else Gain(**fields["gain"])
    return PartReport(fields["name"], fields["outcome"], fields["told"], gain, fields["more"])


def write_report(report: CycleReport, folder: Path) -> Path:
    """Both files, whole or absent; the JSON file.

    Raises:
        DataDirectoryError: the folder cannot be written.
    """
    file = folder / f"{report.begun:%Y-%m-%dT%H%M%SZ}.json"
    put(file.with_suffix(".md"), report.page())
    put(file, json.dumps(report.as_json(), indent=1, sort_keys=True) + "\n")
    for old in _reports(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".md").unlink(missing_ok=True)
    return file


def last_report(folder: Path) -> CycleReport | None:
    """The newest that can be read; None before the first."""
    for file in reversed(_reports(folder)):
        try:
            return report_from(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def put(file: Path, text: str) -> None:
    """Whole or as it was.

    Raises:
        DataDirectoryError: it cannot be written.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        raise DataDirectoryError(
            f"The file {str(file)!r} cannot be written ({error.strerror or error}); make room and learn again."
        ) from None
    finally:
        part.unlink(missing_ok=True)


def _reports(folder: Path) -> list[Path]:
    return sorted(folder.glob("2*Z.json"))
