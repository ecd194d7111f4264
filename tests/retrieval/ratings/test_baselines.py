"""What the rating model is measured against: each right where its own reason is the whole truth."""

import numpy as np
import pytest
from rating_doubles import N_ITEMS, N_USERS, tastes
from scipy.sparse import csr_array

from retrieval.items import Item
from retrieval.ratings.base import ITEM_SHRINKAGE, USER_SHRINKAGE, Biases, History, Rater, Ratings
from retrieval.ratings.baselines import BiasedFactors, CentredEase, GlobalMean, ItemMean, UserAndItemBias, _Ease
from retrieval.ratings.interactions import Interactions
from retrieval.ratings.itemitem import ease_weights
from retrieval.table import ItemTable

NOBODY = History(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
EVERYTHING = np.arange(N_ITEMS, dtype=np.int32)


def rmse(rater: Rater, known: Ratings, asked: Ratings) -> float:
    wrong = [
        rater.predict(history, question.items) - question.stars
        for history, question in zip(known.histories(), asked.histories(), strict=True)
    ]
    return float(np.sqrt(np.mean(np.concatenate(wrong) ** 2)))


@pytest.mark.parametrize("kind", [GlobalMean, ItemMean, UserAndItemBias, BiasedFactors, CentredEase])
class TestContract:
    def test_a_new_user_and_any_user_get_stars_within_the_scale(self, kind: type) -> None:
        rater = kind(tastes())
        for history in (NOBODY, tastes().histories()[3], History(EVERYTHING, np.full(N_ITEMS, 5, dtype=np.float32))):
            found = rater.predict(history, EVERYTHING)
            assert (found.shape, found.dtype) == ((N_ITEMS,), np.float32)
            assert found.min() >= 0.5
            assert found.max() <= 5

    def test_two_fits_are_equal(self, kind: type) -> None:
        history = tastes().histories()[0]
        np.testing.assert_array_equal(
            kind(tastes()).predict(history, EVERYTHING), kind(tastes()).predict(history, EVERYTHING)
        )


def test_biases_find_generous_users_and_good_items() -> None:
    rng = np.random.default_rng(0)
    user, item = np.nonzero(rng.random((80, 50)) < 0.7)
    generous, good = rng.normal(0, 0.3, 80), rng.normal(0, 0.3, 50)
    stars = (3 + generous[user] + good[item]).astype(np.float32)
    ratings = Ratings(user.astype(np.int32), item.astype(np.int32), stars, 80, 50)
    biases = Biases.fit(ratings)
    assert np.corrcoef(biases.item, good)[0, 1] > 0.99
    assert np.corrcoef([biases.of_user(one) for one in ratings.histories()], generous)[0, 1] > 0.99
    assert biases.count.tolist() == np.bincount(item, minlength=50).tolist()


def test_one_rating_moves_its_item_and_its_user_by_a_share() -> None:
    ratings = Ratings(*(np.array(one) for one in ([0, 1], [0, 1])), np.array([2, 4], dtype=np.float32), 2, 3)
    biases = Biases.fit(ratings)
    assert biases.item[2] == 0
    assert 0.8 < biases.item[1] * (1 + ITEM_SHRINKAGE) <= 1
    left = 4 - biases.mean - biases.item[1]
    assert biases.of_user(ratings.histories()[1]) == pytest.approx(left / (1 + USER_SHRINKAGE))


def test_factors_and_ease_find_tastes_that_biases_cannot() -> None:
    """Half of the users like the even items, the others the odd ones."""
    rng = np.random.default_rng(1)
    user, item = np.nonzero(rng.random((120, 60)) < 0.8)
    stars = 3 + 1.5 * np.where((user + item) % 2, 1, -1) + rng.normal(0, 0.2, len(user))
    ratings = Ratings(user.astype(np.int32), item.astype(np.int32), stars.astype(np.float32), 120, 60)
    is_asked = rng.random(len(ratings)) < 0.2
    known, asked = ratings.only(~is_asked), ratings.only(is_asked)
    plain = rmse(UserAndItemBias(known), known, asked)
    assert plain == pytest.approx(1.5, abs=0.1), "the tastes have no bias in them"
    assert rmse(BiasedFactors(known), known, asked) < 0.5 * plain
    assert rmse(CentredEase(known), known, asked) < 0.5 * plain


def test_ease_by_way_of_the_users_is_ease() -> None:
    ratings = tastes()
    ease = _Ease.fit(ratings, 20.0)
    rest = ease.rest
    expected = rest @ ease_weights(csr_array(rest), 20.0)
    for user in (0, 7, N_USERS - 1):
        np.testing.assert_allclose(
            ease.correction(ratings.histories()[user], EVERYTHING), expected[user], atol=1e-4, err_msg=str(user)
        )


def test_ratings_of_interactions_are_stars_by_row() -> None:
    table = ItemTable([Item("a", "A"), Item("b", "B")])
    found = Ratings.of(Interactions.of([("u", "b", 2.0), ("u", "gone", 1.0), ("v", "a", -1.0)]), table)
    assert (found.n_users, found.n_items) == (2, 2)
    assert [(h.items.tolist(), h.stars.tolist()) for h in found.histories()] == [([1], [5.0]), ([0], [2.0])]
