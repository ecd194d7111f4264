"""The price of variety on lists so small that what each knob does can be seen."""

from __future__ import annotations

import numpy as np
import pytest

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.bench.retrieval.figures import SLATE, Diversified
from agent.bench.retrieval.variety import KNOBS, Catalogue, prices
from retrieval.items import Item

N = 12
"""Items; the even ones are comedies and the odd ones are westerns, six alike and six alike."""
ITEMS = tuple(
    Item(f"i{n}", f"Item {n}", attributes={"genre": ("western" if n % 2 else "comedy",)}, popularity=1.0)
    for n in range(N)
)
VECTORS = np.array([[0.0, 1.0] if n % 2 else [1.0, 0.0] for n in range(N)], dtype=np.float32)
COMEDIES_FIRST = tuple(f"i{n}" for n in (0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11))
SCORES = tuple((1.0 if place < 6 else 0.6) - 0.02 * place for place in range(N))
"""The comedies from 1 to .9, the best western .48: half a point is more than lies between, a quarter is not."""


def row(mentioned: tuple[str, ...], target: str) -> Row:
    return Row("r", "d", (), mentioned, (target,), "", None)


def found(one: Row, scores: tuple[float, ...] = SCORES, spread: float = 1.0) -> dict[tuple[str, float], Diversified]:
    lists = [Ranked(one.id, COMEDIES_FIRST, 1.0, scores)]
    table = prices([one], lists, Catalogue.of(ITEMS, VECTORS), {}, spread)
    return {(price.way, price.knob): price for price in table}


def test_off_is_the_list_itself_and_each_way_has_each_knob() -> None:
    table = found(row((), "i0"))
    assert list(table) == [("likeness", 0.0), *(("likeness", k) for k in KNOBS), *(("calibration", k) for k in KNOBS)]
    off = table["likeness", 0.0]
    assert (off.distance, off.coverage, off.miscalibration) == (0.0, round(SLATE / N, 4), None)
    assert off.in_slate is not None
    assert off.in_slate.value == off.novel.recall[1].value == 1.0


def test_likeness_brings_in_what_is_unlike_and_the_first_place_stays() -> None:
    table = found(row((), "i1"))
    assert [table["likeness", knob].in_slate.value for knob in (0.0, *KNOBS)] == [0, 0, 1, 1, 1]  # type: ignore[union-attr]
    assert table["likeness", 0.5].distance > table["likeness", 0.25].distance == 0.0
    first = found(row((), "i0"))
    assert {first["likeness", knob].novel.recall[1].value for knob in KNOBS} == {1.0}


def test_the_knob_is_in_units_of_the_spread() -> None:
    one = row((), "i1")
    assert found(one, spread=2.0)["likeness", 0.25] == found(one)["likeness", 0.5].model_copy(update={"knob": 0.25})


def test_calibration_goes_by_what_was_spoken_of() -> None:
    westerns = found(row(("i11", "i9"), "i1"), spread=10.0)
    assert westerns["likeness", 0.0].miscalibration == pytest.approx(-np.log(0.01), abs=1e-3)
    assert westerns["calibration", 1.0].miscalibration == pytest.approx(0, abs=1e-3)
    assert westerns["calibration", 1.0].novel.recall[1].value == 1.0, "the best western comes first"
    unknown = found(row((), "i0"))
    assert unknown["calibration", 1.0].novel == unknown["likeness", 0.0].novel, "no taste, no change"


def test_lists_without_scores_go_by_their_places() -> None:
    table = found(row((), "i1"), scores=(), spread=100.0)
    assert table == found(row((), "i1"), scores=(), spread=1.0)
    # Places are worth 1, .63, .50 ..., that of the first western .33: a comedy more, then the western.
    assert table["likeness", 0.25].novel.mrr.value == pytest.approx(1 / 3, abs=1e-4)
    assert table["likeness", 0.5].novel.mrr.value == 0.5


def test_a_catalogue_without_genres_has_no_calibration() -> None:
    items = tuple(Item(f"i{n}", f"Item {n}") for n in range(N))
    one = row((), "i0")
    table = prices([one], [Ranked(one.id, COMEDIES_FIRST, 1.0)], Catalogue.of(items, VECTORS), {}, 1.0)
    assert {price.way for price in table} == {"likeness"}
