"""The small shop, opened once: imports stand in the fixtures, because the rooms below have no use for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from agent.shop import Shop
    from retrieval.items import Item
    from retrieval.table import ItemTable


@pytest.fixture(scope="session")
def films() -> tuple[Item, ...]:
    from small_shop import read_films

    return read_films()


@pytest.fixture(scope="session")
def film_table(films: tuple[Item, ...]) -> ItemTable:
    from retrieval.table import ItemTable

    return ItemTable(films)


@pytest.fixture(scope="session")
def film_shop(films: tuple[Item, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The 30 films, indexed with the hashing encoder and open."""
    from small_shop import HashingEncoder

    from agent.shop import open_shop
    from retrieval.index import build_index

    encoder = HashingEncoder()
    shop = open_shop(build_index(films, tmp_path_factory.mktemp("films"), encoder), encoder, None, "The Reel Shop")
    yield shop
    shop.retriever.close()


@pytest.fixture(scope="session")
def by_title(films: tuple[Item, ...]) -> dict[str, Item]:
    return {film.title: film for film in films}
