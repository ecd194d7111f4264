"""Opened indexes that the tests of retrieval share."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from retrieval_doubles import SHARED_MOVIES, HashingEncoder, VectorEncoder, made_up_films, read_films

from retrieval.index import build_index, open_index
from retrieval.items import Item
from retrieval.search import Retriever

Opener = Callable[[Sequence[Item]], Retriever]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opener]:
    """Build and open an index of the given items with the hashing encoder; closed after the test."""
    retrievers: list[Retriever] = []

    def make(items: Sequence[Item]) -> Retriever:
        encoder = HashingEncoder()
        retrievers.append(open_index(build_index(items, tmp_path / f"index{len(retrievers)}", encoder), encoder))
        encoder.asked.clear()
        return retrievers[-1]

    yield make
    for retriever in retrievers:
        retriever.close()


@pytest.fixture(scope="session", params=[pytest.param("films", marks=pytest.mark.shared_data), "made-up"])
def big(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    """3,000 items, opened: real films where the shared data are present, and made-up ones."""
    if request.param == "films" and not SHARED_MOVIES.is_file():
        pytest.skip("needs ../shared/data")
    items = read_films(3_000) if request.param == "films" else made_up_films(3_000)
    encoder = VectorEncoder()
    retriever = open_index(build_index(items, tmp_path_factory.mktemp("big"), encoder), encoder)
    yield retriever
    retriever.close()
