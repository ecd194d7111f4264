"""Cross-fitting: nothing is ever made with something that saw its own group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.rank.crossfit import cross_fitted, folds_of


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
