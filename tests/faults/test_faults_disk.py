"""A real full disk: a file system of a few megabytes that holds the data directory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import FILMS, CopyShop, Served, StartServer, assert_logged, assert_told, assert_whole, run_command, wait_for

from tests.parts import missing

DISK_MIB = 24
ENOUGH_FOR_A_BEGINNING = 600_000
"""Bytes: an index can be begun with them and not be ended."""
TURNS = 100
"""Some turns fit into room that the database took before; after so many it must have noticed."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    done = as_root("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700,uid={os.getuid()}", "tmpfs", str(folder))
    if done.returncode != 0:
        missing(f"a small disk cannot be mounted ({done.stderr.strip()})")
    yield folder
    as_root("umount", "--lazy", str(folder)).check_returncode()


def as_root(*command: str) -> subprocess.CompletedProcess[str]:
    """Run `command` to its end; with sudo where we are somebody else."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    return subprocess.run([*sudo, *command], capture_output=True, text=True, check=False)  # noqa: S603


@pytest.fixture(scope="module")
def server(disk: Path, copy_shop: CopyShop, start: StartServer) -> Served:
    served = start(copy_shop(disk / "var"))
    served.wait_ready()
    return served


@pytest.fixture
def filler(disk: Path) -> Iterator[Path]:
    yield disk / "filler"
    (disk / "filler").unlink(missing_ok=True)


def fill(filler: Path, *, left: int = 0) -> None:
    """Take all the room there is, but `left` bytes."""
    with filler.open("wb", buffering=0) as file:
        room = os.statvfs(filler.parent)
        os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - left)


def test_a_disk_that_fills_up_in_a_conversation(server: Served, filler: Path) -> None:
    answers = [server.say("a funny film")]
    session = answers[0].session_id
    failed = server.metric("chatalogue_failed_turns_total")
    fill(filler)
    for _ in range(TURNS):
        said = server.say("a heist film", session=session)
        if not said.done:
            break
        answers.append(said)
    assert_told(said, "database_unavailable")
    readiness = server.readiness()
    assert (readiness["http"], readiness["status"]) == (503, "unavailable")
    assert "full" in server.part("database")["detail"]
    assert server.metric("chatalogue_failed_turns_total") == failed + 1
    assert_logged(server, *answers)  # what was stored before can be read meanwhile
    filler.unlink()
    wait_for(lambda: server.state() == "degraded", "ready again")
    answers.append(server.say("a war film", session=session))
    for answer in answers:
        assert_whole(answer)
    assert_logged(server, *answers)
    assert [turn["number"] for turn in server.turns(session)] == list(range(1, len(answers) + 1))
    assert "Traceback" not in server.logged()


@pytest.mark.parametrize("left", [0, ENOUGH_FOR_A_BEGINNING])
def test_an_index_that_does_not_fit_leaves_the_live_one_alone(server: Served, filler: Path, left: int) -> None:
    root = server.data / "index" / "default"
    before = sorted(path.name for path in root.iterdir())
    fill(filler, left=left)
    done = run_command(server.data, "index", str(FILMS))
    assert done.returncode == 1
    assert "is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in root.iterdir()) == before
    filler.unlink()
    said = server.say("a funny film")
    assert_whole(said)
    assert_logged(server, said)


def test_a_disk_that_cannot_be_written_is_told_at_the_start(disk: Path, tmp_path: Path) -> None:
    as_root("mount", "--bind", str(disk), str(tmp_path)).check_returncode()
    try:
        as_root("mount", "-o", "remount,bind,ro", str(tmp_path)).check_returncode()
        done = run_command(tmp_path / "var", "serve", "--port", "1")
    finally:
        as_root("umount", "--lazy", str(tmp_path)).check_returncode()
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
