"""`chatalogue bench understand`: what it is asked, and what becomes of its figures."""

from __future__ import annotations

from pathlib import Path

from agent.bench.understanding import (
    Agreement,
    AttitudeScore,
    KindScore,
    ModelRun,
    SetScore,
    SystemScore,
    UnderstandingScores,
)
from ui.bench.render_understand import understanding_lines
from ui.bench.understand_call import UnderstandCall


def system(name: str, f1: float) -> SystemScore:
    kind = KindScore(kind="negation", precision=f1, recall=f1, f1=f1, said=7, wanted=9)
    kinds = (kind,) if name != "model" else ()
    return SystemScore(system=name, precision=f1, recall=f1, f1=f1, exact=f1 / 2, kinds=kinds)


def run(adapter: str) -> ModelRun:
    systems = (system("rules", 0.8), system("model", 0.6), system("merged", 0.9))
    one = SetScore(
        name="games", what="unseen", n=12, systems=systems, difference=0.1, difference_low=0.05, difference_high=0.15
    )
    told = AttitudeScore(system="rules", wanted=10, known=5, right=4, disliked=2, disliked_right=1)
    return ModelRun(model="tiny", adapter=adapter, sets=(one,), attitudes=(told,), asked=12, ms_p50=310.4, ms_p95=720.0)


def test_both_models_are_shown_with_what_they_gain() -> None:
    agreed = Agreement(name="redial", n=100, kappa=0.672, facts_f1=0.95)
    page = "\n".join(understanding_lines(UnderstandingScores(runs=(run(""), run("starter")), agreement=(agreed,))))
    assert "**tiny, untuned**: 310 ms" in page
    assert "**tiny, adapter starter**" in page
    row = "| games (unseen) | 12 | 0.800 | 0.600 | 0.900 | +0.100 [+0.050, +0.150] | 0.400 | 0.450 |"
    assert page.count(row) == 2
    assert "| games | negation | 0.800 | - | 0.900 | 9 |" in page
    assert "| rules | 10 | 0.500 | 0.400 | 2 | 0.500 |" in page
    assert "not human labels" in page.replace("\n", " ")
    assert "| redial | 100 | 0.67 | 0.95 |" in page


def test_without_labels_nothing_is_said_of_them() -> None:
    assert "human" not in "\n".join(understanding_lines(UnderstandingScores(runs=(run(""),))))


def test_the_command_can_be_typed_again() -> None:
    assert UnderstandCall(20, adapter=Path("a"), redial=Path("v.gz")).options() == " --n 20 --adapter a --redial v.gz"
