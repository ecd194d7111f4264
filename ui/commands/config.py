"""`chatalogue config show`."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agent.settings import load_settings, show_settings
from ui.commands.output import print_result


def run(as_json: bool, config: Path | None) -> None:
    """Print every setting with its origin."""
    rows = show_settings(load_settings(config))
    if as_json:
        print_result(json.dumps([{"key": k, "value": v, "origin": o} for k, v, o in rows], indent=2))
        return
    table = Table("setting", "value", "from", box=None)
    for row in rows:
        table.add_row(*row)
    Console().print(table)
