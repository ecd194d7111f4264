"""Adapters as they are given to vLLM: copies of our own, one folder for each name, never written again.

A server that finds an adapter's folder gone dies, and one that finds other bytes under a known name answers from a
stale cache. So the operator's folder is copied, what lies here is never overwritten, its digests are looked at before
each load, and nothing is removed while a router holds it. Knows nothing of servers. Belongs to one app process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.llm.adapter_check import CONFIG_FILE, PROBE_FILE, WEIGHTS_FILE, CheckedAdapter
from agent.llm.names import check_name
from agent.llm.probe import Probe, make_probe, read_probe, save_probe
from retrieval.errors import EngineError

MANIFEST = "manifest.json"
STALE_S = 3_600.0
"""Half-written folders older than this belong to a crashed run."""


@dataclass(frozen=True, slots=True)
class StoredAdapter:
    """One adapter of the store; `folder` is absolute."""

    name: str
    folder: Path
    probe: Probe


class AdapterStore:
    """The folder `root`; made at the first `add`. Names begin with a letter or digit, our own folders with a dot."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._held: set[str] = set()

    def names(self) -> tuple[str, ...]:
        """Complete adapters, by name."""
        return tuple(sorted(path.parent.name for path in self.root.glob(f"[!.]*/{MANIFEST}")))

    async def add(self, checked: CheckedAdapter, source: Path, base_folder: Path) -> StoredAdapter:
        """Copy a checked adapter, with its probe: the trainer's where `source` has one, else made now.

        The same files under the same name again give what is there (the app was restarted).

        Raises:
            EngineError: the name was used for other files; the probe cannot be made; nothing has changed.
        """
        if self._is_known(checked):
            return await asyncio.to_thread(self.open, checked.name)
        draft: Path | None = None
        try:
            draft = self._new_draft(checked.name)
            (draft / CONFIG_FILE).write_text(_config_here(checked, base_folder), encoding="utf-8")
            await asyncio.to_thread((draft / WEIGHTS_FILE).write_bytes, checked.weights)
            probe = read_probe(source) or await make_probe(base_folder, draft)
            save_probe(probe, draft)
            await asyncio.to_thread(self._publish, draft, checked)
        except OSError as error:
            raise EngineError(
                f"The adapter {checked.name!r} cannot be kept in {str(self.root)!r} ({error.strerror or error}); "
                "free some space or set CHATALOGUE_DATA_DIR to a writable folder."
            ) from None
        finally:
            if draft is not None:
                shutil.rmtree(draft, ignore_errors=True)
        return StoredAdapter(checked.name, self.root / checked.name, probe)

    def open(self, name: str) -> StoredAdapter:
        """An adapter whose files are what was stored, byte by byte.

        Raises:
            EngineError: there is none, or a file is missing or has changed.
        """
        check_name(name)
        folder = self.root / name
        meta = self._manifest(name)
        if meta is None:
            raise EngineError(f"No adapter {name!r} is stored in {str(self.root)!r}; load it from its folder.")
        try:
            changed = [file for file, digest in meta["files"].items() if _sha256(folder / file) != digest]
        except (OSError, KeyError, AttributeError):
            changed = ["a file that cannot be read"]
        probe = None if changed else read_probe(folder)
        if changed or probe is None:
            what = changed[0] if changed else PROBE_FILE
            raise EngineError(f"The stored adapter {name!r} is damaged ({what}); load its files under a new name.")
        return StoredAdapter(name, folder, probe)

    def hold(self, name: str) -> None:
        """A server may ask for the files of `name` from now on."""
        self._held.add(name)

    def release(self, name: str) -> None:
        """No server of ours knows `name` any more."""
        self._held.discard(name)

    def remove(self, name: str) -> None:
        """Delete the files; the name stays used up.

        Raises:
            EngineError: a router holds it, or it is not stored.
        """
        check_name(name)
        if name in self._held:
            raise EngineError(
                f"The adapter {name!r} is loaded: a server that misses its files dies; restart without it."
            )
        if self._manifest(name) is None:
            raise EngineError(f"No adapter {name!r} is stored in {str(self.root)!r}.")
        tombstone = self._tombstone(name)
        tombstone.parent.mkdir(exist_ok=True)
        tombstone.touch()  # first: a crash in between must not free the name
        shutil.rmtree(self.merged_folder(name), ignore_errors=True)
        shutil.rmtree(self.root / name)

    def merged_folder(self, name: str) -> Path:
        """Where the base with `name` merged into it is written; may not exist."""
        return self.root / ".merged" / name

    def _is_known(self, checked: CheckedAdapter) -> bool:
        """Whether these files are stored already; refuses others under the same name."""
        meta = self._manifest(checked.name)
        if self._tombstone(checked.name).exists() or (meta is not None and meta.get("source") != _source(checked)):
            raise EngineError(
                f"The name {checked.name!r} was used for other adapter files; no name is used twice, take a new one."
            )
        return meta is not None

    def _manifest(self, name: str) -> dict[str, Any] | None:
        try:
            meta = json.loads((self.root / name / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return meta if isinstance(meta, dict) else None

    def _tombstone(self, name: str) -> Path:
        return self.root / ".removed" / name

    def _new_draft(self, name: str) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        for old in (*self.root.glob(".draft-*"), *self.root.glob(".merged/.draft-*")):
            if time.time() - old.stat().st_mtime > STALE_S:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=f".draft-{name}-", dir=self.root))

    def _publish(self, draft: Path, checked: CheckedAdapter) -> None:
        files = {name: _sha256(draft / name) for name in (CONFIG_FILE, WEIGHTS_FILE, PROBE_FILE)}
        meta = {"v": 1, "name": checked.name, "source": _source(checked), "files": files}
        # Last on purpose: a folder without a manifest is a crashed run and is never served.
        (draft / MANIFEST).write_text(json.dumps(meta, indent=1, sort_keys=True), encoding="utf-8")
        for path in draft.iterdir():
            path.chmod(0o444)  # against a slip of the operator's; root can write all the same
            with path.open("rb") as file:
                os.fsync(file.fileno())
        draft.chmod(0o755)
        target = self.root / checked.name
        if target.exists() and not (target / MANIFEST).exists():
            shutil.rmtree(target)  # somebody's half copy: it never existed
        draft.rename(target)


def _config_here(checked: CheckedAdapter, base_folder: Path) -> str:
    # The trainer's path of the base means nothing here, and vLLM's resolvers compare it with the server's model.
    return json.dumps({**checked.config, "base_model_name_or_path": str(base_folder)}, indent=1, sort_keys=True)


def _source(checked: CheckedAdapter) -> dict[str, str]:
    return {
        CONFIG_FILE: hashlib.sha256(checked.config_bytes).hexdigest(),
        WEIGHTS_FILE: hashlib.sha256(checked.weights).hexdigest(),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
