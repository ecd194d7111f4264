"""A learning job comes after customers, and ends with whoever began it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from agent.datadir import DataDirectory
from ui.commands.learn import NICENESS, threads_of

ROOT = Path(__file__).parents[2]
NICE = "import os; from ui.commands.learn import _give_way; was = os.nice(0); _give_way(0); print(os.nice(0) - was)"
JOB = """
import os, time
from pathlib import Path
from ui.commands.learn import _give_way
_give_way(os.getppid())
Path("job").write_text(str(os.getpid()))
time.sleep(600)
"""
SERVER = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {JOB!r}])"


def python(code: str, folder: Path) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=env, stdout=subprocess.PIPE, text=True)  # noqa: S603


def test_a_job_is_niced(tmp_path: Path) -> None:
    with python(NICE, tmp_path) as process:
        out, _ = process.communicate(timeout=300)
    assert int(out) == NICENESS


def test_a_job_ends_with_a_server_that_was_killed(tmp_path: Path) -> None:
    """By the system where memory is short: nobody is left who could ask the job to stop."""
    with python(SERVER, tmp_path) as server:
        try:
            job = _written(tmp_path / "job")
        finally:
            server.kill()
    assert _ends(job, within=120.0)


@pytest.mark.parametrize(("cores", "threads"), [(2, 1), (8, 4), (1, 1)])
def test_beside_a_server_it_takes_half_of_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    data = DataDirectory(tmp_path)
    assert threads_of(data, parent=0) == 0, "alone it takes what there is"
    assert threads_of(data, parent=7) == threads
    with data.server_lock():
        assert threads_of(data, parent=0) == threads


def _written(file: Path) -> int:
    for _ in range(3000):
        if file.exists() and (text := file.read_text()):
            return int(text)
        time.sleep(0.1)
    raise AssertionError("the job has not begun")


def _ends(process: int, within: float) -> bool:
    end = time.monotonic() + within
    while time.monotonic() < end:
        with suppress(FileNotFoundError):
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                time.sleep(0.1)
                continue
        return True
    return False
