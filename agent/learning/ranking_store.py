"""Learned rankers on disk, and which one is live: immutable folders, and a row in SQL that names one of them.

    <data_dir>/rankers/<tenant>/rnk-000003/trees-0.txt, trees.json   the trees
                                          /manifest.json             written last: a folder without it never existed

What one was learned from stays in the log alone: a folder has no words and no ids of customers, so an erasure has
nothing to do here. Knows nothing of how a ranker is learned.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.datadir import DataDirectory
from agent.learning.ranker_job import Job, Learned
from agent.log.store import EventLog
from agent.rank.lambdamart import LambdaMART
from retrieval.errors import BadRequest, DataDirectoryError, IndexUnavailable
from retrieval.table import ItemTable

SCHEMA = 2
"""Raised when the files of a ranker's folder change their meaning."""
MANIFEST = "manifest.json"
KEPT = 10
"""Rankers that stay on disk, besides the live one and the one before it."""
SAMPLE = 500
"""Ids of items that a ranker keeps: a share among them is known to 4 points."""

_NUMBERED = re.compile(r"rnk-(\d{6,})")


@dataclass(frozen=True, slots=True)
class RankerManifest:
    """What a ranker is.

    `before` was live when this one went live (None: the linear one): what a rollback names. `digest` is the SHA-256
    (hex) of its files. `index` is the catalogue that it was learned over, of `n_items` items; `items` are the ids of at
    most `SAMPLE` of them. `encoder` made their vectors. `lessons` and `customers` count what it was made of, up to the
    log's event `event_seq`. `metrics` by name: value, low and high of the linear ranker, of this one and of the gain.
    `verdict` is a sentence. `created` is UTC in ISO 8601.
    """

    schema: int
    id: str
    before: str | None
    created: str
    digest: str
    index: str
    n_items: int
    items: tuple[str, ...]
    encoder: str
    lessons: int
    customers: int
    conversations: int
    event_seq: int
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    verdict: str

    def shared_with(self, table: ItemTable) -> float:
        """About how much of this catalogue and its own is in both, as a share of the larger one."""
        still = sum(one in table for one in self.items) / max(1, len(self.items)) * self.n_items
        return still / max(1, self.n_items, len(table))


