"""A process that promotes dies at every step: the next one finds one champion, and it or the one before answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OLD, NEW = "ada-000001", "ada-000002"


def test_killed_at_each_step_it_is_as_before_or_done(tmp_path: Path) -> None:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parents[2]), str(HERE)])}
    command = [sys.executable, str(HERE / "dying_promotion.py"), str(tmp_path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280)  # noqa: S603
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert len(found) > 30  # steps; the last line is of a run that was not killed
    for number, one in enumerate(found, 1):
        champions = [name for name, state in one["states"].items() if state == "champion"]
        assert champions == [one["champion"]], number
        for engine in ("kept", "new"):
            told = one[engine]
            assert told["answers"] == one["champion"], (number, told)
            assert told["in use"].startswith(f"{told['answers']}-"), (number, told)
            assert told["problem"] == "", (number, told)
        assert one["in the end"] == NEW, number
        assert one["known"] == [NEW], number
    order = [one["champion"] for one in found]
    changes = [name for n, name in enumerate(order) if n == 0 or order[n - 1] != name]
    assert changes == [OLD, NEW, OLD, NEW]  # promoted, rolled back, promoted
    assert all(OLD in one["states"] for one in found if one["champion"] == OLD)
