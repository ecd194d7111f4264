"""From a benchmark's bundle to lists: any part may be missing, the answer is never looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rank_talks import DIRECTORS, cinema, film_id, talks, usual
from small_shop import HashingEncoder

from agent.bench.retrieval import pipeline
from agent.bench.retrieval.dialogues import Like, Row, Said
from agent.bench.retrieval.pipeline import Bundle, RetrievalSystem, fit
from agent.rank.lambdamart import Options
from retrieval.errors import CatalogueError
from retrieval.experience import Experience


def row_of(one: Experience, number: int) -> Row:
    said = tuple(Said("user" if place % 2 else "assistant", text) for place, text in enumerate(one.turns))
    spoken = tuple(seed.item_id for seed in one.spoken)
    return Row(f"r{number}", f"made-{number}", said, spoken, one.accepted, "", None)


TRAIN = tuple(row_of(one, number) for number, one in enumerate(talks()))
ASKED = tuple(
    Row(f"t{director}", f"test-{director}", (Said("user", f"Anything by {name}?"),), (), (), "", None)
    for director, name in enumerate(DIRECTORS)
)


@pytest.fixture(autouse=True)
def _small_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "OPTIONS", Options(trees=30, leaves=4, min_leaf=3, threads=1))


@pytest.fixture(scope="module")
def trained() -> RetrievalSystem:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "OPTIONS", Options(trees=30, leaves=4, min_leaf=3, threads=1))
        return fit(Bundle(cinema(), TRAIN), HashingEncoder())


def first(system: RetrievalSystem, rows: Sequence[Row] = ASKED) -> list[str]:
    return [system.rank(row).ranked[0] for row in rows]


def test_training_finds_what_is_usual(trained: RetrievalSystem) -> None:
    assert first(trained) == [film_id(director, usual(director)) for director in range(len(DIRECTORS))]
    importance = trained.importance()
    assert sum(importance.values()) == pytest.approx(1)


def test_mentioned_items_are_not_listed_and_no_list_is_longer_than_50(trained: RetrievalSystem) -> None:
    row = replace(ASKED[1], mentioned=(film_id(1, usual(1)), "unknown"))
    found = trained.rank(row)
    assert found.id == row.id
    assert film_id(1, usual(1)) not in found.ranked
    assert found.ranked[0].startswith("f1-")
    assert len(set(found.ranked)) == len(found.ranked) <= 50
    assert found.ms > 0


def test_only_candidates_are_listed_and_all_of_them(trained: RetrievalSystem) -> None:
    pool = (film_id(0, 0), film_id(3, 3), "unknown", film_id(2, 1))
    found = trained.rank(replace(ASKED[0], candidates=pool, mentioned=(film_id(3, 3),)))
    assert set(found.ranked) == {film_id(0, 0), film_id(2, 1)}
    assert found.ranked[0] == film_id(0, 0)
    assert trained.rank(replace(ASKED[0], candidates=())).ranked == ()


def test_the_answer_of_a_row_is_not_looked_at(trained: RetrievalSystem) -> None:
    told = replace(ASKED[2], targets=(film_id(4, 4),), response=f"Watch {film_id(4, 4)}!")
    assert trained.rank(told).ranked == trained.rank(ASKED[2]).ranked


def test_equal_input_gives_equal_lists(trained: RetrievalSystem) -> None:
    again = fit(Bundle(cinema(), TRAIN), HashingEncoder())
    assert [again.rank(row).ranked for row in ASKED] == [trained.rank(row).ranked for row in ASKED]


def test_it_works_with_items_alone() -> None:
    system = fit(Bundle(cinema()), HashingEncoder())
    assert [item[:3] for item in first(system)] == [f"f{director}-" for director in range(len(DIRECTORS))]
    assert system.importance() == {}
    odd = Row("odd", "odd", (), (), (), "", None)
    assert len(system.rank(odd).ranked) == len(cinema()), "a row without a word still has an answer"
    pool = (film_id(0, 0), film_id(3, 3), film_id(2, 1), "unknown")
    found = system.rank(replace(ASKED[3], candidates=pool, mentioned=(film_id(2, 1),))).ranked
    assert found == (film_id(3, 3), film_id(0, 0)), "all of the pool, what fits first"


def test_valid_rows_are_not_learned_from() -> None:
    half = len(TRAIN) // 2
    with_valid = fit(Bundle(cinema(), TRAIN[:half], TRAIN[half:]), HashingEncoder())
    without = fit(Bundle(cinema(), TRAIN[:half]), HashingEncoder())
    assert [with_valid.rank(row).ranked for row in ASKED] == [without.rank(row).ranked for row in ASKED]
    untaught = fit(Bundle(cinema(), (), TRAIN), HashingEncoder())
    assert untaught.importance() == {}, "without train nothing is learned, whatever valid holds"


def test_what_is_left_out_is_not_used() -> None:
    bundle = Bundle(cinema(), TRAIN)
    unlearned = fit(bundle, HashingEncoder(), learned=False)
    assert unlearned.importance() == {}
    assert fit(bundle, HashingEncoder(), without=frozenset({"ranker"})).importance() == {}
    less = fit(bundle, HashingEncoder(), without=frozenset({"habits", "dense", "last", "places", "facts", "query"}))
    names = set(less.importance())
    assert names
    wrong = [name for name in names if name.startswith(("habits", "dense", "last.", "item.", "query.")) or "#" in name]
    assert wrong == []
    assert first(less, ASKED[:1])[0].startswith("f0-"), "columns that the ranker does not know are left alone"


def test_branches_say_what_they_find_by_themselves(trained: RetrievalSystem) -> None:
    lists = trained.branch_lists(ASKED[4], 3)
    assert {"lexical", "dense", "names", "conversational", "habits", "union", "sum", "candidates"} <= set(lists)
    assert all(len(ids) <= 3 for name, ids in lists.items() if name not in {"union", "candidates"})
    assert {item[:3] for item in lists["names"]} == {"f4-"}
    assert set(lists["union"]) >= set(lists["habits"])


def test_likes_and_ratings_are_used_where_they_are(tmp_path: Path) -> None:
    titles = {item.id: (item.title, int(float(str(item.attributes["year"])))) for item in cinema()}
    movies = [f'{number},"{title} ({year})",Drama' for number, (title, year) in enumerate(titles.values())]
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n" + "\n".join(movies) + "\n", encoding="utf-8")
    ratings = [f"{user},{film},4.5,1" for user in range(4) for film in (0, 5 + user, 20)]
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + "\n".join(ratings), encoding="utf-8")
    likes = (
        Like("0-i", film_id(0, 0), True),
        Like("0-i", film_id(4, 0), True),
        Like("stranger-r", film_id(1, 0), False),
    )
    system = fit(Bundle(cinema(), TRAIN, (), likes, tmp_path), HashingEncoder())
    asked = replace(ASKED[5], mentioned=(film_id(0, 0),))
    assert film_id(4, 0) in system.branch_lists(asked, 5)["collaborative"]
    with pytest.raises(CatalogueError, match="movies.csv"):
        fit(Bundle(cinema(), TRAIN, (), likes, tmp_path / "none"), HashingEncoder())
