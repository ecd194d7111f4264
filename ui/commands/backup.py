"""`chatalogue backup DIR`: a consistent copy of the data directory, while the server runs or not."""

from __future__ import annotations

import shutil
from pathlib import Path

from agent.datadir import DataDirectory
from agent.log.database import SQLITE_FILE
from agent.log.store import EventLog
from agent.settings import load_settings
from retrieval.errors import BadRequest, DataDirectoryError
from retrieval.index import MANIFEST
from ui.commands.output import print_result

KINDS = ("index", "articles", "models", "rankers", "adapters")


def run(folder: Path, config: Path | None) -> None:
    """Copy the database through its own backup, then the complete folders of indexes, models, rankers and adapters.

    Such a folder never changes. The database comes first: every index that it names is complete by then.
    """
    settings = load_settings(config).settings
    data = DataDirectory(settings.data_dir)
    if not data.root.is_dir():
        raise DataDirectoryError(f"There is no data directory at {str(data.root)!r}; set CHATALOGUE_DATA_DIR to yours.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"The folder {str(folder)!r} is not empty; name a new one, a backup never overwrites.")
    DataDirectory(folder).create()
    log = EventLog.open(settings.database.url.get_secret_value(), settings.data_dir)
    try:
        log.backup(folder / SQLITE_FILE)
    finally:
        log.close()
    n_folders = sum(_copy_complete(data.root, folder, kind) for kind in KINDS)
    folders = f"{n_folders} folder{'' if n_folders == 1 else 's'} of indexes, models, rankers and adapters"
    print_result(f"The event log and {folders} are in {folder}.")


def _copy_complete(source: Path, target: Path, kind: str) -> int:
    """Only folders with a manifest: one without it is a build under way, or a crashed one."""
    complete = [manifest.parent for manifest in (source / kind).rglob(MANIFEST)]
    for one in complete:
        try:
            shutil.copytree(one, target / one.relative_to(source))
        except (OSError, shutil.Error) as error:  # a full disk, or an index that was replaced while it was copied
            raise DataDirectoryError(
                f"The folder {str(one)!r} could not be copied ({error}); empty {str(target)!r} and try again."
            ) from None
    return len(complete)
