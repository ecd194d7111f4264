"""One learning job, from the event log to a canary: every part that learns is made again where it is due, and judged.

Two speeds: the index follows the log within seconds and by itself; rankers and adapters are made here, at night or by
hand. One job at a time for a tenant. A job that was killed goes on: parts that were done are not done again, and a
training goes on from its last checkpoint. A part that fails leaves what serves in use, and the others go on. Knows no
command line and no clock besides the time of day.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import structlog

from agent.learning.live import NEVER
from agent.learning.ranker_job import Job as RankerJob
from agent.learning.ranker_job import Judgement
from agent.learning.ranker_parts import Part
from agent.learning.ranking_store import learn_ranker
from agent.rank.intervals import Interval
from finetune.cycle_adapter import AdapterPart
from finetune.cycle_report import (
    PART_NAMES,
    UNFINISHED,
    CycleReport,
    Gain,
    Outcome,
    PartName,
    PartReport,
    last_report,
    part_from,
    put,
    report_from,
    write_report,
)
from finetune.cycle_types import MIN_FEEDBACK, CycleRequest, Promotion, Stage
from retrieval.errors import ChatalogueError

__all__ = [
    "MIN_FEEDBACK", "CycleReport", "CycleRequest", "Gain", "PartReport", "Promotion", "Stage", "last_report",
    "report_from", "run_cycle",
]  # fmt: skip

STALE: Final = timedelta(hours=24)
"""What a killed job had judged so long ago is judged again."""
RECIPROCAL = "in the mean of 1 / place"

log = structlog.get_logger(__name__)


def run_cycle(request: CycleRequest) -> CycleReport:
    """Do the job, or what is left of one that was killed; its report is on disk when this returns.

    Raises:
        DataDirectoryError: another process learns, or the report cannot be written.
    """
    data, tenant = request.data, request.tenant
    folder = data.reports(tenant)
    with data.job_lock(tenant):
        begun = datetime.now(UTC)
        seq = request.log.changes(tenant, NEVER).newest
        judged, done = (begun, []) if request.dry_run else _done_before(folder / UNFINISHED, begun)
        for part in _parts(request, {one.name for one in done}):
            done.append(part)
            if not request.dry_run:
                parts = [asdict(one) for one in done]
                put(folder / UNFINISHED, json.dumps({"begun": judged.isoformat(), "parts": parts}) + "\n")
        report = CycleReport(
            tenant, begun, datetime.now(UTC), seq, request.shop.index_name, tuple(done), request.dry_run
        )
        if not request.dry_run:
            write_report(report, folder)
            if report.is_whole:
                (folder / UNFINISHED).unlink(missing_ok=True)
        return report


def _parts(request: CycleRequest, done: set[str]) -> Iterator[PartReport]:
    if "ranker" not in done:
        yield from _guarded("ranker", lambda: _ranker(request))
    if not request.stopped():
        yield from _guarded("adapter", lambda: [AdapterPart(request).run()])
    else:
        yield PartReport("adapter", "stopped", "The job was stopped before it came to the adapter.")


def _guarded(name: PartName, work: Callable[[], Iterable[PartReport]]) -> list[PartReport]:
    """What `work` gives; a part that failed where it raises."""
    try:
        return list(work())
    except ChatalogueError as error:
        log.error("learning_failed", part=name, reason=str(error))
        return [PartReport(name, "failed", str(error))]
    except Exception as error:  # a fault of ours: the rest of the job goes on, and the operator is told
        log.exception("learning_failed", part=name)
        return [PartReport(name, "failed", f"It could not be done ({type(error).__name__}); the log says where.")]


def _ranker(request: CycleRequest) -> list[PartReport]:
    """The ranker, and what its judgement says of the parts that it stands on."""
    settings = request.settings
    job = RankerJob(
        request.shop, request.log, request.tenant, settings.learning.consent, settings.retrieval.live_customers,
        settings.retrieval.candidates, request.bar, request.ranker,
        progress=lambda stage, done, of: request.told(Stage(f"ranker: {stage}", done, of)),
    )  # fmt: skip
    outcome = learn_ranker(job, request.data, dry_run=request.dry_run)
    learned, found = outcome.learned, outcome.learned.judgement
    more: dict[str, Any] = {
        "live": outcome.live, "new": outcome.is_new, "better": learned.model is not None, "lessons": learned.lessons,
        "customers": learned.customers, "event_seq": learned.event_seq,
    }  # fmt: skip
    if found is None:
        enough = learned.lessons >= request.bar.lessons and learned.customers >= request.bar.customers
        why: Outcome = "not judged" if enough else "too little"
        return [*_parts_of_log(None), PartReport("ranker", why, _line(learned.reason, outcome.live), None, more)]
    more |= {"conversations": found.conversations, "metrics": metrics_of(found)}
    name: Outcome = "live" if outcome.is_new else "better" if learned.model is not None else "refused"
    gain = _gain(found.gain["mrr"], found.conversations)
    return [*_parts_of_log(found), PartReport("ranker", name, _line(learned.reason, outcome.live), gain, more)]


def metrics_of(found: Judgement) -> dict[str, Any]:
    """The numbers of a ranker's judgement, by whose and by metric."""
    kinds = (("linear", found.linear), ("learned", found.learned), ("gain", found.gain))
    return {kind: {name: one.model_dump() for name, one in each.items()} for kind, each in kinds}


def _line(reason: str, live: str | None) -> str:
    return f"{reason} {'The linear ranker' if live is None else live} ranks."


_TOLD: Final[Mapping[Part, str]] = {
    "conversational index": "what customers took after saying much the same, without any training",
    "satisfaction": "how content customers were with each item, a feature of the ranker",
    "collaborative model": "what those who like the same take, features of the ranker",
}


def _parts_of_log(found: Judgement | None) -> Iterator[PartReport]:
    """What was learned without a model of our own being made live."""
    for name, what in _TOLD.items():
        gain = None if found is None else found.parts.get(name)
        if found is None:
            told = f"It is {what}; there are too few lessons to say what it adds."
            yield PartReport(name, "not judged", told)
        elif gain is None:
            yield PartReport(name, "not judged", f"It is {what}; it had nothing to say.")
        else:
            each = _gain(gain, found.conversations)
            outcome: Outcome = "helped" if each.is_sure else "did not help"
            told = f"It is {what}: {each} against the same list without it."
            yield PartReport(name, outcome, told, each)


def _gain(one: Interval, n: int) -> Gain:
    return Gain(one.value, one.low, one.high, n, RECIPROCAL)


def _done_before(file: Path, now: datetime) -> tuple[datetime, list[PartReport]]:
    """The parts that a job had done which was killed, stopped or failed in another part, and when it began.

    Those of another day are done again, and the adapter's always: it knows by itself how far it is.
    """
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
        begun = datetime.fromisoformat(fields["begun"])
        found = [part_from(one) for one in fields["parts"]]
    except (OSError, ValueError, KeyError, TypeError):
        return now, []
    done = [one for one in found if one.name != "adapter"]
    whole = len(done) == len(PART_NAMES) - 1 and not any(one.outcome == "failed" for one in done)
    return (begun, done) if whole and now - begun < STALE else (now, [])
