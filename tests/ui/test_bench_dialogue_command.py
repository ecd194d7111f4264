"""`chatalogue bench dialogue`: the figures go into the file and onto the page, one section a bot."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.bench.dialogue.figures import DialogueReport, figures_of
from agent.bench.dialogue.measure import Plan
from agent.bench.dialogue.runner import Dialogue
from agent.settings import Settings
from retrieval.errors import BadRequest
from ui.bench import talks
from ui.bench.render import render
from ui.bench.report import read_report
from ui.commands import bench_others
from ui.commands.bench_dialogue import DialogueCall, dialogue_of, run_dialogue


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bench_others, "configure_logs", lambda *_: None)  # it would keep this test's stderr


def test_each_bot_has_a_section(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    plans: list[tuple[Path | None, Plan, float]] = []

    def customers(settings: Settings, films: Path | None, plan: Plan, say: object) -> DialogueReport:
        plans.append((films, plan, settings.chat.exploration))
        dialogues = [Dialogue(0, 0, 1, 1), Dialogue(0, 1, 5, None, broken=("Heat is not genre eq Horror",))]
        return figures_of(dialogues, bot="rules only", catalogue=plan.catalogue, items=552, runs=plan.runs, seed=7)

    monkeypatch.setattr(talks, "customers", customers)
    out = Path("bench.json")
    run_dialogue(DialogueCall(out, n=1, k=2, seed=7))
    run_dialogue(DialogueCall(out, n=1, k=2, seed=7, name="vllm"))
    assert plans == [(None, Plan(1, 2, 7, "the demo shop"), 0.0)] * 2
    assert "| 1 | 0.5 [0.5 – 0.5] |" in capsys.readouterr().out
    page = render(read_report(out), "bench.json")
    assert "## Simulated customers who pursue a need" in page
    assert "`chatalogue bench dialogue --n 1 --k 2 --seed 7 --out bench.json`" in page
    assert "## dialogue, vllm" in page
    assert "| hard wish broken | 1 | 1 [1 – 1] |" in page
    assert "- simulated customers who pursue a need: not in this file" not in page


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no file 'no-such'"):
        dialogue_of(DialogueCall(Path("bench.json"), items=Path("no-such")))
    nowhere = DialogueCall(tmp_path / "bench.json", n=1, k=1, url="http://127.0.0.1:9/v1")
    with pytest.raises(BadRequest, match="lists no models"):
        run_dialogue(nowhere)
    assert not (tmp_path / "bench.json").exists()
