"""The base's weights with one adapter added, as a model folder that vLLM can start on.

Written once, shard by shard, in a process of its own (`write_merged` imports torch). Knows nothing of servers.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from agent.llm.adapter_check import base_shapes, check_adapter
from retrieval.errors import EngineError

MANIFEST = "manifest.json"
MERGE_SECONDS = 1_800.0
"""For reading and writing the whole base once."""


def write_merged(base_folder: Path, adapter_folder: Path, target: Path) -> None:
    """Write base + scale * B A (in float32, rounded to the base's dtype) to `target`; nothing when it is there.

    Args:
        base_folder: config, safetensors, tokenizer.
        adapter_folder: of the store: its name is the adapter's.
        target: made complete or not at all.

    Raises:
        EngineError: the adapter does not fit the base, or the disk is full.
    """
    checked = check_adapter(adapter_folder.name, adapter_folder, base_shapes(base_folder))
    source = {
        "adapter": hashlib.sha256(checked.config_bytes + checked.weights).hexdigest(),
        "base": {path.name: _identity(path) for path in sorted(base_folder.glob("*.safetensors"))},
    }
    if _is_complete(target, source):
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".draft-{target.name}-", dir=target.parent))
        try:
            _write_files(base_folder, checked.weights, checked.scale, frozenset(checked.layers), draft)
            files = {path.name: path.stat().st_size for path in sorted(draft.iterdir())}
            # Last on purpose: a folder without a manifest is a crashed run and is never served.
            (draft / MANIFEST).write_text(json.dumps({"source": source, "files": files}, indent=1), encoding="utf-8")
            for path in draft.iterdir():
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            draft.chmod(0o755)
            shutil.rmtree(target, ignore_errors=True)  # of another base, or damaged
            draft.rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise EngineError(
            f"The merged weights of {checked.name!r} cannot be written ({error.strerror or error}); free some space."
        ) from None


def _write_files(base_folder: Path, adapter: bytes, scale: float, layers: frozenset[str], draft: Path) -> None:
    import torch
    from safetensors import safe_open
    from safetensors.torch import load, save_file

    from agent.llm.lora import lora_halves, merged_weight

    halves = load(adapter)
    merged = set()
    for path in sorted(base_folder.iterdir()):
        if not path.is_file() or path.name == MANIFEST:
            continue
        if path.suffix != ".safetensors":
            shutil.copyfile(path, draft / path.name)
            continue
        tensors = {}
        with safe_open(path, framework="pt") as file, torch.inference_mode():
            for key in file.keys():
                tensors[key] = file.get_tensor(key)
                if (layer := key.removesuffix(".weight")) in layers:
                    tensors[key] = merged_weight(tensors[key], *lora_halves(halves, layer), scale=scale)
                    merged.add(layer)
            save_file(tensors, draft / path.name, metadata=file.metadata())
    if merged != layers:
        raise EngineError(f"The base lacks the layer {min(layers - merged)!r} of the adapter.")


def _identity(path: Path) -> list[int]:
    """Cheap, and other when the file was written again."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _is_complete(folder: Path, source: object) -> bool:
    try:
        meta = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        sizes = all((folder / name).stat().st_size == size for name, size in meta["files"].items())
        return bool(sizes and meta["source"] == source)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
