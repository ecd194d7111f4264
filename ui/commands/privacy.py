"""`chatalogue privacy sweep`: forget what is older than the settings allow."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from agent.datadir import DataDirectory
from agent.log.opening import open_log
from agent.retention import sweep
from agent.settings import load_settings
from retrieval.errors import BadRequest
from ui.commands.output import print_result


def run_sweep(days: int | None, *, dry_run: bool, as_json: bool, config: Path | None) -> None:
    """Sweep once; with `dry_run` only say what would go.

    Raises:
        BadRequest: nothing says how old words may get.
        DataDirectoryError: the database or a file cannot be changed.
    """
    settings = load_settings(config).settings
    days = settings.privacy.retention_days if days is None else days
    if not days:
        raise BadRequest(
            "Words are kept for ever as things are set; set CHATALOGUE_PRIVACY__RETENTION_DAYS or give --days."
        )
    log = open_log(settings)
    try:
        swept = sweep(DataDirectory(settings.data_dir), log, days, datetime.now(UTC), dry_run=dry_run)
    finally:
        log.close()
    if as_json:
        print_result(json.dumps({"days": days, "dry_run": dry_run, **asdict(swept)}))
        return
    would = "would be forgotten" if dry_run else "forgotten"
    print_result(
        f"Older than {days} days and {would}: the words of {swept.conversations} conversations and of {swept.events} "
        f"other events, and {swept.names} names."
    )
