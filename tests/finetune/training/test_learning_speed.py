from __future__ import annotations

from pathlib import Path

import pytest
from training_doubles import lesson

from finetune.training.speed import compare, rows_of


def test_everybody_goes_through_the_same_rows(tiny_base: Path) -> None:
    lessons = [lesson(number) for number in range(24)]
    found = compare(tiny_base, lessons, 1)
    assert list(found) == ["ours", "TRL", "TRL, our settings"]
    ratio = found["ours"].tokens_per_s / found["ours"].rows_per_s
    assert all(one.tokens_per_s / one.rows_per_s == pytest.approx(ratio) for one in found.values())
    assert all(len(one.rounds) == 1 and one.rows_per_s > 0 for one in found.values())


def test_the_rows_are_turns_to_understand() -> None:
    rows = rows_of(4)
    assert len({row.id for row in rows}) == len(rows) >= 4
    assert all(row.kind == "sft" and row.answers[0] for row in rows)
