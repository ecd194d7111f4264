"""The table of skills: put together from the sections that measured them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from agent.bench.understanding import ModelRun, SetScore, SystemScore, UnderstandingScores
from ui.bench.machine import this_machine
from ui.bench.render_skills import skills_section
from ui.bench.report import Report, Section

T = TypeVar("T")


def section(result: T) -> Section[T]:
    when = datetime(2026, 11, 23, tzinfo=UTC)
    return Section(at=when, commit="0123456789ab", load_1m=0.0, seconds=1.0, command="x", result=result)


def run(adapter: str, merged: float, n: int) -> ModelRun:
    found = {"rules": 0.8, "model": 0.5, "merged": merged}
    systems = tuple(
        SystemScore(system=name, precision=f1, recall=f1, f1=f1, exact=f1, kinds=()) for name, f1 in found.items()
    )
    one = SetScore(
        name="games", what="x", n=n, systems=systems, difference=merged - 0.8, difference_low=0.05, difference_high=0.15
    )
    return ModelRun(model="tiny", adapter=adapter, sets=(one,), attitudes=(), asked=n, ms_p50=1.0, ms_p95=2.0)


def side(passed: float, fewer: float) -> dict[str, float]:
    return {
        "passed": passed, "sentences": 90, "unsupported": 0, "fewer_words": fewer, "fewer_words_low": fewer - 1,
        "fewer_words_high": fewer + 1,
    }  # fmt: skip


def test_stand_in_base_and_tuned_model_stand_side_by_side() -> None:
    understood = UnderstandingScores(runs=(run("", 0.8, 22), run("starter", 0.9, 120)))
    report = Report(
        machine=this_machine(), understand=section(understood),
        others={"replies": section({"sides": [side(0, 0), side(0.31, 0), side(0.89, 5)]})},
    )  # fmt: skip
    page = skills_section(report)
    assert "| understand | F1, games | 0.800 | alone 0.500 (n = 22) | 0.900 | +0.100 [+0.050 – +0.150] | yes |" in page
    assert "0.31 of 90, 0 unsupported | 0.89 of 90, 0 unsupported | fewer words: +5.0 [+4.0 – +6.0] | yes |" in page
    assert "| rank |" not in page


def test_without_figures_there_is_no_section() -> None:
    assert not skills_section(Report(machine=this_machine()))
