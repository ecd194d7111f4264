"""Immutable index folders: built whole beside the old one, opened by whoever searches.

    <root>/embeddings.sqlite      vectors by content hash, for the next build
    <root>/build.lock             held while a build runs
    <root>/chroma.doomed          collections that are still to be deleted from a Chroma server
    <root>/000012/items.jsonl.gz  the catalogue, one item a line
                 /embeddings.npy  float32, (n_items, dim), for the exact scan
                 /chroma/         the same vectors and the documents, for HNSW; with a Chroma server instead:
                 /chroma.collection   the name of the collection that holds the vectors
                 /lexical/        BM25
                 /manifest.json   written last: a folder without it never existed

Knows nothing of tenants or of which index is live. Not covered: changing an index in place.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Sized
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from retrieval.cache import EmbeddingCache
from retrieval.dense import DenseIndex, DenseWriter
from retrieval.encoder import Encoder, FloatArray, same_space
from retrieval.errors import CatalogueError, DataDirectoryError, IndexUnavailable
from retrieval.items import Item
from retrieval.lexical import LexicalBuilder, LexicalIndex
from retrieval.search import Retriever
from retrieval.table import ItemTable
from retrieval.text import plain
from retrieval.vectors import EMBEDDED, VectorStores

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a stage ("embed", "words", "done"), how many of it are done, and of how many (0: not known)."""

SCHEMA_VERSION = 2
"""Raised when the files of an index folder, or the text that is made of an item, change their meaning."""

MANIFEST = "manifest.json"
ITEMS_FILE = "items.jsonl.gz"
LEXICAL_FOLDER = "lexical"
CACHE_FILE = "embeddings.sqlite"
LOCK_FILE = "build.lock"
BATCH_ITEMS = 512
"""Items between two commits of the cache: what a killed build embeds again at most."""

_NUMBERED = re.compile(r"\d{6,}")
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """What an index folder holds.

    `created` is UTC in ISO 8601; `digest` the SHA-256 (hex) of the item lines; `source` says where the
    catalogue came from; `embedded` how many documents had to be embedded anew.
    """

    schema: int
    n_items: int
    encoder: str
    dim: int
    created: str
    digest: str
    source: str
    embedded: int


def build_index(
    items: Iterable[Item],
    root: Path,
    encoder: Encoder,
    *,
    progress: Progress | None = None,
    source: str = "",
    stores: VectorStores = EMBEDDED,
) -> Path:
    """Build the next index folder in one pass over `items`; the older ones are not touched.

    `stores` says where the vectors lie for HNSW. Whatever was embedded before (by content hash) is taken from the
    cache, also from a build that was killed.

    Returns:
        The new folder, complete.

    Raises:
        CatalogueError: there is no item, or an id occurs twice.
        DataDirectoryError: `root` is read-only or full, or another build runs.
        ModelUnavailable: the encoder cannot be had.
        IndexUnavailable: Chroma failed.
    """
    total = len(items) if isinstance(items, Sized) else 0
    report = progress or (lambda stage, done, of: None)
    name, dim = encoder.name, encoder.dim  # before anything is written: the model may not be available
    with _sentences(root), _locked(root):
        folder = _new_folder(root, stores)
        try:
            build = _Build(folder, root, encoder, name, dim, stores)
            with build:
                for batch in _batches(items):
                    build.add(batch)
                    report("embed", build.n_items, max(total, build.n_items) if total else 0)
                report("words", build.n_items, build.n_items)
                build.finish()
            _write_manifest(folder, build.manifest(source))
        except BaseException:
            try:
                stores.forget(folder)
            finally:  # on a full disk that fails, too, and the room is needed
                shutil.rmtree(folder, ignore_errors=True)
            raise
        # After the manifest, because from here on the new index is the newest.
        build.forget_old()
        report("done", build.n_items, build.n_items)
    return folder


def open_index(folder: Path, encoder: Encoder, *, stores: VectorStores | None = EMBEDDED) -> Retriever:
    """Open a complete index folder for search.

    `stores` None leaves Chroma alone and scans all vectors instead: for a process beside the one that serves, because
    an embedded store belongs to one process. Results are then exact and cost some milliseconds more.

    Raises:
        IndexUnavailable: the folder is incomplete, damaged, of another version, or of another encoder.
        ModelUnavailable: the encoder cannot be had.
    """
    manifest = read_manifest(folder)
    if not same_space(manifest.encoder, encoder.name):
        raise IndexUnavailable(
            f"The index in {str(folder)!r} was made by the encoder {manifest.encoder!r}, the settings say "
            f"{encoder.name!r}: set CHATALOGUE_RETRIEVAL__ENCODER back or index the catalogue again."
        )
    table = ItemTable(_read_items(folder))
    if len(table) != manifest.n_items:
        raise IndexUnavailable(
            f"The index in {str(folder)!r} holds {len(table)} items, its manifest says {manifest.n_items}: "
            "build it again with `chatalogue index FILE`."
        )
    lexical = LexicalIndex.load(folder / LEXICAL_FOLDER, len(table))
    dense = DenseIndex(folder, table.ids, dim=manifest.dim, row_of=table.row_of, stores=stores)
    return Retriever(table, encoder, dense, lexical)


