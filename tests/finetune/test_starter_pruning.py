from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.starter import pruning
from finetune.starter.pruning import Block, least_missed, prune
from retrieval.errors import BadRequest

IDLE = 2
"""The layer that passes on what it gets: without it the model says the very same."""


@pytest.fixture(scope="module")
def deep(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny base with five layers, one of them idle."""
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("deep")
    shutil.copytree(tiny_base, folder, dirs_exist_ok=True)
    config = AutoConfig.from_pretrained(tiny_base)
    config.num_hidden_layers = 5
    torch.manual_seed(3)
    made: Any = AutoModelForCausalLM
    net = made.from_config(config)
    layer: Any = net.model.layers[IDLE]
    with torch.no_grad():
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    net.save_pretrained(folder)
    return folder


def said(folder: Path) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    net: Any = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logits: torch.Tensor = net(torch.arange(1, 40).reshape(1, -1)).logits
    return logits


def test_the_idle_layer_is_found_and_not_missed(deep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "PROMPTS", 4)
    block = least_missed(deep, 1)
    assert (block.first, block.count) == (IDLE, 1)
    assert block.angle == pytest.approx(0, abs=1e-3)
    prune(deep, block, tmp_path / "small")
    assert json.loads((tmp_path / "small" / "config.json").read_text())["num_hidden_layers"] == 4
    assert torch.equal(said(tmp_path / "small"), said(deep))
    prune(deep, Block(IDLE - 1, 2, 0.0), tmp_path / "smaller")
    assert not torch.allclose(said(tmp_path / "smaller"), said(deep), atol=1e-3)


def test_what_cannot_be_dropped_is_said(deep: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="the model has 5"):
        least_missed(deep, 5)
    with pytest.raises(BadRequest, match="exists already"):
        prune(deep, Block(1, 1, 0.0), tmp_path)
    assert not list(tmp_path.iterdir())
