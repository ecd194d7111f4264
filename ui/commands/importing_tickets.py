"""`chatalogue import tickets FILE`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from pathlib import Path

from rich.console import Console

from agent.datadir import DataDirectory
from agent.learning.ticket_file import TicketFile, open_tickets
from agent.log.opening import open_log
from agent.log.store import EventLog
from agent.log.tickets import PastTicket, record_tickets
from agent.settings import Settings, load_settings
from agent.support.actions.desk import order_number
from finetune.feedback.masking import CatalogueNames, masker, presidio_finder
from finetune.feedback.ticket_masking import masked_ticket
from retrieval.index import read_items
from retrieval.loading import RejectedRow
from ui.commands.importing import LISTED_ROWS, only_key_id
from ui.commands.output import print_result
from ui.logs import configure_logs

BATCH = 200
"""Tickets of one transaction: chats that are stored meanwhile wait for one of them at most."""


@dataclass(slots=True)
class _Imported:
    """What became of the rows."""

    rows: int = 0
    stored: int = 0
    masked: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)

    @property
    def known_before(self) -> int:
        return self.rows - self.stored - len(self.rejected)


def run(file: Path, dry_run: bool, as_json: bool, config: Path | None, team: str = "") -> None:
    """Read the file, replace personal data, store what is new in it.

    Raises:
        ModelUnavailable: what finds personal data is not installed: then nothing is stored.
    """
    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    kept = settings.learning.retention_days
    tickets = open_tickets(file, datetime.now(UTC) - timedelta(days=kept) if kept else None)
    key_id = only_key_id(settings, team)
    log = open_log(settings)
    try:
        mask = masker(_names(settings, log), presidio_finder())
        clean = partial(masked_ticket, mask=mask, number=order_number(settings.support.orders.number))
        found = _stored(tickets, log, settings.tenant, key_id, clean, dry_run=dry_run)
    finally:
        log.close()
    _print(found, dry_run=dry_run, as_json=as_json)


def _stored(
    tickets: TicketFile,
    log: EventLog,
    tenant: str,
    key_id: str,
    masked: Callable[[PastTicket], PastTicket],
    *,
    dry_run: bool,
) -> _Imported:
    found = _Imported()
    for batch in _batches(tickets.rows()):
        found.rejected += (row for row in batch if isinstance(row, RejectedRow))
        found.rows += len(batch)
        past = [row for row in batch if isinstance(row, PastTicket)]
        clean = [masked(one) for one in past]
        found.masked += sum(one != was for one, was in zip(clean, past, strict=True))
        found.stored += 0 if dry_run else record_tickets(log, tenant, key_id, clean)
    return found


def _batches(rows: Iterable[PastTicket | RejectedRow]) -> Iterator[list[PastTicket | RejectedRow]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def _names(settings: Settings, log: EventLog) -> CatalogueNames:
    """What looks like a person and is a title or an actor of the catalogue."""
    live = log.live_index(settings.tenant)
    if live is None:
        return CatalogueNames(())
    return CatalogueNames.of(read_items(DataDirectory(settings.data_dir).index(settings.tenant) / live))


def _print(found: _Imported, *, dry_run: bool, as_json: bool) -> None:
    usable = found.rows - len(found.rejected)
    if as_json:
        rejected = [{"line": row.line, "reason": row.reason} for row in found.rejected]
        counts = {"rows": found.rows, "usable": usable, "stored": found.stored, "masked": found.masked}
        known = None if dry_run else found.known_before
        print_result(json.dumps({"dry_run": dry_run, **counts, "known_before": known, "rejected": rejected}))
        return
    console = Console(stderr=True, highlight=False)
    for row in found.rejected[:LISTED_ROWS]:
        console.print(f"line {row.line}: {row.reason}", markup=False)
    if len(found.rejected) > LISTED_ROWS:
        console.print(f"... and {len(found.rejected) - LISTED_ROWS} more bad rows")
    told = f"personal data was replaced in {found.masked} of them, {len(found.rejected)} rows were left out"
    if dry_run:
        print_result(f"{usable} of {found.rows} rows can be stored; {told} (nothing was written).")
    else:
        print_result(
            f"{found.stored} of {found.rows} tickets were stored, {found.known_before} were there already; {told}."
        )
