"""The rules that look at files alone: is it a LoRA that can be served, for this base, a new one, of a sane strength?

What makes a folder servable is the engines' own check (agent/llm/adapter_check.py). Needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import deserialize

from agent.adapters.manifest import MANIFEST, sha256
from agent.llm.adapter_check import WEIGHTS_FILE, CheckedAdapter, base_shapes, check_adapter
from agent.starter.choosing import base_identity
from finetune.gating.finding import Found, Refused, figure
from finetune.gating.intervals import Interval
from finetune.gating.rules import GateRules
from finetune.gating.types import Candidate

RECORD = "training.json"
"""The trainer's (finetune/train.py)."""
TEMPLATE = "chat_template.jinja"
"""What trainers of others put beside an adapter; ours leave it with the base."""
MEGA = 1e6

Matrix = NDArray[np.float32]


def file_rule(candidate: Candidate, rules: GateRules) -> Found:
    """Names, shapes, dtype, finite, not zero: what both engines ask; and the size of the file."""
    checked = _checked(candidate.name, candidate.adapter, candidate.base, rules.file.rank)
    champion = None
    if candidate.champion is not None:
        champion = _checked(candidate.champion_name, candidate.champion, candidate.base)
        if missing := sorted(set(champion.layers) - set(checked.layers)):
            raise Refused(f"it does not change {missing[0]} and {len(missing) - 1} other layers that the champion does")
    size = Interval.exact(len(checked.weights) / MEGA, 1)
    own = None if champion is None else len(champion.weights) / MEGA
    return Found(
        (figure("size of the weights, MB", size, "at most", rules.file.megabytes, candidate=size.value, champion=own),),
        f"{len(checked.layers)} layers of rank {checked.rank} against the base's headers"
        + (" and the champion's layers" if champion else ""),
    )


def base_rule(candidate: Candidate, rules: GateRules) -> Found:
    """The base that its record or manifest names is the one that serves, chat template included."""
    told = _told_base(candidate.adapter)
    serving = base_identity(candidate.base)
    if told != serving:
        raise Refused(f"it was trained on another base ({_short(told)}), the shop serves {_short(serving)}")
    beside = candidate.adapter / TEMPLATE
    if beside.exists() and beside.read_text(encoding="utf-8") != _template(candidate.base):
        raise Refused("it comes with another chat template than the base's, so it learned from other prompts")
    return Found((), f"the base that its record names, {_short(told)}, with the one that serves")


def new_rule(candidate: Candidate, rules: GateRules) -> Found:
    """Its weights are none that there were before: a training that did nothing, or one that was refused already."""
    own = sha256(candidate.adapter / WEIGHTS_FILE)
    if candidate.champion is not None and _content(candidate.champion) == _content(candidate.adapter):
        raise Refused("its weights are the champion's, so training has changed nothing")
    if same := sorted(name for name, digest in candidate.known.items() if digest == own):
        raise Refused(f"its weights are those of {same[0]}, which was judged before")
    count = len(candidate.known) + (candidate.champion is not None)
    return Found((), f"the hash of its weights with {count} others")


def strength_rule(candidate: Candidate, rules: GateRules) -> Found:
    """How much it adds to the base's weights, as a whole: not nothing, and not far above the champion's."""
    own = strength(_checked(candidate.name, candidate.adapter, candidate.base), candidate.base)
    limits = rules.strength
    champion = None
    if candidate.champion is not None:
        champion = strength(_checked(candidate.champion_name, candidate.champion, candidate.base), candidate.base)
    found = [
        figure("change, share of the base's weights", Interval.exact(own, 1), "at most", limits.of_base,
               candidate=own, champion=champion)
    ]  # fmt: skip
    if champion:
        times = Interval.exact(own / champion, 1)
        found.append(figure("change, times the champion's", times, "at most", limits.of_champion))
    compared = "the norm of what it adds with that of the base"
    return Found(tuple(found), f"{compared} and of what the champion adds" if champion else compared)


