"""An ablation: shared work gives what a fit of its own gives, rows join one table, a stopped run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rank_talks import cinema, talks
from small_shop import HashingEncoder

from agent.bench.retrieval import ablation, pipeline
from agent.bench.retrieval.ablation import FULL, PARTS, Ablater, KeptLists, ablate, known_parts, known_rows
from agent.bench.retrieval.dialogues import Ranked, Row, Said
from agent.bench.retrieval.figures import Ablation
from agent.bench.retrieval.pipeline import Bundle, Studio, fit
from agent.bench.retrieval.run import BATCH, Files, Inputs
from agent.rank.lambdamart import Options
from retrieval.errors import BadRequest
from retrieval.experience import Experience
from retrieval.remembering import Remembering


def row_of(one: Experience, number: int) -> Row:
    said = tuple(Said("user" if place % 2 else "assistant", text) for place, text in enumerate(one.turns))
    spoken = tuple(seed.item_id for seed in one.spoken)
    return Row(f"r{number}", f"made-{number}", said, spoken, one.accepted, "", None)


ROWS = tuple(row_of(one, number) for number, one in enumerate(talks()))
INPUTS = Inputs(Bundle(cinema(), ROWS[10:]), ROWS[:10], (), ())


@pytest.fixture(autouse=True)
def _small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "OPTIONS", Options(trees=10, leaves=4, min_leaf=3, threads=1))


def silent(stage: str, done: int, of: int) -> None:
    """No progress is shown."""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """A list that grows with each studio that is made."""
    made: list[object] = []

    class Counting(Studio):
        def __init__(self, *arguments: object, **options: object) -> None:
            made.append(options)
            super().__init__(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ablation, "Studio", Counting)
    return made


def ranked(lists: tuple[Ranked, ...]) -> list[tuple[str, ...]]:
    return [one.ranked for one in lists]


@pytest.mark.parametrize("part", ["places", "names"])
def test_lists_are_those_of_a_system_fitted_alone(part: str) -> None:
    ablater = Ablater(INPUTS, HashingEncoder(), None, silent)
    ablater.lists(FULL)
    alone = fit(INPUTS.bundle, Remembering(HashingEncoder(), BATCH), without=frozenset({part}))
    assert ranked(ablater.lists(part)) == [alone.rank(row).ranked for row in INPUTS.test]


def test_what_drops_features_only_fits_no_branch_again(counted: list[object]) -> None:
    ablater = Ablater(INPUTS, HashingEncoder(), None, silent)
    for part in (FULL, "places", "query", "ranker"):
        ablater.lists(part)
    assert len(counted) == 1
    ablater.lists("names")
    assert len(counted) == 2


def test_a_part_that_is_in_no_system_is_added(counted: list[object]) -> None:
    ablater = Ablater(INPUTS, HashingEncoder(), None, silent)
    *_, table = ablate(INPUTS, ablater.lists, ["user-based-cf"], {"judge": ablater.lists(FULL)})
    own, judge = table.rows
    assert (own.part, own.change) == ("user-based-cf", "added")
    assert counted[-1]["further"] == ("user-based-cf",)  # type: ignore[index]
    assert (judge.part, judge.change, judge.difference.mrr.value) == ("judge", "added", 0.0)
    spoken = Bundle(cinema(), tuple(replace(row, mentioned=(cinema()[0].id,)) for row in INPUTS.bundle.train))
    model = Studio(spoken, HashingEncoder(), further=("user-based-cf",)).system().model
    assert model is not None
    assert "users.talks" in model.names


def test_the_table_grows_by_one_row_at_a_time() -> None:
    asked: list[str] = []

    def lists(part: str) -> tuple[Ranked, ...]:
        asked.append(part)
        return tuple(Ranked(row.id, row.targets if part == FULL else (), 1.0) for row in INPUTS.test)

    tables = []
    for table in ablate(INPUTS, lists, ["names", "ranker"], {}):
        tables.append([row.part for row in table.rows])
        assert len(asked) == len(tables), "a row is known before the next system is made"
    assert tables == [[], ["names"], ["names", "ranker"]]


def test_rows_join_those_of_the_same_full_system_and_of_no_other() -> None:
    full, less = (tuple(Ranked(row.id, row.targets[:n], 1.0) for row in INPUTS.test) for n in (1, 0))

    def table(first: tuple[Ranked, ...], *parts: str) -> Ablation:
        *_, last = ablate(INPUTS, lambda part: first if part == FULL else less, parts, {})
        return last

    earlier = table(full, "names", "ranker")
    assert [row.part for row in table(full, "dense").onto(earlier).rows] == ["names", "ranker", "dense"]
    assert [row.part for row in table(full, "names").onto(earlier).rows] == ["names", "ranker"]
    assert [row.part for row in table(less, "dense").onto(earlier).rows] == ["dense"]
    assert table(full, "dense").onto(None) == table(full, "dense")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    for name in ("items", "test"):
        (tmp_path / name).write_text(name)
    return Files(tmp_path / "items", tmp_path / "test")


def test_a_run_that_was_stopped_goes_on_where_it_was(counted: list[object], files: Files, tmp_path: Path) -> None:
    kept = KeptLists.open(tmp_path / "lists", files)
    first = Ablater(INPUTS, HashingEncoder(), kept, silent)
    made = {part: ranked(first.lists(part)) for part in (FULL, "names", "user-based-cf")}
    names = {"full.jsonl", "without-names.jsonl", "with-user-based-cf.jsonl", "made_from.json"}
    assert {file.name for file in kept.folder.iterdir()} == names
    again = Ablater(INPUTS, HashingEncoder(), KeptLists.open(tmp_path / "lists", files), silent)
    n = len(counted)
    assert {part: ranked(again.lists(part)) for part in made} == made
    assert len(counted) == n, "nothing is made again"
    again.lists("places")
    assert len(counted) == n + 1


def test_lists_of_other_files_are_not_taken(files: Files, tmp_path: Path) -> None:
    KeptLists.open(tmp_path / "lists", files)
    files.items.write_text("other items")
    with pytest.raises(BadRequest, match="made from other files"):
        KeptLists.open(tmp_path / "lists", files)
    with pytest.raises(BadRequest, match="cannot be used"):
        KeptLists.open(files.items, files)


def test_only_what_is_in_the_system_can_be_left_out_of_it() -> None:
    assert known_rows(PARTS) == set(PARTS)
    assert known_parts(["names"]) == {"names"}
    with pytest.raises(BadRequest, match="no part 'user-based-cf'"):
        known_parts(["user-based-cf"])
