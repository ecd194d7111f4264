from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from llm_chat import CHAT

from agent.llm import generation, scoring
from agent.llm.generation import Reader, Watch
from agent.llm.lora import Adapters
from agent.llm.model import LoadedModel, load_model
from retrieval.errors import EngineError

OPTIONS = [" Heat", " The Godfather", " Amélie", " no"]


@pytest.fixture
def model(tiny_dir: Path) -> LoadedModel:
    """A model of this test's own: adapters change it."""
    return load_model(tiny_dir, "cpu", torch.float32)


def choose(model: LoadedModel, options: Sequence[str] = OPTIONS) -> tuple[float, ...]:
    return scoring.choose(model, Reader(model, reuse=False), None, CHAT, options, Watch(60))


def peft_scores(
    base: Path, adapter: Path, model: LoadedModel, dtype: torch.dtype, options: Sequence[str] = OPTIONS
) -> list[float]:
    """What PEFT itself gives, unmerged."""
    import peft
    from transformers import AutoModelForCausalLM

    net = peft.PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=dtype), adapter).eval()
    ids = list(generation.prompt_ids(model, CHAT, 4))
    scores = []
    for option in options:
        own = model.renderer.encode_text(option)
        with torch.inference_mode():
            logits = net(input_ids=torch.tensor([ids + own])).logits[0].float().log_softmax(-1)
        scores.append(sum(float(logits[len(ids) + n - 1, token]) for n, token in enumerate(own)))
    return scores


def test_merged_scores_are_those_of_peft_and_the_base_comes_back_exactly(
    model: LoadedModel, tiny_dir: Path, tiny_lora: Path
) -> None:
    """fp32: 1e-3 nats."""
    adapters = Adapters(model.linears)
    base = choose(model)
    adapters.load("ada-1", tiny_lora)
    assert choose(model) == base
    adapters.use("ada-1")
    ours = choose(model)
    assert ours == pytest.approx(peft_scores(tiny_dir, tiny_lora, model, torch.float32), abs=1e-3)
    assert max(abs(a - b) for a, b in zip(ours, base, strict=True)) > 0.1
    adapters.use(None)
    assert choose(model) == base


