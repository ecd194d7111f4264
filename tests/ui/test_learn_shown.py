"""What a person at a terminal sees of a learning job while it runs."""

from __future__ import annotations

import re

import pytest

from finetune.cycle_types import Stage
from finetune.training.telling import Look, Progress
from ui.commands.learn import _shown


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_stage_loss_and_each_look_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    look = Look(1, {"held out": 1.5, "chat": 0.25}, None, False)
    with _shown() as told:
        told(Stage("reading feedback"))
        told(Progress(1, 4, 2.0, 0.0, 100.0, look))
        told(Progress(2, 4, 1.75, 0.0, 90.0, look))
    shown = capsys.readouterr()
    assert shown.out == "", "stdout is for the result"
    if not terminal:
        assert shown.err.strip() == ""
        return
    err = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.err)
    assert err.count("step 1 of 4: training: loss 2.000, 100 tokens/s; chat 0.250, held out 1.500") == 1
    assert "step 2 of 4" not in err
    assert "training: loss 1.750, 90 tokens/s" in err
    assert "2/4" in err
