"""What is shipped: the four rooms with their data files, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("agent", "finetune", "retrieval", "ui")
REPOSITORY_ONLY = "retrieval/demo/tools/"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"  # a copy: setuptools would ship what an older build left in build/
    for room in ROOMS:
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(out),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    (wheel,) = out.glob("chatalogue-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_top_level_is_the_rooms_only(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(ROOMS)


def test_tools_of_the_repository_stay_there(names: list[str]) -> None:
    assert (ROOT / REPOSITORY_ONLY / "build.py").is_file()
    assert [name for name in names if name.startswith(REPOSITORY_ONLY)] == []


def tracked(*folders: str) -> list[str]:
    git = shutil.which("git") or "git"
    command = [git, "ls-files", *folders]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()  # noqa: S603


def test_data_files_are_shipped(names: list[str]) -> None:
    shipped = {*names, *(name for name in tracked(*ROOMS) if name.startswith(REPOSITORY_ONLY))}
    assert [name for name in tracked(*ROOMS) if name not in shipped] == []


def test_nothing_is_shipped_that_is_not_tracked(names: list[str]) -> None:
    ours = set(tracked())
    assert [name for name in names if name not in ours and ".dist-info/" not in name] == []
