"""`chatalogue feedback export|queue|label`: what customers said as rows to learn from, and a human's word on doubts."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.datadir import DataDirectory
from agent.log.opening import open_log
from agent.log.store import EventLog
from agent.settings import Settings, load_settings
from finetune.dataset import FeedbackData, FeedbackRequest, feedback_data, labelling_queue, write_rows
from finetune.feedback.masking import CatalogueNames, Mask, masker, presidio_finder
from finetune.feedback.queue import Doubtful
from finetune.feedback.types import ROW_KINDS, RowKind
from retrieval.errors import BadRequest, IndexUnavailable
from retrieval.index import read_items
from retrieval.table import ItemTable
from ui.commands.output import print_result
from ui.commands.replay import start_of
from ui.logs import configure_logs

SHOWN_CHARS = 160
"""Of a message or a reply in the queue."""


@dataclass(frozen=True)
class _Source:
    """What rows are made of."""

    log: EventLog
    request: FeedbackRequest
    mask: Mask
    table: ItemTable


def run_export(out: Path, kinds: tuple[RowKind, ...], since: str | None, as_json: bool, config: Path | None) -> None:
    """Write the file, then say what is in it."""
    if out.is_dir() or not out.parent.is_dir():
        raise BadRequest(f"{str(out)!r} cannot be written: name a file in a folder that is there.")
    if out.suffix != ".jsonl":
        raise BadRequest(f"{str(out)!r} does not end in .jsonl, so no erasure would find it; name it so.")
    with _opened(kinds or ROW_KINDS, since, config) as source:
        data = feedback_data(source.log, source.request, source.mask, source.table)
    write_rows(data.rows, out)
    print_result(json.dumps(_as_json(data, out)) if as_json else _in_words(data, out))


def run_queue(limit: int, since: str | None, as_json: bool, config: Path | None) -> None:
    """Print the first ones."""
    with _opened(ROW_KINDS, since, config) as source:
        found = labelling_queue(source.log, source.request, source.mask, source.table)
    if as_json:
        print_result(json.dumps([asdict(one) for one in found[:limit]], ensure_ascii=False))
        return
    for one in found[:limit]:
        print_result(_entry(one))
    print_result(f"{len(found)} wait; `chatalogue feedback label ID good|bad` takes your word.")


def run_label(target: str, good: bool, config: Path | None) -> None:
    """Note a human's word."""
    settings = load_settings(config).settings
    with _log_of(settings) as log:
        log.record_label(settings.tenant, target, good=good)
    print_result(f"{target} is {'good' if good else 'bad'}: the next export {'has it' if good else 'goes without'}.")


@contextmanager
def _log_of(settings: Settings) -> Iterator[EventLog]:
    configure_logs(logging.WARNING)
    log = open_log(settings)
    try:
        yield log
    finally:
        log.close()


@contextmanager
def _opened(kinds: tuple[RowKind, ...], since: str | None, config: Path | None) -> Iterator[_Source]:
    settings = load_settings(config).settings
    tenant, learning = settings.tenant, settings.learning
    start = start_of(since) if since else None
    request = FeedbackRequest(tenant, learning.consent, start, learning.retention_days, kinds=kinds)
    with _log_of(settings) as log:
        live = log.live_index(tenant)
        if live is None:
            raise IndexUnavailable("There is no catalogue yet; run `chatalogue index FILE` to add one.")
        items = read_items(DataDirectory(settings.data_dir).index(tenant) / live)
        mask = masker(CatalogueNames.of(items), presidio_finder())
        yield _Source(log, request, mask, ItemTable(items))


def _counts(data: FeedbackData) -> dict[str, int]:
    return {kind: sum(row.kind == kind for row in data.rows) for kind in ROW_KINDS}


def _as_json(data: FeedbackData, out: Path) -> dict[str, object]:
    return {
        "file": str(out),
        "rows": _counts(data),
        "customers": len({row.user for row in data.rows}),
        "snapshot": data.snapshot,
        "held": data.held,
        "refused": data.refused,
        "left_out": data.left_out,
    }


def _in_words(data: FeedbackData, out: Path) -> str:
    told = ", ".join(f"{count} {kind}" for kind, count in _counts(data).items())
    users = len({row.user for row in data.rows})
    lines = [f"{len(data.rows)} rows ({told}) of {users} customers are in {out}.", f"Snapshot {data.snapshot}."]
    if data.held:
        waiting = ", ".join(f"{count} {why}" for why, count in sorted(data.held.items()))
        lines.append(f"Held back for a human ({waiting}); see `chatalogue feedback queue`.")
    if data.refused:
        lines.append(f"Found bad by a human: {data.refused}.")
    lines += [f"Not used, {count}: {why}." for why, count in data.left_out.items()]
    return "\n".join(lines)


def _entry(one: Doubtful) -> str:
    lines = [
        f"{one.id}  {one.why}  uncertainty {one.uncertainty:.2f}",
        f"  customer: {_short(one.message)}",
        f"  answer:   {_short(one.reply)}",
    ]
    if one.items:
        lines.append(f"  items:    {', '.join(one.items)}")
    if one.proposed:
        lines.append(f"  proposed: {_short(one.proposed)}")
    return "\n".join(lines)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARS else f"{line[: SHOWN_CHARS - 1]}…"
