"""The rating benchmark on a tiny folder: what it reports, and that a planted taste shows in it."""

import json
from pathlib import Path

import numpy as np
import pytest
from retrieval_doubles import HashingEncoder

from retrieval.bench.ratings import BIAS, KNOWN, MODEL, RatingReport, measure_films, read_films
from retrieval.errors import BadRequest, CatalogueError
from retrieval.ratings import training

WORDS = ("whale boat storm", "robot laser planet")


def folder_of(root: Path, n_users: int, n_films: int) -> Path:
    """Every second user likes every second film and dislikes the others; 90 % of the pairs are rated."""
    rng = np.random.default_rng(2)
    films = [f"{film},Film {film} ({1980 + film}),{('Sea', 'Space')[film % 2]}" for film in range(n_films)]
    ratings = [
        f"{user},{film},{4.5 if (user + film) % 2 else 1.5},0"
        for user in range(n_users)
        for film in range(n_films)
        if rng.random() < 0.9
    ]
    root.mkdir(exist_ok=True)
    (root / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n", encoding="utf-8")
    (root / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *ratings]) + "\n", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RatingReport:
    root = tmp_path_factory.mktemp("ratings")
    items = [
        {"id": f"f{film}", "title": f"Film {film}", "text": WORDS[film % 2], "year": 1980 + film} for film in range(15)
    ]
    (root / "items.jsonl").write_text("\n".join(map(json.dumps, items)), encoding="utf-8")
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "STEPS_OF_AN_EPOCH", 6)
        films = read_films(folder_of(root / "ml", 30, 30), root / "items.jsonl", HashingEncoder(), said.append)
        found = measure_films(films, said.append)
    assert any(words.startswith("fold 5 of 5: ") for words in said)
    assert any(words.startswith("30 of 30 texts") for words in said)
    return found


def test_all_methods_are_there_with_intervals(report: RatingReport) -> None:
    assert (report.n_users, report.n_items) == (30, 30)
    assert report.n_ratings == pytest.approx(810, abs=40)
    assert report.share_with_text == 0.5
    assert len(report.methods) == 6
    for method in report.methods:
        assert method.rmse.low <= method.rmse.value <= method.rmse.high
    assert RatingReport.model_validate_json(report.model_dump_json()) == report


def test_a_planted_taste_is_found_by_those_who_can(report: RatingReport) -> None:
    by_name = {method.name: method.rmse.value for method in report.methods}
    assert by_name["user and item bias"] == pytest.approx(1.5, abs=0.2)
    assert by_name[MODEL] < 1.2
    assert report.against_best.than == min(by_name.keys() - {MODEL}, key=lambda name: by_name[name])
    assert report.against_best.rmse.value == pytest.approx(by_name[MODEL] - by_name[report.against_best.than], abs=2e-4)


def test_new_users_are_known_better_with_each_rating(report: RatingReport) -> None:
    assert tuple(point.known for point in report.cold_start) == KNOWN
    first, last = report.cold_start[0].rmse, report.cold_start[-1].rmse
    assert last[MODEL].value < 0.8 * first[MODEL].value
    difference = report.cold_start[-1].against_bias.rmse.value
    assert difference == pytest.approx(last[MODEL].value - last[BIAS].value, abs=2e-4)
    assert first["global mean"] == last["global mean"], "the same ratings are asked whatever is known"
    assert len({(point.n_users, point.n_ratings) for point in report.cold_start}) == 1


def test_parts_are_measured_against_the_whole_model(report: RatingReport) -> None:
    assert len(report.parts) == 5
    assert {part.than for part in report.parts} == {MODEL}


def test_too_few_ratings_and_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="more than 20 ratings each"):
        read_films(folder_of(tmp_path / "few", 10, 10), None, HashingEncoder(), lambda words: None)
    with pytest.raises(CatalogueError, match="MovieLens"):
        read_films(tmp_path / "nothing", None, HashingEncoder(), lambda words: None)
