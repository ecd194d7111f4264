from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from finetune.rank_model import LoraShape
from finetune.starter import batches, comparing
from finetune.starter.comparing import Contestant, compare
from finetune.starter.network import StarterModel
from retrieval.errors import BadRequest


@pytest.fixture
def adapters(tiny_base: Path, tmp_path: Path) -> dict[str, Path]:
    """One that says nearly what the base says, and one that is noise."""
    torch.manual_seed(0)
    model = StarterModel(tiny_base, LoraShape(4, 8), 1, torch.bfloat16)
    with torch.no_grad():
        for weight in model.trained.values():
            weight.normal_(std=1e-3)
        model.save(tmp_path / "same", "base")
        for weight in model.trained.values():
            weight.normal_(std=1.0)
    model.save(tmp_path / "noise", "base")
    return {name: tmp_path / name for name in ("same", "noise")}


def no_speeds(contestants: Sequence[Contestant]) -> list[float]:
    return [1.0 for _ in contestants]


def test_adapters_are_judged_on_the_same_examples(
    adapters: dict[str, Path], tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_PROMPT_TOKENS", 50_000)  # the tiny tokenizer has a token for nearly each letter
    monkeypatch.setattr(comparing, "_speeds", no_speeds)
    given = [("same", "same"), ("again", "same"), ("noise", "noise")]
    found = compare([Contestant(name, adapters[folder], tiny_base) for name, folder in given], 6, lambda line: None)
    assert (found.understand_examples, found.reply_examples) == (6, 2)
    same, again, noise = found.adapters
    assert again == same.model_copy(update={"adapter": "again"})
    assert (same.layers, same.understand_loss_gain.value, same.reply_loss_gain.high) == (2, 0, 0)
    assert noise.understand_loss.value > same.understand_loss.value
    gain = noise.understand_loss.value - same.understand_loss.value
    assert noise.understand_loss_gain.value == pytest.approx(gain, abs=2e-4)


def test_a_folder_without_an_adapter_is_refused(adapters: dict[str, Path], tiny_base: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    shutil.copyfile(adapters["same"] / "adapter_config.json", empty / "adapter_config.json")
    with pytest.raises(BadRequest, match="has no adapter weights"):
        compare([Contestant("empty", empty, tiny_base)], 6, lambda line: None)
