"""Commands of the product as processes of their own: their time, their memory, their settings.

Knows nothing of what the commands do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from agent.settings import Settings
from retrieval.errors import ChatalogueError, SettingsError
from ui.bench import measured

CHATALOGUE = (sys.executable, "-c", "from ui.cli import main; main()")
"""The command line of this very installation, whatever `chatalogue` means on the PATH."""


class CommandFailed(ChatalogueError):
    """A command that a benchmark runs has failed; the message ends with what it said last."""


class Cost(BaseModel):
    """What a process took: wall clock, processor time of all cores, and its greatest resident memory."""

    seconds: float
    cpu_seconds: float
    peak_rss_gib: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished command."""

    cost: Cost
    stdout: str


def bench_settings(settings: Settings, folder: Path) -> Settings:
    """The operator's settings over a data directory of the benchmark's own, without exploration so that runs repeat.

    Raises:
        SettingsError: the settings name a database, which a benchmark must not write into.
    """
    if settings.database.url.get_secret_value():
        raise SettingsError(
            "A benchmark writes its chats into a database of its own; unset database.url for its time "
            "(CHATALOGUE_DATABASE__URL or the settings file)."
        )
    chat = settings.chat.model_copy(update={"exploration": 0.0})
    return settings.model_copy(update={"data_dir": folder, "chat": chat})


def environment(folder: Path) -> dict[str, str]:
    """This process's environment with the data directory of a benchmark."""
    return {**os.environ, "CHATALOGUE_DATA_DIR": str(folder), "CHATALOGUE_CHAT__EXPLORATION": "0"}


def run_measured(command: Sequence[str], env: Mapping[str, str], what: str) -> Measured:
    """Run a command to its end; its stderr passes through, its memory is what the kernel counted.

    Raises:
        CommandFailed: it ended with another code than 0.
    """
    # A process between us and the command: a child's peak starts at the size of whoever starts it.
    outer = [sys.executable, str(Path(measured.__file__)), *command]
    result = subprocess.run(outer, env=dict(env), stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603
    if result.returncode != 0:
        raise CommandFailed(f"{what} failed with exit code {result.returncode}; its last words are above.")
    out, _, last = result.stdout.rstrip("\n").rpartition("\n")
    return Measured(Cost.model_validate_json(last), out.rstrip("\n"))
