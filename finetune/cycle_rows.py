"""The rows of one cycle: what is new since the champion learned, without what should wait for a human, and cut in two.

    <data_dir>/memory/<tenant>/learned-ada-000017.json   ids of the rows that an accepted adapter learned from

Knows nothing of training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from agent.learning.interactions import attitude
from agent.log.adapters import Source
from finetune.cycle_report import put
from finetune.cycle_types import CycleRequest
from finetune.dataset import FeedbackData, FeedbackRequest, feedback_data, lesson_of
from finetune.feedback.exposure import ExposureShift, exposure, exposure_shift
from finetune.feedback.types import FeedbackRow, snapshot_hash
from finetune.starter.catalogues import learned_from
from finetune.starter.examples import over_catalogues
from finetune.training.lessons import Lesson

LATE: Final = timedelta(days=14)
"""A reaction may come so long after its turn: turns of that time are read again, and what was learned is left out."""
HELD_SHARE: Final = 0.15
"""Of people, on average: nothing of what they said is learned from, the gate asks how the adapter does with it."""
MIN_BEFORE: Final = 200
"""Reactions before this cycle below which nobody can say that an item is pushed now."""

ANCHORS: Final = 24
SEED: Final = 11


@dataclass(frozen=True, slots=True)
class Learned:
    """What an adapter that was accepted learned from: ids of rows. `until`: it saw what the log had then.

    `before` was champion before it; None: the one of the settings.
    """

    adapter: str
    before: str | None
    until: datetime
    rows: frozenset[str]


@dataclass(frozen=True, slots=True)
class CycleRows:
    """What may be learned from now.

    Attributes:
        rows: new examples, those in quarantine apart.
        quarantine: ids of rows about the item that is suddenly liked, by item.
        shift: what changed in which items customers like, None where there is too little to compare with.
        sources: whom the rows are of.
        data: everything that the log teaches of the time.
    """

    rows: tuple[FeedbackRow, ...]
    quarantine: Mapping[str, tuple[str, ...]]
    shift: ExposureShift | None
    sources: tuple[Source, ...]
    data: FeedbackData

    @property
    def snapshot(self) -> str:
        """SHA-256 of `rows`."""
        return snapshot_hash(self.rows)


def cycle_rows(request: CycleRequest, line: Sequence[Learned], now: datetime) -> CycleRows:
    """Read the log.

    Args:
        request: the job.
        line: what the champion and those before it learned from, the champion's first.
        now: for retention.

    Raises:
        DataDirectoryError: the log cannot be read.
    """
    learning = request.settings.learning
    since = line[0].until - LATE if line else None
    asked = FeedbackRequest(request.tenant, learning.consent, since, learning.retention_days)
    data = feedback_data(request.log, asked, request.mask, request.shop.table, now)
    known = {row_id for one in line for row_id in one.rows}
    new = [row for row in data.rows if row.is_example and row.id not in known]
    shift = _shift(request, line[0].until) if line else None
    pushed = shift.item_id if shift is not None and shift.alarm else None
    trusted = data.approved | {row.id for row in new if row.signal == "label"}
    held = tuple(row.id for row in new if pushed is not None and pushed in row.items and row.id not in trusted)
    return CycleRows(
        tuple(row for row in new if row.id not in set(held)),
        {} if pushed is None else {pushed: held},
        shift,
        data.sources,
        data,
    )


def split(rows: Iterable[FeedbackRow], adapter: str) -> tuple[tuple[Lesson, ...], tuple[Lesson, ...]]:
    """Learned from, and held out: whole people, the same for the same adapter, so that each is learned from once."""
    rows = tuple(rows)
    learned = tuple(lesson_of(row) for row in rows if not _is_held(adapter, row.user))
    return learned, tuple(lesson_of(row) for row in rows if _is_held(adapter, row.user))


def _is_held(adapter: str, user: str) -> bool:
    """Whoever else there is: one person more or less changes nobody else's place, which privacy by person takes."""
    drawn = int.from_bytes(hashlib.sha256(f"{adapter} {user}".encode()).digest()[:8])
    return drawn < HELD_SHARE * 2**64


def note_learned(folder: Path, learned: Learned) -> None:
    """Write it down, in the folder of the memory.

    Raises:
        DataDirectoryError: it cannot be written.
    """
    fields = {"before": learned.before, "until": learned.until.isoformat(), "rows": sorted(learned.rows)}
    put(folder / f"learned-{learned.adapter}.json", json.dumps(fields) + "\n")


def line_of(folder: Path, champion: str | None) -> tuple[Learned, ...]:
    """What the champion learned from, and those before it; ends where it is not known."""
    found: list[Learned] = []
    name = champion
    while name is not None and name not in {one.adapter for one in found}:
        try:
            fields = json.loads((folder / f"learned-{name}.json").read_text(encoding="utf-8"))
            one = Learned(name, fields["before"], datetime.fromisoformat(fields["until"]), frozenset(fields["rows"]))
        except (OSError, ValueError, KeyError, TypeError):
            break
        found.append(one)
        name = one.before
    return tuple(found)


def _shift(request: CycleRequest, since: datetime) -> ExposureShift | None:
    """Which items are liked since, against which ones were before; each customer counts once for an item."""
    deeds = request.log.deeds(request.tenant, request.settings.learning.consent)
    ratings = request.log.rating_range(request.tenant)
    before, after = (
        exposure([[item for _, item in {(one.customer, one.item_id) for one in deeds
                                        if attitude(one, ratings) > 0 and (one.at >= since) == is_new}]])
        for is_new in (False, True)
    )  # fmt: skip
    return exposure_shift(before, after) if before.total >= MIN_BEFORE and after.total else None


def anchor_lessons(n: int = ANCHORS) -> Mapping[str, tuple[Lesson, ...]]:
    """What no cycle may forget: messages to understand, over invented catalogues that the starter learned from.

    The gate asks about another catalogue besides, so that it does not judge by what the training watched.
    """
    made = over_catalogues([*islice(learned_from(0, SEED), 2, 5)], n, SEED, "train")
    return {
        "understanding": tuple(
            Lesson(f"anchor {number}", "sft", one.prompt, (one.answer,), domain="invented")
            for number, one in enumerate(made)
        )
    }
