"""Opened indexes that the tests of retrieval share."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from retrieval_doubles import SHARED_MOVIES, HashingEncoder, VectorEncoder, made_up_films, read_films

from retrieval.index import build_index, open_index
from retrieval.items import Item
from retrieval.search import Retriever
from retrieval.vectors import EMBEDDED, VectorStores
from tests.chroma_process import ChromaProcess

Opener = Callable[[Sequence[Item]], Retriever]


@pytest.fixture(scope="session")
def chroma(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromaProcess]:
    """A Chroma server that stays well: who harms one starts one."""
    with ChromaProcess(tmp_path_factory.mktemp("chroma")) as server:
        yield server


@pytest.fixture(scope="session", params=["embedded", "server"])
def stores(request: pytest.FixtureRequest) -> VectorStores:
    """Both places where vectors can lie."""
    if request.param == "embedded":
        return EMBEDDED
    server: ChromaProcess = request.getfixturevalue("chroma")
    return server.stores


@pytest.fixture
def opened(tmp_path: Path, stores: VectorStores) -> Iterator[Opener]:
    """Build and open an index of the given items with the hashing encoder; closed after the test."""
    retrievers: list[Retriever] = []

    def make(items: Sequence[Item]) -> Retriever:
        encoder = HashingEncoder()
        folder = build_index(items, tmp_path / f"index{len(retrievers)}", encoder, stores=stores)
        retrievers.append(open_index(folder, encoder, stores=stores))
        encoder.asked.clear()
        return retrievers[-1]

    yield make
    for retriever in retrievers:
        retriever.close()


@pytest.fixture(
    scope="session", params=[pytest.param("films", marks=pytest.mark.shared_data), "made-up", "made-up on a server"]
)
def big(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    """3,000 items, opened: real films where the shared data are present, and made-up ones."""
    if request.param == "films" and not SHARED_MOVIES.is_file():
        pytest.skip("needs ../shared/data")
    items = read_films(3_000) if request.param == "films" else made_up_films(3_000)
    encoder = VectorEncoder()
    stores = EMBEDDED
    if request.param == "made-up on a server":
        stores = request.getfixturevalue("chroma").stores
    folder = build_index(items, tmp_path_factory.mktemp("big"), encoder, stores=stores)
    retriever = open_index(folder, encoder, stores=stores)
    yield retriever
    retriever.close()
