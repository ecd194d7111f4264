"""LoRA adapters merged into copies of the embedded model's weights, after the check that both engines share.

The base weights are never written to, so that going back to them is exact. Knows nothing of who
trained an adapter or whether it is any good.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load

from agent.llm.adapter_check import CheckedAdapter, check_adapter
from agent.llm.model import SwitchLinear
from agent.llm.names import check_name
from retrieval.errors import EngineError

MAX_RESIDENT = 2
"""Champion and canary; each holds a copy of every weight that it changes."""


class Adapters:
    """The adapters that one model can answer with."""

    def __init__(self, linears: Mapping[str, SwitchLinear]) -> None:
        self._linears = linears
        self._shapes = {
            layer: (linear.out_features, linear.in_features) for layer, linear in linears.items() if layer != "lm_head"
        }
        self._sources: dict[str, tuple[Path, str]] = {}
        self._merged: OrderedDict[str, dict[str, torch.Tensor]] = OrderedDict()  # least recently used first
        self.active: str | None = None

    def load(self, name: str, folder: Path) -> None:
        """Check the PEFT LoRA in `folder` and merge it, ready for `use`.

        Raises:
            EngineError: one sentence; nothing has changed.
        """
        check_name(name, tuple(self._sources))
        checked = check_adapter(name, folder, self._shapes)
        merged = self._merge(checked)
        self._sources[name] = (folder, _digest(checked))
        self._keep(name, merged)

    def use(self, name: str | None) -> None:
        """Compute with adapter `name` from now on, or with the base (None).

        Raises:
            EngineError: `name` was not loaded, or its folder has changed since.
        """
        merged = self._resident(name) if name is not None else {}
        for layer, linear in self._linears.items():
            linear.active = merged.get(layer, linear.base)
        self.active = name

    def names(self) -> tuple[str, ...]:
        """What `use` accepts, in the order of loading."""
        return tuple(self._sources)

    def _resident(self, name: str) -> dict[str, torch.Tensor]:
        if name not in self._sources:
            raise EngineError(f"No adapter {name!r} is loaded; loaded are: {', '.join(self._sources) or 'none'}.")
        if name not in self._merged:
            folder, digest = self._sources[name]
            checked = check_adapter(name, folder, self._shapes)
            if _digest(checked) != digest:
                raise EngineError(f"The files of adapter {name!r} have changed since it was loaded; rename it.")
            self._keep(name, self._merge(checked))
        self._merged.move_to_end(name)
        return self._merged[name]

    def _keep(self, name: str, merged: dict[str, torch.Tensor]) -> None:
        self._merged[name] = merged
        for old in [n for n in self._merged if n not in (name, self.active)][
            : max(0, len(self._merged) - MAX_RESIDENT)
        ]:
            del self._merged[old]

    def _merge(self, checked: CheckedAdapter) -> dict[str, torch.Tensor]:
        tensors = load(checked.weights)
        merged = {}
        with torch.inference_mode():
            for layer in checked.layers:
                linear = self._linears[layer]
                merged[layer] = linear.prepare(
                    merged_weight(linear.weight, *lora_halves(tensors, layer), scale=checked.scale)
                )
        return merged


def lora_halves(tensors: Mapping[str, torch.Tensor], layer: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A (rank, in) and B (out, rank) of a layer, from a checked file's tensors."""
    stem = f"base_model.model.{layer}.lora_"
    return tensors[f"{stem}A.weight"], tensors[f"{stem}B.weight"]


def merged_weight(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, scale: float) -> torch.Tensor:
    """The weight (out, in) with `scale` * B A added in float32, in `weight`'s own dtype and place."""
    return (weight.float() + scale * (b.float() @ a.float()).to(weight.device)).to(weight.dtype)


def _digest(checked: CheckedAdapter) -> str:
    return hashlib.sha256(checked.config_bytes + checked.weights).hexdigest()
