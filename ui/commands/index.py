"""`chatalogue index FILE`."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.settings import load_settings
from retrieval.loading import LoadedCatalogue, load_catalogue
from ui.commands.output import print_result
from ui.logs import configure_logs

LISTED_ROWS = 20
"""Bad rows that are listed at a terminal; `--json` has them all."""


@dataclass(frozen=True, slots=True)
class IndexCall:
    """The command's arguments, as typed."""

    file: Path
    mapping: Path | None
    strict: bool
    keep_first: bool
    articles: Path | None
    show_mapping: bool
    as_json: bool
    config: Path | None


def run(call: IndexCall) -> None:
    """Read, report, index, make live."""
    settings = load_settings(call.config).settings
    configure_logs(logging.WARNING)
    loaded = load_catalogue(call.file, mapping=call.mapping, strict=call.strict, keep_first=call.keep_first)
    if call.show_mapping:
        print_result(loaded.mapping.to_toml())
        return
    _report(loaded)
    from ui.wiring import index_items, make_parts

    parts = make_parts(settings)
    try:
        name = index_items(parts, loaded.items, call.file.name, call.articles or settings.support.articles)
    finally:
        parts.log.close()
    if call.as_json:
        rejected = [{"line": row.line, "reason": row.reason} for row in loaded.rejected]
        print_result(json.dumps({"index": name, "items": len(loaded.items), "rejected": rejected}))
    else:
        print_result(f"{len(loaded.items)} items are live as index {name}; {len(loaded.rejected)} rows were left out.")


def _report(loaded: LoadedCatalogue) -> None:
    console = Console(stderr=True, highlight=False)
    for note in loaded.notes:
        console.print(f"note: {note}", markup=False)
    for row in loaded.rejected[:LISTED_ROWS]:
        console.print(f"line {row.line}: {row.reason}", markup=False)
    if len(loaded.rejected) > LISTED_ROWS:
        console.print(f"... and {len(loaded.rejected) - LISTED_ROWS} more bad rows")
