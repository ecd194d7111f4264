"""What speaks against the next item of a list, on pools whose figures are worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retrieval.diversity import SMOOTHING, Likeness, Miscalibration, mean_distance
from retrieval.encoder import FloatArray

TWINS_AND_A_STRANGER: FloatArray = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)


def test_nothing_speaks_against_the_first_place() -> None:
    assert Likeness(TWINS_AND_A_STRANGER).penalties().tolist() == [0, 0, 0]


def test_likeness_is_to_the_most_alike_of_all_chosen_and_not_to_the_last() -> None:
    angles = np.deg2rad([0, 90, 10, 180])
    pool = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    likeness = Likeness(pool)
    likeness.choose(0)
    first = likeness.penalties()
    assert first == pytest.approx([1, 0, math.cos(math.radians(10)), 0], abs=1e-6)
    likeness.choose(1)
    # After 0 and 90 degrees, 10 degrees is still like the first one; 180 degrees is like none, not less than none.
    assert likeness.penalties() == pytest.approx([1, 1, math.cos(math.radians(10)), 0], abs=1e-6)
    assert first[1] == pytest.approx(0, abs=1e-6), "what was handed out before stays as it was"


def test_an_item_of_which_nothing_is_known_is_like_none() -> None:
    likeness = Likeness(np.zeros((2, 3), dtype=np.float32))
    likeness.choose(0)
    assert likeness.penalties().tolist() == [0, 0]


def test_a_list_that_shares_out_its_values_like_the_taste_is_calibrated() -> None:
    shares: FloatArray = np.array([[1, 0], [0, 1], [0.5, 0.5]], dtype=np.float32)
    taste: FloatArray = np.array([0.5, 0.5], dtype=np.float32)
    apart = Miscalibration(shares, taste)
    alone = 0.5 * math.log(0.5 / (1 - SMOOTHING + SMOOTHING / 2)) + 0.5 * math.log(0.5 / (SMOOTHING / 2))
    assert apart.penalties() == pytest.approx([alone, alone, 0], abs=1e-6)
    apart.choose(0)
    uneven = 0.5 * math.log(0.5 / (0.75 * (1 - SMOOTHING) + SMOOTHING / 2)) + 0.5 * math.log(
        0.5 / (0.25 * (1 - SMOOTHING) + SMOOTHING / 2)
    )
    assert apart.penalties() == pytest.approx([alone, 0, uneven], abs=1e-6)


def test_no_taste_and_no_values_make_every_item_alike() -> None:
    shares: FloatArray = np.array([[1, 0], [0, 0]], dtype=np.float32)
    assert Miscalibration(shares, np.zeros(2, dtype=np.float32)).penalties().tolist() == [0, 0]
    known = Miscalibration(shares, np.array([1, 0], dtype=np.float32)).penalties()
    assert known == pytest.approx([0, math.log(1 / SMOOTHING)], abs=1e-6), "no value at all is as far as it gets"


def test_mean_distance_over_pairs() -> None:
    assert mean_distance(TWINS_AND_A_STRANGER) == pytest.approx(2 / 3)  # pairs: 0, 1, 1
    assert mean_distance(TWINS_AND_A_STRANGER[:1]) == 0.0