def test_packed_bf16_on_smol_is_close_to_peft(
    smol: LoadedModel, smol_dir: Path, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    """0.3 nats from fp32, which is nearer than unmerged bf16 comes."""
    adapters = Adapters(smol.linears)
    base = choose(smol, OPTIONS[:2])
    lora = make_lora(smol_dir, tmp_path / "lora", strength=0.07)
    adapters.load("ada-1", lora)
    adapters.use("ada-1")
    try:
        ours = choose(smol, OPTIONS[:2])
    finally:
        adapters.use(None)
    reference = peft_scores(smol_dir, lora, smol, torch.float32, OPTIONS[:2])
    assert ours == pytest.approx(reference, abs=0.3)
    assert max(abs(a - b) for a, b in zip(ours, base, strict=True)) > 1.0
    assert choose(smol, OPTIONS[:2]) == base


def test_three_are_resident_and_an_older_one_is_read_again(
    model: LoadedModel, tiny_lora: Path, make_lora: Callable[..., Path], tiny_dir: Path, tmp_path: Path
) -> None:
    adapters = Adapters(model.linears)
    folders = {f"a{n}": make_lora(tiny_dir, tmp_path / f"a{n}", seed=n, strength=0.3) for n in range(4)}
    scores = {}
    for name, folder in folders.items():
        adapters.load(name, folder)
        adapters.use(name)
        scores[name] = choose(model)
    assert [name for name in folders if adapters.resident(name) is None] == ["a0"]
    adapters.use("a0")
    assert choose(model) == scores["a0"] != scores["a1"]
    assert adapters.names() == ("a0", "a1", "a2", "a3")


def test_an_evicted_adapter_whose_files_changed_is_refused(
    model: LoadedModel, tiny_dir: Path, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    adapters = Adapters(model.linears)
    for n in range(4):
        adapters.load(f"a{n}", make_lora(tiny_dir, tmp_path / f"a{n}", seed=n))
    shutil.copy(tmp_path / "a1" / "adapter_model.safetensors", tmp_path / "a0")
    with pytest.raises(EngineError, match="have changed since it was loaded"):
        adapters.use("a0")


class TestRefused:
    @pytest.mark.parametrize("name", ["", "A", "a b", "../a", "-a", "a" * 65, "a\n"])
    def test_names(self, model: LoadedModel, tiny_lora: Path, name: str) -> None:
        with pytest.raises(EngineError, match="is no adapter name"):
            Adapters(model.linears).load(name, tiny_lora)

    def test_a_name_used_before(self, model: LoadedModel, tiny_lora: Path) -> None:
        adapters = Adapters(model.linears)
        adapters.load("a", tiny_lora)
        with pytest.raises(EngineError, match="used before"):
            adapters.load("a", tiny_lora)

    def test_an_unknown_name(self, model: LoadedModel) -> None:
        adapters = Adapters(model.linears)
        for ask in (adapters.use, adapters.resident):
            with pytest.raises(EngineError, match="No adapter 'b' is loaded"):
                ask("b")

    @pytest.mark.parametrize(
        ("config", "said"),
        [
            ({"peft_type": "IA3"}, "does not say peft_type LORA"),
            ({"use_dora": True}, "uses use_dora"),
            ({"bias": "all"}, "uses bias"),
            ({"modules_to_save": ["lm_head"]}, "uses modules_to_save"),
            ({"init_lora_weights": "pissa"}, "uses init_lora_weights"),
            ({"alpha_pattern": {"q_proj": 3}}, "uses alpha_pattern"),
            ({"r": 8}, "has shapes"),
            ({"r": 0}, "must be positive"),
            ({"lora_alpha": float("nan")}, "must be positive"),
        ],
    )
    def test_configs(
        self, model: LoadedModel, edit_lora: Callable[..., Path], config: dict[str, object], said: str
    ) -> None:
        self.expect(said, model, edit_lora(config=config))

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda t: t.update({k: v * float("nan") for k, v in t.items()}), "NaN or infinite"),
            (lambda t: t.update({k: v * 0 for k, v in t.items()}), "all its weights are zero"),
            (lambda t: t.update({k: v * 0 for k, v in t.items() if "lora_B" in k}), "all its weights are zero"),
            (lambda t: t.update({k: v[:, :-1].contiguous() for k, v in t.items()}), "has shapes"),
            (lambda t: t.update({k.replace("base_model.", ""): t.pop(k) for k in list(t)}), "no linear layer"),
            (lambda t: t.update({k.replace("layers.1", "layers.9"): t.pop(k) for k in list(t)}), "no linear layer"),
            (lambda t: t.update({"base_model.model.lm_head.weight": torch.ones(2)}), "no linear layer"),
            (lambda t: t.pop(next(k for k in t if "lora_B" in k)), "lacks lora_A or lora_B"),
            (lambda t: t.clear(), "holds no tensors"),
        ],
    )
    def test_tensors(
        self,
        model: LoadedModel,
        edit_lora: Callable[..., Path],
        change: Callable[[dict[str, torch.Tensor]], object],
        said: str,
    ) -> None:
        self.expect(said, model, edit_lora(tensors=change))

    def test_files(self, model: LoadedModel, edit_lora: Callable[..., Path], tmp_path: Path) -> None:
        self.expect("No such file", model, tmp_path / "missing")
        folder = edit_lora()
        (folder / "adapter_model.safetensors").write_bytes(b"\0" * 50)
        self.expect("adapter_model.safetensors cannot be read", model, folder)
        (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
        self.expect("adapter_model.bin is a pickle", model, folder)
        (folder / "adapter_config.json").write_text("{")
        self.expect("adapter_config.json cannot be read", model, folder)

    @staticmethod
    def expect(said: str, model: LoadedModel, folder: Path) -> None:
        adapters = Adapters(model.linears)
        base = choose(model)
        with pytest.raises(EngineError, match=said) as caught:
            adapters.load("bad", folder)
        assert "\n" not in str(caught.value)
        assert adapters.names() == ()
        assert choose(model) == base
