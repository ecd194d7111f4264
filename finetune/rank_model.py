"""A model with a fresh LoRA that says how well candidates fit, with gradients; and the folder that engines load.

The score of a candidate is the log-odds of " yes" against " no" after it, which is what the rank skill asks of an
engine. Knows nothing of data, steps and checkpoints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agent.llm.adapter_check import CONFIG_FILE, WEIGHTS_FILE, base_shapes, check_adapter
from agent.llm.tokens import CONTEXT_TOKENS, PromptRenderer
from agent.rank.prompts import ANSWERS
from finetune.packing import ATTENTION, Packed, pack, packed_attention
from finetune.rank_data import Example
from retrieval.errors import EngineError

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""Attention and MLP; never the output layer, which servers do not give LoRA to."""


@dataclass(frozen=True, slots=True)
class LoraShape:
    """Rank and alpha; the scale is alpha / rank. Servers of ours take ranks up to 16 unless told otherwise."""

    rank: int = 16
    alpha: int = 32


class RankModel:
    """The base, frozen, with LoRA on it that learns.

    Args:
        folder: of the base (agent.llm.weights.resolve_model).
        lora: its shape.
        seed: of the LoRA's first weights.
        dtype: of the base and of the computation; the LoRA and its gradients are float32.
    """

    def __init__(self, folder: Path, lora: LoraShape, seed: int, dtype: torch.dtype) -> None:
        import peft
        from transformers import AttentionInterface, AutoModelForCausalLM

        from agent.llm.quiet import quiet_transformers

        quiet_transformers()
        self._folder = folder
        self._dtype = dtype
        self.renderer = PromptRenderer.from_folder(folder)
        AttentionInterface.register(ATTENTION, packed_attention)
        net: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, attn_implementation=ATTENTION
        )
        refuse_windows(net)
        torch.manual_seed(seed)
        config = peft.LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=list(TARGETS), task_type="CAUSAL_LM"
        )
        self._net: Any = peft.get_peft_model(net, config)
        self._decoder: Any = net.get_decoder()  # with the LoRA inside; without the output layer, of which two rows do
        yes, no = self.renderer.encode_answers(ANSWERS)
        output = net.get_output_embeddings().weight.detach()
        self._direction = (output[yes].float() - output[no].float()).to(dtype)
        config = net.config.get_text_config()
        self._context = min(int(getattr(config, "max_position_embeddings", CONTEXT_TOKENS)), CONTEXT_TOKENS)

    @property
    def trained(self) -> dict[str, torch.nn.Parameter]:
        """What learns, by name."""
        return {name: weight for name, weight in self._net.named_parameters() if weight.requires_grad}

    def pack(self, example: Example) -> Packed:
        """The tokens of an example, the same as an engine reads."""
        endings = self.renderer.encode_endings(example.endings, self._context)
        prompt = self.renderer.fit_answer(example.prompt, self._context, max(map(len, endings)) + 1)
        return pack(prompt, endings)

    def scores(self, packed: Packed) -> torch.Tensor:
        """Log-odds of yes against no for each ending: float32, (endings,)."""
        with self._computing():
            hidden = self._decoder(
                input_ids=packed.ids, position_ids=packed.positions, use_cache=False, packed=packed
            ).last_hidden_state[0, packed.ends]
        # In float32: the difference of two logits is small beside them.
        odds: torch.Tensor = hidden.float() @ self._direction.float()
        return odds

    def save(self, folder: Path, base_name: str) -> None:
        """Write the LoRA as the engines load it; see `save_lora`."""
        save_lora(self._net, folder, self._folder, base_name)

    def _computing(self) -> AbstractContextManager[None]:
        mixed = self._dtype != torch.float32
        return torch.autocast("cpu", dtype=self._dtype, enabled=mixed)


def save_lora(net: Any, folder: Path, base: Path, base_name: str) -> None:  # noqa: ANN401 -- a PeftModel
    """Write a LoRA as the engines load it: bfloat16, and no path of this machine in it; checked when written.

    Raises:
        EngineError: the engines would refuse it.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    # Never embeddings, and no question to the model hub whether their number was changed.
    state: Mapping[str, torch.Tensor] = get_peft_model_state_dict(net, save_embedding_layers=False)
    half = {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in state.items()}
    # Not save_file: what it writes only its owner can read, and a server may be somebody else.
    (folder / WEIGHTS_FILE).write_bytes(save(half))
    config = net.peft_config["default"].to_dict()
    fields = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    fields |= {"base_model_name_or_path": base_name, "inference_mode": True}
    written = json.dumps(fields, indent=1, sort_keys=True, default=str)
    (folder / CONFIG_FILE).write_text(written + "\n", encoding="utf-8")
    check_adapter("trained", folder, base_shapes(base))


def best_dtype() -> torch.dtype:
    """bfloat16 where the processor computes in it, else float32."""
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def refuse_windows(net: Any) -> None:  # noqa: ANN401 -- any transformers model
    """Packed endings are exact only where every layer sees all earlier tokens, as far as the mask lets it."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=net.config).layers):
        raise EngineError(
            "This model has layers with windows or states, which the training of the rank skill cannot use."
        )
