"""More experience, another ranker: anew where that is cheap, else added trees that do not forget."""

from __future__ import annotations

import numpy as np

from agent.rank.examples import Example, FeatureMatrix
from agent.rank.lambdamart import LambdaMART, Options
from agent.rank.refit import refit

SMALL = Options(trees=30, leaves=4, min_leaf=3, threads=1)


def moments(column: int, n: int, prefix: str) -> list[Example]:
    """The accepted item has the most of one column; in new moments of another one."""
    random = np.random.default_rng(column)
    made = []
    for number in range(n):
        values = random.normal(size=(10, 2)).astype(np.float32)
        labels = np.zeros(10, dtype=np.int8)
        labels[np.argmax(values[:, column])] = 1
        made.append(Example(FeatureMatrix(("old", "new"), values), labels, f"{prefix}{number}"))
    return made


OLD, NEW = moments(0, 60, "old"), moments(1, 30, "new")
PREVIOUS = LambdaMART.train(OLD, SMALL)


def test_a_small_log_is_learned_anew() -> None:
    again = refit(PREVIOUS, [*OLD, *NEW], {one.group for one in NEW}, SMALL, version="v2")
    anew = LambdaMART.train([*OLD, *NEW], SMALL)
    features = OLD[0].features
    assert again.scores(features).tolist() == anew.scores(features).tolist()
    assert again.version == "v2"
    first = refit(None, OLD, (), SMALL)
    assert first.scores(features).tolist() == PREVIOUS.scores(features).tolist()


def test_a_large_log_adds_trees_that_know_the_new_and_keep_the_old() -> None:
    more = refit(PREVIOUS, [*OLD, *NEW], {one.group for one in NEW}, SMALL, anew_moments=10)
    features = OLD[0].features
    assert more.scores(features, trees=SMALL.trees).tolist() == PREVIOUS.scores(features).tolist()
    assert more.importance()["new"] > PREVIOUS.importance()["new"]
    assert more.importance()["old"] > more.importance()["new"], "ten per cent of the trees do not turn it over"


def test_nothing_new_changes_nothing() -> None:
    assert refit(PREVIOUS, OLD, set(), SMALL, anew_moments=10) is PREVIOUS
