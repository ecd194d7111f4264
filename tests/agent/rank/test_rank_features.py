"""What the ranker sees of a candidate: signals with places, facts beside the item spoken of, titles that were said."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from agent.rank.features import FeatureMaker, Moment
from retrieval.branches.base import Cues, Links, Scores
from retrieval.items import Item
from retrieval.query import Query, SeedItem
from retrieval.table import ItemTable

TABLE = ItemTable(
    [
        Item(
            "a", "Blue Harbour", attributes={"director": ("Ana",), "year": 1990.0}, price=Decimal("9"), currency="EUR"
        ),
        Item("b", "Red Harbour", attributes={"director": ("Ana", "Bo"), "year": 1994.0}, popularity=100.0),
        Item("c", "Green", attributes={"writer": ("Cy",)}, price=Decimal("19"), currency="EUR"),
        Item("d", ""),
    ]
)


def moment(
    signals: dict[str, Scores], *, text: str = "", seeds: dict[int, float] | None = None, last: str = ""
) -> Moment:
    links = Links({}, {("director", "ana"): 1.0})
    query = Query(turns=(text, last), seeds=tuple(SeedItem(TABLE.ids[row], 1.0) for row in seeds or {}))
    whole = Cues(query, f"{text} {last}", links, seeds or {}, None)
    return Moment(whole, Cues(query, last, links, seeds or {}, None), signals, np.array([3, 2, 1, 0], np.float32))


def columns(given: Moment, *rows: int) -> dict[str, list[float]]:
    matrix = FeatureMaker(TABLE).matrix(given, np.array(rows, dtype=np.int32))
    assert matrix.values.dtype == np.float32
    return dict(zip(matrix.names, matrix.values.T.tolist(), strict=True))


def test_a_signal_has_its_value_its_share_of_the_best_and_its_place() -> None:
    scores = Scores(np.array([2, 0], np.int32), np.array([4.0, 1.0], np.float32))
    found = columns(moment({"names.title": scores}), 0, 1, 3)
    assert found["names.title"] == [1, 0, 0]
    assert found["names.title/best"] == [0.25, 0, 0], "the best of all rows, a candidate or not"
    assert found["names.title#"] == [0, 1, 1], "equal values share a place"
    assert found["found"] == [1, 0, 0]
    assert (found["sum"], found["sum#"]) == ([3, 2, 0], [0, 1, 2])


def test_a_signal_that_says_nothing_has_no_column() -> None:
    empty = Scores(np.zeros(0, np.int32), np.zeros(0, np.float32))
    assert not [name for name in columns(moment({"dense": empty}), 0) if name.startswith("dense")]


def test_facts_are_told_and_compared_with_the_item_spoken_of() -> None:
    found = columns(moment({}, seeds={0: 0.5}), 0, 1, 2)
    assert found["item.year"][:2] == [1990, 1994]
    assert np.isnan(found["item.year"][2])
    assert found["apart.year"][1] == 4
    assert found["apart.price"][2] == pytest.approx(np.log(20 / 10))
    assert np.isnan(found["apart.price"][1]), "no price is no price of 0"
    assert found["item.popularity"][1] == pytest.approx(np.log(101))
    assert found["item.values"] == [2, 3, 1]
    assert found["kind.same"] == [1, 1, 0], "directors and years against a writer"
    without = columns(moment({}), 0)
    assert np.isnan(without["apart.year"][0])
    assert np.isnan(without["kind.same"][0])


def test_titles_that_were_said() -> None:
    found = columns(moment({}, text="The blue one", last="that harbour film"), 0, 1, 2, 3)
    assert found["title.said"][:3] == [1, 0.5, 0]
    assert found["title.said_last"][:3] == [0.5, 0.5, 0]
    assert np.isnan(found["title.said"][3]), "an item without a name"


def test_the_query_is_the_same_for_all() -> None:
    found = columns(moment({}, text="Hello", last="By Ana perhaps?", seeds={0: 0.5}), 1, 2)
    assert found["query.turns"] == [2, 2]
    assert found["query.spoken"] == [1, 1]
    assert found["query.named.director"] == [1, 1]
    assert found["query.named.writer"] == [0, 0]


def test_session_values_become_columns() -> None:
    given = moment({})
    session = Moment(given.whole, given.last, {}, given.total, None, {"session.taste": np.arange(4, dtype=np.float32)})
    assert columns(session, 3, 1)["session.taste"] == [3, 1]
