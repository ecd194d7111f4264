"""An adapter on disk: an immutable folder, its manifest, and a card for people.

    <data_dir>/adapters/<tenant>/ada-000017/adapter_config.json, adapter_model.safetensors   what PEFT wrote
                                           /probe.json    what it should answer, where the trainer made one
                                           /README.md     the card
                                           /manifest.json written last: a folder without it does not exist

State is no part of it: that is in the database (standing.py). A folder has no words and no ids of customers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from agent.llm.adapter_check import CONFIG_FILE, PROBE_FILE, WEIGHTS_FILE
from agent.skills import SkillName
from retrieval.errors import EngineError

SCHEMA = 1
"""Raised when the fields change their meaning."""
MANIFEST = "manifest.json"
CARD = "README.md"

AdapterState: TypeAlias = Literal["candidate", "canary", "champion", "retired", "rejected"]


@dataclass(frozen=True, slots=True)
class BaseIdentity:
    """The model that an adapter was trained on: its name, and what weights that was (starter/choosing.py)."""

    model: str
    identity: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A number with its interval (95 %) over `n` cases."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """Whether the gate lets an adapter serve, a sentence why, and the thresholds that it was held against."""

    passed: bool
    reason: str
    thresholds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdapterManifest:
    """What an adapter is.

    `id` (`ada-000017`) is never used again. `parent` is the adapter that training began with, by the name that answers
    carry (None: fresh on the base). `data_hash` is the SHA-256 of the training data, `examples` and `customers` count
    it, `consent` is the rule by which it was taken. `metrics` by name. `skills` are those that the gate switched on.
    `commit` is of our code, `created` UTC in ISO 8601. `good_for` and `limits` are sentences for the card.

    `files` has the SHA-256 (hex) of each file; filled in when the folder is written. `state` comes from the database
    and is not written.
    """

    id: str
    parent: str | None
    base: BaseIdentity
    data_hash: str
    config: Mapping[str, Any]
    seeds: Mapping[str, int]
    metrics: Mapping[str, Measured]
    verdict: GateVerdict
    skills: tuple[SkillName, ...]
    examples: int
    customers: int
    consent: str
    commit: str
    created: str
    good_for: str = ""
    limits: str = ""
    licence: str = "Apache-2.0"
    files: Mapping[str, str] = field(default_factory=dict)
    state: AdapterState = "candidate"

    @property
    def weight_hash(self) -> str:
        """SHA-256 (hex) of the weights."""
        return self.files.get(WEIGHTS_FILE, "")


def write_manifest(manifest: AdapterManifest, folder: Path) -> AdapterManifest:
    """Write the card, then the manifest beside the files that lie in `folder`; with the hashes of all of them.

    Raises:
        OSError: the disk is full, or a file is missing.
    """
    (folder / CARD).write_text(card(manifest), encoding="utf-8")
    names = [CONFIG_FILE, WEIGHTS_FILE, CARD] + [PROBE_FILE] * (folder / PROBE_FILE).exists()
    told = {**asdict(manifest), "schema": SCHEMA, "files": {name: sha256(folder / name) for name in names}}
    del told["state"]
    for name in names:
        flush(folder / name)
    half = folder / f"{MANIFEST}.half"
    half.write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")
    flush(half)
    half.replace(folder / MANIFEST)
    return read_manifest(folder)


def read_manifest(folder: Path) -> AdapterManifest:
    """The manifest of a complete folder, its other files unseen.

    Raises:
        EngineError: there is none, or it is not one of ours.
    """
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if (schema := told.pop("schema")) != SCHEMA:
            raise ValueError(f"its files are of version {schema}, this program reads {SCHEMA}")
        known = {
            "base": BaseIdentity(**told["base"]),
            "verdict": GateVerdict(**told["verdict"]),
            "metrics": {name: Measured(**one) for name, one in told["metrics"].items()},
            "skills": tuple(told["skills"]),
        }
        return AdapterManifest(**told | known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(folder, str(error)) from None


def read_whole(folder: Path) -> AdapterManifest:
    """The manifest of a folder whose files are what was written, byte by byte.

    Raises:
        EngineError: it is incomplete or damaged.
    """
    manifest = read_manifest(folder)
    try:
        changed = [name for name, digest in manifest.files.items() if sha256(folder / name) != digest]
    except OSError as error:
        raise unreadable(folder, str(error)) from None
    if changed or WEIGHTS_FILE not in manifest.files or CONFIG_FILE not in manifest.files:
        raise unreadable(folder, f"{', '.join(sorted(changed)) or 'a file'} is not what was written")
    return manifest


def card(manifest: AdapterManifest) -> str:
    """What a person should know before using it: Markdown, with the head that model hubs read."""
    rows = [
        f"| {name} | {one.value:.4g} | {one.low:.4g} to {one.high:.4g} | {one.n} |"
        for name, one in sorted(manifest.metrics.items())
    ]
    return "\n".join([
        "---",
        f"base_model: {manifest.base.model}",
        "library_name: peft",
        f"license: {manifest.licence.lower()}",
        "---",
        f"# {manifest.id}",
        "",
        f"A LoRA adapter of Chatalogue for `{manifest.base.model}` (`{manifest.base.identity}`), made on "
        f"{manifest.created[:10]} from {manifest.parent or 'the base model alone'} by the code of commit "
        f"`{manifest.commit}`.",
        "",
        "## Trained on",
        f"{manifest.examples} examples of {manifest.customers} customers ({manifest.consent}); SHA-256 of the data "
        f"`{manifest.data_hash}`.",
        "",
        "## Good for",
        manifest.good_for or "The conversations of the shop whose feedback it was trained on.",
        f"Skills that the gate switched on: {', '.join(manifest.skills) or 'none'}.",
        "",
        "## Limits",
        manifest.limits or "Made for one shop and its language; not checked for any other use.",
        "",
        "## Measured",
        "| metric | value | 95 % | n |",
        "|---|---|---|---|",
        *rows,
        "",
        f"Gate: {'passed' if manifest.verdict.passed else 'refused'}. {manifest.verdict.reason}",
        "",
        "## Licence",
        f"{manifest.licence}; the base model has its own.",
        "",
    ])  # fmt: skip


def sha256(path: Path) -> str:
    """Of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def flush(path: Path) -> None:
    """To the disk itself: a manifest must not outlive a power cut that its weights do not."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def unreadable(folder: Path, why: str) -> EngineError:
    """The error for a folder that cannot serve."""
    return EngineError(
        f"The adapter in {str(folder)!r} cannot be used ({why}); promote another one, see `chatalogue adapters list`."
    )
