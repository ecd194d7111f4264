"""Item-item scores: the closed form against plain ridge regression, signs, cold items, damage."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array

from retrieval.branches import collaborative
from retrieval.branches.base import Cues, Links
from retrieval.branches.collaborative import FILE, NEIGHBOURS, CollaborativeBranch
from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable
from retrieval.items import Item
from retrieval.query import Query
from retrieval.ratings.interactions import Interactions
from retrieval.ratings.itemitem import ease_weights
from retrieval.table import ItemTable

TABLE = ItemTable([Item(f"i{n}", f"Item {n}") for n in range(12)])
"""i0 .. i4 are taken together, i5 .. i8 too, i9 .. i11 by nobody."""


def two_tastes() -> Interactions:
    rng = np.random.default_rng(0)
    return Interactions.of(
        (f"u{user}", f"i{item}", 1.0)
        for user in range(40)
        for item in (range(5) if user % 2 else range(5, 9))
        if rng.random() < 0.8
    )


def descriptions() -> FloatArray:
    """i9 is described as the items of the first taste, i10 as those of the second, i11 as nothing else."""
    vectors = np.zeros((12, 3), dtype=np.float32)
    vectors[[0, 1, 2, 3, 4, 9], 0] = 1.0
    vectors[[5, 6, 7, 8, 10], 1] = 1.0
    vectors[9] = (0.8, 0.6, 0.0)
    vectors[11, 2] = 1.0
    return vectors


def fitted(**sources: Interactions) -> CollaborativeBranch:
    return CollaborativeBranch.fit(TABLE, sources or {"likes": two_tastes()}, descriptions())


def scored(branch: CollaborativeBranch, seeds: Mapping[int, float], signal: str = "collaborative.likes") -> FloatArray:
    found = branch.scores(Cues(Query(), "", Links({}, {}), seeds, None)).get(signal)
    dense = np.zeros(len(TABLE), dtype=np.float32)
    if found is not None:
        assert found.rows.dtype == np.int32
        assert found.values.dtype == np.float32
        assert (found.values > 0).all()
        dense[found.rows] = found.values
    return dense


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    matrix = np.random.default_rng(1).integers(0, 2, (30, 6)).astype(np.float32)
    weights = ease_weights(csr_array(matrix), 2.5)
    for item in range(6):
        others = [other for other in range(6) if other != item]
        x = matrix[:, others].astype(np.float64)
        expected = np.linalg.solve(x.T @ x + 2.5 * np.eye(5), x.T @ matrix[:, item])
        np.testing.assert_allclose(weights[others, item], expected, atol=1e-5)
        assert weights[item, item] == 0


def test_what_goes_with_a_seed_scores_above_the_rest() -> None:
    found = scored(fitted(), {0: 1.0})
    assert found[1:5].min() > 5 * np.abs(found[5:9]).max()
    assert found[0] == 0


def test_a_disliked_seed_speaks_against_its_own_kind() -> None:
    liked, disliked = scored(fitted(), {0: 1.0}), scored(fitted(), {0: -1.0})
    assert not ((liked > 0) & (disliked > 0)).any()
    mixed = scored(fitted(), {0: -1.0, 5: 1.0})
    assert mixed[6:9].min() > 0
    assert not mixed[1:5].any()


def test_disliked_items_do_not_go_together() -> None:
    haters = Interactions.of((f"h{user}", item, -1.0) for user in range(40) for item in ("i9", "i10"))
    assert scored(fitted(likes=two_tastes().merged(haters)), {9: 1.0})[10] <= 0


def test_a_cold_item_has_the_mean_of_its_neighbours_times_the_cosine() -> None:
    found = scored(fitted(), {0: 1.0})
    assert NEIGHBOURS == 5, "as many as the first taste has"
    assert found[9] == pytest.approx(0.8 * found[:5].mean(), rel=1e-3)
    assert found[11] == 0


def test_only_the_best_warm_items_speak_for_cold_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scored(fitted(), {0: 1.0})
    monkeypatch.setattr(collaborative, "SPEAKERS", 2)
    found = scored(fitted(), {0: 1.0})
    np.testing.assert_array_equal(found[:9], whole[:9])
    assert found[9] == pytest.approx(0.8 * np.sort(whole[:5])[-2:].sum() / 5, rel=1e-3)


def test_a_cold_seed_hands_its_weight_to_its_neighbours() -> None:
    by_neighbours = scored(fitted(), {0: 0.16, 1: 0.16, 2: 0.16, 3: 0.16, 4: 0.16})
    np.testing.assert_allclose(scored(fitted(), {9: 1.0}), by_neighbours, atol=1e-4)


def test_without_vectors_cold_items_are_not_scored() -> None:
    branch = CollaborativeBranch.fit(TABLE, {"likes": two_tastes()})
    assert not scored(branch, {0: 1.0})[9:].any()
    assert not scored(branch, {9: 1.0}).any()


def test_popularity_counts_users_whatever_they_thought() -> None:
    given = Interactions.of([("u", "i3", 1.0), ("v", "i3", -1.0), ("w", "i3", 2.0), ("u", "i4", 0.0)])
    found = scored(fitted(likes=given), {}, "collaborative.likes.popularity")
    np.testing.assert_allclose(found[[3, 4, 5]], [np.log(4), np.log(2), 0], atol=1e-6)


def test_a_source_of_dislikes_alone_knows_popularity_only() -> None:
    branch = fitted(returns=Interactions.of([("u", "i1", -1.0), ("u", "i2", -2.0)]))
    assert list(branch.scores(Cues(Query(), "", Links({}, {}), {1: 1.0}, None))) == ["collaborative.returns.popularity"]


def test_unknown_items_are_tolerated_and_a_source_of_them_is_left_out() -> None:
    alien = Interactions.of([("u", "gone", 1.0), ("u", "gone too", 1.0)])
    branch = fitted(likes=two_tastes().merged(alien), alien=alien)
    np.testing.assert_array_equal(scored(branch, {0: 1.0}), scored(fitted(), {0: 1.0}))
    assert set(branch.scores(Cues(Query(), "", Links({}, {}), {0: 1.0}, None))) == {
        "collaborative.likes",
        "collaborative.likes.popularity",
    }


def test_two_fits_are_equal_and_survive_the_disk(tmp_path: Path) -> None:
    first = fitted(likes=two_tastes(), bought=Interactions.of([("u", "i1", 1.0), ("u", "i2", 1.0)]))
    second = fitted(likes=two_tastes(), bought=Interactions.of([("u", "i1", 1.0), ("u", "i2", 1.0)]))
    first.save(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    read = CollaborativeBranch.load(tmp_path, TABLE)
    cues = Cues(Query(), "", Links({}, {}), {1: 1.0, 9: 0.5, 6: -1.0}, None)
    for other in (second, read):
        assert other.scores(cues).keys() == first.scores(cues).keys()
        for name, one in first.scores(cues).items():
            np.testing.assert_array_equal(other.scores(cues)[name].rows, one.rows)
            np.testing.assert_array_equal(other.scores(cues)[name].values, one.values)


@pytest.mark.parametrize("damage", ["missing", "cut", "not one", "another catalogue"])
def test_a_damaged_file_is_said_in_one_sentence(damage: str, tmp_path: Path) -> None:
    fitted().save(tmp_path)
    file, table = tmp_path / FILE, TABLE
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:700])
    elif damage == "not one":
        file.write_bytes(b"no numbers here")
    else:
        table = ItemTable([*TABLE.items[1:], TABLE.items[0]])
    with pytest.raises(IndexUnavailable, match="learn it again"):
        CollaborativeBranch.load(tmp_path, table)
