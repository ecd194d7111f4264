"""`chatalogue index FILE`."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.settings import load_settings
from retrieval.loading import CheckedCatalogue, check_catalogue, open_catalogue
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
    """Read and report, then read again to index, item by item, and make live."""
    settings = load_settings(call.config).settings
    configure_logs(logging.WARNING)
    if call.show_mapping:
        print_result(open_catalogue(call.file, mapping=call.mapping).mapping.to_toml())
        return
    checked = check_catalogue(call.file, mapping=call.mapping, strict=call.strict, keep_first=call.keep_first)
    _report(checked)
    from ui.wiring import index_items, make_parts

    parts = make_parts(settings)
    try:
        name = index_items(parts, checked, call.file.name, call.articles or settings.support.articles)
    finally:
        parts.log.close()
    if call.as_json:
        rejected = [{"line": row.line, "reason": row.reason} for row in checked.rejected]
        print_result(json.dumps({"index": name, "items": len(checked), "rejected": rejected}))
    else:
        print_result(f"{len(checked)} items are live as index {name}; {len(checked.rejected)} rows were left out.")


def _report(checked: CheckedCatalogue) -> None:
    console = Console(stderr=True, highlight=False)
    for note in checked.notes:
        console.print(f"note: {note}", markup=False)
    for row in checked.rejected[:LISTED_ROWS]:
        console.print(f"line {row.line}: {row.reason}", markup=False)
    if len(checked.rejected) > LISTED_ROWS:
        console.print(f"... and {len(checked.rejected) - LISTED_ROWS} more bad rows")
