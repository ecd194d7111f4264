"""Cross-fitting: nothing is ever made with something that saw its own group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from agent.rank.crossfit import cross_fitted, cross_validate, folds_of
from agent.rank.examples import Example, FeatureMatrix
from agent.rank.lambdamart import Options


@dataclass(frozen=True)
class Entry:
    group: str
    number: int


ENTRIES = [Entry(f"d{number % 7}", number) for number in range(30)]


def test_a_group_is_in_one_fold_whatever_else_comes() -> None:
    folds = folds_of([entry.group for entry in ENTRIES], 3)
    by_group = {entry.group: fold for entry, fold in zip(ENTRIES, folds.tolist(), strict=True)}
    assert all(by_group[entry.group] == fold for entry, fold in zip(ENTRIES, folds.tolist(), strict=True))
    assert sorted(np.bincount(list(by_group.values())).tolist()) == [2, 2, 3]
    backwards = folds_of([entry.group for entry in reversed(ENTRIES)], 3)
    assert backwards[::-1].tolist() == folds.tolist()


def test_nothing_is_made_by_what_saw_its_group() -> None:
    seen: list[tuple[int, int]] = []

    def fit(entries: Sequence[Entry]) -> set[str]:
        return {entry.group for entry in entries}

    def make(fitted: set[str], entry: Entry) -> int:
        assert entry.group not in fitted, "it would find itself"
        assert len(fitted) >= 4, "all the others were learned from"
        return entry.number

    made = cross_fitted(ENTRIES, fit, make, n_folds=3, progress=lambda done, of: seen.append((done, of)))
    assert made == [entry.number for entry in ENTRIES], "in the order given"
    assert seen[-1] == (30, 30)


def test_fewer_groups_than_folds() -> None:
    made = cross_fitted(ENTRIES[:2], lambda entries: len(entries), lambda fitted, entry: fitted, n_folds=5)
    assert made == [1, 1]


def test_cross_validation_counts_what_is_no_candidate_and_picks_the_trees() -> None:
    random = np.random.default_rng(0)
    examples = []
    for number in range(60):
        values = random.normal(size=(20, 2)).astype(np.float32)
        labels = np.zeros(20, dtype=np.int8)
        labels[np.argmax(values[:, 0])] = 1
        missed = int(number % 4 == 0)
        examples.append(Example(FeatureMatrix(("a", "b"), values), labels, f"d{number // 2}", missed))
    report = cross_validate(examples, Options(trees=30, leaves=4, min_leaf=3, threads=1), trees=(1, 30), n_folds=3)
    assert report.labels == 75
    assert set(report.recall) == {1, 30}
    best = report.recall[30]
    assert best[50].value == pytest.approx(60 / 75, abs=0.02), "missed labels are not found"
    assert best[1].value > 0.4
    assert best[1].low <= best[1].value <= best[1].high
    assert report.best == 30
