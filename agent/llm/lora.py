"""LoRA adapters: checked before anything is touched, then merged into copies of the base weights.

The base weights are never written to, so that going back to them is exact. Knows nothing of who
trained an adapter or whether it is any good.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from agent.llm.model import SwitchLinear
from retrieval.errors import EngineError

MAX_RESIDENT = 2
"""Champion and canary; each holds a copy of every weight that it changes."""

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TENSOR = re.compile(r"^base_model\.model\.(?P<layer>.+)\.lora_(?P<half>[AB])\.weight$")
_UNSUPPORTED = (
    "use_dora", "lora_bias", "modules_to_save", "rank_pattern", "alpha_pattern", "fan_in_fan_out", "layer_replication",
    "trainable_token_indices", "target_parameters", "alora_invocation_tokens",
)  # fmt: skip
"""Fields of PEFT's LoraConfig that change more than W + scale * B A; they must be off."""
_PLAIN_INITS = (True, False, None, "gaussian", "orthogonal", "eva")
"""Other ways to begin (PiSSA, OLoRA, LoftQ ...) change the base weights too."""


class Adapters:
    """The adapters that one model can answer with."""

    def __init__(self, linears: Mapping[str, SwitchLinear]) -> None:
        self._linears = linears
        self._sources: dict[str, tuple[Path, str]] = {}
        self._merged: OrderedDict[str, dict[str, torch.Tensor]] = OrderedDict()  # least recently used first
        self.active: str | None = None

    def load(self, name: str, folder: Path) -> None:
        """Check the PEFT LoRA in `folder` and merge it, ready for `use`.

        Raises:
            EngineError: one sentence; nothing has changed.
        """
        check_name(name, tuple(self._sources))
        digest = _digest(name, folder)
        merged = self._merge(name, folder)
        self._sources[name] = (folder, digest)
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
            if _digest(name, folder) != digest:
                raise EngineError(f"The files of adapter {name!r} have changed since it was loaded; rename it.")
            self._keep(name, self._merge(name, folder))
        self._merged.move_to_end(name)
        return self._merged[name]

    def _keep(self, name: str, merged: dict[str, torch.Tensor]) -> None:
        self._merged[name] = merged
        for old in [n for n in self._merged if n not in (name, self.active)][
            : max(0, len(self._merged) - MAX_RESIDENT)
        ]:
            del self._merged[old]

    def _merge(self, name: str, folder: Path) -> dict[str, torch.Tensor]:
        scale, pairs = read_lora(name, folder, self._linears)
        merged = {}
        with torch.inference_mode():
            for layer, (a, b) in pairs.items():
                linear = self._linears[layer]
                weight = linear.weight.float() + scale * (b.float() @ a.float()).to(linear.weight.device)
                merged[layer] = linear.prepare(weight.to(linear.weight.dtype))
        return merged


def check_name(name: str, taken: tuple[str, ...]) -> None:
    """Refuse a name that is malformed or was given before: caches are keyed by it.

    Raises:
        EngineError: one sentence.
    """
    if not _NAME.fullmatch(name):
        raise EngineError(f"{name!r} is no adapter name: use up to 64 of a-z, 0-9, '.', '_' and '-'.")
    if name in taken:
        raise EngineError(f"The adapter name {name!r} was used before; names are never used again, choose a new one.")


Pairs = dict[str, tuple[torch.Tensor, torch.Tensor]]


def read_lora(name: str, folder: Path, linears: Mapping[str, SwitchLinear]) -> tuple[float, Pairs]:
    """Read and check an adapter; nothing of the model is touched.

    Returns:
        The scale, and for each layer its A (rank, in) and B (out, rank).

    Raises:
        EngineError: one sentence that names what is wrong.
    """
    config = _read_config(name, folder)
    try:
        tensors = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError) as error:
        raise _refused(name, f"{WEIGHTS_FILE} cannot be read ({error})") from None
    pairs = _paired(name, tensors, linears)
    rank = config["r"]
    for layer, (a, b) in pairs.items():
        linear = linears[layer]
        if tuple(a.shape) != (rank, linear.in_features) or tuple(b.shape) != (linear.out_features, rank):
            raise _refused(
                name,
                f"{layer} has shapes {tuple(a.shape)} and {tuple(b.shape)}, the model needs "
                f"{(rank, linear.in_features)} and {(linear.out_features, rank)}",
            )
        if not (a.isfinite().all() and b.isfinite().all()):
            raise _refused(name, f"{layer} holds NaN or infinite numbers")
    if not any(a.any() and b.any() for a, b in pairs.values()):
        raise _refused(name, "all its weights are zero, so it changes nothing")
    scale = config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return float(scale), pairs


def _read_config(name: str, folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(name, f"{CONFIG_FILE} cannot be read ({error})") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise _refused(name, f"{CONFIG_FILE} does not say peft_type LORA")
    extra = [field for field in _UNSUPPORTED if config.get(field)]
    if config.get("bias", "none") != "none":
        extra.append("bias")
    if config.get("init_lora_weights") not in _PLAIN_INITS:
        extra.append("init_lora_weights")
    if extra:
        raise _refused(name, f"it uses {', '.join(extra)}, which merged plain LoRA cannot express")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float) or not 0 < alpha < math.inf:
        raise _refused(name, f"r is {rank!r} and lora_alpha {alpha!r}, both must be positive numbers")
    return config


def _paired(name: str, tensors: Mapping[str, torch.Tensor], linears: Mapping[str, SwitchLinear]) -> Pairs:
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        match = _TENSOR.match(key)
        if match is None or match["layer"] not in linears:
            raise _refused(name, f"the tensor {key!r} belongs to no linear layer of the model")
        halves.setdefault(match["layer"], {})[match["half"]] = tensor
    lone = [layer for layer, pair in halves.items() if len(pair) != 2]
    if lone or not halves:
        raise _refused(name, f"{lone[0]} lacks lora_A or lora_B" if lone else "it holds no tensors")
    return {layer: (pair["A"], pair["B"]) for layer, pair in halves.items()}


def _digest(name: str, folder: Path) -> str:
    try:
        return hashlib.sha256((folder / CONFIG_FILE).read_bytes() + (folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    except OSError as error:
        raise _refused(name, f"{error.strerror or error}: {error.filename}") from None


def _refused(name: str, why: str) -> EngineError:
    return EngineError(f"Adapter {name!r} is refused: {why}.")
