"""`chatalogue import articles FOLDER`."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from rich.console import Console

from agent.settings import load_settings
from agent.support.knowledge.store import ArticleChanges
from ui.commands.output import print_result
from ui.logs import configure_logs

LISTED = 20
"""Articles of a kind that are listed at a terminal; `--json` has them all."""


def run(folder: Path, dry_run: bool, as_json: bool, config: Path | None) -> None:
    """Make the articles of the folder the tenant's, or say what that would change."""
    settings = load_settings(config).settings
    configure_logs(logging.WARNING)
    from ui.wiring import bring_articles, make_parts

    parts = make_parts(settings, exact_only=True)
    try:
        with parts.data.publish_lock(settings.tenant):
            changes = bring_articles(parts, folder, dry_run=dry_run)
    finally:
        parts.log.close()
    console = Console(stderr=True, highlight=False)
    for problem in changes.problems:
        console.print(problem.sentence, markup=False, soft_wrap=True)
    for file in changes.kept:
        console.print(f"note: what {file!r} said before stays until it can be read.", markup=False, soft_wrap=True)
    print_result(json.dumps(_as_json(changes, dry_run), ensure_ascii=False) if as_json else _in_words(changes, dry_run))


def _as_json(changes: ArticleChanges, dry_run: bool) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "articles": changes.folder.name if changes.folder is not None else None,
        "chunks": changes.chunks,
        **{name: list(getattr(changes, name)) for name in ("added", "changed", "removed", "unchanged", "kept")},
        "problems": [{"file": one.file, "reason": one.reason} for one in changes.problems],
    }


def _in_words(changes: ArticleChanges, dry_run: bool) -> str:
    counts = {name: getattr(changes, name) for name in ("added", "changed", "removed", "unchanged")}
    lines = [f"{name}: {_listed(found)}" for name, found in counts.items() if found and name != "unchanged"]
    told = ", ".join(f"{len(found)} {name}" for name, found in counts.items())
    if dry_run:
        return "\n".join([*lines, f"{told} (nothing was written)."])
    where = changes.folder.name if changes.folder is not None else ""
    return "\n".join([*lines, f"{told}; {changes.chunks} passages are live as {where}."])


def _listed(found: tuple[str, ...]) -> str:
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    return ", ".join(found[:LISTED]) + more
