"""The benchmark of the log's signals on a tiny folder: a planted taste helps, and nothing held out is in the log."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from small_shop import HashingEncoder

from agent.bench import rated
from agent.bench.rated import FullReport, RankedBy, measure_rated
from agent.learning.signals import LogSignals
from agent.log.store import EventLog
from retrieval.ratings import training

N_USERS, N_FILMS = 70, 60


def folder_of(root: Path) -> Path:
    """Every second user likes every second film and dislikes the others; half of the pairs are rated."""
    random = np.random.default_rng(2)
    root.mkdir()
    with (root / "movies.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ("movieId", "title", "genres"),
                *((n, f"Film {n} (1990)", ("Sea", "Space")[n % 2]) for n in range(N_FILMS)),
            ]
        )
    with (root / "ratings.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(("userId", "movieId", "rating", "timestamp"))
        for user in range(N_USERS):
            for film in np.flatnonzero(random.random(N_FILMS) < 0.5).tolist():
                out.writerow((user, film, 4.5 if (user + film) % 2 else 1.5, 0))
    return root


@pytest.fixture(scope="module")
def rated_films(tmp_path_factory: pytest.TempPathFactory) -> tuple[FullReport, list[int]]:
    deeds: list[int] = []
    real = LogSignals.fit.__func__  # type: ignore[attr-defined]

    def fit(cls: type[LogSignals], events: EventLog, *rest: object, **how: object) -> LogSignals:
        deeds.append(len(events.deeds("default", "opt_out")))
        return real(cls, events, *rest, **how)  # type: ignore[no-any-return]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "STEPS_OF_AN_EPOCH", 6)
        patch.setattr(rated, "NEGATIVES", 20)
        patch.setattr(LogSignals, "fit", classmethod(fit))
        root = folder_of(tmp_path_factory.mktemp("rated") / "ml")
        return measure_rated(root, None, HashingEncoder(), lambda words: None), deeds


def by_name(report: FullReport) -> dict[str, RankedBy]:
    return {one.name: one for one in report.ranking.rankers}


def test_a_planted_taste_is_worth_something(rated_films: tuple[FullReport, list[int]]) -> None:
    report, _ = rated_films
    found = by_name(report)
    assert tuple(found) == tuple(rated.COLUMNS)
    plain, rating = found["popularity"], found["popularity and rating"]
    assert plain.auc_more.value == plain.ndcg_more.high == 0
    assert rating.auc_more.low > 0.1
    assert rating.ndcg_more.low > 0
    assert rating.auc_rated.value > 0.9 > plain.auc_rated.value
    assert rating.auc.value - plain.auc.value == pytest.approx(rating.auc_more.value, abs=2e-4)
    for one in found.values():
        for interval in (one.ndcg, one.auc, one.auc_more):
            assert interval.low <= interval.value <= interval.high


def test_what_is_held_out_is_in_no_log(rated_films: tuple[FullReport, list[int]]) -> None:
    report, deeds = rated_films
    held = report.n_ratings - deeds[0]
    assert len(deeds) == rated.FOLDS
    assert held == pytest.approx(rated.HELD_OUT * report.n_ratings, rel=0.15)
    assert 0 < report.ranking.n_liked < held
    assert report.ranking.n_customers <= N_USERS
    assert FullReport.model_validate_json(report.model_dump_json()) == report
