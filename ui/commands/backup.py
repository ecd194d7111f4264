"""`chatalogue backup DIR`: a consistent copy of the data directory, while the server runs or not."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from agent.datadir import DataDirectory
from agent.log.database import SQLITE_FILE
from agent.log.opening import open_log
from agent.secrecy import KEY_FILE
from agent.settings import load_settings
from finetune.memory import MANIFEST as MEMORY
from finetune.memory import ReplayMemory
from retrieval.errors import BadRequest, DataDirectoryError
from retrieval.index import MANIFEST
from ui.commands.output import print_result

KINDS = ("index", "articles", "models", "rankers", "intents", "adapters")
"""Of folders that never change: complete with their manifest."""


DEMO_ORDERS = "demo/*-orders.sqlite3"
"""As `agent.support.actions.demo.demo_orders_file` names them, which loads too much for here."""


def run(folder: Path, config: Path | None) -> None:
    """Copy databases through their own backup, then complete folders of `KINDS`, and what trainings rehearse.

    The log's database comes first: every index that it names is complete by then.
    """
    settings = load_settings(config).settings
    data = DataDirectory(settings.data_dir)
    if not data.root.is_dir():
        raise DataDirectoryError(f"There is no data directory at {str(data.root)!r}; set CHATALOGUE_DATA_DIR to yours.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"The folder {str(folder)!r} is not empty; name a new one, a backup never overwrites.")
    DataDirectory(folder).create()
    log = open_log(settings)
    try:
        log.backup(folder / SQLITE_FILE)
    finally:
        log.close()
    key = _copy_key(data.root, folder)
    _copy_demo_orders(data.root, folder)
    n_folders = sum(_copy_complete(data.root, folder, kind) for kind in KINDS)
    n_folders += _copy_memories(data.root, folder)
    folders = f"{n_folders} folder{'' if n_folders == 1 else 's'} of indexes, models, rankers, intents, adapters"
    print_result(f"The event log and {folders} and rehearsed rows are in {folder}. {key}")


def _copy_key(source: Path, target: Path) -> str:
    """Without it nothing of the copy could be used: turn ids and customers' names hang on keys that it seals."""
    try:
        secret = (source / KEY_FILE).read_bytes()
        with os.fdopen(os.open(target / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secret)
    except FileNotFoundError:
        return "The keys of the setting server.sealing_keys are not: keep them elsewhere, the copy needs them."
    except OSError as error:
        raise _not_copied(source / KEY_FILE, target, error) from None
    return f"With it goes {KEY_FILE}, which opens what is sealed in it: keep the copy as safe as the original."


def _copy_demo_orders(source: Path, target: Path) -> None:
    """Through SQLite's own backup: the log says what was done with these orders. A shop's own orders are not ours."""
    for one in source.glob(DEMO_ORDERS):
        to = target / one.relative_to(source)
        try:
            to.parent.mkdir(parents=True, exist_ok=True)
            with (
                closing(sqlite3.connect(f"{one.resolve().as_uri()}?mode=ro", uri=True)) as file,
                closing(sqlite3.connect(to)) as copy,
            ):
                file.backup(copy)
        except (OSError, sqlite3.Error) as error:
            raise _not_copied(one, target, error) from None


def _copy_complete(source: Path, target: Path, kind: str) -> int:
    """Only folders with a manifest: one without it is a build under way, or a crashed one."""
    complete = [manifest.parent for manifest in (source / kind).rglob(MANIFEST)]
    for one in complete:
        try:
            shutil.copytree(one, target / one.relative_to(source))
        except (OSError, shutil.Error) as error:  # a full disk, or an index that was replaced while it was copied
            raise _not_copied(one, target, error) from None
    return len(complete)


def _not_copied(what: Path, target: Path, error: Exception) -> DataDirectoryError:
    return DataDirectoryError(
        f"What lies at {str(what)!r} could not be copied ({error}); empty {str(target)!r} and try again."
    )


def _copy_memories(source: Path, target: Path) -> int:
    """Through its own reader: a memory changes, and a copy of its files could have some of before and some of after."""
    memories = [manifest.parent for manifest in source.glob(f"memory/*/{MEMORY}")]
    for one in memories:
        to = target / one.relative_to(source)
        try:
            to.mkdir(parents=True)
            for learned in one.glob("learned-*.json"):  # first: the memory then has at least the rows that these name
                shutil.copyfile(learned, to / learned.name)
            ReplayMemory.load(one).save(to)
        except (OSError, BadRequest) as error:  # a full disk, or one that was saved while it was read
            raise _not_copied(one, target, error) from None
    return len(memories)
