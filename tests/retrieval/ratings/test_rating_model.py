"""The rating network: it is trained as it predicts, never sees what it is asked, and finds planted tastes."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rating_doubles import N_ITEMS, N_KINDS, kinds, tastes

from retrieval.encoder import FloatArray
from retrieval.errors import BadRequest, IndexUnavailable
from retrieval.ratings.base import Biases, History, Ratings
from retrieval.ratings.model import FILE, RatingModel
from retrieval.ratings.training import Recipe, _Lesson, _Lessons, _Network, train

SMALL = Recipe(numbers=8, hidden=8, dropout=0.1, short_histories=0.5, epochs=5)
EVERYTHING = np.arange(N_ITEMS, dtype=np.int32)


@pytest.fixture(scope="module")
def model() -> RatingModel:
    """Trained on all items but the last eight."""
    return train(tastes(N_ITEMS - 8), kinds(), SMALL)


def untrained() -> _Network:
    """With no part that is zero, so that every term counts; small, so that no star leaves the scale."""
    torch.manual_seed(5)
    network = _Network(torch.from_numpy(kinds()), replace(SMALL, dropout=0.0))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn(parameter.shape)
    return network


def lesson_of(histories: list[History], biases: Biases, recipe: Recipe) -> _Lesson:
    everybody = Ratings(
        np.repeat(np.arange(len(histories)), [len(one.items) for one in histories]).astype(np.int32),
        np.concatenate([one.items for one in histories]),
        np.concatenate([one.stars for one in histories]),
        len(histories),
        N_ITEMS,
    )
    return _Lessons(everybody, biases, recipe, np.random.default_rng(0))._lesson(histories)


def predicted(network: _Network, lesson: _Lesson) -> FloatArray:
    with torch.no_grad():
        found = network(lesson.items, lesson.history, lesson.surprises, lesson.item_bias, lesson.count)
    return (found + lesson.mean).numpy()


def test_a_rating_is_predicted_as_if_it_had_never_been_given() -> None:
    """The batch with each rating left out of its own history equals one prediction after the others, one by one."""
    biases, histories = Biases.fit(tastes()), tastes().histories()[:3]
    network = untrained()
    lesson = lesson_of(histories, biases, replace(SMALL, short_histories=0.0))
    found = predicted(network, lesson)
    for place, history in enumerate(histories):
        for asked in range(len(history.items)):
            others = np.arange(len(history.items)) != asked
            item = int(history.items[asked])
            without = Biases(biases.mean, biases.item.copy(), biases.count.copy())
            without.item[item] = lesson.item_bias[place, asked]
            without.count[item] -= 1
            alone = RatingModel(without, network.weights()).predict(
                History(history.items[others], history.stars[others]), history.items[asked : asked + 1]
            )
            assert found[place, asked] == pytest.approx(float(alone[0]), abs=2e-4)


def test_an_items_bias_leaves_the_asked_rating_out() -> None:
    """Changing the asked rating alone does not move its item's bias as it is told."""
    ratings = tastes()
    changed = Ratings(ratings.user, ratings.item, ratings.stars.copy(), ratings.n_users, ratings.n_items)
    changed.stars[0] = 5.0 if ratings.stars[0] < 3 else 0.5
    recipe = replace(SMALL, short_histories=0.0)
    told = [lesson_of(one.histories()[:1], Biases.fit(one), recipe) for one in (ratings, changed)]
    moved = abs(float(told[0].item_bias[0, 0] - told[1].item_bias[0, 0]))
    with_it = abs(float(Biases.fit(ratings).item[ratings.item[0]] - Biases.fit(changed).item[ratings.item[0]]))
    assert moved < 0.2 * with_it


def test_padding_changes_nothing() -> None:
    biases, histories = Biases.fit(tastes()), tastes().histories()
    short = History(histories[0].items[:3], histories[0].stars[:3])
    recipe, network = replace(SMALL, short_histories=0.0), untrained()
    alone = predicted(network, lesson_of([short], biases, recipe))[0, :3]
    padded = lesson_of([short, histories[1]], biases, recipe)
    np.testing.assert_allclose(predicted(network, padded)[0, :3], alone, atol=1e-5)
    assert padded.weight[0].sum() == 3


