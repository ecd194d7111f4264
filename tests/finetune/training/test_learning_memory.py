from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from training_doubles import lesson, mixed

from finetune.memory import MANIFEST, ReplayMemory, shares
from retrieval.errors import BadRequest


def strata(memory: ReplayMemory) -> Counter[tuple[str, str]]:
    return Counter((one.period, one.kind) for one in memory.lessons)


def test_each_period_and_kind_has_its_share_of_a_bounded_room() -> None:
    memory = ReplayMemory(24, 1)
    memory.offer(mixed(30, "2026-09"))
    assert set(strata(memory).values()) == {6}
    memory.offer([lesson(number, "sft", "2026-10") for number in range(300)])
    memory.offer([lesson(0, "sft", "2026-11")])
    assert len(memory) == 24
    assert strata(memory)["2026-11", "sft"] == 1
    assert strata(memory)["2026-10", "sft"] in (4, 5)
    assert {kept for stratum, kept in strata(memory).items() if stratum[0] == "2026-09"} <= {4, 5}


def test_the_same_rows_stay_whatever_the_order() -> None:
    rows = [lesson(number) for number in range(60)]
    once, again, other = ReplayMemory(9, 1), ReplayMemory(9, 1), ReplayMemory(9, 2)
    once.offer(rows)
    for row in (*reversed(rows), *rows[:30]):
        again.offer([row])
    other.offer(rows)
    assert once.lessons == again.lessons
    assert once.lessons != other.lessons


def test_every_row_has_the_same_chance() -> None:
    kept: Counter[str] = Counter()
    rows = [lesson(number) for number in range(20)]
    for seed in range(400):
        memory = ReplayMemory(5, seed)
        memory.offer(rows)
        kept.update(one.id for one in memory.lessons)
    assert all(60 < kept[row.id] < 145 for row in rows), "100 each, within 5 standard deviations"


def test_a_draw_is_stratified_and_told_by_its_seed() -> None:
    memory = ReplayMemory(200, 1)
    memory.offer([*mixed(20, "2026-09"), *(lesson(number, "sft", "2026-10") for number in range(2))])
    drawn = memory.draw(22, (1, 0))
    counted = Counter((one.period, one.kind) for one in drawn)
    assert counted == {("2026-10", "sft"): 2} | {("2026-09", kind): 5 for kind in ("sft", "kto", "dpo", "rank")}
    assert drawn == memory.draw(22, (1, 0)) != memory.draw(22, (1, 1))
    without = [one.id for one in drawn]
    assert not {one.id for one in memory.draw(22, (1, 0), without)} & set(without)
    assert len(memory.draw(1000, (1,))) == 82


def test_nothing_of_somebody_who_was_erased_is_left(tmp_path: Path) -> None:
    memory = ReplayMemory(50, 1)
    memory.offer(mixed(10))
    memory.save(tmp_path)
    mine = [one.id for one in memory.lessons if one.user == "u3"]
    forgotten = memory.forget(["u3", ""])
    assert (sorted(forgotten.rows), forgotten.left) == (sorted(mine), 40 - len(mine))
    memory.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert not any('"u3"' in path.read_text() for path in tmp_path.iterdir())


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    memory = ReplayMemory(30, 7)
    memory.offer(mixed(12))
    memory.save(tmp_path / "memory")
    again = ReplayMemory.load(tmp_path / "memory")
    assert again.lessons == memory.lessons
    again.offer(mixed(12, "later"))
    memory.offer(mixed(12, "later"))
    assert again.lessons == memory.lessons, "room and seed, too"


def test_what_is_damaged_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        ReplayMemory.load(tmp_path)
    memory = ReplayMemory()
    memory.offer(mixed(1))
    memory.save(tmp_path)
    fields = json.loads((tmp_path / MANIFEST).read_text())
    with (tmp_path / fields["file"]).open("a") as file:
        file.write("\n")
    with pytest.raises(BadRequest, match="damaged"):
        ReplayMemory.load(tmp_path)


def test_what_small_ones_leave_goes_to_the_others() -> None:
    a, b, c = ("1", "sft"), ("2", "sft"), ("3", "sft")
    assert shares({a: 100, b: 2, c: 100}, 12) == {a: 5, b: 2, c: 5}
    assert shares({a: 100, b: 100, c: 100}, 2) == {a: 0, b: 1, c: 1}
    assert shares({a: 1, b: 0, c: 1}, 99) == {a: 1, b: 0, c: 1}
    assert shares({}, 3) == {}
