"""`chatalogue learn` and `chatalogue rankers`: what the event log teaches, judged before it serves.

Beside the running server, and giving way to it.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.datadir import DataDirectory
from agent.learning.ranker_job import Job, Judgement
from agent.learning.ranking_store import Outcome, RankerManifest, learn_ranker, rankers, roll_back
from agent.log.store import EventLog
from agent.settings import load_settings
from agent.shop import open_shop
from retrieval.errors import IndexUnavailable
from retrieval.remembering import Remembering
from ui.commands.output import print_result
from ui.logs import configure_logs
from ui.progress import index_progress

NICENESS = 10
"""Customers who wait come first."""


def run(dry_run: bool, as_json: bool, config: Path | None) -> None:
    """Refit the ranker; it goes live only where it is better."""
    from ui.wiring import make_parts

    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    os.nice(NICENESS)
    parts = make_parts(settings, exact_only=True)
    try:
        tenant = settings.tenant
        name = parts.log.live_index(tenant)
        if name is None:
            raise IndexUnavailable("There is no catalogue yet; run `chatalogue index FILE` to add one.")
        shop = open_shop(parts.data.index(tenant) / name, Remembering(parts.encoder), None, stores=None)
        try:
            with index_progress("Ranker") as progress:
                job = Job(
                    shop,
                    parts.log,
                    tenant,
                    settings.learning.consent,
                    settings.retrieval.live_customers,
                    settings.retrieval.candidates,
                    progress=progress,
                )
                outcome = learn_ranker(job, parts.data, dry_run=dry_run)
        finally:
            shop.close()
    finally:
        parts.log.close()
    print_result(json.dumps(_as_json(outcome, dry_run)) if as_json else _in_words(outcome, dry_run))


def run_list(as_json: bool, config: Path | None) -> None:
    """Print the rankers on disk, the oldest first, and which one is live."""
    settings = load_settings(config).settings
    log = EventLog.open(settings.database.url.get_secret_value(), settings.data_dir)
    try:
        live = log.live_ranker(settings.tenant)
    finally:
        log.close()
    found = rankers(DataDirectory(settings.data_dir).rankers(settings.tenant))
    if as_json:
        print_result(json.dumps({"live": live, "rankers": [_listed(one) for one in found]}))
        return
    for one in found:
        print_result(_line(one, is_live=one.id == live))
    if live is None:
        print_result("The linear ranker is in use.")
    elif live not in {one.id for one in found}:
        print_result(f"The live ranker {live} is not there or cannot be read, so the linear one ranks.")


def run_rollback(config: Path | None) -> None:
    """Go back to the ranker before the live one."""
    settings = load_settings(config).settings
    data = DataDirectory(settings.data_dir)
    log = EventLog.open(settings.database.url.get_secret_value(), settings.data_dir)
    try:
        with data.learn_lock(settings.tenant):
            now = roll_back(data.rankers(settings.tenant), log, settings.tenant)
    finally:
        log.close()
    if now.missing is not None:
        print_result(f"The ranker {now.missing} is not there any more or cannot be read; it could not be gone back to.")
    print_result(f"The {'linear ranker' if now.live is None else f'ranker {now.live}'} is live again.")


def _listed(one: RankerManifest) -> dict[str, Any]:
    """Without the items: hundreds of ids, for the machine."""
    return {name: value for name, value in asdict(one).items() if name != "items"}


def _line(one: RankerManifest, *, is_live: bool) -> str:
    gain = one.metrics["gain"]["mrr"]
    told = f"{gain['value']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] over the linear one"
    mark = "  live" if is_live else ""
    return f"{one.id}  {one.created[:16]}  {one.lessons} lessons of {one.customers} customers  {told}{mark}"


def _as_json(outcome: Outcome, dry_run: bool) -> dict[str, Any]:
    learned, found = outcome.learned, outcome.learned.judgement
    return {
        "ranker": {
            "live": outcome.live,
            "new": outcome.is_new,
            "dry_run": dry_run,
            "better": learned.model is not None,
            "reason": learned.reason,
            "lessons": learned.lessons,
            "customers": learned.customers,
            "event_seq": learned.event_seq,
            "conversations": None if found is None else found.conversations,
            "metrics": None if found is None else _metrics(found),
        }
    }


def _metrics(found: Judgement) -> dict[str, Any]:
    kinds = (("linear", found.linear), ("learned", found.learned), ("gain", found.gain))
    return {kind: {name: one.model_dump() for name, one in each.items()} for kind, each in kinds}


def _in_words(outcome: Outcome, dry_run: bool) -> str:
    learned, found = outcome.learned, outcome.learned.judgement
    lines = [learned.reason]
    if found is not None:
        lines.append(f"{learned.lessons} lessons of {learned.customers} customers in {found.conversations} talks:")
        for name in found.gain:
            before, now, gain = found.linear[name], found.learned[name], found.gain[name]
            told = f"{gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
            lines.append(f"  {name:9} linear {before.value:.3f}  learned {now.value:.3f}  gain {told}")
    live = "the linear ranker" if outcome.live is None else outcome.live
    if outcome.is_new:
        lines.append(f"{outcome.live} is live; a running server takes it over by itself.")
    else:
        lines.append(f"Nothing was changed{' (--dry-run)' if dry_run else ''}; {live} goes on.")
    return "\n".join(lines)