def item_ids(folder: Path) -> frozenset[str]:
    """The ids of an index's items, without opening it for search.

    Raises:
        IndexUnavailable: the folder is incomplete or damaged.
    """
    return frozenset(item.id for item in read_items(folder))


def read_items(folder: Path) -> tuple[Item, ...]:
    """An index's items, without opening it for search.

    Raises:
        IndexUnavailable: the folder is incomplete or damaged.
    """
    read_manifest(folder)
    return tuple(_read_items(folder))


def prune(root: Path, keep: int, stores: VectorStores = EMBEDDED) -> list[Path]:
    """Delete all but the newest `keep` (at least 1) complete folders; returns what was deleted.

    Raises:
        DataDirectoryError: a folder cannot be deleted.
    """
    doomed = _complete(root)[: -max(keep, 1)]
    for folder in doomed:
        remove(folder, stores)
    return doomed


def prune_others(root: Path, sources: Collection[str], stores: VectorStores = EMBEDDED) -> list[Path]:
    """Delete the folders whose manifest names none of `sources`, and those without one; returns what was deleted.

    The cache goes with the last folder. No build may run in `root`.

    Raises:
        DataDirectoryError: a folder cannot be deleted.
    """
    doomed = [folder for folder in _numbered(root) if _source(folder) not in sources]
    for folder in doomed:
        remove(folder, stores)
    if not _numbered(root):
        with _sentences(root):
            (root / CACHE_FILE).unlink(missing_ok=True)
    return doomed


def remove(folder: Path, stores: VectorStores = EMBEDDED) -> None:
    """Delete one index folder and what it has elsewhere.

    Raises:
        DataDirectoryError: it cannot be deleted.
    """
    with _sentences(folder.parent):
        (folder / MANIFEST).unlink(missing_ok=True)  # first: half a folder must not look complete
        try:
            stores.forget(folder)
        finally:  # on a full disk that fails, too, and the room is needed
            shutil.rmtree(folder)


def with_source(root: Path, source: str) -> Path | None:
    """The newest complete folder whose manifest names `source`, None where there is none."""
    return next((folder for folder in reversed(_complete(root)) if _source(folder) == source), None)


def name_source(folder: Path, source: str) -> None:
    """Let the manifest of a complete folder name another `source`.

    Raises:
        DataDirectoryError: it cannot be written.
        IndexUnavailable: as `read_manifest`.
    """
    with _sentences(folder.parent):
        _write_manifest(folder, replace(read_manifest(folder), source=source))


def read_manifest(folder: Path) -> IndexManifest:
    """The manifest of a complete folder.

    Raises:
        IndexUnavailable: there is none, or it is not one of ours.
    """
    path = folder / MANIFEST
    try:
        manifest = IndexManifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise IndexUnavailable(
            f"There is no complete index in {str(folder)!r}: build one with `chatalogue index FILE`."
        ) from None
    except (OSError, ValueError, TypeError) as exc:
        raise IndexUnavailable(
            f"The manifest {str(path)!r} cannot be read ({exc}): build the index again with `chatalogue index FILE`."
        ) from exc
    if manifest.schema != SCHEMA_VERSION:
        raise IndexUnavailable(
            f"The index in {str(folder)!r} has version {manifest.schema}, this program needs {SCHEMA_VERSION}: "
            "build it again with `chatalogue index FILE`."
        )
    return manifest


class _Build:
    """One build in progress: hands each batch to the parts of the index."""

    def __init__(
        self, folder: Path, root: Path, encoder: Encoder, encoder_name: str, dim: int, stores: VectorStores
    ) -> None:
        self._folder = folder
        self._stores = stores
        self._encoder = encoder
        self._encoder_name, self._dim = encoder_name, dim
        self._cache_path = root / CACHE_FILE
        self._rows: dict[str, str] = {}  # item id -> content hash, in order
        self._digest = hashlib.sha256()
        self._embedded = 0
        self._lexical = LexicalBuilder()

    def __enter__(self) -> _Build:
        with ExitStack() as stack:
            self._cache = EmbeddingCache(self._cache_path, self._encoder_name, self._dim)
            stack.callback(self._cache.close)
            self._items = _ItemWriter(self._folder / ITEMS_FILE)
            stack.callback(self._items.close)
            self._dense = stack.enter_context(DenseWriter(self._folder, self._dim, self._stores))
            self._open_parts = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open_parts.close()  # each part is closed even when closing another fails, as on a full disk

    @property
    def n_items(self) -> int:
        return len(self._rows)

    def add(self, batch: Sequence[Item]) -> None:
        hashes: list[str] = []
        documents: list[str] = []
        for item in batch:
            if item.id in self._rows:
                raise CatalogueError(f"The id {item.id!r} occurs twice in the catalogue: ids must be unique.")
            hashes.append(item.content_hash())
            self._rows[item.id] = hashes[-1]
            documents.append(plain(item.document()))
            self._lexical.add(item.title, documents[-1])
            line = item.to_json() + "\n"
            self._digest.update(line.encode())
            self._items.write(line)
        self._dense.add([item.id for item in batch], documents, self._vectors(hashes, documents))

    def _vectors(self, hashes: Sequence[str], documents: Sequence[str]) -> FloatArray:
        """A vector for each document; only those whose hash is new are embedded."""
        known = self._cache.get(hashes)
        missing = {one: text for one, text in zip(hashes, documents, strict=True) if one not in known}
        if missing:
            made = self._encoder.encode(list(missing.values()))
            fresh = dict(zip(missing, made, strict=True))
            self._cache.put(fresh)
            self._embedded += len(fresh)
            known |= fresh
        return np.stack([known[one] for one in hashes])

    def finish(self) -> None:
        if not self._rows:
            raise CatalogueError("The catalogue holds no item: index a file with at least one.")
        self._dense.finish()
        self._lexical.save(self._folder / LEXICAL_FOLDER)

    def forget_old(self) -> None:
        cache = EmbeddingCache(self._cache_path, self._encoder_name, self._dim)
        try:
            cache.keep_only(self._rows.values())
        finally:
            cache.close()

    def manifest(self, source: str) -> IndexManifest:
        return IndexManifest(
            schema=SCHEMA_VERSION,
            n_items=self.n_items,
            encoder=self._encoder_name,
            dim=self._dim,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            digest=self._digest.hexdigest(),
            source=source,
            embedded=self._embedded,
        )


