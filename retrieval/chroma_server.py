"""The vectors of indexes on a Chroma server: one collection for each index folder, named by a file in it.

The server may be gone, hang or lose its data; a query then costs at most `QUERY_SECONDS` once, after that nothing until
a thread in the background has found the server well again. A collection that is missing or short of rows is filled from
the vector file. Documents stay here: nobody reads them on the server, and text that is deleted there stays in its
SQLite file until it is vacuumed on that machine. Not covered: starting a server.
"""

from __future__ import annotations

import logging
import re
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urlsplit

from retrieval.encoder import FloatArray
from retrieval.errors import IndexUnavailable, SettingsError
from retrieval.vectors import DOOMED_FILE, HNSW, SERVER_NAME_FILE, Rows, StoreWriter, VectorStore, doom, tune

if TYPE_CHECKING:
    from chromadb.api.fastapi import FastAPI
    from chromadb.api.models.Collection import Collection

log = logging.getLogger(__name__)

T = TypeVar("T")

QUERY_SECONDS = 1.0
"""A query takes 11 ms on 34,000 rows, the scan that stands in 2 to 5 ms: waiting longer only costs customers time."""
OPEN_SECONDS = 5.0
"""How long opening an index waits for the server before the scan stands in."""
PATIENT_SECONDS = 30.0
"""For writing, counting and the first query after a start, when the server reads the collection from its disk."""
RETRY_SECONDS = 2.0
"""Between two looks at a server that failed."""
FILL_ROWS = 512
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9]+")


