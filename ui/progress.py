"""Progress on stderr while indexes are built: a bar at a terminal, a line a stage otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from retrieval.index import Progress as Report

_STAGES = {"embed": "reading and embedding", "words": "indexing words", "done": "done"}


@contextmanager
def index_progress(title: str) -> Iterator[Report]:
    """A bar that follows `build_index`; gives the function to hand to it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=None)
        last = ""

        def report(stage: str, done: int, total: int) -> None:
            nonlocal last
            if stage != last and not console.is_terminal:
                console.print(f"{title}: {_STAGES.get(stage, stage)}")
            last = stage
            bar.update(task, description=f"{title}: {_STAGES.get(stage, stage)}", completed=done, total=total or None)

        yield report