@dataclass(frozen=True, slots=True)
class RolledBack:
    """`live` is in use now, None: the linear one. `missing` is what should be, and is not there or cannot be read."""

    live: str | None
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of `learn` came to; `live` is the ranker in use afterwards, None for the linear one."""

    learned: Learned
    live: str | None
    is_new: bool


def learn_ranker(job: Job, data: DataDirectory, *, dry_run: bool = False) -> Outcome:
    """Learn a ranker from the log, judge it, and make it live where it is better; minutes for thousands of lessons.

    `dry_run` stops after the judgement. What fails leaves what is live in use.

    Raises:
        DataDirectoryError: another process learns, the disk is full, or the database cannot be used.
        ModelUnavailable: LightGBM is not installed.
    """
    root, tenant, log = data.rankers(job.tenant), job.tenant, job.log
    with data.learn_lock(tenant):
        live = log.live_ranker(tenant)
        learned = job.run(next_id(root))
        if learned.model is None or dry_run:
            return Outcome(learned, live, is_new=False)
        retriever = job.shop.retriever
        made = write_ranker(
            root, learned, retriever.table, before=live, index=job.shop.index_name, encoder=retriever.encoder.name
        )
        log.activate_ranker(tenant, made.id)
        prune(root, made.id)
        return Outcome(learned, made.id, is_new=True)


def next_id(root: Path) -> str:
    """An id that no folder has or had: the newest folder is never deleted. Under the lock."""
    numbers = [int(match[1]) for folder in _folders(root) if (match := _NUMBERED.fullmatch(folder.name))]
    return f"rnk-{max(numbers, default=0) + 1:06d}"


def write_ranker(
    root: Path, learned: Learned, table: ItemTable, *, before: str | None, index: str, encoder: str
) -> RankerManifest:
    """Write the folder of a ranker, learned over `table`, that may go live; it is complete when this returns.

    Raises:
        DataDirectoryError: the disk is full or read-only.
    """
    model, judgement = learned.model, learned.judgement
    if model is None or judgement is None:
        raise ValueError("only a ranker that was judged good is stored")
    folder = root / model.version
    try:
        model.save(folder)
        manifest = RankerManifest(
            SCHEMA,
            model.version,
            before,
            datetime.now(UTC).isoformat(),
            _digest(folder),
            index,
            len(table),
            _sample(table.ids),
            encoder,
            learned.lessons,
            learned.customers,
            judgement.conversations,
            learned.event_seq,
            {
                kind: {name: one.model_dump() for name, one in found.items()}
                for kind, found in (
                    ("linear", judgement.linear),
                    ("learned", judgement.learned),
                    ("gain", judgement.gain),
                )
            },
            learned.reason,
        )
        half = folder / f"{MANIFEST}.half"
        with half.open("w", encoding="utf-8") as file:
            json.dump(asdict(manifest), file, indent=1, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        half.replace(folder / MANIFEST)
    except OSError as error:
        raise DataDirectoryError(
            f"The ranker could not be written to {str(folder)!r} ({error}); free some space and learn again."
        ) from None
    return manifest


def read_manifest(folder: Path) -> RankerManifest:
    """The manifest of a complete folder.

    Raises:
        IndexUnavailable: there is none, or it is not one of ours.
    """
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if told["schema"] != SCHEMA:
            raise ValueError(f"its files are of version {told['schema']}, this program reads {SCHEMA}")
        return RankerManifest(**told | {"items": tuple(told["items"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unreadable(folder, str(error)) from None


def read_ranker(folder: Path) -> LambdaMART:
    """The trees of a complete folder, checked against its manifest.

    Raises:
        IndexUnavailable: files are missing, damaged or of another version.
        ModelUnavailable: LightGBM is not installed.
    """
    manifest = read_manifest(folder)
    try:
        if _digest(folder) != manifest.digest:
            raise ValueError("its files are not what was written")
    except (OSError, ValueError) as error:
        raise _unreadable(folder, str(error)) from None
    return LambdaMART.load(folder)


def rankers(root: Path) -> tuple[RankerManifest, ...]:
    """All complete ones that can be read, the oldest first."""
    found = []
    for folder in sorted(_folders(root)):
        try:
            found.append(read_manifest(folder))
        except IndexUnavailable:  # a crashed run, or broken: nothing to go back to
            continue
    return tuple(found)


def roll_back(root: Path, log: EventLog, tenant: str) -> RolledBack:
    """Make the ranker live that was before the live one; the linear one where that cannot be told or is not there.

    Raises:
        BadRequest: the linear ranker is in use already.
    """
    live = log.live_ranker(tenant)
    if live is None:
        raise BadRequest("The linear ranker is in use, there is none before it; `chatalogue learn` makes a new one.")
    back, name = RolledBack(None), live
    try:
        before = read_manifest(root / live).before
        if before is not None:
            name = before
            read_manifest(root / before)  # only the newest are kept
        back = RolledBack(before)
    except IndexUnavailable:
        back = RolledBack(None, name)
    log.activate_ranker(tenant, back.live)
    return back


def prune(root: Path, live: str | None) -> None:
    """Delete all but the newest `KEPT` folders, the live one and the one before it, and crashed runs before the newest.

    Raises:
        DataDirectoryError: a folder cannot be deleted.
    """
    complete = [one.id for one in rankers(root)]
    keep = {*complete[-KEPT:], live}
    keep |= {one.before for one in rankers(root) if one.id == live}
    newest = max((folder.name for folder in _folders(root)), default="")
    for folder in _folders(root):
        if folder.name not in keep and folder.name != newest:
            try:
                (folder / MANIFEST).unlink(missing_ok=True)  # first: half a folder must not look complete
                shutil.rmtree(folder)
            except OSError as error:
                raise DataDirectoryError(f"The folder {str(folder)!r} cannot be deleted ({error}).") from None


def _folders(root: Path) -> list[Path]:
    return [one for one in root.iterdir() if _NUMBERED.fullmatch(one.name)] if root.is_dir() else []


def _sample(ids: Iterable[str]) -> tuple[str, ...]:
    """Those whose hashes come first: drawn evenly, and the same for the same ids."""
    return tuple(sorted(ids, key=lambda one: hashlib.sha256(one.encode()).digest())[:SAMPLE])


def _digest(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if not file.name.startswith(MANIFEST):
            found.update(f"{file.name}\n{file.stat().st_size}\n".encode())
            found.update(file.read_bytes())
    return found.hexdigest()


def _unreadable(folder: Path, why: str) -> IndexUnavailable:
    return IndexUnavailable(
        f"The ranker in {str(folder)!r} cannot be read ({why}), so the linear one ranks: run `chatalogue learn`, or go "
        "back with `chatalogue rankers rollback`."
    )
