"""LoRA adapters merged into copies of the embedded model's weights, after the check that both engines share.

The base weights are never written to, so that going back to them is exact. Knows nothing of who
trained an adapter or whether it is any good.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load

from agent.llm.adapter_check import CheckedAdapter, check_adapter
from agent.llm.decoder import KernelWeights
from agent.llm.model import SwitchLinear
from agent.llm.names import check_name
from retrieval.errors import EngineError

MAX_RESIDENT = 3
"""Champion, canary, and the one that is prepared to follow; each holds a copy of every weight that it changes."""


@dataclass(frozen=True, slots=True)
class WeightSet:
    """The weights of one adapter, or of the base (`name` None); `layers` are what `SwitchLinear.active` takes.

    `kernel` is None as long as there is no decode kernel.
    """

    name: str | None
    layers: Mapping[str, torch.Tensor]
    kernel: KernelWeights | None


class Adapters:
    """The adapters that one model can answer with. One thread may prepare sets while another computes with them."""

    def __init__(self, linears: Mapping[str, SwitchLinear]) -> None:
        self._linears = linears
        self._shapes = {
            layer: (linear.out_features, linear.in_features) for layer, linear in linears.items() if layer != "lm_head"
        }
        self._sources: dict[str, tuple[Path, str]] = {}
        self._merged: OrderedDict[str, WeightSet] = OrderedDict()  # least recently used first
        self._lock = threading.Lock()
        """For `_merged` and `_sources`; never held while weights are made."""
        self._base = WeightSet(None, {}, None)
        self._pack: Callable[[Mapping[str, torch.Tensor]], KernelWeights] | None = None
        self._computing = self._base
        self.active: str | None = None
        """Never evicted."""

    def serve_kernel(self, base: KernelWeights, pack: Callable[[Mapping[str, torch.Tensor]], KernelWeights]) -> None:
        """From now on sets have weights for the decode kernel: of the base, and what `pack` makes of merged layers."""
        self._base, self._pack = WeightSet(None, {}, base), pack

    def load(self, name: str, folder: Path) -> None:
        """Check the PEFT LoRA in `folder` and merge it, ready for `use`.

        Raises:
            EngineError: one sentence; nothing has changed.
        """
        check_name(name, tuple(self._sources))
        checked = check_adapter(name, folder, self._shapes)
        merged = self._merge(name, checked)
        with self._lock:
            self._sources[name] = (folder, _digest(checked))
        self._keep(merged)

    def use(self, name: str | None) -> None:
        """Compute with adapter `name` from now on, or with the base (None).

        Raises:
            EngineError: `name` was not loaded, or its folder has changed since.
        """
        self.prepare(name)
        self.activate(self.get(name))

    def prepare(self, name: str | None) -> None:
        """Make adapter `name` the one that stays resident; changes nothing that is computed now.

        Raises:
            EngineError: as `use`.
        """
        self.get(name)
        self.active = name

    def get(self, name: str | None) -> WeightSet:
        """The set of adapter `name`; merged again when it was evicted or made before there was a kernel.

        Raises:
            EngineError: as `use`.
        """
        found = self.resident(name)
        return self._merge_again(str(name)) if found is None else found

    def resident(self, name: str | None) -> WeightSet | None:
        """The set of adapter `name` where it is at hand; None: `get` has to merge it again, which takes seconds.

        Raises:
            EngineError: `name` was not loaded.
        """
        if name is None:
            return self._base
        with self._lock:
            self._check_loaded(name)
            found = self._merged.get(name)
            if found is not None:
                self._merged.move_to_end(name)
        return found

    def renew(self) -> None:
        """Make the kernel's weights for sets that were merged before there was a kernel."""
        with self._lock:
            names = [name for name, merged in self._merged.items() if merged.kernel is None]
        for name in names:
            self._merge_again(name)

    def activate(self, chosen: WeightSet) -> None:
        """Let transformers compute with `chosen`; microseconds."""
        if chosen is self._computing:
            return
        for layer, linear in self._linears.items():
            linear.active = chosen.layers.get(layer, linear.base)
        self._computing = chosen

    def names(self) -> tuple[str, ...]:
        """What `use` accepts, in the order of loading."""
        return tuple(self._sources)

    def _merge_again(self, name: str) -> WeightSet:
        folder, digest = self._sources[name]
        checked = check_adapter(name, folder, self._shapes)
        if _digest(checked) != digest:
            raise EngineError(f"The files of adapter {name!r} have changed since it was loaded; rename it.")
        merged = self._merge(name, checked)
        self._keep(merged)
        return merged

    def _check_loaded(self, name: str) -> None:
        if name not in self._sources:
            raise EngineError(f"No adapter {name!r} is loaded; loaded are: {', '.join(self._sources) or 'none'}.")

    def _keep(self, merged: WeightSet) -> None:
        with self._lock:
            self._merged[str(merged.name)] = merged
            others = [name for name in self._merged if name not in (merged.name, self.active)]
            for old in others[: max(0, len(self._merged) - MAX_RESIDENT)]:
                del self._merged[old]

    def _merge(self, name: str, checked: CheckedAdapter) -> WeightSet:
        pack, tensors = self._pack, load(checked.weights)
        layers, plain = {}, {}
        with torch.inference_mode():
            for layer in checked.layers:
                linear = self._linears[layer]
                whole = merged_weight(linear.weight, *lora_halves(tensors, layer), scale=checked.scale)
                layers[layer] = linear.prepare(whole)
                if pack is not None:
                    plain[layer] = whole
        return WeightSet(name, layers, pack(plain) if pack is not None else None)


def lora_halves(tensors: Mapping[str, torch.Tensor], layer: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A (rank, in) and B (out, rank) of a layer, from a checked file's tensors."""
    stem = f"base_model.model.{layer}.lora_"
    return tensors[f"{stem}A.weight"], tensors[f"{stem}B.weight"]


def merged_weight(weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, scale: float) -> torch.Tensor:
    """The weight (out, in) with `scale` * B A added in float32, in `weight`'s own dtype and place."""
    return (weight.float() + scale * (b.float() @ a.float()).to(weight.device)).to(weight.dtype)


def _digest(checked: CheckedAdapter) -> str:
    return hashlib.sha256(checked.config_bytes + checked.weights).hexdigest()
