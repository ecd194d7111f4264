"""Is this folder a LoRA that both engines can serve? Asked before anything else sees it; one rule for both engines.

vLLM answers 200 to adapters that do nothing, have the wrong shape or are NaN (and then spoils the base's answers
too), so everything is settled here, from the bytes that are stored or merged afterwards. Needs no torch. Knows
nothing of who trained an adapter or whether it is any good.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from safetensors import SafetensorError, deserialize, safe_open

from agent.llm.names import check_name
from retrieval.errors import EngineError

CONFIG_FILE, WEIGHTS_FILE, PROBE_FILE = "adapter_config.json", "adapter_model.safetensors", "probe.json"

Shapes: TypeAlias = Mapping[str, tuple[int, int]]
"""(out_features, in_features) of each linear layer of the base, by the layer's name."""

_TENSOR = re.compile(r"^base_model\.model\.(?P<layer>.+)\.lora_(?P<half>[AB])\.weight$")
_BLOCK_LAYER = re.compile(r"(.*\.\d+\..*)\.weight")
"""A matrix of one of the numbered blocks; others (embeddings, the output layer) are not given LoRA by our server."""
_HARMLESS = frozenset((
    "peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "r", "lora_alpha", "lora_dropout", "use_rslora", "bias", "init_lora_weights", "target_modules", "exclude_modules",
    "layers_to_transform", "layers_pattern", "megatron_core", "qalora_group_size", "runtime_config", "eva_config",
))  # fmt: skip
"""Fields of PEFT's LoraConfig that may hold anything (or are looked at below). Every other one, those of a later PEFT
too, must be off: it may change more than W + scale * B A. vLLM knows most of them and refuses; some it passes over."""
MAX_ALPHA = 4_096
"""Trained adapters have 8 to 256. vLLM multiplies it into the weights, where a huge one overflows to infinity."""
_PATTERNS = ("rank_pattern", "alpha_pattern")
"""vLLM reads these and we could; refused because one scale and one rank for the whole adapter is what is tested."""
_PLAIN_INITS = (True, False, None, "gaussian", "orthogonal", "eva", "mica")
"""Other ways to begin (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) train against a base that was changed."""
_PICKLES = ("adapter_model.bin", "adapter_model.pt")
_DTYPES: Mapping[str, tuple[str, int]] = {"F32": ("<u4", 0x4780_0000), "F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x4780)}
"""By safetensors' name: unsigned integers of the same width, and the bits of 65,536, which float16 cannot hold.

Bits without the sign grow with the number; those of infinity and NaN are the highest.
"""


@dataclass(frozen=True, slots=True)
class CheckedAdapter:
    """An adapter that passed, with the very bytes that were looked at: files may change after a check.

    `scale` is that of B A; `layers` are the base's linear layers that it changes.
    """

    name: str
    config: Mapping[str, Any]
    config_bytes: bytes
    weights: bytes
    rank: int
    scale: float
    layers: tuple[str, ...]


def check_adapter(name: str, folder: Path, shapes: Shapes, *, max_rank: int | None = None) -> CheckedAdapter:
    """Check the PEFT LoRA in `folder` against the base's linear layers.

    Args:
        name: for the sentences; its form is checked, whether it was used before is the caller's to know.
        folder: adapter_config.json and adapter_model.safetensors; other files are not read.
        shapes: of the base, see `base_shapes`.
        max_rank: the highest rank that the server takes; None: any.

    Raises:
        EngineError: one sentence that names what is wrong.
    """
    check_name(name)
    folder = folder.resolve()
    _no_way_out(name, folder)
    config_bytes = _read(name, folder / CONFIG_FILE)
    config = _checked_config(name, config_bytes, max_rank)
    pickled = [file for file in _PICKLES if (folder / file).exists()]
    if pickled and not (folder / WEIGHTS_FILE).exists():
        raise refused(name, f"{pickled[0]} is a pickle, which can run code when it is read; save {WEIGHTS_FILE}")
    weights = _read(name, folder / WEIGHTS_FILE)
    try:
        tensors = dict(deserialize(weights))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise refused(name, f"{WEIGHTS_FILE} cannot be read ({error})") from None
    pairs = _paired(name, tensors, shapes)
    rank = int(config["r"])
    for layer, (a, b) in pairs.items():
        _check_shapes(name, layer, (a["shape"], b["shape"]), rank, shapes[layer])
    changing = [layer for layer, halves in pairs.items() if all([_any_number(name, layer, half) for half in halves])]
    if not changing:
        raise refused(name, "all its weights are zero, so it changes nothing")
    scale = config["lora_alpha"] / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return CheckedAdapter(name, config, config_bytes, weights, rank, float(scale), tuple(pairs))


def base_shapes(base_folder: Path) -> dict[str, tuple[int, int]]:
    """The linear layers of the model in `base_folder`, from its files' headers alone: fast, no weight is read.

    Every matrix of the numbered blocks counts; embeddings and the output layer stand outside of them.

    Raises:
        EngineError: the folder has no safetensors, or one cannot be read.
    """
    shapes: dict[str, tuple[int, int]] = {}
    files = sorted(base_folder.glob("*.safetensors"))
    if not files:
        raise EngineError(f"The model folder {str(base_folder)!r} has no .safetensors to check adapters against.")
    for path in files:
        try:
            with safe_open(path, framework="np") as file:
                for key in file.keys():
                    shape = file.get_slice(key).get_shape()
                    if len(shape) == 2 and (match := _BLOCK_LAYER.fullmatch(key)):
                        shapes[match[1]] = (int(shape[0]), int(shape[1]))
        except (OSError, SafetensorError) as error:
            raise EngineError(f"The model file {str(path)!r} cannot be read ({error}); restore it.") from None
    return shapes


def refused(name: str, why: str) -> EngineError:
    """The error for an adapter that must not be served."""
    return EngineError(f"Adapter {name!r} is refused: {why}.")


def _no_way_out(name: str, folder: Path) -> None:
    """No link of the folder may lead out of it: what was checked could be exchanged, or be somebody else's file."""
    try:
        links = [path for path in folder.iterdir() if path.is_symlink()]
        leaving = [path.name for path in links if not path.resolve().is_relative_to(folder)]
    except OSError as error:
        raise refused(name, f"{error.strerror or error}: {str(folder)!r}") from None
    if leaving:
        raise refused(name, f"{sorted(leaving)[0]} is a link that leads out of its folder; put the file itself there")


def _read(name: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise refused(name, f"{error.strerror or error}: {str(path)!r}") from None


def _checked_config(name: str, data: bytes, max_rank: int | None) -> dict[str, Any]:
    try:
        config = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise refused(name, f"{CONFIG_FILE} cannot be read ({error})") from None
    if not isinstance(config, dict) or config.get("peft_type") != "LORA":
        raise refused(name, f"{CONFIG_FILE} does not say peft_type LORA")
    extra = sorted(field for field, value in config.items() if field not in _HARMLESS and value)
    if config.get("bias", "none") != "none":
        extra.append("bias")
    if config.get("init_lora_weights") not in _PLAIN_INITS:
        extra.append("init_lora_weights")
    if extra:
        whole = all(field in _PATTERNS for field in extra)
        why = "one rank and one scale for all layers are served" if whole else "plain LoRA cannot express that"
        raise refused(name, f"it uses {', '.join(extra)}, and {why}")
    _check_numbers(name, config, max_rank)
    _check_targets(name, config.get("target_modules"))
    return config


def _check_numbers(name: str, config: Mapping[str, Any], max_rank: int | None) -> None:
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or rank < 1 or not isinstance(alpha, int | float) or not 0 < alpha <= MAX_ALPHA:
        raise refused(
            name,
            f"r is {rank!r} and lora_alpha {alpha!r}, both must be positive numbers, lora_alpha at most {MAX_ALPHA}",
        )
    if max_rank is not None and rank > max_rank:
        raise refused(name, f"its rank {rank} is above the server's {max_rank}; raise llm.vllm.max_lora_rank")


def _check_targets(name: str, targets: object) -> None:
    """PEFT and vLLM need the field; the tensors' names say what it really changes, except that this must not be hid."""
    if not targets or not isinstance(targets, list | str):
        raise refused(name, f"target_modules is {targets!r}, it must name the layers")
    if "lm_head" in targets:  # a list's member, or part of an expression
        raise refused(name, "it changes lm_head, which is tied to the embeddings in many models and never served")


def _paired(name: str, tensors: Mapping[str, Any], shapes: Shapes) -> dict[str, tuple[Any, Any]]:
    halves: dict[str, dict[str, Any]] = {}
    for key, tensor in tensors.items():
        match = _TENSOR.match(key)
        if match is None or match["layer"] not in shapes:
            raise refused(name, f"the tensor {key!r} belongs to no linear layer of the model")
        if tensor["dtype"] not in _DTYPES:
            raise refused(name, f"the tensor {key!r} is {tensor['dtype']}, it must be one of {', '.join(_DTYPES)}")
        halves.setdefault(match["layer"], {})[match["half"]] = tensor
    lone = [layer for layer, pair in halves.items() if len(pair) != 2]
    if lone or not halves:
        raise refused(name, f"{lone[0]} lacks lora_A or lora_B" if lone else "it holds no tensors")
    return {layer: (pair["A"], pair["B"]) for layer, pair in halves.items()}


def _check_shapes(name: str, layer: str, found: tuple[list[int], list[int]], rank: int, shape: tuple[int, int]) -> None:
    halves, wanted = tuple(tuple(half) for half in found), ((rank, shape[1]), (shape[0], rank))
    if halves != wanted:
        raise refused(
            name, f"{layer} has shapes {halves[0]} and {halves[1]}, the model needs {wanted[0]} and {wanted[1]}"
        )


def _any_number(name: str, layer: str, tensor: Mapping[str, Any]) -> bool:
    """Whether one number is not zero; refuses NaN and infinity. numpy has no bfloat16, so the bits are looked at."""
    kind, too_much = _DTYPES[tensor["dtype"]]
    bits = np.frombuffer(tensor["data"], dtype=kind)
    magnitude = bits & ((1 << (8 * bits.itemsize - 1)) - 1)
    if bool((magnitude >= too_much).any()):
        raise refused(name, f"{layer} holds NaN or infinite numbers, or such as float16 cannot hold")
    return bool(magnitude.any())