def test_negatives_are_unrated_items_below_the_mean_with_little_weight() -> None:
    biases, history = Biases.fit(tastes()), tastes().histories()[0]
    lesson = lesson_of([history], biases, replace(SMALL, negatives=2.0, negative_weight=0.1))
    n = len(history.items)
    added, weight = lesson.items[0, n:].numpy(), lesson.weight[0, n:].numpy()
    assert len(added) == 2 * n
    assert weight[np.isin(added, history.items)].max(initial=0) == 0
    assert set(weight[~np.isin(added, history.items)].tolist()) == {np.float32(0.1)}
    assert lesson.stars[0, n:].max() < biases.mean + biases.of_user(history)


def test_short_histories_know_less_and_ask_as_much() -> None:
    biases, history = Biases.fit(tastes()), tastes().histories()[0]
    lesson = lesson_of([history] * 200, biases, replace(SMALL, short_histories=1.0))
    known = lesson.history.sum(dim=1).numpy()
    assert known.min() == 0
    assert len(set(known.tolist())) > 5
    assert known.max() <= len(history.items)
    assert (lesson.weight.sum(dim=1) == len(history.items)).all()


def test_tastes_are_found_in_items_that_nobody_rated(model: RatingModel) -> None:
    cold = EVERYTHING[-8:]
    for liked in range(N_KINDS):
        mine = EVERYTHING[:32][EVERYTHING[:32] % N_KINDS == liked]
        history = History(mine, np.full(len(mine), 5, dtype=np.float32))
        found = model.predict(history, cold)
        same = cold % N_KINDS == liked
        assert found[same].min() > found[~same].max(), liked


def test_held_out_ratings_are_predicted_better_than_by_their_means() -> None:
    ratings = tastes()
    asked = np.random.default_rng(1).random(len(ratings)) < 0.2
    known, question = ratings.only(~asked), ratings.only(asked)
    said: list[str] = []
    model = train(known, kinds(), SMALL, said.append)
    wrong = [
        model.predict(history, one.items) - one.stars
        for history, one in zip(known.histories(), question.histories(), strict=True)
    ]
    assert np.sqrt(np.mean(np.concatenate(wrong) ** 2)) < 1.0, "biases alone: 1.16"
    assert said[0].startswith("epoch 1: RMSE ")


def test_seeds_with_attitudes_score_rows(model: RatingModel) -> None:
    rows = EVERYTHING[8:16]
    liked = model.scores({0: 2.0, 4: 1.0}, rows)
    disliked = model.scores({0: -2.0, 4: -1.0}, rows)
    same = rows % N_KINDS == 0
    assert (liked.shape, liked.dtype) == ((8,), np.float32)
    assert liked[same].min() > liked[~same].max()
    assert (disliked[same] < liked[same]).all()
    assert model.scores({}, rows).shape == (8,)


def test_training_again_gives_the_same(model: RatingModel) -> None:
    again = train(tastes(N_ITEMS - 8), kinds(), SMALL)
    history = tastes().histories()[2]
    np.testing.assert_allclose(again.predict(history, EVERYTHING), model.predict(history, EVERYTHING), atol=1e-5)


def test_a_handful_of_ratings_is_enough_and_none_is_said() -> None:
    few = tastes().only(np.arange(len(tastes())) < 3)
    assert train(few, kinds(), SMALL).predict(few.histories()[0], EVERYTHING).shape == (N_ITEMS,)
    lonely = tastes().only(np.arange(len(tastes())) < 1)
    for nothing in (lonely, tastes().only(np.zeros(len(tastes()), dtype=np.bool_))):
        with pytest.raises(BadRequest, match="two items"):
            train(nothing, kinds(), SMALL)


def test_it_survives_the_disk(model: RatingModel, tmp_path: Path) -> None:
    model.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    read = RatingModel.load(tmp_path, N_ITEMS)
    history = tastes().histories()[2]
    np.testing.assert_array_equal(read.predict(history, EVERYTHING), model.predict(history, EVERYTHING))


@pytest.mark.parametrize("damage", ["missing", "cut", "another catalogue"])
def test_a_damaged_file_is_said_in_one_sentence(model: RatingModel, damage: str, tmp_path: Path) -> None:
    model.save(tmp_path)
    file = tmp_path / FILE
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:900])
    with pytest.raises(IndexUnavailable, match="learn it again"):
        RatingModel.load(tmp_path, N_ITEMS + (damage == "another catalogue"))


def test_predicting_needs_no_torch() -> None:
    code = "import sys, retrieval.ratings.model, retrieval.branches.collaborative; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0  # noqa: S603
