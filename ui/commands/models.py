"""`chatalogue models fetch`: the weights on the disk before anything needs them.

A server of its own (vLLM in a container) reads a folder that is there when it starts, at a path that does not change.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

from agent.datadir import DataDirectory
from agent.llm.weights import resolve_model
from agent.settings import load_settings
from retrieval.errors import BadRequest, DataDirectoryError
from ui.commands.output import print_result
from ui.logs import configure_logs


def run_fetch(link: str | None, config: Path | None) -> None:
    """Convert or download the model of the settings where that was not done before; print its folder.

    Args:
        link: a name that will stand for the folder in the data directory's `models`, whatever the model is called.
        config: the settings file, or None for the usual one.
    """
    if link is not None and (link in ("", "..") or link != Path(link).name):
        raise BadRequest(f"{link!r} is no name for a link; use one without slashes, such as 'served'.")
    configure_logs(logging.WARNING)
    settings = load_settings(config).settings
    models = DataDirectory(settings.data_dir).models
    folder = resolve_model(settings.llm.model, models)
    if link is not None:
        point(models / link, folder)
    print_result(str(folder))


def point(link: Path, folder: Path) -> None:
    """Make `link` lead to `folder`, in one step: whoever follows it finds the old folder or the new one.

    The link is relative, so that it also leads there where the data directory is mounted at another place.

    Raises:
        BadRequest: something that is no link has that name.
        DataDirectoryError: the link cannot be made.
    """
    if link.exists() and not link.is_symlink():
        raise BadRequest(f"{str(link)!r} is no link, so it is not replaced; choose another name.")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".draft-", dir=link.parent) as draft:
            new = Path(draft) / link.name
            new.symlink_to(os.path.relpath(folder.resolve(), link.parent.resolve()), target_is_directory=True)
            new.replace(link)
    except OSError as error:
        raise DataDirectoryError(
            f"The link {str(link)!r} cannot be made ({error.strerror}); give this user the right to write there."
        ) from None
