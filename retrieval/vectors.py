"""Where the vectors of an index lie for HNSW: what a store must do, and Chroma's embedded store, the default.

The other one is a Chroma server (retrieval/chroma_server.py). Knows ids and vectors, no filters and no scores: those
are computed from the vector file (retrieval/dense.py), whichever store found the rows.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateHNSWConfiguration
    from chromadb.api.models.Collection import Collection

log = logging.getLogger(__name__)

T = TypeVar("T")

COLLECTION = "items"
CHROMA_FOLDER = "chroma"
SERVER_NAME_FILE = "chroma.collection"
"""In an index folder: the name of its collection on a Chroma server. Written before the collection, deleted first."""
DOOMED_FILE = "chroma.doomed"
"""Beside the index folders: names of collections that are no longer wanted and may still be on the server."""

EF_SEARCH = 800
HNSW: CreateHNSWConfiguration = {
    "space": "cosine",
    "ef_construction": 100,
    "max_neighbors": 16,
    "ef_search": EF_SEARCH,
}
"""For recall@200 >= 0.98 against the exact scan, which `python -m retrieval.bench.latency` measures. On 34,375 films
and 100 text queries ef_search 600 finds 98.8 %, 800 99.4 %. On 20,000 films 32 neighbours (ef_construction 200) find
1 % more at an ef_search of 400, but the build takes 1.5 times as long."""
EF_ITEMS = 40_000
"""Up to so many items that will do."""
EF_POWER = 0.62
"""Beyond, ef_search grows with this power of the items: a million at 800 found 76 % of the nearest 200, at 2,000 91 %,
at 4,000 96 % (`python -m retrieval.bench.scale`)."""


def ef_search_for(n_items: int) -> int:
    """The `ef_search` of an index of so many items."""
    grown = math.pow(max(1.0, n_items / EF_ITEMS), EF_POWER)
    return round(EF_SEARCH * grown)


def tune(collection: Collection, n_items: int) -> None:
    """See that the collection, whose rows are all there and not asked for yet, searches as its size needs it."""
    if (wanted := ef_search_for(n_items)) != EF_SEARCH:
        collection.modify(configuration={"hnsw": {"ef_search": wanted}})


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows of an index in order: `vectors` is float32, (len(ids), dim), of length 1."""

    ids: Sequence[str]
    vectors: FloatArray


class StoreWriter(Protocol):
    """Takes the rows of an index that is being built."""

    def add(self, ids: Sequence[str], documents: Sequence[str], vectors: FloatArray) -> None:
        """The next rows; raises IndexUnavailable where the store refuses them."""
        ...

    def close(self) -> None:
        """Give files and connections back, also of a build that failed."""
        ...


class VectorStore(Protocol):
    """The vectors of one open index; safe to share between threads."""

    @property
    def problem(self) -> str:
        """Why `nearest` cannot be asked just now, one sentence for the operator; empty where it can."""
        ...

    def nearest(self, vector: FloatArray, k: int) -> Sequence[str] | None:
        """Ids of about the `k` nearest rows; None where this index has been deleted meanwhile.

        Raises:
            IndexUnavailable: the store failed, or is known not to work.
        """
        ...

    def close(self) -> None:
        """Give files and connections back."""
        ...


class VectorStores(Protocol):
    """Makes, opens and deletes the stores of index folders."""

    def create(self, folder: Path) -> StoreWriter:
        """An empty store for an index that is being built; raises IndexUnavailable."""
        ...

    def open(self, folder: Path, rows: Rows) -> VectorStore:
        """The store of a complete folder that holds `rows`; raises IndexUnavailable."""
        ...

    def forget(self, folder: Path) -> None:
        """Delete what lies outside of a folder that is about to be deleted; never raises for a store that is away."""
        ...


class EmbeddedStores:
    """A Chroma store in each index folder; it belongs to one process at a time."""

    def create(self, folder: Path) -> StoreWriter:
        """See `VectorStores.create`."""
        return _EmbeddedWriter(folder)

    def open(self, folder: Path, rows: Rows) -> VectorStore:
        """See `VectorStores.open`."""
        return _EmbeddedStore(folder, len(rows.ids))

    def forget(self, folder: Path) -> None:
        """The store goes with the folder; what an index has on a server is noted for when there is one again."""
        doom(folder)


EMBEDDED: VectorStores = EmbeddedStores()


class _EmbeddedWriter:
    def __init__(self, folder: Path) -> None:
        self._client = _guarded(lambda: _client(folder / CHROMA_FOLDER), "cannot be created")
        try:
            self._collection: Collection = _guarded(
                lambda: self._client.create_collection(
                    COLLECTION, embedding_function=None, configuration={"hnsw": HNSW}
                ),
                "cannot be created",
            )
        except BaseException:
            self._client.close()
            raise

    def add(self, ids: Sequence[str], documents: Sequence[str], vectors: FloatArray) -> None:
        _guarded(
            lambda: self._collection.add(ids=list(ids), documents=list(documents), embeddings=list(vectors)),
            "refused rows",
        )

    def close(self) -> None:
        self._client.close()


class _EmbeddedStore:
    problem = ""

    def __init__(self, folder: Path, n_items: int) -> None:
        if not (folder / CHROMA_FOLDER / "chroma.sqlite3").is_file():  # Chroma would make an empty one
            on_server = (folder / SERVER_NAME_FILE).is_file()
            raise IndexUnavailable(
                f"The vectors of the index in {str(folder)!r} are on a Chroma server: set "
                "CHATALOGUE_RETRIEVAL__CHROMA_URL, or build the index again with `chatalogue index FILE`."
                if on_server
                else f"There is no Chroma store in {str(folder)!r}: build it again with `chatalogue index FILE`."
            )
        self._client = _guarded(lambda: _client(folder / CHROMA_FOLDER), "cannot be opened")
        try:
            self._collection = _guarded(
                lambda: self._client.get_collection(COLLECTION, embedding_function=None), "cannot be opened"
            )
            _guarded(lambda: tune(self._collection, n_items), "cannot be set for its size")
        except IndexUnavailable:
            self._client.close()
            raise

    def nearest(self, vector: FloatArray, k: int) -> Sequence[str]:
        found = _guarded(
            lambda: self._collection.query(query_embeddings=list(vector[None]), n_results=k, include=[]),
            "failed on a query",
        )
        return found["ids"][0]

    def close(self) -> None:
        self._client.close()


def doom(folder: Path) -> None:
    """Note that the folder's collection on a server, where it has one, is no longer wanted; then forget its name."""
    named = folder / SERVER_NAME_FILE
    if named.is_file():
        with (folder.parent / DOOMED_FILE).open("a", encoding="utf-8") as doomed:
            doomed.write(named.read_text(encoding="utf-8").strip() + "\n")
        named.unlink()


def _client(folder: Path) -> Client:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    return cast("Client", client)  # declared as ClientAPI, which lacks `close`


def _guarded(call: Callable[[], T], what: str) -> T:
    """Run a call of the embedded store; whatever its Rust part raises becomes one sentence."""
    import chromadb.errors

    try:
        return call()
    except (chromadb.errors.ChromaError, ValueError, RuntimeError, KeyError, AttributeError) as exc:
        log.warning("chroma %s: %s: %s", what, type(exc).__name__, exc)
        raise IndexUnavailable(
            f"The Chroma store {what} ({type(exc).__name__}: {exc}): check the disk, then build the index again with "
            "`chatalogue index FILE`."
        ) from exc
