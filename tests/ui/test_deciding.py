"""The file that `python -m ui.bench.deciding fit` writes is one that the bot reads."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from agent.bench.deciding import Judged
from agent.thresholds import Asking, Step, read_thresholds
from ui.bench import deciding


def turns(step: Step, name: str, n: int) -> list[Judged]:
    """Served the likelier the greater the feature."""
    random = np.random.default_rng(n)
    values = random.normal(size=n).tolist()
    lucks = random.random(n).tolist()
    rest = {"margin": 0.1, "matching": 2.0, "wishes": 1.0, "unread": 0.5, "doubtful": 0.0} if name == "mass" else {}
    return [
        Judged(step, {name: value, **rest}, 0.5, luck < 1 / (1 + np.exp(-3 * value)))
        for value, luck in zip(values, lucks, strict=True)
    ]


def test_what_was_fitted_is_read_back() -> None:
    asking = Asking(0.25, 0.7, 0.6, 0.85, 0.01)
    judged = [*turns("ask", "mass", 200), *turns("recommend", "mass", 400)]
    text = deciding._file(asking, 120, judged, turns("answer", "score", 60), "40 needs each of a.jsonl")
    table = tomllib.loads(text)
    known = read_thresholds(table)
    assert known.asking == asking
    assert (table["ask"]["n"], table["recommend"]["n"], table["answer"]["n"], table["handoff"]["n"]) == (
        200,
        400,
        60,
        600,
    )
    for step, name in (("ask", "mass"), ("recommend", "mass"), ("answer", "score")):
        model = known.steps[step]  # type: ignore[index]
        assert set(model.weights) == {name}, "what never varied has no weight"
        assert model.probability({name: 2.0}) > 0.9 > 0.1 > model.probability({name: -2.0})
    stated = sorted(known.steps["recommend"].probability(one.features) for one in judged if one.step == "recommend")
    assert known.steps["recommend"].threshold == pytest.approx(stated[40], abs=1e-3)
    assert known.steps["answer"].threshold == deciding.EVEN


def test_questions_are_asked_for(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        deciding.main(["fit"])
    assert "--questions" in capsys.readouterr().err
