"""The gate's rules as a file, its intervals, its page."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import ttest_ind  # type: ignore[import-untyped]

from finetune import gate
from finetune.cycle_runs import Stopped
from finetune.gating import scored
from finetune.gating.finding import Found
from finetune.gating.intervals import apart_interval, gini, mean_interval, ratio_interval
from finetune.gating.page import QUESTIONS, page, sentence
from finetune.gating.rules import GateRules, read_rules
from finetune.gating.scored import Scored, general_chat, languages_rule
from finetune.gating.types import FILE_RULES, RULES, Figure, RuleName, RuleResult, Verdict
from retrieval.errors import BadRequest


def figure(value: float, bound: str = "at most", on: str = "value", threshold: float = 1.0) -> Figure:
    return Figure("a number", value, value - 1, value + 1, 9, bound, threshold, on)  # type: ignore[arg-type]


def verdict(refuses: RuleName | None) -> Verdict:
    def result(rule: RuleName) -> RuleResult:
        if refuses in FILE_RULES and rule not in FILE_RULES:
            return RuleResult(rule, "not run", "Its files were refused.")
        state = "refused" if rule == refuses else "passed"
        return RuleResult(rule, state, f"About {rule} | all.", (figure(math.nan),), "this with that", 1.0)  # type: ignore[arg-type]

    return Verdict("ada-000002", "ada-000001", tuple(map(result, RULES)), "ab" * 32, "2026-11-23T01:00:00+00:00", 3.0)


def test_each_rule_is_a_table_and_each_number_says_what_it_costs() -> None:
    text = files("finetune.gating").joinpath("gate.toml").read_text(encoding="utf-8")
    read_rules()
    assert set(GateRules.model_fields) - {"seed", "seconds"} == set(RULES) - {"base", "new"}
    keys = [line for line in text.splitlines() if " = " in line.partition("#")[0]]
    assert keys
    assert all("# " in line for line in keys if not line.startswith("attributes")), "each says what a change costs"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("gain = 0.0", "gian = 0.0"), "'fresh.gain' does not fit"),
        (("rows = 20", "rows = 0"), "'fresh.rows' does not fit"),
        (("seed = 0", "seed = zero"), "cannot be read"),
        (("[safety]", "[danger]"), "does not fit"),
    ],
)
def test_wrong_rules_are_named(tmp_path: Path, change: tuple[str, str], words: str) -> None:
    text = files("finetune.gating").joinpath("gate.toml").read_text(encoding="utf-8")
    (tmp_path / "gate.toml").write_text(text.replace(*change, 1))
    with pytest.raises(BadRequest, match=words):
        read_rules(tmp_path / "gate.toml")


def test_what_is_no_number_never_holds() -> None:
    assert figure(0.5).holds
    assert not figure(0.5, on="high").holds
    assert not figure(1.0, "above").holds
    assert figure(1.0, "at least").holds
    assert not figure(1.5, "at least", "low").holds
    for bound in ("at most", "at least", "above"):
        assert not figure(math.nan, bound).holds
        assert not figure(math.inf, bound).holds


def test_rows_of_one_person_are_drawn_together() -> None:
    values = [1.0] * 10 + [-1.0] * 2
    alone = mean_interval(values)
    people = mean_interval(values, ["a"] * 6 + ["b"] * 4 + ["c"] * 2)
    assert alone.value == people.value == pytest.approx(8 / 12)
    assert alone.low > people.low
    assert people.low < -1.0, "it may be that only the third person is met, and three are few"
    assert math.isnan(mean_interval(values, ["a"] * 12).low), "one person is no evidence for others"
    assert math.isnan(mean_interval([1.0, math.nan]).value)
    assert math.isnan(mean_interval([1.0, math.inf], ["a", "b"]).low)
    assert ratio_interval([2.0, 4.0], [1.0, 2.0]).low == pytest.approx(2.0)
    with pytest.raises(ValueError, match="no rows"):
        mean_interval([])


def test_intervals_over_few_people_hold_what_they_say() -> None:
    random = np.random.default_rng(3)
    found = [mean_interval(random.normal(1.0, 1.0, 5).tolist()) for _ in range(600)]
    assert np.mean([one.low <= 1.0 <= one.high for one in found]) > 0.925  # the plain bootstrap: 0.83
    ours, theirs = random.normal(0.0, 1.0, 12).tolist(), random.normal(0.0, 1.0, 9).tolist()
    apart = apart_interval(ours, theirs)
    welch = ttest_ind(ours, theirs, equal_var=False).confidence_interval()
    assert apart.value == pytest.approx(np.mean(ours) - np.mean(theirs))
    assert apart.high - apart.low == pytest.approx(welch.high - welch.low, rel=0.15)
    with pytest.raises(ValueError, match="no rows"):
        apart_interval([1.0], [])


async def test_the_luck_of_the_english_rows_is_no_loss_of_other_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = general_chat()
    english = [row.domain == "en" for row in rows]
    gains = [0.4 * (-1) ** number if is_english else -0.1 for number, is_english in enumerate(english)]

    async def told(*_: object) -> Scored:
        return Scored(rows, tuple(gains), (0.0,) * len(rows))

    monkeypatch.setattr(scored, "_scored", told)
    ground = SimpleNamespace(rules=read_rules())
    (shown,) = (await languages_rule(ground)).figures  # type: ignore[arg-type]
    assert shown.high - shown.value > 0.1
    assert not shown.holds


def test_inequality() -> None:
    assert gini([0.25] * 4) == pytest.approx(0.0)
    assert gini([0, 0, 0, 1]) == pytest.approx(0.75)
    assert gini([0, 0]) == 0.0


def test_the_page_says_first_what_must_be_known() -> None:
    assert set(QUESTIONS) == set(RULES)
    passed, refused, early = verdict(None), verdict("safety"), verdict("base")
    assert passed.passed
    assert page(passed).splitlines()[0] == "# Passed: ada-000002 kept all 16 rules against ada-000001."
    lines = page(refused).splitlines()
    assert lines[0] == "# Refused: ada-000002, by safety."
    assert "ada-000001 goes on serving" in lines[2]
    assert "- **safety**: About safety | all." in lines
    assert "| **REFUSED** | safety | Does it withstand misuse? | About safety / all. |" in lines
    assert "| not run | customers | Do simulated customers get what they want? | Its files were refused. |" in page(
        early
    )
    assert not early.passed
    assert "no number" in page(passed)
    assert sentence(figure(2.0, on="high")) == "a number 2 [1, 3] (must be upper end at most 1)"


def test_a_verdict_needs_every_rule(tmp_path: Path) -> None:
    whole = verdict(None)
    part = Verdict("a", "b", whole.rules[1:], "", "", 0.0)
    assert not part.passed
    assert part.reason == "Refused: a, by a rule that was not run."
    whole.write(tmp_path / "new")
    told = json.loads((tmp_path / "new" / "gate.json").read_text())
    assert told["rules"][0]["figures"][0]["value"] is None, "JSON has no NaN"
    assert whole.metrics() == {}
    (tmp_path / "file").write_text("")
    with pytest.raises(BadRequest, match="cannot be written"):
        whole.write(tmp_path / "file")


def test_a_stop_passes_the_gate_and_a_fault_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who learns asks after each rule whether to stop; taken for a fault that would refuse a good adapter."""

    def stop(line: str) -> None:
        if line.startswith("fresh"):
            raise Stopped

    def fault(line: str) -> None:
        if line.startswith("fresh"):
            raise ZeroDivisionError

    async def fine(ground: object) -> Found:
        return Found((), "this with that")

    monkeypatch.setattr(gate, "FILES", {})
    monkeypatch.setattr(gate, "MODEL", dict.fromkeys(gate.MODEL, fine))
    monkeypatch.setattr(gate, "opened", lambda *_: nullcontext())
    candidate = gate.Candidate(tmp_path, tmp_path, None, "ada-000001", "the base model")
    assert not gate.judge(candidate, read_rules(), fault).refused_by == ()
    with pytest.raises(Stopped):
        gate.judge(candidate, read_rules(), stop)


def test_what_training_watches_is_not_what_the_gate_asks() -> None:
    asked, watched = general_chat("gate"), general_chat("train")
    assert not {row.prompt for row in asked} & {row.prompt for row in watched}
    assert {row.domain for row in asked} == {row.domain for row in watched} == {"en", "de", "fr", "es"}
    assert len({row.id for row in (*asked, *watched)}) == len(asked) + len(watched)
