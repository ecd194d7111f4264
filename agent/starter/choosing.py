"""Which adapter the settings mean, and whether its files are whole and made for this model.

`starter` is the one that lies in this package, for the default model alone; a path is a folder with a PEFT LoRA. A
folder of ours has a manifest (finetune/starter writes it, last), which names the base and the hash of the weights; a
folder without one is taken as it is, and the engine's own check decides. Knows nothing of engines and of training.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.llm.adapter_check import WEIGHTS_FILE
from agent.llm.weights import DEFAULT_MODEL, resolve_model
from retrieval.errors import EngineError

STARTER, NO_ADAPTER = "starter", "none"
MANIFEST = "manifest.json"
DIGITS = 12
"""Of the weights' hash in an adapter's name: engines keep adapters by name, over restarts too."""
_OTHERWISE = "run `make starter` or set CHATALOGUE_LLM__ADAPTER"


@dataclass(frozen=True, slots=True)
class ChosenAdapter:
    """An adapter that may be loaded; `name` belongs to these weights and no others."""

    name: str
    folder: Path


def starter_folder() -> Path:
    """Where the adapter that comes with the product lies; it may be missing."""
    return Path(__file__).resolve().parent


def choose_adapter(setting: str, model: str, models_dir: Path) -> ChosenAdapter | None:
    """The adapter that `setting` means for `model`; None for none, and where the product has none for it.

    Args:
        setting: `starter`, `none`, or a folder.
        model: as CHATALOGUE_LLM__MODEL; its weights should be there already, or this takes long.
        models_dir: where weights are kept.

    Raises:
        EngineError: the folder has no adapter, its files are damaged, or it was made for another base.
        ModelUnavailable: the model's weights cannot be had.
    """
    if setting == NO_ADAPTER:
        return None
    folder = Path(setting).expanduser()
    if setting == STARTER:
        folder = starter_folder()
        # Without a manifest it was never finished, so it does not exist.
        if model != DEFAULT_MODEL or not (folder / MANIFEST).exists():
            return None
    try:
        digest = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    except OSError as error:
        raise EngineError(
            f"The adapter {str(folder)!r} cannot be read ({error.strerror or error}: {WEIGHTS_FILE}); {_OTHERWISE}."
        ) from None
    manifest = _read_manifest(folder)
    if manifest is not None:
        _check_manifest(manifest, folder, digest, resolve_model(model, models_dir))
    stem = re.sub(r"[^a-z0-9._-]+", "-", (STARTER if setting == STARTER else folder.resolve().name).lower())
    return ChosenAdapter(f"{stem.strip('-._')[:40] or 'adapter'}-{digest[:DIGITS]}", folder)


def base_identity(folder: Path) -> str:
    """What weights the model folder holds, and what prompts look like to it.

    The hash of the file that they were converted from: weights converted from GGUF, and the template with them, are the
    same everywhere, while the file that is written from them need not be. Else of weights, tokenizer and chat template.

    Raises:
        EngineError: a file cannot be read.
    """
    try:
        source = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["source_sha256"]
        return f"gguf:{source}"
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = hashlib.sha256()
    try:
        for path in sorted([*folder.glob("*.safetensors"), *folder.glob("tokenizer.json")]):
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
        found.update(_chat_template(folder).encode())
    except OSError as error:
        raise EngineError(f"The model in {str(folder)!r} cannot be read ({error.strerror or error}).") from None
    return f"safetensors:{found.hexdigest()}"


def _chat_template(folder: Path) -> str:
    """A file of its own, or a field of the tokenizer's settings; "" where there is none."""
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    try:
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return ""
    return json.dumps(settings.get("chat_template", ""), sort_keys=True) if isinstance(settings, dict) else ""


def _read_manifest(folder: Path) -> Mapping[str, Any] | None:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise EngineError(
            f"The adapter's {MANIFEST} in {str(folder)!r} cannot be read ({error}); {_OTHERWISE}."
        ) from None
    return manifest if isinstance(manifest, dict) else {}


def _check_manifest(manifest: Mapping[str, Any], folder: Path, digest: str, base: Path) -> None:
    files, made_for = manifest.get("files"), manifest.get("base")
    if not isinstance(files, dict) or files.get(WEIGHTS_FILE) != digest:
        raise EngineError(
            f"The adapter in {str(folder)!r} is damaged: its weights are not those of its manifest; {_OTHERWISE}."
        )
    if not isinstance(made_for, dict) or made_for.get("identity") != base_identity(base):
        name = made_for.get("model") if isinstance(made_for, dict) else None
        raise EngineError(
            f"The adapter in {str(folder)!r} was made for another base model ({name}); make one for this model with "
            "`chatalogue starter`, or set CHATALOGUE_LLM__ADAPTER=none."
        )
