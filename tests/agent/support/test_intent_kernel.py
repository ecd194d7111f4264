"""Likeness to examples: the regression itself, what it tells apart, and how many examples it is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from agent.support import intent_kernel
from agent.support.intent_kernel import FLOOR, RIDGE, fitted, widest
from retrieval.encoder import FloatArray

RANDOM = np.random.default_rng(0)


def spots(n: int, *labels: tuple[float, float]) -> FloatArray:
    """`n` points around each place of the plane."""
    return np.concatenate([np.array(place) + RANDOM.normal(0, 0.15, (n, 2)) for place in labels]).astype(np.float32)


def test_it_is_the_solution_of_the_regression() -> None:
    points, rows = spots(5, (0, 0), (1, 0), (0, 1)), np.repeat([0, 1, 2], 5)
    kernel = fitted(points, rows, 3, np.eye(2, dtype=np.float32))
    apart = ((points[:, None] - points[None]) ** 2).sum(axis=2, dtype=np.float64)
    said = np.exp(-apart) @ np.linalg.solve(np.exp(-apart) + RIDGE * np.eye(15), np.eye(3)[rows])
    assert np.allclose(kernel.evidence(points), np.log(np.maximum(said, 0) + FLOOR), atol=1e-3)


def test_a_label_in_two_places_is_told_from_the_one_between() -> None:
    places, rows = ((0, 0), (3, 3), (0, 3), (3, 0)), np.repeat([0, 0, 1, 1], 20)
    kernel = fitted(spots(20, *places), rows, 2, np.eye(2, dtype=np.float32))
    assert (kernel.evidence(spots(20, *places)).argmax(axis=1) == rows).all()


def test_far_from_every_example_no_label_has_more_than_another() -> None:
    kernel = fitted(spots(9, (0, 0), (1, 1)), np.repeat([0, 1], 9), 2, np.eye(2, dtype=np.float32))
    assert np.allclose(kernel.evidence(np.array([[50, 50]], dtype=np.float32)), np.log(FLOOR))


def test_the_widest_axes_are_kept_and_a_vector_has_length_one_in_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = (RANDOM.normal(0, 1, (200, 5)) * (0.1, 3, 0.1, 2, 0.1)).astype(np.float32)
    every = vectors @ widest(vectors)
    assert every.shape == (200, 5)
    assert np.isclose((every**2).sum(axis=1).mean(), 1, atol=1e-4)
    monkeypatch.setattr(intent_kernel, "KEPT", 2)
    axes = widest(vectors)
    assert axes.shape == (5, 2)
    assert np.isclose(((vectors @ axes) ** 2).sum(axis=1).mean(), 1, atol=0.02)


def test_too_many_examples_are_drawn_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intent_kernel, "MOST", 12)
    rows = np.repeat([0, 1, 2], [50, 4, 2])
    points = np.arange(56, dtype=np.float32)[:, None]
    kernel = fitted(points, rows, 3, np.eye(1, dtype=np.float32))
    kept = rows[kernel.points[:, 0].astype(int)]
    assert np.bincount(kept).tolist() == [6, 4, 2]
    assert kernel.weights.shape == (12, 3)
