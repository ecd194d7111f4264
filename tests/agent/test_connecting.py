"""What an item shares with one that the customer spoke of: said where it brought the item up, from its own field."""

from dataclasses import replace
from pathlib import Path

import pytest
from small_shop import HashingEncoder, ranked

from agent.connecting import connected
from agent.ranking import Shared, Slate
from agent.shop import Shop, open_shop
from retrieval.index import build_index
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


def test_of_several_people_the_best_known_is_named(tmp_path: Path) -> None:
    casts = [("Ann Extra", "Zoe Star")] * 2 + [("Zoe Star", f"Man {n}") for n in range(3)]
    casts += [(f"Somebody {n}", f"Else {n}") for n in range(40)]
    items = [Item(f"film-{n}", f"Number {n}", f"Text {n}.", {"cast": cast}) for n, cast in enumerate(casts)]
    encoder = HashingEncoder()
    shop = open_shop(build_index(items, tmp_path, encoder), encoder, None, "Films")
    try:
        liked = Query(seeds=(SeedItem("film-0", 2.0),))
        assert shared(shop, liked, item_id="film-1", metapath__cast=1) == Shared("cast", "Zoe Star", "film-0")
    finally:
        shop.retriever.close()
