"""The adapters of one tenant: immutable folders, and the moves in the database that say which one answers.

Every change is one move behind the last one that was seen, after the files were looked at, so it is there or it is not;
of two who change things at once the second is told. A folder is published before anybody can move it. Knows nothing of
engines: a server follows what stands here (live.py).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from agent.adapters.manifest import (
    MANIFEST,
    AdapterManifest,
    AdapterState,
    read_manifest,
    read_whole,
    sha256,
    write_manifest,
)
from agent.adapters.standing import Standing, standing_after
from agent.datadir import DataDirectory
from agent.llm.adapter_check import CONFIG_FILE, PROBE_FILE, WEIGHTS_FILE
from agent.log.adapters import Move, MoveConflict, Source, SourceCounts
from agent.log.store import EventLog
from retrieval.errors import BadRequest, DataDirectoryError, EngineError, NotFound

KEPT = 10
"""Adapters that `prune` leaves, besides those in use."""
STALE_SECONDS = 3_600.0
"""Half-written folders older than this belong to a crashed run."""
MAX_SHARE = 0.5
"""Of the conversations for a canary: no test needs more, and it is not the champion."""
RESERVE_TRIES = 20

_ID = re.compile(r"ada-(\d{6,})")
_DRAFT, _REMOVED = ".draft-", ".removed"


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What was taken back, and the champion that answers now (None: the one of the settings).

    `missing` should have been gone back to, and is not there or damaged.
    """

    taken_back: str
    champion: str | None
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Holding:
    """An adapter that holds what it, or the one that its training began with (`through`), learned from somebody."""

    id: str
    state: AdapterState
    through: str | None = None


