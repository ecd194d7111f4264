"""Feedback as data: everything that the event log teaches, as rows with a weight, each of which knows where it is from.

From the log alone, besides the catalogue whose names are kept and in whose words messages are read. The same log gives
the same rows in the same order; what is erased, withdrawn, too old or not to be learned from is not in them. Knows
nothing of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import Final

from agent.log.adapters import Source
from agent.log.opinions import FeedbackTalk
from agent.log.records import Consent
from agent.log.store import EventLog
from agent.log.tickets import read_tickets
from finetune.describe.files import json_lines, whole_file
from finetune.feedback.masking import Mask
from finetune.feedback.queue import Doubtful, queue
from finetune.feedback.rows import Draft, Whose, drafts
from finetune.feedback.talks import View
from finetune.feedback.tickets import ticket_drafts
from finetune.feedback.trust import weighed
from finetune.feedback.types import ROW_KINDS, FeedbackRow, RowKind, from_json, line_of, snapshot_hash
from finetune.training.lessons import Lesson
from retrieval.table import ItemTable

BATCH: Final = 200
"""Conversations that are read at once."""


@dataclass(frozen=True, slots=True)
class FeedbackRequest:
    """Which feedback is wanted.

    Attributes:
        tenant: whose shop.
        consent: who may be learned from.
        since: turns from then on; None: all that retention leaves.
        retention_days: turns older than that are never used; 0: no limit.
        domain: which catalogue, for those that learn from several; "" is the tenant.
        kinds: of rows.
    """

    tenant: str
    consent: Consent = "opt_out"
    since: datetime | None = None
    retention_days: int = 0
    domain: str = ""
    kinds: tuple[RowKind, ...] = ROW_KINDS

    def start(self, now: datetime) -> datetime | None:
        """The first moment that counts."""
        kept = now - timedelta(days=self.retention_days) if self.retention_days else None
        return max(filter(None, (self.since, kept)), default=None)


@dataclass(frozen=True, slots=True)
class FeedbackData:
    """What the log teaches.

    Attributes:
        rows: by period, time and id.
        snapshot: SHA-256 over them; an adapter's manifest names it.
        sources: whom the rows are of, by their own ids: for `EventLog.add_adapter_sources`, never for a file.
        held: how many rows wait for a human, by reason.
        refused: how many a human found bad.
        left_out: how often something was not used, by reason.
        item_bounds: by kind, what all rows for or against one item weigh at most (`trust.item_weight`).
        approved: ids of the rows that a human found good.
    """

    rows: tuple[FeedbackRow, ...]
    snapshot: str
    sources: tuple[Source, ...]
    held: Mapping[str, int]
    refused: int
    left_out: Mapping[str, int]
    item_bounds: Mapping[RowKind, float]
    approved: frozenset[str] = frozenset()

    def lessons(self) -> tuple[Lesson, ...]:
        """The rows that can be learned from, as the trainer reads them."""
        return tuple(lesson_of(row) for row in self.rows if row.is_example)


def feedback_data(
    log: EventLog, request: FeedbackRequest, mask: Mask, table: ItemTable | None = None, now: datetime | None = None
) -> FeedbackData:
    """Read everything that customers said of answers, masked, weighed and in order.

    The caps of `finetune/feedback/trust.py` are over all that the request spans: a cycle.

    Args:
        log: of the shop.
        request: which feedback.
        mask: takes personal data out of texts (`finetune/feedback/masking.py`).
        table: the live catalogue; None: no rows of the understand skill.
        now: for retention; None: this moment.

    Raises:
        DataDirectoryError: the log cannot be read.
    """
    view = _view(log, request, mask, table, now)
    found = _drafts(log, request, view)
    told = weighed(found)
    wanted = [(row, draft) for row, draft in zip(told.rows, told.kept, strict=True) if row.kind in request.kinds]
    wanted.sort(key=lambda one: (one[0].period, one[0].at, one[0].id))
    rows = tuple(row for row, _ in wanted)
    sources = {Source(draft.owner, draft.session_id or None) for _, draft in wanted}
    held: dict[str, int] = {}
    for draft in told.held:
        held[draft.doubt] = held.get(draft.doubt, 0) + 1
    ordered = tuple(sorted(sources, key=lambda one: (one.customer, one.session_id or "")))
    left_out = dict(sorted(view.left_out.items()))
    approved = frozenset(row.id for row, draft in wanted if draft.verdict)
    return FeedbackData(rows, snapshot_hash(rows), ordered, held, told.refused, left_out, told.item_bounds, approved)


def labelling_queue(
    log: EventLog, request: FeedbackRequest, mask: Mask, table: ItemTable | None = None, now: datetime | None = None
) -> tuple[Doubtful, ...]:
    """What waits for a human, the most uncertain first; `EventLog.record_label` takes the answer.

    Arguments and errors as of `feedback_data`.
    """
    view = _view(log, request, mask, table, now)
    held = weighed(_drafts(log, request, view)).held
    return queue(_talks(log, request, view.since), held, view)


def lesson_of(row: FeedbackRow) -> Lesson:
    """The row as the trainer reads it.

    Raises:
        BadRequest: it is no example of its kind (`row.is_example`).
    """
    return Lesson(
        id=row.id,
        kind=row.kind,
        prompt=row.prompt,
        answers=row.answers,
        good=row.good,
        weight=row.weight,
        user=row.user,
        period=row.period,
        domain=row.domain,
        events=row.events,
    )


def write_rows(rows: Sequence[FeedbackRow], file: Path) -> None:
    """JSON lines, one a row; the file is complete or not there.

    Raises:
        BadRequest: it cannot be written.
    """
    with whole_file(file) as out:
        out.writelines(f"{line_of(row)}\n" for row in rows)


def read_rows(file: Path) -> tuple[FeedbackRow, ...]:
    """What `write_rows` wrote.

    Raises:
        BadRequest: the file cannot be read, or a line is no row.
    """
    return tuple(from_json(fields, where) for fields, where in json_lines(file))


def _view(log: EventLog, request: FeedbackRequest, mask: Mask, table: ItemTable | None, now: datetime | None) -> View:
    return View(log.secret(request.tenant), mask, request.start(now or datetime.now(UTC)), table)


def _drafts(log: EventLog, request: FeedbackRequest, view: View) -> list[Draft]:
    pseudonym = lru_cache(partial(log.pseudonym, request.tenant))
    whose = Whose(request.tenant, request.domain or request.tenant, pseudonym)
    found = [draft for talk in _talks(log, request, view.since) for draft in drafts(talk, view, whose)]
    return [*found, *ticket_drafts(read_tickets(log, request.tenant, request.consent, view.since), view, whose)]


def _talks(log: EventLog, request: FeedbackRequest, since: datetime | None) -> Iterator[FeedbackTalk]:
    ids = log.spoken_since(request.tenant, since)
    for start in range(0, len(ids), BATCH):
        yield from log.feedback_talks(request.tenant, ids[start : start + BATCH], request.consent)
