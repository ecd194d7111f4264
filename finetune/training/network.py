"""One frozen base with two LoRAs in one PEFT model: the one that learns, and the champion it is measured against.

PEFT keeps names, files and switching; the layer's arithmetic is ours (`FusedLinear`), since PEFT casts every input to
float32 and back, which on a CPU costs as much as the LoRA itself. Knows no lessons, losses and steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
from peft.tuners.lora.layer import Linear
from torch import nn

from agent.llm.adapter_check import base_shapes, check_adapter
from agent.llm.tokens import PromptRenderer
from agent.rank.prompts import ANSWERS
from finetune.packing import ATTENTION, packed_attention
from finetune.rank_model import TARGETS, LoraShape, best_dtype, refuse_windows, save_lora
from finetune.starter.batches import Row
from finetune.starter.network import LoraProduct
from finetune.training.penalties import Factors
from finetune.training.recipe import Start
from retrieval.errors import EngineError

LEARNS: Final = "default"
"""PEFT's name of the LoRA that learns; what is saved at the top of a folder."""
CHAMPION: Final = "champion"


class FusedLinear(Linear):
    """PEFT's linear layer, computed in the base's dtype; several active LoRAs are one of their ranks' sum."""

    def forward(self, x: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
        base: Any = self.get_base_layer()
        active = [] if self.disable_adapters else [name for name in self.active_adapters if name in self.lora_A]
        if not active:
            plain: torch.Tensor = base(x)
            return plain
        first: Any = self.lora_A
        second: Any = self.lora_B
        a = torch.cat([first[name].weight for name in active]).to(x.dtype)
        b = torch.cat([second[name].weight * self.scaling[name] for name in active], dim=1).to(x.dtype)
        flat = x.reshape(-1, x.shape[-1])
        made: torch.Tensor = LoraProduct.apply(flat, base.weight, a, b, 1.0)  # type: ignore[no-untyped-call]
        if base.bias is not None:
            made = made + base.bias
        return made.reshape(*x.shape[:-1], -1)


class CycleModel:
    """The base, the champion and the LoRA that learns.

    Args:
        folder: of the base (agent.llm.weights.resolve_model).
        champion: a LoRA's folder; None: the base itself is the champion. Of a refit it is the starter.
        start: where the LoRA that learns begins; without a champion always on the base.
        lora: its shape, where it does not begin as the champion.
        seed: of its first weights.
        device: of all of it.

    Raises:
        EngineError: the champion is not a LoRA for this base, or the base has layers that cannot be packed.
    """

    def __init__(
        self, folder: Path, champion: Path | None, start: Start, lora: LoraShape, seed: int, device: str
    ) -> None:
        import peft
        from transformers import AttentionInterface, AutoModelForCausalLM

        from agent.llm.quiet import quiet_transformers

        quiet_transformers()
        self._folder = folder
        if champion is not None:
            check_adapter("champion", champion, base_shapes(folder))
        self.renderer = PromptRenderer.from_folder(folder)
        self.device = torch.device(device)
        AttentionInterface.register(ATTENTION, packed_attention)
        base: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.bfloat16 if device != "cpu" else best_dtype(),
            local_files_only=True,
            attn_implementation=ATTENTION,
        )
        base.to(self.device)
        refuse_windows(base)
        self.has_champion = champion is not None
        shape = _config(
            peft.LoraConfig(
                r=lora.rank, lora_alpha=lora.alpha, lora_dropout=0.0, target_modules=list(TARGETS),
                task_type="CAUSAL_LM",
            )
        )  # fmt: skip
        if champion is not None and start == "champion":
            shape = _saved_config(champion)
            shape.inference_mode = False
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.net: Any = peft.get_peft_model(base, shape, adapter_name=LEARNS)
        if champion is not None:
            self._add_champion(champion)
            if self.factors().keys() != self.factors(CHAMPION).keys():
                raise EngineError(
                    f"The champion in {str(champion)!r} changes other layers than a fresh LoRA would "
                    f"({', '.join(TARGETS)}); begin with its weights, or with none."
                )
            if start == "champion":
                self._become(self.factors(CHAMPION))
        self.beside = self.has_champion and start in ("beside", "starter")
        self._activate()
        # With the LoRAs inside, without the output layer: of that, only the answers' places are computed.
        self._decoder: Any = base.get_decoder()
        self._output: torch.Tensor = base.get_output_embeddings().weight.detach()

    @property
    def trained(self) -> dict[str, nn.Parameter]:
        """What learns, by PEFT's names."""
        return {name: weight for name, weight in self.net.named_parameters() if weight.requires_grad}

    @property
    def yes_no(self) -> tuple[int, int]:
        """The tokens that judge an item.

        Raises:
            EngineError: the model has no such tokens.
        """
        yes, no = self.renderer.encode_answers(ANSWERS)
        return yes, no

    def factors(self, adapter: str = LEARNS) -> dict[str, Factors]:
        """The LoRA of each layer; those of the one that learns carry gradients."""
        found = {}
        for name, layer in self.net.named_modules():
            if isinstance(layer, FusedLinear) and adapter in layer.lora_A:
                halves: Any = (layer.lora_A[adapter], layer.lora_B[adapter])
                found[name] = Factors(halves[0].weight, halves[1].weight, float(layer.scaling[adapter]))
        return found

    def logits(self, row: Row) -> torch.Tensor:
        """Of the place that each answer token is told from: float32, (answer tokens, vocabulary)."""
        packed = replace(
            row.packed,
            ids=row.packed.ids.to(self.device),
            positions=row.packed.positions.to(self.device),
            grid=row.packed.grid.to(self.device),
            real=row.packed.real.to(self.device),
        )
        hidden = self._decoder(
            input_ids=packed.ids, position_ids=packed.positions, use_cache=False, packed=packed
        ).last_hidden_state[0, row.before.to(self.device)]
        found: torch.Tensor = (hidden @ self._output.t()).float()
        return found

    @contextmanager
    def as_champion(self) -> Iterator[None]:
        """Compute with the champion, the base where there is none, and without gradients."""
        with torch.no_grad():
            if not self.has_champion:
                with self.net.disable_adapter():
                    yield
                return
            self.net.base_model.set_adapter(CHAMPION, inference_mode=True)
            try:
                yield
            finally:
                self._activate()

    def join(self, joined: Mapping[str, Factors]) -> None:
        """From now on the LoRA that learns is `joined`, and it stands alone."""
        self._become(joined)
        self.beside = False
        self._activate()

    def save(self, folder: Path, base_name: str) -> None:
        """Write the LoRA that learns as the engines load it; see `save_lora`."""
        save_lora(self.net, folder, self._folder, base_name)

    def _activate(self) -> None:
        active = [LEARNS, CHAMPION] if self.beside else [LEARNS]
        self.net.base_model.set_adapter(active)
        for name, weight in self.net.named_parameters():
            weight.requires_grad_(f".{LEARNS}." in name)

    def _add_champion(self, champion: Path) -> None:
        import peft
        from safetensors.torch import load_file

        from agent.llm.adapter_check import WEIGHTS_FILE

        self.net.add_adapter(CHAMPION, _saved_config(champion))
        saved = load_file(champion / WEIGHTS_FILE)
        peft.set_peft_model_state_dict(self.net, saved, adapter_name=CHAMPION)

    def _become(self, factors: Mapping[str, Factors]) -> None:
        with torch.no_grad():
            for layer, one in self.factors().items():
                one.a.copy_(factors[layer].a)
                one.b.copy_(factors[layer].b)


def _saved_config(folder: Path) -> Any:  # noqa: ANN401 -- a LoraConfig
    import peft

    config: Any = peft.LoraConfig.from_pretrained(str(folder))
    config.lora_dropout = 0.0
    config.base_model_name_or_path = None  # the name it is served by; PEFT would warn that our folder has another
    return _config(config)


def _config(config: Any) -> Any:  # noqa: ANN401 -- a LoraConfig
    config._register_custom_module({nn.Linear: FusedLinear})
    return config