class ServerStores:
    """Implements `VectorStores` on the server at `url` ("http://host:port", also https and with a path)."""

    def __init__(self, url: str, token: str = "") -> None:
        """Nothing is asked of the server yet.

        Raises:
            SettingsError: `url` is no such address.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(
                f"The address of the Chroma server {url!r} cannot be used; write CHATALOGUE_RETRIEVAL__CHROMA_URL as "
                "http://host:port."
            )
        self._url, self._token = url.rstrip("/"), token
        self._shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # without a password

    def __str__(self) -> str:
        return self._shown

    def create(self, folder: Path) -> StoreWriter:
        """See `VectorStores.create`; collections that are no longer wanted are deleted on the way."""
        name = _new_name(folder)
        link = _Link(self._url, self._token, self._shown, PATIENT_SECONDS)
        try:
            link.call(link.api.heartbeat)
            self._delete_doomed(folder.parent, link)
            (folder / SERVER_NAME_FILE).write_text(name + "\n", encoding="utf-8")  # before: a build may be killed
            return _ServerWriter(link, link.create(name))
        except BaseException:
            link.close()
            raise

    def open(self, folder: Path, rows: Rows) -> VectorStore:
        """See `VectorStores.open`; a server that is away is no error: the store says so and waits for it."""
        return _ServerStore(self._url, self._token, self._shown, folder, rows)

    def forget(self, folder: Path) -> None:
        """See `VectorStores.forget`; a collection that cannot be deleted now is deleted with a later one."""
        doom(folder)
        if (folder.parent / DOOMED_FILE).is_file():
            try:
                with self._link() as link:
                    self._delete_doomed(folder.parent, link)
            except IndexUnavailable as exc:
                log.warning("an index's collection is deleted later: %s", exc)

    def version(self) -> str:
        """The server's version, asked for now.

        Raises:
            IndexUnavailable: it does not answer as a Chroma server; says why.
        """
        with self._link() as link:
            return link.call(link.api.get_version)

    @contextmanager
    def _link(self) -> Iterator[_Link]:
        link = _Link(self._url, self._token, self._shown, OPEN_SECONDS)
        try:
            yield link
        finally:
            link.close()

    def _delete_doomed(self, root: Path, link: _Link) -> None:
        file = root / DOOMED_FILE
        if file.is_file():
            for name in file.read_text(encoding="utf-8").split():
                link.delete(name)
            file.unlink()


class _Link:
    """A connection to the server with a bound on the time of each call; safe to share between threads.

    Below `chromadb.HttpClient`, which waits for ever (httpx with `timeout=None`) and does so already when it is made.
    """

    def __init__(self, url: str, token: str, shown: str, seconds: float) -> None:
        import httpx
        from chromadb.api import ServerAPI
        from chromadb.config import Settings, System

        self._shown = shown
        settings = Settings(
            chroma_api_impl="chromadb.api.fastapi.FastAPI",
            chroma_server_host=url,  # a whole address: chromadb then asks for a port and ignores it
            chroma_server_http_port=0,
            chroma_server_headers={"Authorization": f"Bearer {token}"} if token else None,
            anonymized_telemetry=False,
        )
        self.api = cast("FastAPI", System(settings).instance(ServerAPI))  # type: ignore[type-abstract]
        self.api._session.timeout = httpx.Timeout(seconds)

    def create(self, name: str) -> Collection:
        """The collection, made where there is none."""
        return self._collection(
            lambda: self.api.create_collection(name, configuration={"hnsw": HNSW}, get_or_create=True)
        )

    def find(self, name: str) -> Collection | None:
        """The collection, None where there is none."""
        from chromadb.errors import NotFoundError

        try:
            return self._collection(lambda: self.api.get_collection(name))
        except IndexUnavailable as exc:
            if isinstance(exc.__cause__, NotFoundError):
                return None
            raise

    def delete(self, name: str) -> None:
        """Delete the collection where there is one."""
        if self.find(name) is not None:
            self.call(lambda: self.api.delete_collection(name))

    def write(self, collection: Collection, ids: Sequence[str], vectors: FloatArray) -> None:
        """Write rows, also such as are there already, in calls as large as the server takes."""
        step = self.call(self.api.get_max_batch_size)
        step = step if step > 0 else len(ids)
        for start in range(0, len(ids), step):
            some, vector = list(ids[start : start + step]), list(vectors[start : start + step])
            self.call(partial(collection.upsert, ids=some, embeddings=vector))

    def call(self, call: Callable[[], T]) -> T:
        """The result of `call`.

        Raises:
            IndexUnavailable: in one sentence, whatever it was; the cause is kept.
        """
        try:
            return call()
        except Exception as exc:  # chromadb raises bare `Exception` for answers that are not Chroma's own
            raise IndexUnavailable(self._reason(exc)) from exc

    def close(self) -> None:
        """Close the connections; calls under way fail."""
        self.api._session.close()

    def _collection(self, model: Callable[[], object]) -> Collection:
        from chromadb.api.models.Collection import Collection

        found = self.call(model)
        return Collection(client=self.api, model=found, embedding_function=None)  # type: ignore[arg-type]

    def _reason(self, exc: Exception) -> str:
        import httpx
        from chromadb.errors import NotFoundError

        status = getattr(getattr(exc.__context__, "response", None), "status_code", 0)
        if status in (401, 403):
            return (
                f"The Chroma server at {self._shown} refuses the token: set CHATALOGUE_RETRIEVAL__CHROMA_TOKEN to "
                "the one that it wants."
            )
        if isinstance(exc, httpx.TimeoutException):
            return f"The Chroma server at {self._shown} does not answer in time: look at its log, or start it again."
        if isinstance(exc, httpx.HTTPError):
            return (
                f"The Chroma server at {self._shown} cannot be reached ({exc or type(exc).__name__}): start it, or "
                "correct CHATALOGUE_RETRIEVAL__CHROMA_URL."
            )
        said = " ".join(str(exc).split())[:200]
        if isinstance(exc, NotFoundError):
            return (
                f"The Chroma server at {self._shown} lacks an index that it had ({said}): it is written again; should "
                "that not end, build the index again with `chatalogue index FILE`."
            )
        return (
            f"What answers at {self._shown} is no Chroma server of version 1, or it failed ({said or status}): look "
            "at its log, or correct CHATALOGUE_RETRIEVAL__CHROMA_URL."
        )


class _ServerWriter:
    def __init__(self, link: _Link, collection: Collection) -> None:
        self._link, self._collection = link, collection

    def add(self, ids: Sequence[str], documents: Sequence[str], vectors: FloatArray) -> None:
        self._link.write(self._collection, ids, vectors)

    def close(self) -> None:
        self._link.close()


class _ServerStore:
    """One collection that is asked while it is well and looked after while it is not."""

    def __init__(self, url: str, token: str, shown: str, folder: Path, rows: Rows) -> None:
        self._named, self._rows, self._shown = folder / SERVER_NAME_FILE, rows, shown
        self._name = _name_of(folder)
        self._quick = _Link(url, token, shown, QUERY_SECONDS)
        self._patient = _Link(url, token, shown, PATIENT_SECONDS)
        self._collection: Collection | None = None
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._looking = False
        self._problem = f"The Chroma server at {shown} has not answered yet; the exact scan stands in for it."
        self._look_after(self._problem).wait(OPEN_SECONDS)

    @property
    def problem(self) -> str:
        return self._problem

    def nearest(self, vector: FloatArray, k: int) -> Sequence[str] | None:
        collection = self._collection
        if self._problem or collection is None:
            if self._deleted:
                return None
            raise IndexUnavailable(self._problem)
        try:
            found = self._quick.call(
                lambda: collection.query(query_embeddings=list(vector[None]), n_results=k, include=[])
            )
        except IndexUnavailable as exc:
            if self._deleted:
                return None
            self._look_after(str(exc))
            raise
        return found["ids"][0]

    def close(self) -> None:
        self._closed.set()
        self._quick.close()
        self._patient.close()

    @property
    def _deleted(self) -> bool:
        """Whether the index has been pruned under us: then nothing is wrong, its last queries scan."""
        return not self._named.exists()

    def _look_after(self, problem: str) -> threading.Event:
        """Ask the server no more until a thread finds it well; the event is set after its first look."""
        looked = threading.Event()
        with self._lock:
            self._tell(problem)
            if not self._looking and not self._closed.is_set():
                self._looking = True
                threading.Thread(target=self._recover, args=(looked,), name="chroma-recovery", daemon=True).start()
        return looked

    def _recover(self, looked: threading.Event) -> None:
        while not (self._closed.is_set() or self._deleted):
            if self._is_well():
                log.info("the Chroma server at %s is in use", self._shown)
                break
            looked.set()
            self._closed.wait(RETRY_SECONDS)
        with self._lock:
            self._problem, self._looking = "", False
        looked.set()

    def _is_well(self) -> bool:
        try:
            self._make_whole()
            self._collection = self._quick.find(self._name)  # not the patient link's: the bound belongs to the link
        except IndexUnavailable as exc:
            self._tell(str(exc))
            return False
        except Exception:  # the thread that looks must not end here, or nobody would look again
            log.exception("the Chroma server was not looked after")
            return False
        return self._collection is not None

    def _tell(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("the exact scan stands in for Chroma: %s", problem)
        self._problem = problem

    def _make_whole(self) -> None:
        """See that the collection has all rows, filled from the vector file where it lacks some, and is in memory."""
        link = self._patient
        collection = link.find(self._name)
        if collection is None or link.call(collection.count) != len(self._rows.ids):
            collection = self._filled()
        link.call(lambda: tune(collection, len(self._rows.ids)))
        probe = list(self._rows.vectors[:1])
        link.call(lambda: collection.query(query_embeddings=probe, n_results=1, include=[]))

    def _filled(self) -> Collection:
        self._tell(
            f"The Chroma server at {self._shown} lacks vectors of this index: they are being written to it again; "
            "should that not end, build the index again with `chatalogue index FILE`."
        )
        link, rows = self._patient, self._rows
        collection = link.create(self._name)
        for start in range(0, len(rows.ids), FILL_ROWS):
            if self._closed.is_set() or self._deleted:
                break
            link.write(collection, rows.ids[start : start + FILL_ROWS], rows.vectors[start : start + FILL_ROWS])
        if self._deleted:
            link.delete(self._name)  # whoever deleted the index may have done so before we wrote
            raise IndexUnavailable("The index was deleted.")
        if (found := link.call(collection.count)) != len(rows.ids):
            raise IndexUnavailable(
                f"The collection {self._name!r} on the Chroma server at {self._shown} holds {found} rows and not "
                f"{len(rows.ids)}: build the index again with `chatalogue index FILE`."
            )
        return collection


def _new_name(folder: Path) -> str:
    """`<tenant>-<index or articles>-<number>-<at random>`: of no other build, also not in a copied data directory."""
    words = (folder.parent.name, folder.parent.parent.name, folder.name, uuid.uuid4().hex[:12])
    return "-".join(word for part in words if (word := _NOT_IN_NAMES.sub("-", part).strip("-")))


def _name_of(folder: Path) -> str:
    """The name of a complete folder's collection; a new one where the folder was built without a server."""
    file = folder / SERVER_NAME_FILE
    try:
        if not file.exists():
            name = _new_name(folder)
            draft = file.with_name(f"{name}.draft")
            draft.write_text(name + "\n", encoding="utf-8")
            with suppress(FileExistsError):  # linked and not renamed: of two replicas the first one names it
                file.hardlink_to(draft)
            draft.unlink()
        return file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise IndexUnavailable(
            f"The name of the collection cannot be kept in {str(file)!r} ({exc.strerror}): give this user the right to "
            "write there."
        ) from exc
