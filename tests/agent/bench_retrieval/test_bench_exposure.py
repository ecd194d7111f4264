"""Exposure of lists on catalogues so small that every figure is worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.bench.retrieval.exposure import decile_shares, gini, measure_exposure, popularity_of
from retrieval.items import Item

ITEMS = tuple(Item(id=f"i{n}", title=f"Item {n}", popularity=float(10 - n)) for n in range(10))


def lists(*ranked: str) -> list[Ranked]:
    return [Ranked(f"r{n}", tuple(one.split()), 1.0) for n, one in enumerate(ranked)]


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [([1, 1, 1, 1], 0.0), ([0, 0, 0, 4], 0.75), ([3, 0, 1], (0 - 0 + 6 - 0) / 12), ([0, 0], 0.0), ([], 0.0)],
)
def test_gini(amounts: list[float], expected: float) -> None:
    assert gini(np.array(amounts, dtype=np.float64)) == pytest.approx(expected)


def test_a_tenth_each_when_there_are_ten_items() -> None:
    places = np.array([5, 0, 0, 0, 0, 0, 0, 0, 2, 3], dtype=np.float64)
    popularity = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], dtype=np.float64)
    assert decile_shares(places, popularity) == pytest.approx([0.3, 0.2, 0, 0, 0, 0, 0, 0, 0, 0.5])


def test_equally_popular_items_share_and_a_tenth_may_cut_an_item() -> None:
    places = np.array([4, 1, 0, 0, 0], dtype=np.float64)
    popularity = np.array([9, 0, 0, 0, 0], dtype=np.float64)
    # One item is two tenths; the other four are equal, so each of their eight tenths has an eighth of one place.
    assert decile_shares(places, popularity) == pytest.approx([0.4, 0.4, *[0.2 / 8] * 8])
    assert decile_shares(places[::-1], popularity[::-1]) == pytest.approx([0.4, 0.4, *[0.2 / 8] * 8])
    assert decile_shares(places, np.zeros(5)) == []
    assert decile_shares(np.zeros(5), popularity) == []


def test_only_the_first_places_count() -> None:
    found = measure_exposure(lists("i0 i1 i9", "i0 i2 i9"), ITEMS, {"i0": 5.0, "i1": 1.0}, length=2)
    assert (found.length, found.n_lists, found.coverage) == (2, 2, 0.3)
    # amounts 2, 1, 1 and seven zeros: (1 * 5 + 1 * 7 + 2 * 9) / (10 * 4)
    assert found.gini == 0.75
    # i0, then i1, then eight that are equally unpopular and share the place of i2
    assert found.deciles == (0.5, 0.25, *[pytest.approx(0.25 / 8, abs=1e-4)] * 8)


def test_unknown_ids_and_no_lists_are_tolerated() -> None:
    assert measure_exposure(lists("nobody"), ITEMS, {}).coverage == 0.0
    nothing = measure_exposure([], ITEMS, {"i0": 1.0})
    assert (nothing.coverage, nothing.gini, nothing.deciles) == (0.0, 0.0, ())
    assert measure_exposure([], (), {}).coverage == 0.0


def test_providers_divide_the_places_of_what_they_share() -> None:
    items = [
        Item(id="a", title="A", attributes={"maker": ("North", "South")}),
        Item(id="b", title="B", attributes={"maker": "North"}),
        Item(id="c", title="C"),
        Item(id="d", title="D", attributes={"maker": ("West",)}),
    ]
    found = measure_exposure(lists("a b", "a c"), items, {}, provider="maker").provider
    assert found is not None
    assert (found.n, found.nameless) == (3, 0.25)
    assert [(one.name, one.exposure, one.items) for one in found.largest] == [
        ("North", 0.5, 0.375), ("South", 0.25, 0.125), ("West", 0.0, 0.25),
    ]  # fmt: skip
    assert found.gini == pytest.approx((0 + 0 + 2 * 2) / (3 * 3), abs=1e-4)  # amounts 0, 1, 2


def test_popularity_is_what_train_accepted_else_what_the_catalogue_says() -> None:
    train = [Row("r1", "d1", (), (), ("i3", "i4"), "", None), Row("r2", "d2", (), (), ("i3",), "", None)]
    assert popularity_of(train, ITEMS) == {"i3": 2, "i4": 1}
    assert popularity_of([], ITEMS)["i2"] == 8.0
