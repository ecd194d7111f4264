from __future__ import annotations

import json
import logging
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from agent.llm.adapter_check import base_shapes, check_adapter
from finetune import __main__ as command
from finetune.__main__ import train
from finetune.rank_train import Progress


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Twelve items and twelve moments, listed."""
    ids = [f"i{n}" for n in range(12)]
    turns = [{"role": "user", "text": "a comedy"}]
    rows: list[Mapping[str, object]] = [
        {"id": f"r{n}", "dialogue_id": f"d{n}", "turns": turns, "targets": [ids[n]]} for n in range(12)
    ]
    written: dict[str, Sequence[Mapping[str, object]]] = {
        "items": [{"id": one, "title": f"film {one}"} for one in ids],
        "rows": rows,
        "lists": [{"id": row["id"], "ranked": ids} for row in rows],
    }
    options = []
    for name, lines in written.items():
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        options += [f"--{name}", str(file)]
    return options


def run(options: Sequence[str]) -> Result:
    app = typer.Typer(add_completion=False)
    app.command()(train)
    return CliRunner().invoke(app, list(options))


def test_from_files_to_an_adapter_and_again(
    files: list[str], tiny_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "run"
    options = [*files, "--out", str(out), "--model", str(tiny_base), "--epochs", "1", "--folds", "3", "--watch", "2"]
    with caplog.at_level(logging.INFO):
        assert run(options).exit_code == 0
    assert "12 examples; left out" in caplog.text
    assert "s an example, about" in caplog.text
    assert "held out: loss" in caplog.text
    check_adapter("made", out / "adapter", base_shapes(tiny_base))
    recipe = (out / "recipe.json").read_bytes()
    assert run(options).exit_code == 0
    assert (out / "recipe.json").read_bytes() == recipe


def test_a_signal_ends_it_with_an_adapter(
    files: list[str], tiny_base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it trains, as `kill` would; `--export` then writes the same from the checkpoint."""
    out = tmp_path / "run"
    options = [*files, "--out", str(out), "--model", str(tiny_base), "--epochs", "500", "--folds", "3", "--watch", "2"]
    before = signal.getsignal(signal.SIGTERM)

    def once(progress: Progress) -> None:
        if progress.step == 1:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(command, "_tell", once)
    with caplog.at_level(logging.INFO):
        assert run(options).exit_code == 0
    assert "stopping after this step" in caplog.text
    assert signal.getsignal(signal.SIGTERM) is before
    check_adapter("made", out / "adapter", base_shapes(tiny_base))
    recipe = (out / "recipe.json").read_bytes()
    assert json.loads(recipe)["steps"] == 2
    (out / "recipe.json").unlink()
    assert run([*options, "--export"]).exit_code == 0
    assert (out / "recipe.json").read_bytes() == recipe


def test_what_does_not_fit_is_one_sentence(files: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run([*files, *files[:2], "--out", str(tmp_path / "run")]).exit_code == 1
    assert "equally often" in caplog.text
    assert not (tmp_path / "run").exists()
