"""What trainings keep on disk, and forgetting people in it; that the memory is still one is tested with the cycle."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from agent.datadir import DataDirectory
from agent.runs import JOB, LINEAGE, MEMORY, ROWS, ForgottenRuns, clear_away, forget_runs, run_state
from retrieval.errors import DataDirectoryError


def training(data: DataDirectory, name: str, state: str, *users: str) -> Path:
    folder = data.runs("default") / name
    (folder / "steps").mkdir(parents=True)
    (folder / ROWS).write_text("".join(f"{json.dumps({'user': user, 'text': f'of {user}'})}\n" for user in users))
    (folder / JOB).write_text(json.dumps({"state": state}))
    return folder


def test_an_unfinished_training_goes_as_a_whole_and_a_finished_one_loses_the_rows(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    other = training(data, "ada-000001", "training", "u1", "u2")
    begun = training(data, "ada-000002", "training", "u1", "u3")
    done = training(data, "ada-000003", "waiting", "u3", "u1", "u3")
    assert forget_runs(data, "default", ["u3"]) == ForgottenRuns(("ada-000002",), 2, 0)
    assert [run_state(one) for one in (other, begun, done)] == ["training", None, "waiting"]
    assert (done / ROWS).read_text() == '{"user": "u1", "text": "of u1"}\n'
    assert "u3" not in "".join(file.read_text() for file in data.runs("default").rglob("*.jsonl"))
    assert forget_runs(data, "default", ["u3"]) == ForgottenRuns()
    assert forget_runs(data, "another", ["u1"]) == ForgottenRuns()


def test_what_a_crash_left_is_cleared_away(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    whole = training(data, "ada-000001", "training", "u1")
    (training(data, "ada-000002", "training", "u1") / JOB).unlink()
    (data.runs("default") / ".gone-ada-000003-1").mkdir()
    clear_away(data.runs("default"))
    assert list(data.runs("default").iterdir()) == [whole]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    (training(data, "ada-000001", "training", "u1") / ROWS).write_text("half a li")
    with pytest.raises(DataDirectoryError, match="erase them again"):
        forget_runs(data, "default", ["u1"])


def test_whoever_was_only_rehearsed_is_forgotten_in_trainings_too(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    begun = training(data, "ada-000001", "training", "u1")
    done = training(data, "ada-000002", "waiting", "u1")
    (done / LINEAGE).parent.mkdir()
    (done / LINEAGE).write_text("".join(f"{json.dumps({'user': user, 'id': user})}\n" for user in ("u1", "u9")))
    memory = data.memory("default")
    memory.mkdir(parents=True)
    lines = (json.dumps({"user": user, "period": "2026-10", "kind": "sft"}) for user in ("u8", "u9"))
    (memory / "rows-1.jsonl").write_text("".join(f"{line}\n" for line in lines))
    (memory / "memory.json").write_text(json.dumps({"file": "rows-1.jsonl"}))
    assert forget_runs(data, "default", ["u9"]) == ForgottenRuns(("ada-000001",), 0, 1)
    assert [run_state(one) for one in (begun, done)] == [None, "waiting"]
    assert (done / LINEAGE).read_text() == '{"user": "u1", "id": "u1"}\n'
    again = training(data, "ada-000003", "training", "u1")
    assert forget_runs(data, "default", ["u9"]) == ForgottenRuns()
    assert run_state(again) == "training"


def remembering(data: DataDirectory, *users: str) -> Path:
    """The folder of a memory with a row of each."""
    folder = data.memory("default")
    folder.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"user": user, "period": "2026-10", "kind": "sft"}) for user in users]
    (folder / "rows-1.jsonl").write_text("".join(f"{row}\n" for row in rows))
    (folder / MEMORY).write_text(json.dumps({"file": "rows-1.jsonl", "strata": [], "rows": len(users), "sha256": ""}))
    return folder


def remembered(folder: Path) -> set[str]:
    rows = (folder / json.loads((folder / MEMORY).read_text())["file"]).read_text().splitlines()
    return {json.loads(row)["user"] for row in rows}


def test_people_who_are_forgotten_at_once_do_not_bring_each_other_back(tmp_path: Path) -> None:
    data = DataDirectory(tmp_path)
    users = [f"u{n}" for n in range(24)]
    folder = remembering(data, *users, "kept")
    done = training(data, "ada-000001", "waiting", *users, "kept")
    start = threading.Barrier(len(users))

    def forget(user: str) -> None:
        start.wait()
        forget_runs(data, "default", [user])

    threads = [threading.Thread(target=forget, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert remembered(folder) == {"kept"}
    assert (done / ROWS).read_text() == '{"user": "kept", "text": "of kept"}\n'
    assert len(list(folder.glob("rows-*.jsonl"))) == 1


def test_a_crash_after_the_memory_forgot_leaves_no_training_that_rehearsed_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataDirectory(tmp_path)
    folder = remembering(data, "u1", "u2")
    begun = training(data, "ada-000001", "training", "u2")  # rehearses u1, which stands in none of its files

    def crash(_folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("agent.runs.throw_away", crash)
        with pytest.raises(KeyboardInterrupt):
            forget_runs(data, "default", ["u1"])
    assert remembered(folder) == {"u2"}
    assert run_state(begun) == "training"
    clear_away(data.runs("default"))  # what the next job begins with
    assert run_state(begun) is None
    later = training(data, "ada-000002", "training", "u2")
    clear_away(data.runs("default"))
    assert run_state(later) == "training"
