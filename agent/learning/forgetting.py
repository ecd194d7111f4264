"""What was copied out of the log goes when the log forgets: rows of trainings, of their memory, and of exports.

`chatalogue feedback export` may have written anywhere: what lies below the data directory is found, other copies are
their owner's, as backups are. Adapters themselves are no copies: which of them learned from whom is in the log, and the
next one is made without. Knows nothing of how anything is trained.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from agent.datadir import DataDirectory
from agent.log.records import Consent, ErasedPerson
from agent.log.store import EventLog
from agent.runs import ForgottenRuns, forget_runs, one_at_a_time
from retrieval.errors import DataDirectoryError

ROW_FIELDS: Final = frozenset({"user", "events", "turn_id"})
"""Of a line that `chatalogue feedback export` wrote."""
_NOT_OURS: Final = ("models", "index", "articles", "rankers", "adapters", "runs", "memory")
"""Folders without exports: what lies there has owners who forget for themselves, or is nobody's."""


def forget_owners(data: DataDirectory, log: EventLog, tenant: str, owners: Collection[str]) -> ForgottenRuns:
    """Take persons, and conversations of nobody, out of every file below the data directory; more than once is safe.

    Args:
        data: the data directory.
        log: whose key made the pseudonyms.
        tenant: whose.
        owners: their own ids in the log.

    Raises:
        DataDirectoryError: a file cannot be read or written; erase again.
    """
    users = frozenset(log.pseudonym(tenant, one) for one in owners)
    found = forget_runs(data, tenant, users)
    try:
        with one_at_a_time(data.root / "exports"):
            for file in _exports(data.root):
                _forget_in(file, users)
    except OSError as error:
        raise DataDirectoryError(
            f"An export of feedback below {str(data.root)!r} cannot be changed ({error}), so somebody who is to be "
            "forgotten is still in it; make the folder writable and erase them again."
        ) from None
    return found


def note_consent(data: DataDirectory, log: EventLog, tenant: str, key_id: str, user: str, *, consent: bool) -> None:
    """Write down what a customer says; with a no what was copied of them goes, too.

    Raises:
        DataDirectoryError: as `forget_owners`; say it again.
    """
    log.record_consent(tenant, key_id, user, consent=consent)
    person_id = log.person_id(tenant, key_id, user)
    if not consent and person_id is not None:
        forget_owners(data, log, tenant, [person_id])


def erase_customer(data: DataDirectory, log: EventLog, tenant: str, key_id: str, user: str) -> ErasedPerson | None:
    """Erase a customer from the log and from what was copied out of it; None for one whom we do not know.

    Raises:
        DataDirectoryError: as `forget_owners`; erase again.
    """
    person_id = log.person_id(tenant, key_id, user)
    if person_id is not None:  # first: who is not in the log any more could not be found in a file
        forget_owners(data, log, tenant, [person_id])
    erased = log.erase_person(tenant, key_id, user)
    if erased is not None:
        forget_owners(data, log, tenant, [erased.id])  # again: what was copied meanwhile
    return erased


def learned_from(said: bool | None, rule: Consent) -> bool:
    """Whether a customer who `said` that may be learned from."""
    return rule == "opt_out" if said is None else said


def _exports(root: Path) -> Iterator[Path]:
    if not root.is_dir():
        return
    for folder in (root, *(one for one in root.iterdir() if one.is_dir() and one.name not in _NOT_OURS)):
        for file in folder.glob("*.jsonl") if folder == root else folder.rglob("*.jsonl"):
            with file.open(encoding="utf-8", errors="replace") as lines:
                if _is_row(lines.readline()):
                    yield file


def _forget_in(file: Path, users: Collection[str]) -> None:
    """Without the lines of `users`; the file is as it was, or without them."""
    part = file.with_name(f".{file.name}.{os.getpid()}")
    gone = 0
    try:
        with file.open(encoding="utf-8") as lines, part.open("w", encoding="utf-8") as out:
            for line in lines:
                if _is_row(line) and json.loads(line)["user"] in users:
                    gone += 1
                else:
                    out.write(line)
        if gone:
            part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _is_row(line: str) -> bool:
    try:
        fields = json.loads(line)
    except ValueError:
        return False
    return isinstance(fields, dict) and fields.keys() >= ROW_FIELDS
