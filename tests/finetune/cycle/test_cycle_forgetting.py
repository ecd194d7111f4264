from __future__ import annotations

from pathlib import Path

from training_doubles import mixed

from agent.datadir import DataDirectory
from agent.runs import forget_runs
from finetune.memory import ReplayMemory


def test_the_memory_without_somebody_is_the_one_that_it_would_have_made_itself(tmp_path: Path) -> None:
    memory = ReplayMemory(30, 1)
    memory.offer([*mixed(8), *mixed(8, "2026-10")])
    data = DataDirectory(tmp_path)
    memory.save(data.memory("default"))
    gone = sum(lesson.user == "u3" for lesson in memory.lessons)
    assert gone
    assert forget_runs(data, "default", ["u3"]).remembered == gone
    memory.forget(["u3"])
    memory.save(tmp_path / "expected")
    written, expected = (
        {file.name: file.read_text() for file in folder.iterdir()}
        for folder in (data.memory("default"), tmp_path / "expected")
    )
    assert written == expected
    assert ReplayMemory.load(data.memory("default")).lessons == memory.lessons
