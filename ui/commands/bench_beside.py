"""`chatalogue bench beside-learn`: what customers wait while the shop learns."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from ui.bench.beside import measure_beside
from ui.commands.output import print_result


def run(turns: int, customers: int, work: Path | None) -> None:
    """Measure, and print the numbers as JSON."""
    console = Console(stderr=True)

    def say(words: str) -> None:
        console.print(words, markup=False)

    if work is not None:
        print_result(measure_beside(work, turns, customers, say).model_dump_json(indent=1))
        return
    with tempfile.TemporaryDirectory() as folder:
        print_result(measure_beside(Path(folder), turns, customers, say).model_dump_json(indent=1))
