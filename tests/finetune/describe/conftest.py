from __future__ import annotations

from collections.abc import Sequence

import pytest
from describe_doubles import FILMS, HashingEncoder

from retrieval.items import Item
from retrieval.shape import CatalogueShape


@pytest.fixture(scope="session")
def films() -> Sequence[Item]:
    return FILMS


@pytest.fixture(scope="session")
def shape(films: Sequence[Item]) -> CatalogueShape:
    return CatalogueShape.of(films)


@pytest.fixture
def encoder() -> HashingEncoder:
    return HashingEncoder()
