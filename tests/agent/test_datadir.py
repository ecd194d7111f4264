"""The data directory: one server at a time, and one sentence for each way in which it cannot be used."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.datadir import DataDirectory
from retrieval.errors import DataDirectoryError

HOLD = """
import sys
from pathlib import Path
from agent.datadir import DataDirectory
from retrieval.errors import DataDirectoryError
try:
    with DataDirectory(Path(sys.argv[1])).server_lock():
        print("locked", flush=True)
        sys.stdin.read()
except DataDirectoryError as error:
    print(error, flush=True)
"""


def second_process(root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(root)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


def said_by(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_paths_lie_below_the_root_and_asking_makes_none(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "var")
    assert data.index("shop") == tmp_path / "var" / "index" / "shop"
    assert data.articles("shop") == tmp_path / "var" / "articles" / "shop"
    assert data.models == tmp_path / "var" / "models"
    assert not data.root.exists()


def test_creating_leaves_no_trace_of_the_proof(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path / "a" / "b")
    data.create()
    data.create()
    assert list(data.root.iterdir()) == []


def test_a_second_server_is_refused_by_name_of_the_first(tmp_path: Path) -> None:
    with DataDirectory(tmp_path).server_lock():
        process = second_process(tmp_path)
        said = said_by(process)
        process.communicate()
    assert f"process {os.getpid()}" in said
    assert "CHATALOGUE_DATA_DIR" in said


def test_the_lock_ends_with_its_process(tmp_path: Path) -> None:
    process = second_process(tmp_path)
    assert said_by(process) == "locked"
    with pytest.raises(DataDirectoryError, match=f"process {process.pid}"), DataDirectory(tmp_path).server_lock():
        pass
    process.kill()
    process.communicate()
    with DataDirectory(tmp_path).server_lock():
        assert (tmp_path / "server.lock").read_text(encoding="utf-8") == str(os.getpid())


def test_the_running_server_can_be_asked_for(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    assert data.server_process() is None
    with data.server_lock():
        assert data.server_process() == str(os.getpid())
    assert data.server_process() is None
    with data.server_lock():  # asking took nothing
        pass


def test_one_process_at_a_time_publishes_for_a_tenant(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    with data.publish_lock("one"), data.publish_lock("other"):
        with pytest.raises(DataDirectoryError, match="Another process is indexing"), data.publish_lock("one"):
            pass
    with data.publish_lock("one"):
        pass


def test_two_directories_have_two_servers(tmp_path: Path) -> None:
    one, other = DataDirectory(tmp_path / "one"), DataDirectory(tmp_path / "other")
    one.create()
    other.create()
    with one.server_lock(), other.server_lock():
        pass


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("I am a file", encoding="utf-8")
    with pytest.raises(DataDirectoryError, match="cannot be written .* CHATALOGUE_DATA_DIR"):
        DataDirectory(tmp_path / "var").create()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "is full; free some space"),
        (errno.EDQUOT, "is full; free some space"),
        (errno.EROFS, "Read-only file system"),
        (errno.EACCES, "Permission denied"),
    ],
)
def test_what_a_disk_can_do_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(self: Path, data: bytes) -> int:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(DataDirectoryError) as caught:
        DataDirectory(tmp_path).create()
    said = str(caught.value)
    assert words in said
    assert repr(str(tmp_path)) in said
    assert "CHATALOGUE_DATA_DIR" in said
    assert "\n" not in said
