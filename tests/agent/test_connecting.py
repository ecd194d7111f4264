"""What an item shares with one that the customer spoke of: said where it brought the item up, from its own field."""

from dataclasses import replace

import pytest
from small_shop import ranked

from agent.connecting import connected
from agent.ranking import Shared, Slate
from agent.shop import Shop
from retrieval.items import Item
from retrieval.query import BranchHit, Candidate, Query, SeedItem

LIKED = Query(seeds=(SeedItem("film-the-dark-knight-2008", 2.0),))
INCEPTION = "film-inception-2010"


def shared(shop: Shop, query: Query, *, item_id: str = INCEPTION, **ranks: int) -> Shared | None:
    hits = {name.replace("__", "."): BranchHit(1.0, rank) for name, rank in ranks.items()}
    slate = Slate((ranked(shop.table.get(item_id)),))
    return connected(slate, [Candidate(item_id, 1.0, hits)], query, shop.retriever).entries[0].shared


def test_the_value_that_says_most(film_shop: Shop) -> None:
    expected = Shared("director", "Christopher Nolan", "film-the-dark-knight-2008")
    assert shared(film_shop, LIKED, metapath__genre=1, metapath__director=2, seeds=2) == expected
    named = Query(turns=("hello",), own=("I watched The Dark Knight (2008)",))
    assert shared(film_shop, named, metapath__director=1) == expected


@pytest.mark.parametrize(
    ("query", "ranks"),
    [
        (LIKED, {"metapath__director": 2, "seeds": 1}),  # its description stands closer
        (LIKED, {"seeds": 1}),
        (LIKED, {}),
        (Query(), {"metapath__director": 1}),
        (Query(seeds=(SeedItem("film-the-dark-knight-2008", -2.0),)), {"metapath__director": 1}),
        (Query(seeds=(SeedItem("film-notting-hill-1999", 2.0),)), {"metapath__genre": 1}),  # many are dramas
    ],
)
def test_nothing_is_said(film_shop: Shop, query: Query, ranks: dict[str, int]) -> None:
    assert shared(film_shop, query, **ranks) is None


def test_a_shop_without_paths(film_shop: Shop) -> None:
    further = film_shop.retriever.further
    film_shop.retriever.further = replace(further, branches=())
    try:
        assert shared(film_shop, LIKED, metapath__director=1) is None
    finally:
        film_shop.retriever.further = further


def test_other_entries_stay_as_they_are(film_shop: Shop, films: tuple[Item, ...]) -> None:
    slate = Slate(tuple(ranked(film) for film in films[:3]))
    assert connected(slate, [], LIKED, film_shop.retriever) == slate
