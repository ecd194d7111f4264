"""On what a benchmark ran: machine, versions, commit, load. Knows nothing of what is measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from retrieval.cores import usable_cores

_ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "chatalogue", "bm25s", "chromadb", "fastapi", "gradio", "lightgbm", "numpy", "peft", "scipy",
    "sentence-transformers", "sqlalchemy", "torch", "transformers", "xgrammar",
)  # fmt: skip
"""Packages whose version may change a figure."""


class Machine(BaseModel):
    """What must be the same for figures to stand in one file; `packages` by name, missing ones left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str
    cores: int
    memory_gib: float
    os: str
    python: str
    packages: dict[str, str]


def this_machine() -> Machine:
    """The machine and the environment that this runs in."""
    return Machine(
        cpu=_cpu(),
        cores=usable_cores(),
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        os=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
    )


def commit() -> str:
    """The commit that runs, with "+ changes" where files differ from it; the version outside of a checkout."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if not head:
        return f"version {_version('chatalogue') or 'unknown'}"
    return f"{head} + changes" if _git("status", "--porcelain", "--untracked-files=no") else head


def load_1m() -> float:
    """Processes that wanted a core in the last minute, on average: well above 0, and the figures are doubtful."""
    return round(os.getloadavg()[0], 2)


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:  # not Linux
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _git(*arguments: str) -> str:
    if not (_ROOT / ".git").exists():
        return ""
    command = ["git", "-C", str(_ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):  # no git here: the version must do
        return ""
