"""The trees: they learn what was accepted, explain themselves exactly, come back as saved and refuse what is broken."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from agent.rank.examples import Example, FeatureMatrix, NegativeRules, kept
from agent.rank.lambdamart import MANIFEST, LambdaMART, Options
from retrieval.errors import BadRequest, IndexUnavailable

SMALL = Options(trees=20, leaves=4, min_leaf=3, threads=1, seeds=(1, 2))
NAMES = ("useful", "noise", "other")


def examples(n: int = 40, n_items: int = 12) -> list[Example]:
    """The accepted item is always the one with the largest "useful" value."""
    random = np.random.default_rng(0)
    made = []
    for number in range(n):
        values = random.normal(size=(n_items, len(NAMES))).astype(np.float32)
        labels = np.zeros(n_items, dtype=np.int8)
        labels[np.argmax(values[:, 0])] = 1
        made.append(Example(FeatureMatrix(NAMES, values), labels, group=f"d{number // 2}"))
    return made


@pytest.fixture(scope="module")
def ranker() -> LambdaMART:
    return LambdaMART.train(examples(), SMALL, version="v1", metrics={"recall_1": 0.5})


def test_it_learns_which_feature_matters_and_says_so(ranker: LambdaMART) -> None:
    values = np.array([[3, -1, 0], [-3, 3, 3]], dtype=np.float32)
    better, worse = ranker.scores(FeatureMatrix(NAMES, values))
    assert better > worse
    importance = ranker.importance()
    assert next(iter(importance)) == "useful"
    assert sum(importance.values()) == pytest.approx(1)
    assert (ranker.training.moments, ranker.training.groups, ranker.training.accepted) == (40, 20, 40)


def test_equal_examples_give_equal_scores(ranker: LambdaMART) -> None:
    again = LambdaMART.train(examples(), SMALL)
    features = examples(3)[2].features
    assert again.scores(features).tolist() == ranker.scores(features).tolist()


def test_contributions_sum_to_the_score_and_the_noise_adds_little(ranker: LambdaMART) -> None:
    features = examples()[0].features
    found = ranker.contributions(features)
    assert found.names == tuple(sorted(NAMES)), "whatever the order of the examples' columns"
    np.testing.assert_allclose(found.values.sum(axis=1) + found.base, ranker.scores(features), rtol=1e-6)
    by_name = dict(zip(found.names, np.abs(found.values).mean(axis=0), strict=True))
    assert by_name["useful"] > 5 * by_name["noise"]


def test_columns_are_found_by_name_and_a_missing_one_is_unknown_not_an_error(ranker: LambdaMART) -> None:
    values = examples()[0].features.values
    turned = FeatureMatrix(("other", "new", "useful", "noise"), values[:, [2, 2, 0, 1]])
    assert ranker.scores(turned).tolist() == ranker.scores(FeatureMatrix(NAMES, values)).tolist()
    without = ranker.scores(FeatureMatrix(("useful",), values[:, :1]))
    assert np.isfinite(without).all()
    assert without[np.argmax(values[:, 0])] == without.max() > without.min()
    with pytest.raises(BadRequest, match="knows none of the 1 features"):
        ranker.scores(FeatureMatrix(("else",), values[:, :1]))


def test_no_items_no_scores(ranker: LambdaMART) -> None:
    nothing = FeatureMatrix(NAMES, np.zeros((0, 3), dtype=np.float32))
    assert len(ranker.scores(nothing)) == 0
    assert ranker.contributions(nothing).values.shape == (0, 3)


def test_it_comes_back_as_it_was_saved(ranker: LambdaMART, tmp_path: Path) -> None:
    ranker.save(tmp_path / "ranker")
    loaded = LambdaMART.load(tmp_path / "ranker")
    features = examples()[3].features
    assert loaded.scores(features).tolist() == ranker.scores(features).tolist()
    assert (loaded.names, loaded.version, loaded.training) == (tuple(sorted(NAMES)), "v1", ranker.training)
    assert loaded.options == SMALL


@pytest.mark.parametrize("damage", ["no manifest", "cut trees", "other trees", "fewer names", "later version"])
def test_a_damaged_folder_is_one_sentence(ranker: LambdaMART, tmp_path: Path, damage: str) -> None:
    ranker.save(tmp_path)
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    trees = tmp_path / "trees-0.txt"
    if damage == "no manifest":
        (tmp_path / MANIFEST).unlink()
    elif damage == "cut trees":
        trees.write_text(trees.read_text()[:500])
    elif damage == "other trees":
        trees.write_text((tmp_path / "trees-1.txt").read_text() + "\n")
    elif damage == "fewer names":
        (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "features": ["useful"]}))
    else:
        (tmp_path / MANIFEST).write_text(json.dumps({**manifest, "schema": 99}))
    with pytest.raises(IndexUnavailable, match="train the ranker again"):
        LambdaMART.load(tmp_path)


def test_moments_that_teach_nothing_are_refused() -> None:
    none = [Example(one.features, np.zeros_like(one.labels), one.group) for one in examples(2)]
    with pytest.raises(BadRequest, match="at least one moment"):
        LambdaMART.train(none, SMALL)


def test_moments_may_differ_in_their_features() -> None:
    """A signal that said nothing at one moment has no column there; it is unknown, and the others are as they were."""
    some = [
        Example(FeatureMatrix(NAMES[:2], one.features.values[:, :2]), one.labels, one.group) if number % 2 else one
        for number, one in enumerate(examples())
    ]
    ranker = LambdaMART.train(some, SMALL)
    assert ranker.names == tuple(sorted(NAMES))
    values = examples()[0].features.values
    scores = ranker.scores(FeatureMatrix(NAMES[:2], values[:, :2]))
    assert scores[np.argmax(values[:, 0])] == scores.max() > scores.min()


def test_negatives_are_kept_by_rule() -> None:
    labels = np.array([0, 0, 0, 1, 0, 0, 0, 0], dtype=np.int8)
    popularity = np.array([9, 9, 9, 0, 1, 5, 2, 3], dtype=np.float32)
    rules = NegativeRules(hard=2, popular=2, random=1)
    found = kept(labels, popularity, rules, np.random.default_rng(0)).tolist()
    assert found[:2] == [0, 1], "the first of the unlearned order"
    assert 3 in found, "what was accepted"
    assert {2, 5} <= set(found), "the most popular of the rest"
    assert len(found) == 6
    assert kept(labels, popularity, NegativeRules(hard=99), np.random.default_rng(0)).tolist() == list(range(8))
