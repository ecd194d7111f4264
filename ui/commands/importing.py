"""`chatalogue import interactions FILE`."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from agent.api.auth import key_id_of
from agent.datadir import DataDirectory
from agent.learning.history_file import HistoryFile, HistoryMapping, open_history, read_history_mapping
from agent.log.keys import KeyStore
from agent.log.opening import open_log
from agent.log.records import PastDeed
from agent.log.store import EventLog
from agent.settings import Settings, load_settings
from retrieval.errors import SettingsError
from retrieval.index import item_ids
from retrieval.loading import RejectedRow
from ui.commands.output import print_result
from ui.logs import configure_logs

Report: TypeAlias = Callable[[int], None]
"""Told how many rows were read so far."""

BATCH = 500
"""Rows of one transaction: chats that are stored meanwhile wait for one of them at most."""
LISTED_ROWS = 20
"""Bad rows that are listed at a terminal; `--json` has them all."""


@dataclass(frozen=True, slots=True)
class ImportCall:
    """The command's arguments, as typed."""

    file: Path
    mapping: Path | None
    as_json: bool
    config: Path | None
    team: str = ""


@dataclass(slots=True)
class Imported:
    """What became of the rows; `unknown` counts rows by item ids that the live catalogue does not have."""

    rows: int = 0
    stored: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)
    unknown: dict[str, int] = field(default_factory=dict)

    @property
    def known_before(self) -> int:
        """Rows that were in the log already, or stand in the file twice."""
        return self.rows - self.stored - len(self.rejected)


def run(call: ImportCall) -> None:
    """Read the file and store what is new in it."""
    settings = load_settings(call.config).settings
    configure_logs(logging.WARNING)
    history = open_history(call.file, read_history_mapping(call.mapping) if call.mapping else None)
    _say_mapping(history.mapping)
    key_id = only_key_id(settings, call.team)
    log = open_log(settings)
    try:
        known = _catalogue(settings, log)
        with _progress(call.file.name) as report:
            found = store(history, log, settings.tenant, key_id, known, report)
    finally:
        log.close()
    _print(found, as_json=call.as_json)


def only_key_id(settings: Settings, team: str = "") -> str:
    """Whose customers the file's users are, as the log has it: those of `team`, else of the one who has keys.

    Raises:
        SettingsError: there are several, and the same name under two of them is two people; or no such team.
    """
    log = open_log(settings)
    try:
        teams = {key.team: key.owner for key in KeyStore(log.database).all(settings.tenant)}
    finally:
        log.close()
    if team:
        if team not in teams:
            raise SettingsError(f"There is no team {team!r}; `chatalogue keys list` shows those that have keys.")
        return teams[team]
    owners = {key_id_of(key.get_secret_value()) for key in settings.server.api_keys} | set(teams.values())
    if len(owners) > 1:
        raise SettingsError(
            "There are several API keys, and the users of each are apart; name the team whose requests name these "
            "users with --team, or import with 'server.api_keys' set to their one key."
        )
    return owners.pop() if owners else ""


def store(
    history: HistoryFile, log: EventLog, tenant: str, key_id: str, known: frozenset[str] | None, report: Report
) -> Imported:
    """Into the log, batch by batch; `known` are the catalogue's ids, None where there is none."""
    found = Imported()
    for batch in _batches(history.rows()):
        deeds = [row for row in batch if isinstance(row, PastDeed)]
        found.rejected += (row for row in batch if isinstance(row, RejectedRow))
        found.rows += len(batch)
        found.stored += log.record_past(tenant, key_id, deeds)
        for deed in deeds:
            if known is not None and deed.item_id not in known:
                found.unknown[deed.item_id] = found.unknown.get(deed.item_id, 0) + 1
        report(found.rows)
    return found


def _batches(rows: Iterable[PastDeed | RejectedRow]) -> Iterator[list[PastDeed | RejectedRow]]:
    left = iter(rows)
    while batch := list(islice(left, BATCH)):
        yield batch


def _catalogue(settings: Settings, log: EventLog) -> frozenset[str] | None:
    live = log.live_index(settings.tenant)
    return None if live is None else item_ids(DataDirectory(settings.data_dir).index(settings.tenant) / live)


@contextmanager
def _progress(name: str) -> Iterator[Report]:
    """A line that counts; nobody knows the number of rows before the end."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"Importing {name}", total=None)

        def report(done: int) -> None:
            bar.update(task, completed=done)

        yield report


def _say_mapping(mapping: HistoryMapping) -> None:
    console = Console(stderr=True, highlight=False)
    columns = ((name, getattr(mapping, name)) for name in ("user", "item", "kind", "value", "time"))
    said = [f"{name} from {column!r}" for name, column in columns if column]
    console.print(f"note: {', '.join(said)}{f', every row a {mapping.every}' if mapping.every else ''}", markup=False)


def _print(found: Imported, *, as_json: bool) -> None:
    unknown_rows = sum(found.unknown.values())
    if as_json:
        rejected = [{"line": row.line, "reason": row.reason} for row in found.rejected]
        unknown = {"items": len(found.unknown), "rows": unknown_rows}
        result = {"rows": found.rows, "stored": found.stored, "known_before": found.known_before}
        print_result(json.dumps(result | {"rejected": rejected, "unknown": unknown}))
        return
    console = Console(stderr=True, highlight=False)
    for row in found.rejected[:LISTED_ROWS]:
        console.print(f"line {row.line}: {row.reason}", markup=False)
    if len(found.rejected) > LISTED_ROWS:
        console.print(f"... and {len(found.rejected) - LISTED_ROWS} more bad rows")
    if found.unknown:
        console.print(f"note: {unknown_rows} rows are of {len(found.unknown)} items that the catalogue does not have")
    print_result(
        f"{found.stored} of {found.rows} rows were stored; {found.known_before} were there already, "
        f"{len(found.rejected)} were left out."
    )