class AdapterRegistry:
    """Any number of processes may have one for the same tenant."""

    def __init__(self, data: DataDirectory, log: EventLog, tenant: str) -> None:
        self.root = data.adapters(tenant).absolute()
        self._data, self._log, self._tenant = data, log, tenant
        self._known = Standing()

    # --- looking ---

    def standing(self) -> Standing:
        """Which adapter is what now: one short query where nothing has changed.

        Raises:
            DataDirectoryError: the database cannot be read.
        """
        known = self._known
        if self._log.adapter_version(self._tenant) != known.version:
            known = self._known = standing_after(self._log.adapter_moves(self._tenant))
        return known

    def moves(self) -> tuple[Move, ...]:
        """All that was ever done, the oldest first."""
        return self._log.adapter_moves(self._tenant)

    def all(self) -> tuple[AdapterManifest, ...]:
        """The complete ones that can be read, with their states, the oldest first; their weights unseen."""
        now, found = self.standing(), []
        for folder in _folders(self.root):
            try:
                found.append(_with_state(read_manifest(folder), now))
            except EngineError:  # a crashed run, or broken: it does not exist
                continue
        return tuple(sorted(found, key=lambda one: _number(one.id)))

    def get(self, adapter: str) -> AdapterManifest:
        """One whose files are what was published, with its state.

        Raises:
            NotFound: there is none of this id.
            EngineError: it is damaged.
        """
        return _with_state(read_whole(self.folder(adapter)), self.standing())

    def folder(self, adapter: str) -> Path:
        """Where the adapter lies.

        Raises:
            NotFound: there is none of this id.
        """
        folder = self.root / adapter
        if _ID.fullmatch(adapter) is None or not (folder / MANIFEST).exists():
            raise NotFound(f"There is no adapter {adapter!r}; `chatalogue adapters list` names those that there are.")
        return folder

    def sources(self) -> dict[str, SourceCounts]:
        """How many customers each adapter learned from, and how many of them were erased since."""
        return self._log.adapter_sources(self._tenant)

    def trained_on(self, customer: str) -> tuple[str, ...]:
        """Ids of the adapters that learned from a person or a conversation, by its id in the log."""
        return self._log.adapters_trained_on(self._tenant, customer)

    def holding(self, trained: Collection[str]) -> tuple[Holding, ...]:
        """Which adapters on disk hold what those of `trained` learned: they, and all that began with their weights.

        A refit begins beside the starter and so ends such a line.
        """
        there = self.all()
        parents = self._parents_of_removed() | {one.id: one.parent for one in there}
        through: dict[str, str | None] = dict.fromkeys(trained)
        for adapter in sorted(parents, key=_number):  # a parent is older
            if adapter not in through and (parent := parents[adapter]) in through:
                through[adapter] = parent
        return tuple(Holding(one.id, one.state, through[one.id]) for one in there if one.id in through)

    # --- making ---

    def reserve(self) -> str:
        """An id that no adapter has or ever had, for one that is to be trained.

        Raises:
            MoveConflict: others reserve without end.
        """
        for _ in range(RESERVE_TRIES):
            moves = self._log.adapter_moves(self._tenant)
            named = [move.adapter for move in moves if move.adapter] + [path.name for path in _folders(self.root)]
            adapter = f"ada-{max(map(_number, named), default=0) + 1:06d}"
            try:
                self._log.move_adapter(self._tenant, len(moves), Move("begun", adapter))
            except MoveConflict:
                continue
            return adapter
        raise MoveConflict("No id could be had, others take them all the time; stop one of the trainings.")

    def record_training(self, adapter: str, sources: Collection[Source]) -> None:
        """Note whom `adapter` learns from; call it before training, so that no erasure ever misses one."""
        self._log.add_adapter_sources(self._tenant, adapter, sources)

    def publish(self, manifest: AdapterManifest, source: Path) -> AdapterManifest:
        """Copy PEFT's files from `source` into a folder of their own; a candidate, or rejected where the gate says so.

        The same files again give what is there: a run that was stopped may be repeated from the start.

        Raises:
            BadRequest: the id is none of ours, or was used for other files or for an adapter that was deleted, or it
                learned from customers and `record_training` was not told.
            DataDirectoryError: the files cannot be read or written; nothing was published.
        """
        target = self.root / manifest.id
        if _ID.fullmatch(manifest.id) is None or (self.root / _REMOVED / manifest.id).exists():
            raise BadRequest(f"{manifest.id!r} is no id for a new adapter; take one that `reserve` gives.")
        if manifest.customers and manifest.id not in self.sources():
            raise BadRequest(
                f"Nobody noted whom {manifest.id!r} learned from, so no erasure would find it; train it anew."
            )
        draft: Path | None = None
        try:
            if (target / MANIFEST).exists():
                return self._published(manifest.id, source)
            self._clear_drafts()
            self.root.mkdir(parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix=f"{_DRAFT}{manifest.id}-", dir=self.root))
            for name in (CONFIG_FILE, WEIGHTS_FILE, PROBE_FILE):
                if name != PROBE_FILE or (source / name).exists():
                    shutil.copyfile(source / name, draft / name)
            write_manifest(manifest, draft)
            draft.chmod(0o755)
            os.replace(draft, target)
        except OSError as error:
            raise DataDirectoryError(
                f"The adapter {manifest.id!r} could not be published to {str(self.root)!r} ({error}); free some space "
                "and publish it again."
            ) from None
        finally:
            if draft is not None:
                shutil.rmtree(draft, ignore_errors=True)
        return self.get(manifest.id)

    # --- moving ---

    def start_canary(self, adapter: str, share: float, reason: str = "") -> None:
        """Let `adapter` answer `share` of the conversations; another canary's trial ends. Anew with another share.

        Raises:
            NotFound: there is none of this id.
            EngineError: its files are damaged.
            BadRequest: it is rejected or the champion, or `share` is not above 0 and at most `MAX_SHARE`.
            MoveConflict: somebody else changed something meanwhile.
        """
        if not 0 < share <= MAX_SHARE:
            raise BadRequest(f"A canary answers a share of the conversations above 0 and up to {MAX_SHARE:g}.")
        self._promote(adapter, Move("canary", adapter, reason, share))

    def promote(self, adapter: str, reason: str = "", seen: int | None = None) -> None:
        """Make `adapter` the champion; the one before is retired, a trial that runs ends.

        `seen` is the version of the standing that the decision was made on: where that has changed, it is a conflict.

        Raises:
            NotFound, EngineError, BadRequest, MoveConflict: as `start_canary`.
        """
        self._promote(adapter, Move("promoted", adapter, reason), seen)

    def end_trial(self, seen: Standing, reason: str) -> None:
        """Make the canary of `seen` a candidate again.

        Raises:
            MoveConflict: something was changed since.
        """
        if seen.canary is not None:
            self._move(seen, Move("withdrawn", seen.canary.adapter, reason))

    def roll_back(self, reason: str = "") -> RolledBack:
        """Take back the last promotion: of a canary where one is on trial, else of the champion.

        The champion before follows; where its files are not whole the one before that, and in the end the one of the
        settings.

        Raises:
            BadRequest: there is nothing to take back.
            MoveConflict: as `promote`.
        """
        with self._data.adapters_lock(self._tenant):
            now = self.standing()
            if now.canary is not None:
                self._move(now, Move("withdrawn", now.canary.adapter, reason))
                return RolledBack(now.canary.adapter, now.champion)
            if now.champion is None:
                raise BadRequest("The adapter of the settings answers, there is none before it.")
            missing: list[str] = []
            for name in reversed(now.before):
                try:
                    if name is not None:
                        read_whole(self.folder(name))
                except (NotFound, EngineError):
                    missing.append(str(name))
                    continue
                self._move(now, Move("rolled_back", name, reason))
                return RolledBack(now.champion, name, tuple(missing))
            raise AssertionError("the first champion has None before it")

    def reject(self, adapter: str, reason: str) -> bool:
        """It must not serve any more, a trial of it ends; whether it was not rejected before.

        Raises:
            BadRequest: it is the champion: roll back.
            MoveConflict: as `promote`.
        """
        now = self.standing()
        if now.champion == adapter:
            raise BadRequest(
                f"The adapter {adapter!r} is the champion; take it back with `chatalogue adapters rollback`."
            )
        if now.states.get(adapter) == "rejected":
            return False
        self._move(now, Move("rejected", adapter, reason))
        return True

    def prune(self, keep: int = KEPT) -> tuple[str, ...]:
        """Delete all but those in use, the champion's parent and the newest `keep`; their ids stay used up.

        Raises:
            DataDirectoryError: a folder cannot be deleted, or another process changes the adapters.
        """
        with self._data.adapters_lock(self._tenant):
            found = self.all()
            now = self.standing()
            stay = set(now.in_use) | {one.id for one in found[max(0, len(found) - keep) :]}
            stay |= {one.parent for one in found if one.id == now.champion and one.parent is not None}
            gone = tuple(one.id for one in found if one.id not in stay)
            parents = {one.id: one.parent for one in found}
            try:
                for name in gone:
                    (self.root / _REMOVED).mkdir(exist_ok=True)
                    (self.root / _REMOVED / name).write_text(parents[name] or "", encoding="utf-8")
                    (self.root / name / MANIFEST).unlink()  # first: half a folder must not look complete
                    shutil.rmtree(self.root / name)
                for folder in _folders(self.root):
                    if not (folder / MANIFEST).exists():  # a deletion that was cut off
                        shutil.rmtree(folder)
                self._clear_drafts()
            except OSError as error:
                raise DataDirectoryError(f"An adapter in {str(self.root)!r} cannot be deleted ({error}).") from None
        return gone

    def _promote(self, adapter: str, move: Move, seen: int | None = None) -> None:
        with self._data.adapters_lock(self._tenant):  # so that `prune` does not take the files meanwhile
            now = self.standing()
            if seen not in (None, now.version):
                raise MoveConflict("The adapters were changed by somebody else meanwhile; nothing was promoted.")
            manifest = _with_state(read_whole(self.folder(adapter)), now)
            if manifest.state == "champion":
                raise BadRequest(f"The adapter {adapter!r} is the champion already.")
            if manifest.state == "rejected":
                why = manifest.verdict.reason if not manifest.verdict.passed else self._why_rejected(adapter)
                raise BadRequest(f"The adapter {adapter!r} is rejected and must not serve: {why}")
            self._move(now, move)

    def _move(self, seen: Standing, move: Move) -> None:
        self._log.move_adapter(self._tenant, seen.version, move)

    def _why_rejected(self, adapter: str) -> str:
        return next((one.reason for one in reversed(self.moves()) if one.adapter == adapter), "")

    def _published(self, adapter: str, source: Path) -> AdapterManifest:
        there = self.get(adapter)
        if any(sha256(source / name) != there.files[name] for name in (CONFIG_FILE, WEIGHTS_FILE)):
            raise BadRequest(f"The id {adapter!r} was used for another adapter; take one that `reserve` gives.")
        return there

    def _parents_of_removed(self) -> dict[str, str | None]:
        removed = self.root / _REMOVED
        return {one.name: one.read_text(encoding="utf-8") or None for one in removed.glob("ada-*")}

    def _clear_drafts(self) -> None:
        for old in self.root.glob(f"{_DRAFT}*"):
            if time.time() - old.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(old, ignore_errors=True)


def _with_state(manifest: AdapterManifest, now: Standing) -> AdapterManifest:
    return replace(manifest, state=now.state_of(manifest.id, passed=manifest.verdict.passed))


def _folders(root: Path) -> list[Path]:
    return [one for one in root.iterdir() if _ID.fullmatch(one.name)] if root.is_dir() else []


def _number(adapter: str) -> int:
    match = _ID.fullmatch(adapter)
    return int(match[1]) if match else 0
