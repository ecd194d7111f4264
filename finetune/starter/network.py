"""The base, frozen, with a LoRA that learns to answer: the loss of packed rows, and the folder that engines load.

The LoRA is computed here and not by PEFT: PEFT keeps it in float32 and casts every input to it and back, which costs as
much as the LoRA itself on a CPU; here forward and backward are three and six products in the base's own dtype, and
the float32 weights are cast once a row. Knows nothing of data, steps and checkpoints.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from agent.llm.adapter_check import CONFIG_FILE, WEIGHTS_FILE, base_shapes, check_adapter
from agent.llm.tokens import PromptRenderer
from finetune.packing import ATTENTION, packed_attention
from finetune.rank_model import TARGETS, LoraShape, refuse_windows
from finetune.starter.batches import Row


class LoraProduct(torch.autograd.Function):
    """x W' + scale (x A') B', with gradients for x, A and B alone; x: (tokens, in), W: (out, in)."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 -- torch's context has no useful static type
        x: torch.Tensor,
        weight: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        low = x @ a.t()
        ctx.save_for_backward(x, weight, a, b, low)
        ctx.scale = scale
        return torch.addmm(x @ weight.t(), low, b.t(), alpha=scale)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401
        x, weight, a, b, low = ctx.saved_tensors
        grad_low = grad @ b
        dx = torch.addmm(grad @ weight, grad_low, a, alpha=ctx.scale) if ctx.needs_input_grad[0] else None
        return dx, None, ctx.scale * (grad_low.t() @ x), ctx.scale * (grad.t() @ low), None


class LoraLinear(nn.Module):
    """A frozen linear layer with a LoRA on it: `a` (rank, in) and `b` (out, rank) are float32 and learn."""

    def __init__(self, linear: nn.Linear, lora: LoraShape, random: torch.Generator) -> None:
        super().__init__()
        if linear.bias is not None:
            self.bias: torch.Tensor | None = linear.bias.detach()
        else:
            self.bias = None
        self.weight = nn.Parameter(linear.weight.detach(), requires_grad=False)
        bound = 1 / math.sqrt(linear.in_features)  # as PEFT begins: Kaiming's with a = sqrt(5)
        start = torch.rand(lora.rank, linear.in_features, generator=random) * 2 - 1
        self.a = nn.Parameter(start * bound)
        self.b = nn.Parameter(torch.zeros(linear.out_features, lora.rank))
        self.scale = lora.alpha / lora.rank

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        a, b = self.a.to(x.dtype), self.b.to(x.dtype)
        made: torch.Tensor = LoraProduct.apply(flat, self.weight, a, b, self.scale)  # type: ignore[no-untyped-call]
        if self.bias is not None:
            made = made + self.bias
        return made.reshape(*x.shape[:-1], -1)


class StarterModel:
    """The base with the LoRA.

    Args:
        folder: of the base (agent.llm.weights.resolve_model).
        lora: its shape.
        seed: of its first weights.
        dtype: of the base and of the computation.
    """

    def __init__(self, folder: Path, lora: LoraShape, seed: int, dtype: torch.dtype) -> None:
        from transformers import AttentionInterface, AutoModelForCausalLM

        from agent.llm.quiet import quiet_transformers

        quiet_transformers()
        self._folder, self._lora = folder, lora
        self.renderer = PromptRenderer.from_folder(folder)
        AttentionInterface.register(ATTENTION, packed_attention)
        net: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, attn_implementation=ATTENTION
        )
        refuse_windows(net)
        net.requires_grad_(False)
        random = torch.Generator().manual_seed(seed)
        self._layers: dict[str, LoraLinear] = {}
        for name, module in list(net.named_modules()):
            if isinstance(module, nn.Linear) and name.rpartition(".")[2] in TARGETS:
                self._layers[name] = LoraLinear(module, lora, random)
                net.set_submodule(name, self._layers[name])
        self._decoder: Any = net.get_decoder()
        self._output: torch.Tensor = net.get_output_embeddings().weight.detach()

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """What learns, by the names of the saved tensors."""
        halves = ((name, layer) for name, layer in self._layers.items())
        found = {}
        for name, layer in halves:
            found[f"base_model.model.{name}.lora_A.weight"] = layer.a
            found[f"base_model.model.{name}.lora_B.weight"] = layer.b
        return found

    def losses(self, row: Row) -> torch.Tensor:
        """Cross-entropy of each answer token of the row: float32, (answer tokens,)."""
        return nn.functional.cross_entropy(self._logits(row), row.wanted, reduction="none")

    @torch.no_grad()
    def judged(self, row: Row) -> tuple[torch.Tensor, torch.Tensor]:
        """Each answer token's loss, and whether it is the likeliest one; float32 and bool, (answer tokens,)."""
        logits = self._logits(row)
        return nn.functional.cross_entropy(logits, row.wanted, reduction="none"), logits.argmax(-1) == row.wanted

    def _logits(self, row: Row) -> torch.Tensor:
        packed = row.packed
        hidden = self._decoder(
            input_ids=packed.ids, position_ids=packed.positions, use_cache=False, packed=packed
        ).last_hidden_state[0, row.before]
        # Of answers alone: the output layer over every token would cost a quarter of the whole.
        logits: torch.Tensor = (hidden @ self._output.t()).float()
        return logits

    def save(self, folder: Path, base_name: str) -> None:
        """Write the LoRA as engines load it: bfloat16, and no path of this machine in it; checked when written.

        Raises:
            EngineError: the engines would refuse it.
        """
        from peft import LoraConfig
        from safetensors.torch import save

        folder.mkdir(parents=True, exist_ok=True)
        half = {name: weight.detach().to(torch.bfloat16).contiguous() for name, weight in self.trained.items()}
        # Not save_file: what it writes only its owner can read, and a server may be somebody else.
        (folder / WEIGHTS_FILE).write_bytes(save(half))
        shape: Any = LoraConfig(
            r=self._lora.rank, lora_alpha=self._lora.alpha, lora_dropout=0.0, target_modules=list(TARGETS),
            task_type="CAUSAL_LM", base_model_name_or_path=base_name, inference_mode=True,
        )  # fmt: skip
        config: Mapping[str, Any] = shape.to_dict()
        fields = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
        written = json.dumps(fields, indent=1, sort_keys=True, default=str)
        (folder / CONFIG_FILE).write_text(written + "\n", encoding="utf-8")
        check_adapter("starter", folder, base_shapes(self._folder))
