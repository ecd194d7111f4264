"""Maximal marginal relevance on pools whose right order can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.diversity import diversify, mean_distance
from retrieval.encoder import FloatArray

TWINS_AND_A_STRANGER: FloatArray = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)


def order(relevance: list[float], vectors: FloatArray, *, k: int = 3, knob: float) -> list[int]:
    return [int(position) for position in diversify(np.array(relevance), vectors, k=k, knob=knob)]


def test_off_is_the_order_of_the_ranker_exactly() -> None:
    rng = np.random.default_rng(0)
    relevance = np.round(rng.normal(size=200), 1)  # with ties
    vectors = rng.normal(size=(200, 8)).astype(np.float32)
    expected = np.argsort(-relevance, kind="stable")[:50]
    assert diversify(relevance, vectors, k=50, knob=0.0).tolist() == expected.tolist()
    descending = np.sort(relevance)[::-1]
    assert diversify(descending, vectors, k=200, knob=0.0).tolist() == list(range(200))


@pytest.mark.parametrize(
    ("knob", "expected"),
    [
        (0.3, [0, 1, 2]),  # second place: twin .7 * .9 - .3 = .33, stranger .7 * 0 - 0 = 0
        (0.5, [0, 2, 1]),  # twin .5 * .9 - .5 = -.05, stranger 0
        (1.0, [0, 2, 1]),
    ],
)
def test_the_knob_decides_when_a_twin_gives_way(knob: float, expected: list[int]) -> None:
    assert order([3.0, 2.9, 2.0], TWINS_AND_A_STRANGER, knob=knob) == expected


def test_likeness_is_to_the_most_alike_of_all_chosen_and_not_to_the_last() -> None:
    angles = np.deg2rad([0, 90, 10])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    pool = np.vstack([vectors, np.array([[-1, 0]], dtype=np.float32)])
    # After 0 and 90 degrees, 10 degrees is still like the first one; 180 degrees is like none.
    assert order([1.0, 0.9, 0.8, 0.0], pool, k=4, knob=0.8) == [0, 3, 1, 2]


def test_the_scale_of_the_scores_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    relevance, vectors = rng.normal(size=40), rng.normal(size=(40, 4)).astype(np.float32)
    once = diversify(relevance, vectors, k=20, knob=0.4).tolist()
    assert diversify(100 * relevance - 7, vectors, k=20, knob=0.4).tolist() == once
    assert len(set(once)) == 20


def test_the_first_place_stays_with_the_most_relevant() -> None:
    assert order([0.1, 0.2, 0.9], TWINS_AND_A_STRANGER, knob=1.0)[0] == 2


def test_small_pools_and_equal_scores() -> None:
    none = np.zeros((0, 2), dtype=np.float32)
    assert order([], none, knob=0.5) == []
    assert order([1.0, 1.0, 1.0], TWINS_AND_A_STRANGER, k=9, knob=0.5) == [0, 2, 1]
    assert order([1.0, 2.0, 3.0], TWINS_AND_A_STRANGER, k=0, knob=0.5) == []
    unknown = np.zeros((3, 2), dtype=np.float32)
    assert order([1.0, 3.0, 2.0], unknown, knob=0.9) == [1, 2, 0], "nothing known of likeness: relevance decides"


@pytest.mark.parametrize("knob", [-0.1, 1.1, float("nan")])
def test_a_knob_out_of_range_is_refused(knob: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 1"):
        order([1.0], TWINS_AND_A_STRANGER[:1], knob=knob)


def test_shapes_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        order([1.0, 2.0], TWINS_AND_A_STRANGER, knob=0.5)


def test_mean_distance_over_pairs() -> None:
    assert mean_distance(TWINS_AND_A_STRANGER) == pytest.approx(2 / 3)  # pairs: 0, 1, 1
    assert mean_distance(TWINS_AND_A_STRANGER[:1]) == 0.0