class _ItemWriter:
    """Item lines into a gzip file without a time stamp: equal catalogues give equal bytes."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("wb")
        self._text = io.TextIOWrapper(
            gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0, compresslevel=5),
            encoding="utf-8",
            errors="surrogatepass",
            newline="\n",
        )

    def write(self, line: str) -> None:
        self._text.write(line)

    def close(self) -> None:
        try:
            self._text.close()
        finally:
            self._raw.close()


def _read_items(folder: Path) -> list[Item]:
    path = folder / ITEMS_FILE
    try:
        with gzip.open(path, "rt", encoding="utf-8", errors="surrogatepass") as lines:
            return [_item(json.loads(line)) for line in lines]
    except (OSError, EOFError, ValueError, KeyError, TypeError, ArithmeticError) as exc:
        raise IndexUnavailable(
            f"The items in {str(path)!r} cannot be read ({exc}): build the index again with `chatalogue index FILE`."
        ) from exc


def _item(fields: dict[str, Any]) -> Item:
    """The inverse of `Item.to_json`."""
    price = fields.pop("price", None)
    attributes = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.pop("attributes").items()
    }
    return Item(**fields, price=None if price is None else Decimal(price), attributes=attributes)


def _source(folder: Path) -> str | None:
    """What the manifest names as its source; None where it cannot be read."""
    try:
        return read_manifest(folder).source
    except IndexUnavailable:
        return None


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    stream = iter(items)
    while batch := list(islice(stream, BATCH_ITEMS)):
        yield batch


def _numbered(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted((p for p in root.iterdir() if p.is_dir() and _NUMBERED.fullmatch(p.name)), key=lambda p: int(p.name))


def _complete(root: Path) -> list[Path]:
    return [folder for folder in _numbered(root) if (folder / MANIFEST).is_file()]


def _new_folder(root: Path, stores: VectorStores) -> Path:
    """An empty folder with the next number; what a crashed build left is removed. Needs the lock."""
    newest = 0
    for folder in _numbered(root):
        if (folder / MANIFEST).is_file():
            newest = int(folder.name)
        else:
            try:
                stores.forget(folder)
            finally:
                shutil.rmtree(folder)
    folder = root / f"{newest + 1:06d}"
    folder.mkdir()
    return folder


def _write_manifest(folder: Path, manifest: IndexManifest) -> None:
    """Written beside, synced and renamed, so that it is there whole or not at all."""
    draft = folder / (MANIFEST + ".draft")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(manifest), file, ensure_ascii=False, indent=2, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(folder / MANIFEST)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the lock of builds; the system lets go of it when the process dies, however it dies."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirectoryError(
                f"Another process is building an index in {str(root)!r}: wait until it has ended."
            ) from None
        yield


@contextmanager
def _sentences(root: Path) -> Iterator[None]:
    """Turn what a disk can do to a build into one sentence for the operator."""
    try:
        yield
    except sqlite3.Error as exc:
        full = getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        raise _disk_error(root, full=full, detail=str(exc)) from exc
    except OSError as exc:
        raise _disk_error(root, full=exc.errno in _FULL, detail=exc.strerror or str(exc)) from exc
    except IndexUnavailable as exc:
        if "disk is full" in str(exc):  # SQLite's words, through Chroma
            raise _disk_error(root, full=True, detail="") from exc
        raise


def _disk_error(root: Path, *, full: bool, detail: str) -> DataDirectoryError:
    if full:
        return DataDirectoryError(
            f"The disk that holds {str(root)!r} is full: free some space and index again; the old index is intact."
        )
    return DataDirectoryError(
        f"{str(root)!r} cannot be written ({detail}): give this user the right to write there or set "
        "CHATALOGUE_DATA_DIR to another folder; an old index is intact."
    )
