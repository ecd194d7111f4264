"""One causal language model in memory: device, dtype, and linear layers whose weights can be switched.

Knows nothing of prompts, queues or processes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agent.llm.tokens import CONTEXT_TOKENS, PromptRenderer

PACK_MAX_PARAMS = 1_000_000_000
"""Packed weights stand beside the plain ones; larger models would not fit twice."""


class SwitchLinear(nn.Module):
    """A linear layer that computes with `active`, which an adapter may replace and give back.

    On a CPU with bf16 the active weight is kept in oneDNN's own layout: measured 25 % more tokens/s at batch 1,
    same results as the plain layout.
    """

    def __init__(self, linear: nn.Linear, packed: bool) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.packed = packed
        self.base = self.prepare(linear.weight.detach())
        self.active = self.base

    def prepare(self, weight: torch.Tensor) -> torch.Tensor:
        """`weight` (out, in) in the form that `active` must have."""
        return torch.ops.mkldnn._reorder_linear_weight(weight) if self.packed else weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.packed:
            result: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.active, self.bias, "none", [], "")
            return result
        return nn.functional.linear(x, self.active, self.bias)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to run under `torch.inference_mode`."""

    net: Any
    renderer: PromptRenderer
    linears: Mapping[str, SwitchLinear]
    device: torch.device
    dtype: torch.dtype
    context: int
    stop_ids: frozenset[int]

    @property
    def vocab_size(self) -> int:
        """Width of the logits; may be larger than the tokenizer's vocabulary."""
        return int(self.net.config.get_text_config().vocab_size)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of answer tokens, control tokens left out."""
        return self.renderer.decode(ids)


def load_model(folder: Path, device: str = "auto", dtype: torch.dtype | None = None) -> LoadedModel:
    """Load the model in `folder` (see weights.resolve_model).

    Args:
        folder: config, safetensors, tokenizer.
        device: "auto" (CUDA when there is one), or a torch device.
        dtype: None picks bf16 where the hardware computes in it, else fp32.
    """
    from transformers import AutoModelForCausalLM

    where = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    dtype = dtype or _best_dtype(where)
    net: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
    net = net.to(where).eval()
    net.requires_grad_(False)
    renderer = PromptRenderer.from_folder(folder)
    with torch.inference_mode():
        linears = _make_switchable(net, _can_pack(net, where, dtype))
    config = net.config.get_text_config()
    return LoadedModel(
        net=net,
        renderer=renderer,
        linears=linears,
        device=where,
        dtype=dtype,
        context=min(int(getattr(config, "max_position_embeddings", CONTEXT_TOKENS)), CONTEXT_TOKENS),
        # Any control token ends an answer: one that opens a new turn as well as the end of text.
        stop_ids=renderer.control_ids | _eos_ids(net, renderer),
    )


def _eos_ids(net: Any, renderer: PromptRenderer) -> frozenset[int]:  # noqa: ANN401 -- any transformers model
    named = [net.generation_config.eos_token_id, net.config.eos_token_id, renderer.tokenizer.eos_token_id]
    ids: set[int] = set()
    for value in named:
        ids.update(value if isinstance(value, list) else [] if value is None else [value])
    return frozenset(ids)


def _best_dtype(device: torch.device) -> torch.dtype:
    if device.type != "cpu":
        return torch.bfloat16
    probes: list[Callable[[], bool]] = [torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported]
    return torch.bfloat16 if any(probe() for probe in probes) else torch.float32


def _can_pack(net: nn.Module, device: torch.device, dtype: torch.dtype) -> bool:
    small = sum(parameter.numel() for parameter in net.parameters()) <= PACK_MAX_PARAMS
    fits = small and device.type == "cpu" and dtype == torch.bfloat16
    return fits and bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]


def _make_switchable(net: nn.Module, packed: bool) -> dict[str, SwitchLinear]:
    """Replace each nn.Linear of `net` in place; the result is keyed by the layer's name."""
    linears: dict[str, SwitchLinear] = {}
    for name, module in list(net.named_modules()):
        if type(module) is nn.Linear:
            linears[name] = SwitchLinear(module, packed)
            net.set_submodule(name, linears[name])
    return linears
