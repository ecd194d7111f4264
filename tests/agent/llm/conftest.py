"""One conversion of SmolLM2 and one engine on it for the whole session; a tiny random model for all else."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
import torch
from llm_chat import READY_SECONDS
from safetensors.torch import load_file, save_file

from agent.llm import weights
from agent.llm.embedded import EmbeddedEngine
from agent.llm.model import LoadedModel, load_model
from agent.llm.weights import DEFAULT_MODEL, resolve_model


@pytest.fixture(scope="session")
def models_dir(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept between runs while the code that converts is the same: a cold conversion takes 10 to 80 seconds."""
    if pytestconfig.cache is None:
        return tmp_path_factory.mktemp("models")
    version = hashlib.sha256(Path(weights.__file__).read_bytes() + transformers_version().encode()).hexdigest()[:8]
    kept = pytestconfig.cache.mkdir("chatalogue-models")
    for old in kept.iterdir():
        if old.name != version:
            shutil.rmtree(old, ignore_errors=True)
    return kept / version


def transformers_version() -> str:
    return importlib.metadata.version("transformers")


@pytest.fixture(scope="session")
def smol_dir(models_dir: Path) -> Path:
    """SmolLM2, converted from its GGUF now."""
    return resolve_model(DEFAULT_MODEL, models_dir)


@pytest.fixture(scope="session")
def tiny_dir(smol_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random layers with SmolLM2's tokenizer: loads in no time, answers nonsense, always the same."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = AutoTokenizer.from_pretrained(smol_dir)
    # The neighbours of a test run want the cores too, and threads that wait for each other spin.
    torch.set_num_threads(1)
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1_024,
        initializer_range=0.3,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(7)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tiny_dir: Path) -> LoadedModel:
    """The tiny model in this process, fp32: differences are errors and not rounding."""
    return load_model(tiny_dir, "cpu", torch.float32)


@pytest.fixture(scope="session")
def smol(smol_dir: Path) -> LoadedModel:
    """SmolLM2 in this process, bf16."""
    return load_model(smol_dir, "cpu", torch.bfloat16)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(smol_dir: Path, models_dir: Path) -> AsyncIterator[EmbeddedEngine]:
    """The engine on SmolLM2, shared: leave it on the base model."""
    engine = EmbeddedEngine(DEFAULT_MODEL, models_dir, max_queue=3)
    await engine.start()
    await engine.wait_ready(READY_SECONDS)
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def make_lora() -> Callable[..., Path]:
    """Writes a LoRA with PEFT itself, random in both halves, for the model in a folder."""

    def make(base: Path, folder: Path, seed: int = 1, strength: float = 0.05) -> Path:
        import peft
        from transformers import AutoModelForCausalLM

        torch.manual_seed(seed)
        config = peft.LoraConfig(
            r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"], task_type="CAUSAL_LM"
        )
        wrapped = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        wrapped.save_pretrained(folder)
        tensors = load_file(folder / "adapter_model.safetensors")
        save_file({k: torch.randn_like(v) * strength for k, v in tensors.items()}, folder / "adapter_model.safetensors")
        return folder

    return make


@pytest.fixture(scope="session")
def tiny_lora(make_lora: Callable[..., Path], tiny_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_lora(tiny_dir, tmp_path_factory.mktemp("lora") / "tiny", strength=0.3)


@pytest.fixture
def edit_lora(tiny_lora: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of the tiny LoRA with changed config fields or tensors."""

    def edit(
        config: dict[str, object] | None = None, tensors: Callable[[dict[str, torch.Tensor]], object] | None = None
    ) -> Path:
        folder = tmp_path / "edited"
        folder.mkdir()
        fields = json.loads((tiny_lora / "adapter_config.json").read_text()) | (config or {})
        (folder / "adapter_config.json").write_text(json.dumps(fields))
        weights = load_file(tiny_lora / "adapter_model.safetensors")
        if tensors:
            tensors(weights)
        save_file(weights, folder / "adapter_model.safetensors")
        return folder

    return edit
