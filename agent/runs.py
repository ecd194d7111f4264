"""Trainings on disk, and forgetting people in them: what was copied out of the log must go when the log forgets.

    <data_dir>/runs/<tenant>/ada-000017/job.json    what is trained and how far it is; without it the folder is rubbish
                                       /rows.jsonl  a line for each row of feedback; "user" is a pseudonym (EventLog)
                                       /made/lineage.jsonl  a line for each row that was learned from, or rehearsed
                                       /...         checkpoints and weights
    <data_dir>/memory/<tenant>/memory.json, rows-<hash>.jsonl   what is rehearsed (finetune/memory.py writes it)

A training that is not finished and has a row of somebody who is forgotten is thrown away as a whole, for its weights
have learned from that row; so is one while they were in the memory, for it may rehearse them. Whoever runs it sees
that `job.json` is gone and begins anew. A mark stands in the runs' folder from before somebody leaves the memory until
such trainings are gone: what a crash left between the two is thrown away before the next job begins. Of one that is
finished the rows wait for a decision on its adapter: they go, and the adapter itself is the registry's, which knows
whom it learned from. Reads and writes lines of JSON; knows nothing of how anything is trained.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from agent.datadir import DataDirectory
from retrieval.errors import DataDirectoryError

JOB, ROWS = "job.json", "rows.jsonl"
LINEAGE: Final = "made/lineage.jsonl"
"""As finetune/train.py has it."""
MEMORY: Final = "memory.json"
DIGITS: Final = 12
"""Of a hash in the name of the memory's rows, as finetune/memory.py has it."""
_GONE: Final = ".gone-"
_FORGETTING: Final = ".forgetting"
"""The mark; it says of nobody who they are."""

RunState: TypeAlias = Literal["training", "waiting"]
"""waiting: trained and published, its adapter is not decided on."""


@dataclass(frozen=True, slots=True)
class ForgottenRuns:
    """`thrown_away`: adapters whose trainings were deleted. `rows`: how many went besides, `remembered` in memory."""

    thrown_away: tuple[str, ...] = ()
    rows: int = 0
    remembered: int = 0


def forget_runs(data: DataDirectory, tenant: str, users: Collection[str]) -> ForgottenRuns:
    """Take people out of everything that trainings keep on disk; at once, also while a job runs.

    Args:
        data: the data directory.
        tenant: whose.
        users: pseudonyms, as `EventLog.pseudonym` makes them of ids of persons and of conversations.

    Raises:
        DataDirectoryError: a file cannot be read or written; erase again.
    """
    gone, root = frozenset(users), data.runs(tenant)
    try:
        with one_at_a_time(root):
            # First: no training may begin with it any more.
            remembered = _forget_memory(data.memory(tenant), gone, root / _FORGETTING)
            thrown, rows = _forget_trainings(root, gone, rehearsed=(root / _FORGETTING).exists())
            (root / _FORGETTING).unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise DataDirectoryError(
            f"What trainings keep below {str(data.root)!r} cannot be changed ({error}), so somebody who is to be "
            "forgotten is still in it; make the folder writable and erase them again."
        ) from None
    return ForgottenRuns(tuple(thrown), rows, remembered)


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until nobody else, in this process or another, changes what lies at `path`, and keep others waiting.

    Two that read a file, take somebody out and write it would each bring back whom the other took out.

    Raises:
        OSError: the lock's file, beside `path`, cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_state(folder: Path) -> RunState | None:
    """How far a training is; None where the folder is none, or was thrown away."""
    try:
        state: RunState = json.loads((folder / JOB).read_text(encoding="utf-8"))["state"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state


def throw_away(folder: Path) -> None:
    """Delete a training: out of sight in one step, whoever writes in it meanwhile; nothing where somebody else did.

    Raises:
        OSError: it cannot be deleted.
    """
    away = folder.with_name(f"{_GONE}{folder.name}-{uuid.uuid4().hex[:8]}")
    with suppress(FileNotFoundError):
        folder.rename(away)
        shutil.rmtree(away)


def clear_away(root: Path) -> None:
    """Delete what a crash left of trainings that were thrown away or should have been, and what never became one.

    Raises:
        OSError: a training that should have been thrown away cannot be.
    """
    with one_at_a_time(root):
        if (root / _FORGETTING).exists():
            _forget_trainings(root, frozenset(), rehearsed=True)
            (root / _FORGETTING).unlink(missing_ok=True)
    for folder in (*root.glob(f"{_GONE}*"), *(one for one in root.glob("ada-*") if run_state(one) is None)):
        shutil.rmtree(folder, ignore_errors=True)


def _forget_trainings(root: Path, gone: Collection[str], *, rehearsed: bool) -> tuple[list[str], int]:
    """Adapters whose trainings were thrown away, and how many rows the others lost.

    `rehearsed`: somebody to be forgotten was in the memory, so that any unfinished one may have learned from them.
    """
    thrown, rows = [], 0
    for folder in sorted(root.glob("ada-*")):
        found = {file: _count(file, gone) for file in (folder / ROWS, folder / LINEAGE)}
        state = run_state(folder)
        if state == "waiting":
            for file in filter(found.get, found):
                _keep(file, _without(file, gone))
            rows += found[folder / ROWS]
        elif any(found.values()) or (rehearsed and state == "training"):
            throw_away(folder)
            thrown.append(folder.name)
    return thrown, rows


def _count(file: Path, gone: Collection[str]) -> int:
    return len(_lines(file)) - len(_without(file, gone))


def _without(file: Path, gone: Collection[str]) -> list[str]:
    return [line for line in _lines(file) if json.loads(line).get("user") not in gone]


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:  # never written, or thrown away meanwhile
        return []


def _keep(file: Path, lines: Collection[str]) -> str:
    """The SHA-256 of what is in the file now."""
    text = "".join(f"{line}\n" for line in lines)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
    return hashlib.sha256(text.encode()).hexdigest()


def _forget_memory(folder: Path, gone: Collection[str], mark: Path) -> int:
    """How many rows went; `mark` is made before the first does.

    A fair sample of all rows is still one of the rest, so nothing is drawn anew.
    """
    if not (folder / MEMORY).exists():
        return 0
    with one_at_a_time(folder):
        fields: dict[str, Any] = json.loads((folder / MEMORY).read_text(encoding="utf-8"))
        old = folder / Path(fields["file"]).name
        lines, kept = _lines(old), _without(old, gone)
        if len(kept) == len(lines):
            return 0
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        digest = hashlib.sha256("".join(f"{line}\n" for line in kept).encode()).hexdigest()
        name = f"rows-{digest[:DIGITS]}.jsonl"
        _keep(folder / name, kept)
        strata = Counter((row["period"], row["kind"]) for row in map(json.loads, kept))
        fields |= {
            "rows": len(kept), "file": name, "sha256": digest,
            "strata": [[*one, strata[one]] for one in sorted(strata)],
        }  # fmt: skip
        _keep(folder / MEMORY, [json.dumps(fields, indent=1, sort_keys=True)])
        old.unlink(missing_ok=True)
    return len(lines) - len(kept)
