"""Each way that vLLM is known to accept and get wrong, or to refuse late, is refused here from the files alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from bad_adapters import CONFIGS, TENSORS, one_number
from safetensors.torch import load_file, save_file

from agent.llm.adapter_check import base_shapes, check_adapter
from agent.llm.model import LoadedModel
from retrieval.errors import EngineError

Edit = Callable[..., Path]


@pytest.fixture(scope="session")
def shapes(tiny_dir: Path) -> dict[str, tuple[int, int]]:
    return base_shapes(tiny_dir)


def expect(said: str, folder: Path, shapes: Mapping[str, tuple[int, int]], name: str = "bad") -> None:
    with pytest.raises(EngineError, match=said) as caught:
        check_adapter(name, folder, shapes, max_rank=16)
    assert "\n" not in str(caught.value)


def test_shapes_from_the_headers_are_those_of_the_model(shapes: dict[str, tuple[int, int]], tiny: LoadedModel) -> None:
    assert shapes == {
        layer: (linear.out_features, linear.in_features) for layer, linear in tiny.linears.items() if layer != "lm_head"
    }


def test_a_base_without_safetensors(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="has no .safetensors"):
        base_shapes(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"no")
    with pytest.raises(EngineError, match="cannot be read"):
        base_shapes(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_peft_writes_passes(edit_lora: Edit, shapes: dict[str, tuple[int, int]], dtype: torch.dtype) -> None:
    folder = edit_lora(tensors=lambda t: t.update({k: v.to(dtype) for k, v in t.items()}))
    checked = check_adapter("ada-1", folder, shapes, max_rank=16)
    assert checked.weights == (folder / "adapter_model.safetensors").read_bytes()
    assert checked.scale == 2.0
    assert len(checked.layers) == 6


def test_rslora_passes_with_its_own_scale(edit_lora: Edit, shapes: dict[str, tuple[int, int]]) -> None:
    assert check_adapter("ada-1", edit_lora(config={"use_rslora": True}), shapes).scale == 4.0  # 8 / sqrt(4)


@pytest.mark.parametrize("what", CONFIGS)
def test_configs(edit_lora: Edit, shapes: dict[str, tuple[int, int]], what: str) -> None:
    config, said = CONFIGS[what]
    expect(said, edit_lora(config=config), shapes)


@pytest.mark.parametrize("what", TENSORS)
def test_tensors(edit_lora: Edit, shapes: dict[str, tuple[int, int]], what: str) -> None:
    change, said = TENSORS[what]
    expect(said, edit_lora(tensors=change), shapes)


@pytest.mark.parametrize("name", ["", "A", "../a", "/abs/a", "a/b", "a" * 65])
def test_names(edit_lora: Edit, shapes: dict[str, tuple[int, int]], name: str) -> None:
    expect("is no adapter name", edit_lora(), shapes, name)


class TestFiles:
    def test_pickles(self, edit_lora: Edit, shapes: dict[str, tuple[int, int]]) -> None:
        folder = edit_lora()
        weights = folder / "adapter_model.safetensors"
        torch.save(load_file(weights), folder / "adapter_model.bin")
        check_adapter("both", folder, shapes)
        weights.unlink()
        expect("adapter_model.bin is a pickle", folder, shapes)

    def test_links_out_of_the_folder(self, edit_lora: Edit, shapes: dict[str, tuple[int, int]], tmp_path: Path) -> None:
        folder = edit_lora()
        weights = folder / "adapter_model.safetensors"
        weights.rename(tmp_path / "elsewhere")
        weights.symlink_to(tmp_path / "elsewhere")
        expect("adapter_model.safetensors is a link that leads out", folder, shapes)

    def test_a_linked_folder_inside(self, edit_lora: Edit, shapes: dict[str, tuple[int, int]], tmp_path: Path) -> None:
        folder = edit_lora()
        (folder / "ref").symlink_to(tmp_path)
        expect("ref is a link", folder, shapes)
        (folder / "ref").unlink()
        os.symlink(folder, tmp_path / "newest")  # the folder itself may be found through one
        check_adapter("ada-1", tmp_path / "newest", shapes)

    def test_damage(self, edit_lora: Edit, shapes: dict[str, tuple[int, int]], tmp_path: Path) -> None:
        expect("No such file", tmp_path / "missing", shapes)
        folder = edit_lora()
        weights = (folder / "adapter_model.safetensors").read_bytes()
        (folder / "adapter_model.safetensors").write_bytes(weights[:-8])
        expect("adapter_model.safetensors cannot be read", folder, shapes)
        (folder / "adapter_model.safetensors").unlink()
        expect("No such file", folder, shapes)
        (folder / "adapter_config.json").write_text(json.dumps([1]))
        expect("does not say peft_type LORA", folder, shapes)
        (folder / "adapter_config.json").write_bytes(b"\xff")
        expect("adapter_config.json cannot be read", folder, shapes)


def test_a_number_of_bf16_at_the_limit_passes(edit_lora: Edit, shapes: dict[str, tuple[int, int]]) -> None:
    folder = edit_lora(tensors=one_number(65_280.0, torch.bfloat16))
    assert check_adapter("ada-1", folder, shapes).layers
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({k: v.float() * 1.01 for k, v in tensors.items()}, folder / "adapter_model.safetensors")
    expect("float16 cannot hold", folder, shapes)
