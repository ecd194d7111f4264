"""`chatalogue gate`: an adapter that its files refuse is told so at once, with exit code 1."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import structlog
from safetensors.numpy import save_file

from ui.cli import main

LAYER = "model.layers.0.self_attn.q_proj"


@pytest.fixture(autouse=True)
def shop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A data directory, and a base of one layer."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}")
    save_file({f"{LAYER}.weight": np.ones((6, 8), np.float32)}, tmp_path / "base" / "model.safetensors")
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("CHATALOGUE_LLM__MODEL", str(tmp_path / "base"))
    monkeypatch.setenv("CHATALOGUE_LLM__ENGINE", "off")
    monkeypatch.chdir(tmp_path)


def adapter(folder: Path, size: float) -> Path:
    folder.mkdir()
    halves = {"A": np.full((2, 8), size, np.float32), "B": np.full((6, 2), size, np.float32)}
    tensors = {f"base_model.model.{LAYER}.lora_{half}.weight": one for half, one in halves.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 2, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["chatalogue", "gate", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    structlog.reset_defaults()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_a_refusal_is_exit_code_1_and_a_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bad = adapter(tmp_path / "bad", 0.0)
    code, out, err = called(monkeypatch, capsys, bad, "--champion", "none", "--out", tmp_path / "verdict")
    assert code == 1
    assert out.startswith("# Refused: bad, by file, base")
    assert "all its weights are zero" in out
    assert "file: refused." in err
    assert (tmp_path / "verdict" / "gate.md").read_text() == out.removesuffix("\n")
    code, out, _ = called(monkeypatch, capsys, bad, "--champion", adapter(tmp_path / "champion", 0.1), "--json")
    assert code == 1
    told = json.loads(out)
    assert told["champion"] == "champion"
    assert told["passed"] is False


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = called(monkeypatch, capsys, "ada-000042")
    assert (code, out) == (1, "")
    assert "There is no adapter 'ada-000042'" in err
