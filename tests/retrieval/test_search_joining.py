"""Branches of one query alone join the others: filtered alike, and never in the place of what is found without them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from retrieval_doubles import shop_items

from retrieval.branches.base import Cues, Scores
from retrieval.items import Item
from retrieval.query import Filter, Query, WeightedText
from retrieval.search import Retriever

Opener = Callable[[Sequence[Item]], Retriever]


class _Fixed:
    """Finds these rows, the first one best."""

    def __init__(self, *rows: int) -> None:
        self.rows = rows

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        values = np.arange(len(self.rows), 0, -1, dtype=np.float32)
        return {"joined": Scores(np.array(self.rows, dtype=np.int32), values)}


class _Broken:
    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        raise IndexError("no such row")


def ids(retriever: Retriever, query: Query, *branches: _Fixed | _Broken) -> list[str]:
    return [one.item_id for one in retriever.search(query, branches).candidates]


def test_it_lifts_what_it_finds_in_this_search_alone(opened: Opener) -> None:
    retriever = opened(shop_items())
    query = Query(texts=(WeightedText("whales"),))
    plain = ids(retriever, query)
    last = retriever.table.row_of(plain[-1])
    found = retriever.search(query, (_Fixed(last),)).candidates
    assert [one.item_id for one in found].index(plain[-1]) < len(plain) - 1
    assert next(one for one in found if one.item_id == plain[-1]).branches["joined"].rank == 1
    assert ids(retriever, query) == plain


def test_filters_and_exclusions_hold_for_it(opened: Opener) -> None:
    retriever = opened(shop_items())
    wanted, unwanted, excluded = retriever.table.ids[:3]
    only = Filter("id", "eq", (wanted, excluded))
    query = Query(texts=(WeightedText("whales"),), filters=(only,), exclude=frozenset({excluded}))
    rows = retriever.table.rows_of((unwanted, excluded, wanted)).tolist()
    assert ids(retriever, query, _Fixed(*rows)) == [wanted]


def test_without_words_the_popular_items_stay(opened: Opener) -> None:
    retriever = opened(shop_items())
    plain = ids(retriever, Query())
    joined = ids(retriever, Query(), _Fixed(retriever.table.row_of(plain[-1])))
    assert set(joined) == set(plain)
    assert joined.index(plain[-1]) < len(plain) - 1


def test_one_that_fails_is_left_out_and_said(opened: Opener) -> None:
    retriever = opened(shop_items())
    query = Query(texts=(WeightedText("whales"),))
    plain, found = retriever.search(query), retriever.search(query, (_Broken(),))
    assert found == replace(plain, degraded=True)


def test_where_it_cannot_be_told_what_is_not_meant_the_order_stays_and_it_is_said(opened: Opener) -> None:
    def broken(query: Query) -> None:
        raise IndexError("no such row")

    retriever = opened(shop_items())
    query = Query(texts=(WeightedText("whales"),))
    plain = retriever.search(query)
    retriever.further = replace(retriever.further, against=broken)
    found = retriever.search(query)
    assert (found.candidates, found.degraded) == (plain.candidates, True)