def strength(adapter: CheckedAdapter, base: Path) -> float:
    """Frobenius norm of all that an adapter adds, over that of the base's weights which it changes."""
    tensors = {name: _numbers(one["data"], one["dtype"], one["shape"]) for name, one in _tensors(adapter.weights)}
    added = total = 0.0
    with _weights_of(base) as weight:
        for layer in adapter.layers:
            a, b = (tensors[f"base_model.model.{layer}.lora_{half}.weight"] for half in "AB")
            # |BA|^2 = trace of (A A^T)(B^T B): two matrices of the rank's size
            added += adapter.scale**2 * float(np.vdot(a @ a.T, b.T @ b))
            own = weight(layer).ravel()
            total += float(np.vdot(own, own))
    return math.sqrt(max(added, 0.0) / total)


def record_of(folder: Path) -> Mapping[str, Any]:
    """The trainer's record beside an adapter; {} where there is none or it cannot be read."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _checked(name: str, folder: Path, base: Path, rank: int | None = None) -> CheckedAdapter:
    return check_adapter(_plain(name), folder, base_shapes(base), max_rank=rank)


def _plain(name: str) -> str:
    """A name as engines take it: people may call the candidate anything."""
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")[:64] or "it"


def _told_base(folder: Path) -> str:
    """What base an adapter says that it was trained on."""
    for file in (RECORD, MANIFEST):
        try:
            return str(json.loads((folder / file).read_text(encoding="utf-8"))["base"]["identity"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    raise Refused(f"neither {RECORD} nor {MANIFEST} beside it says which base it was trained on")


def _template(base: Path) -> str:
    """The base's chat template; "" where it has none."""
    if (base / TEMPLATE).exists():
        return (base / TEMPLATE).read_text(encoding="utf-8")
    try:
        told = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8")).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return ""
    return told if isinstance(told, str) else ""


def _content(folder: Path) -> str:
    """SHA-256 (hex) of the numbers and their names, however the file's header is written."""
    found = hashlib.sha256()
    for name, one in sorted(_tensors((folder / WEIGHTS_FILE).read_bytes())):
        found.update(f"{name} {one['dtype']} {one['shape']}\n".encode())
        found.update(one["data"])
    return found.hexdigest()


def _short(identity: str) -> str:
    return identity[:24]


def _tensors(weights: bytes) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = deserialize(weights)  # type: ignore[no-untyped-call]
    return found


@contextmanager
def _weights_of(base: Path) -> Iterator[Any]:
    """Reads one matrix of the base by its layer's name, from the files themselves: numpy has no bfloat16."""
    places: dict[str, tuple[mmap.mmap, int, Mapping[str, Any]]] = {}
    maps: list[mmap.mmap] = []
    try:
        for path in sorted(base.glob("*.safetensors")):
            with path.open("rb") as file:
                held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            maps.append(held)
            header = int.from_bytes(held[:8], "little")
            names = json.loads(held[8 : 8 + header])
            places |= {name: (held, 8 + header, one) for name, one in names.items() if name != "__metadata__"}

        def weight(layer: str) -> Matrix:
            held, start, one = places[f"{layer}.weight"]
            begin, end = one["data_offsets"]
            return _numbers(held[start + begin : start + end], one["dtype"], one["shape"])

        yield weight
    finally:
        for held in maps:
            held.close()


def _numbers(data: bytes, dtype: str, shape: list[int]) -> Matrix:
    """float32 of what is stored as F32, F16 or BF16."""
    if dtype == "BF16":
        bits = np.frombuffer(data, dtype="<u2").astype(np.uint32) << 16
        return bits.view(np.float32).reshape(shape)
    if dtype not in ("F32", "F16"):
        raise Refused(f"the base's weights are {dtype}, of which the gate knows no norm")
    return np.frombuffer(data, dtype="<f4" if dtype == "F32" else "<f2").astype(np.float32).reshape(shape)
