"""`chatalogue feedback ...`. Only light imports here; each command imports what it needs."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import typer

from ui.cli_options import ConfigOption, JsonOption


class Kind(Enum):
    """Of a row; typer takes no list of literals."""

    sft = "sft"
    kto = "kto"
    dpo = "dpo"
    rank = "rank"


feedback_app = typer.Typer(help="What customers said of answers.", no_args_is_help=True)


@feedback_app.command("export")
def feedback_export(
    out: Annotated[Path, typer.Option(help="JSON lines; complete or not there.")],
    kind: Annotated[list[Kind] | None, typer.Option(help="Only this kind; may be given again.")] = None,
    since: Annotated[str | None, typer.Option(help="Only turns of the last 7d, 12h or 30m.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write feedback as rows to learn from: personal data replaced, weighed, without what was erased or withdrawn."""
    from ui.commands.feedback import run_export

    run_export(out, tuple(one.value for one in kind or ()), since, as_json, config)


@feedback_app.command("queue")
def feedback_queue(
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    since: Annotated[str | None, typer.Option(help="Only turns of the last 7d, 12h or 30m.")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Print what waits for a human, the most uncertain first."""
    from ui.commands.feedback import run_queue

    run_queue(limit, since, as_json, config)


@feedback_app.command("label")
def feedback_label(
    target: Annotated[str, typer.Argument(metavar="ID", help="From `feedback queue`.")],
    word: Annotated[Literal["good", "bad"], typer.Argument(help="Whether it may be learned from as it is.")],
    config: ConfigOption = None,
) -> None:
    """Say whether one thing of the queue is good; the newest word counts."""
    from ui.commands.feedback import run_label

    run_label(target, word == "good", config)
