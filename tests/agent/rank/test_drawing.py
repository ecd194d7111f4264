"""Places drawn from scores: probabilities by their definition, with variety and without; greedy without temperature."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from agent.rank.drawing import Matrix, draw
from retrieval.diversity import Likeness
from retrieval.encoder import FloatArray

SCORES: Matrix = np.array([1.2, 0.9, 0.3, -0.4])
TURNS = np.deg2rad([0, 20, 60, 200])
VECTORS: FloatArray = np.stack([np.cos(TURNS), np.sin(TURNS)], axis=1).astype(np.float32)
"""Neighbours of the first in the order of their scores; the last is unlike all but the third, and that not much."""


def likeness(one: int, above: tuple[int, ...]) -> float:
    """By its definition: the greatest cosine with something above, at least 0."""
    return max([0.0, *(float(VECTORS[one] @ VECTORS[other]) for other in above)])


def log_probability(order: tuple[int, ...], temperature: float, weight: float) -> float:
    """One place after the other, by the definition in `draw`."""
    total = 0.0
    for place, chosen in enumerate(order):
        above = order[:place]
        left = [one for one in range(4) if one not in above]
        values = {one: math.exp((SCORES[one] - weight * likeness(one, above)) / temperature) for one in left}
        total += math.log(values[chosen] / sum(values.values()))
    return total


@pytest.mark.parametrize(("weight", "temperature"), [(0.0, 0.3), (0.7, 0.3), (3.0, 1.0)])
def test_orders_come_as_often_as_their_propensities_say(temperature: float, weight: float) -> None:
    orders = list(itertools.permutations(range(4)))
    exact = {order: math.exp(log_probability(order, temperature, weight)) for order in orders}
    assert math.fsum(exact.values()) == pytest.approx(1.0)
    draws = 6_000
    seen: Counter[tuple[int, ...]] = Counter()
    for seed in range(draws):
        variety = Likeness(VECTORS) if weight else None
        places = draw(SCORES, 4, temperature=temperature, seed=seed, variety=variety, weight=weight)
        order = tuple(place.position for place in places)
        seen[order] += 1
        if seed < 200:
            stored = sum(place.log_propensity or 0.0 for place in places)
            assert stored == pytest.approx(log_probability(order, temperature, weight), abs=1e-6)
    # Pearson's chi-square with 23 degrees of freedom: 49.7 is its 99.9 % point; seeds are fixed, so this is no gamble.
    # Orders that are expected less than five times are taken together, as the test wants it.
    rare = [order for order in orders if draws * exact[order] < 5]
    groups = [[order] for order in orders if order not in rare] + ([rare] if rare else [])
    chi = 0.0
    for group in groups:
        expected = draws * sum(exact[order] for order in group)
        chi += (sum(seen[order] for order in group) - expected) ** 2 / expected
    assert chi < 49.7


def test_propensities_of_a_short_list_are_by_place() -> None:
    first, second = draw(SCORES, 2, temperature=1.0, seed=3, weight=0.0)
    weights = np.exp(SCORES)
    assert first.log_propensity == pytest.approx(math.log(weights[first.position] / weights.sum()))
    rest = weights.sum() - weights[first.position]
    assert second.log_propensity == pytest.approx(math.log(weights[second.position] / rest))


def test_the_last_of_all_is_certain() -> None:
    for variety in (None, Likeness(VECTORS)):
        places = draw(SCORES, 9, temperature=0.5, seed=1, variety=variety, weight=0.5)
        assert len(places) == 4
        assert places[-1].log_propensity == pytest.approx(0.0, abs=1e-12)


def test_far_apart_scores_do_not_overflow() -> None:
    places = draw(np.array([1.0, -100.0]), 2, temperature=0.01, seed=0, weight=0.0)
    assert [place.position for place in places] == [0, 1]
    assert all(math.isfinite(place.log_propensity or 0.0) for place in places)


def test_a_seed_repeats_and_gives_the_first_place_with_and_without_variety() -> None:
    for seed in range(30):
        plain = draw(SCORES, 4, temperature=1.0, seed=seed, weight=0.0)
        varied = draw(SCORES, 4, temperature=1.0, seed=seed, variety=Likeness(VECTORS), weight=2.0)
        assert varied[0] == plain[0]
        assert varied == draw(SCORES, 4, temperature=1.0, seed=seed, variety=Likeness(VECTORS), weight=2.0)


def test_without_temperature_the_best_is_taken_and_nothing_is_left_to_chance() -> None:
    places = draw(np.array([0.5, 0.9, 0.9]), 3, seed=5, weight=0.0)
    assert [place.position for place in places] == [1, 2, 0], "ties go to the earlier one"
    assert {(place.penalty, place.log_propensity) for place in places} == {(0.0, None)}


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0.1, [0, 1, 2]),  # the twin 2.9 - .1, the stranger 2
        (0.95, [0, 2, 1]),  # the twin 2.9 - .95 = 1.95
        (9.0, [0, 2, 1]),
    ],
)
def test_a_twin_gives_way_when_it_loses_more_than_lies_between(weight: float, expected: list[int]) -> None:
    twins: FloatArray = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    places = draw(np.array([3.0, 2.9, 2.0]), 3, variety=Likeness(twins), weight=weight)
    assert [place.position for place in places] == expected
    by_item = {place.position: place.penalty for place in places}
    assert by_item == {0: 0.0, 1: pytest.approx(weight), 2: 0.0}


def test_nothing_gives_no_places() -> None:
    assert draw(np.zeros(0), 5, temperature=1.0, weight=0.0) == ()
    assert draw(SCORES, 0, weight=0.0) == ()
