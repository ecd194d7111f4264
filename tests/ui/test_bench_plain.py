"""Results without a page of their own, and recommendation figures, as Markdown."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from agent.bench.retrieval.exposure import Exposure, ProviderExposure, ProviderShare
from agent.bench.retrieval.figures import Ablation, AblationRow, Diversified, RetrievalFigures
from agent.bench.retrieval.leaks import Finding
from agent.bench.retrieval.recall import Comparison, Interval, Scores
from ui.bench.render_plain import plain_lines
from ui.bench.render_retrieval import ablation_lines, retrieval_lines

INTERVAL = {"value": 0.41234, "low": 0.4, "high": 0.43}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"n_items": 34_509, "rmse": 0.91239, "on": True, "none": None}, [
            "|  |  |", "| --- | --- |", "| n items | 34,509 |", "| rmse | 0.9124 |", "| on | yes |", "| none | - |",
        ]),
        ({"regret": INTERVAL, "by_round": [INTERVAL, INTERVAL], "sizes": [1, 2]}, [
            "|  |  |", "| --- | --- |", "| regret | 0.4123 [0.4 – 0.43] |",
            "| by round | 0.4123 [0.4 – 0.43], 0.4123 [0.4 – 0.43] |", "| sizes | 1, 2 |",
        ]),
        ([{"way": "item mean", "rmse": INTERVAL}, {"way": "a|b", "ms": {"p50": 1.5, "p95": 2}}], [
            "| way | rmse | ms p50 | ms p95 |", "| --- | --- | --- | --- |",
            "| item mean | 0.4123 [0.4 – 0.43] | - | - |", r"| a\|b | - | 1.5 | 2 |",
        ]),
        ({"n": 1, "cold_start": [{"ratings": 0, "rmse": 1.5}]}, [
            "|  |  |", "| --- | --- |", "| n | 1 |", "",
            "Cold start:", "", "| ratings | rmse |", "| --- | --- |", "| 0 | 1.5 |",
        ]),
        ({"tastes": [{"taste": "linear", "systems": [{"name": "off"}]}]}, [
            "Tastes 1:", "", "|  |  |", "| --- | --- |", "| taste | linear |", "",
            "Tastes 1, systems:", "", "| name |", "| --- |", "| off |",
        ]),
        ([], []),
        ("words", ["words"]),
    ],
)  # fmt: skip
def test_any_result_is_tables(result: JsonValue, expected: list[str]) -> None:
    assert plain_lines(result) == expected


def test_a_wide_table_is_turned_on_its_side() -> None:
    lines = plain_lines([{f"c{n}": n for n in range(9)}, {"c0": 7}])
    assert lines[:3] == ["|  | 1 | 2 |", "| --- | --- | --- |", "| c0 | 0 | 7 |"]
    assert lines[-1] == "| c8 | 8 | - |"


def scores(value: float) -> Scores:
    one = Interval(value=value, low=value - 0.1, high=value + 0.1)
    return Scores(labels="novel", n=30, n_dialogues=20, recall={1: one, 10: one, 50: one}, mrr=one)


def figures() -> RetrievalFigures:
    everything = scores(0.2).model_copy(update={"labels": "all", "n": 40})
    return RetrievalFigures(
        n_items=1_000, n_train=5_000, n_rows=35, without=("dense",), novel=scores(0.3), everything=everything,
        in_catalogue=Interval(value=0.9, low=0.8, high=1.0), ceilings=(),
        exposure=Exposure(
            length=10, n_lists=35, coverage=0.25, gini=0.5, deciles=(0.5, *[0.1] * 5, *[0.0] * 4),
            provider=ProviderExposure(
                attribute="maker", n=3, gini=0.1, nameless=0.05,
                largest=(ProviderShare(name="A*B", exposure=0.5, items=0.25),),
            ),
        ),
        diversity=(
            Diversified(
                way="calibration", knob=0.3, distance=0.6, miscalibration=0.7, coverage=0.3, gini=0.4,
                in_slate=Interval(value=0.2, low=0.1, high=0.3), novel=scores(0.25),
            ),
        ),
        ms=None, fit_s=12.4, importance={"names.title": 0.5},
        leaks=(Finding(kind="near_duplicate", where="test and train", count=2, examples=("a", "b")),),
    )  # fmt: skip


def test_the_page_of_a_run() -> None:
    page = "\n".join(retrieval_lines(figures()))
    for words in (
        "35 rows over 1,000 items, trained on 5,000 rows in 12 s, without dense.",
        "| novel | 30 | 20 | 0.300 [0.200 – 0.400] | 0.300",
        "| all labels | 40 | 20 | 0.200 [0.100 – 0.300] |",
        "of all labels 0.750 is the most that can be found",
        "25.0% of the catalogue is shown, Gini 0.500",
        "| share of the places | 50.0% | 10.0% |",
        "By maker: 3 providers, Gini 0.100, 5.0% of the places have none; the largest",
        r"(of the places, of the catalogue): A\*B 50.0%, 25.0%.",
        "| calibration | 0.3 | 0.600 | 0.700 | 30.0% | 0.400 | 0.200 [0.100 – 0.300] | 0.250 [0.150 – 0.350] |",
        "names.title 0.500",
        "- leak check: 2 dialogues of test and train share most of their words (a, b).",
    ):
        assert words in page
    assert "ms at the median" not in page


def test_the_page_of_an_ablation() -> None:
    change = Interval(value=-0.02, low=-0.05, high=0.01)
    less = Comparison(labels="novel", n=30, recall={1: change, 10: change, 50: change}, mrr=change)
    rows = (
        AblationRow(part="names", change="left out", novel=scores(0.28), difference=less),
        AblationRow(part="user-based", change="added", novel=scores(0.28), difference=less),
    )
    page = ablation_lines(Ablation(n_train=5_000, full=scores(0.3), rows=rows))
    assert page[-3].startswith("| the full system | 0.300 [0.200 – 0.400] |")
    assert page[-2].startswith("| without names | -0.020 [-0.050 to +0.010] |")
    assert page[-1].startswith("| with user-based | -0.020 ")
