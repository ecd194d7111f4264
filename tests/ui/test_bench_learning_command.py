from __future__ import annotations

from pathlib import Path

import pytest

from agent.rank.intervals import Interval
from finetune.bench.figures import Crossing, LearningReport, MethodFigures, Pace, StreamFigures
from retrieval.errors import BadRequest
from ui.bench.render_learning import learning_lines
from ui.commands.bench_learning import LearningCall, learning_of


def around(value: float) -> Interval:
    return Interval(value=value, low=value - 0.02, high=value + 0.02)


def report() -> LearningReport:
    nothing = MethodFigures(method="none", seeds=3, matrix=[[0.5, 0.25]], average=around(0.375))
    naive = MethodFigures(
        method="naive", seeds=1, matrix=[[0.5, 0.25], [0.75, None], [0.5, 0.5]], average=around(0.5),
        backward=around(-0.25), next_gain=around(0.1), own_gain=around(0.2), anchors=around(-0.05), chat=around(0.3),
        kl=0.12, drift=0.5, crossings=[Crossing(asked="films", learned="games", change=around(-0.1))], seconds=12.0,
    )  # fmt: skip
    stream = StreamFigures(
        name="domains", domains=["films", "games"], learn=48, test=32, anchors=48, before=0.5, methods=[nothing, naive]
    )
    paces = [
        Pace(name="ours", rows_per_s=2.0, rows_per_cpu_s=1.0, tokens_per_s=400.0),
        Pace(name="TRL", rows_per_s=0.5, rows_per_cpu_s=0.3, tokens_per_s=100.0),
    ]
    return LearningReport(
        model="tiny", recipe={"rate": 0.001}, streams=[stream], paces=paces, pace_rows=32,
        missing=["domains, ewc, seed 0, from block 2"],
    )  # fmt: skip


def test_gains_are_told_in_points_and_what_is_missing_by_name() -> None:
    page = "\n".join(learning_lines(report().model_dump(mode="json")))
    row = next(line for line in page.splitlines() if line.startswith("| naive | 1 |"))
    assert "50.0 [48.0 – 52.0] %" in row
    assert row.index("+10.0 [+8.0 – +12.0]") < row.index("+20.0") < row.index("-25.0 [-27.0 – -23.0]")
    assert "| naive | games | films | -10.0 [-12.0 – -8.0] |" in page
    assert "| no learning | 0 | 50 | 25 |" in page
    assert "| naive | 1 | 75 | - |" in page
    assert "Not measured yet (1): domains, ewc, seed 0, from block 2." in page
    assert "| TRL | 0.50 | 100 | 0.30 | 4.0 times |" in page


def test_the_command_that_measures_it_again(tmp_path: Path) -> None:
    call = LearningCall(tmp_path / "b.json", tmp_path / "cells.jsonl", tmp_path, "none,naive", examples=40, threads=1)
    made = learning_of(call)
    assert made.command == f"learning --dialogues {tmp_path.name} --methods none,naive --examples 40 --keep cells.jsonl"
    with pytest.raises(BadRequest, match="no folder"):
        learning_of(LearningCall(tmp_path / "b.json", tmp_path / "cells.jsonl", tmp_path / "missing"))
