"""Building, resuming, swapping and refusing: what stands in an index folder and when."""

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from retrieval_doubles import HashingEncoder, made_up_films, odd_items, shop_items

import retrieval.index
from retrieval.encoder import FloatArray
from retrieval.errors import CatalogueError, DataDirectoryError, IndexUnavailable
from retrieval.index import build_index, open_index, prune, prune_others, read_manifest, remove, with_source
from retrieval.items import Item
from retrieval.query import Query, WeightedText
from retrieval.vectors import VectorStores


def latest_complete(root: Path) -> Path | None:
    """The newest folder with a manifest."""
    return max((manifest.parent for manifest in root.glob("*/manifest.json")), default=None)


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.index, "BATCH_ITEMS", 10)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir())


def test_a_folder_opens_to_the_same_items(tmp_path: Path, stores: VectorStores) -> None:
    encoder = HashingEncoder()
    items = [*shop_items(), *odd_items()]
    folder = build_index(items, tmp_path, encoder, source="shop.jsonl", stores=stores)
    assert folder == tmp_path / "000001" == latest_complete(tmp_path)
    retriever = open_index(folder, encoder, stores=stores)
    assert list(retriever.table.items) == items
    assert retriever.dense.vectors.shape == (len(items), encoder.dim)
    retriever.close()
    manifest = read_manifest(folder)
    assert (manifest.n_items, manifest.encoder, manifest.dim, manifest.source) == (14, "hashing", 64, "shop.jsonl")
    assert manifest.created.endswith("+00:00")
    again = build_index(items, tmp_path, encoder, stores=stores)
    assert read_manifest(again).digest == manifest.digest
    assert (again / "items.jsonl.gz").read_bytes() == (folder / "items.jsonl.gz").read_bytes()


def test_only_what_changed_is_embedded(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    items = made_up_films(60)
    build_index(items, tmp_path, encoder)
    assert len(encoder.asked) == 60
    encoder.asked.clear()
    changed = [Item("m3", "Another title"), *items[:3], *items[4:50], Item("new", "A new film")]
    folder = build_index(changed, tmp_path, encoder)
    assert encoder.asked == ["Another title", "A new film"]
    assert read_manifest(folder).embedded == 2
    retriever = open_index(folder, encoder)
    for row, item in enumerate(changed):
        assert np.allclose(retriever.dense.vectors[row], encoder.encode([item.document()])[0], atol=1e-6)
    retriever.close()
    encoder.asked.clear()
    build_index(items, tmp_path, encoder)
    # The cache keeps the newest index alone: the ten that were dropped and the one replaced come anew.
    assert len(encoder.asked) == 11
    other = HashingEncoder("another model")
    build_index(items, tmp_path, other)
    assert len(other.asked) == 60


def test_equal_documents_are_embedded_once(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    build_index([Item("1", "Twin"), Item("2", "Twin")], tmp_path, encoder)
    assert encoder.asked == ["Twin"]


def test_erased_text_and_its_vector_leave_the_cache(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    secret = Item("x", "Zanzibar confidential")
    build_index([*shop_items(), secret], tmp_path, encoder)
    vector = encoder.encode([secret.document()])[0].tobytes()
    cache = tmp_path / "embeddings.sqlite"
    assert vector in cache.read_bytes()
    build_index(shop_items(), tmp_path, encoder)
    prune(tmp_path, keep=1)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            content += gzip.decompress(content) if path.suffix == ".gz" else b""
            assert b"Zanzibar" not in content, path
            assert vector not in content, path
            assert bytes.fromhex(secret.content_hash()) not in content, path


KILLED = """
import sys, time
sys.path[:0] = [{tests!r}]
import retrieval.index
from pathlib import Path
from retrieval_doubles import HashingEncoder, made_up_films

class Slow(HashingEncoder):
    def encode(self, texts):
        vectors = super().encode(texts)
        print(len(self.asked), flush=True)
        if len(self.asked) >= 200:
            time.sleep(600)  # it is killed here
        return vectors

retrieval.index.BATCH_ITEMS = 10
retrieval.index.build_index(made_up_films(400), Path({root!r}), Slow())
"""


def test_a_killed_build_resumes(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    old = build_index(shop_items(), tmp_path, encoder)
    script = KILLED.format(tests=str(Path(__file__).parent), root=str(tmp_path))
    root = Path(__file__).parents[2]
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 200:
                break
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    assert names(tmp_path) == ["000001", "000002"]
    assert latest_complete(tmp_path) == old
    with pytest.raises(IndexUnavailable, match="no complete index"):
        open_index(tmp_path / "000002", encoder)
    encoder.asked.clear()
    folder = build_index(made_up_films(400), tmp_path, encoder)
    assert len(encoder.asked) == 400 - 190  # the batch of 10 that it died in was not committed
    assert folder.name == "000002"
    retriever = open_index(folder, encoder)
    assert len(retriever.search(Query((WeightedText("w3 w5"),))).candidates) == 200
    retriever.close()


def test_progress_counts_up(tmp_path: Path, small_batches: None) -> None:
    heard: list[tuple[str, int, int]] = []
    build_index(made_up_films(25), tmp_path, HashingEncoder(), progress=lambda *args: heard.append(args))
    assert heard == [("embed", 10, 25), ("embed", 20, 25), ("embed", 25, 25), ("words", 25, 25), ("done", 25, 25)]


def test_a_stream_of_unknown_length(tmp_path: Path, small_batches: None) -> None:
    heard: list[tuple[str, int, int]] = []
    folder = build_index(iter(made_up_films(12)), tmp_path, HashingEncoder(), progress=lambda *args: heard.append(args))
    assert heard[0] == ("embed", 10, 0)
    assert read_manifest(folder).n_items == 12


def test_no_item_and_one_item(tmp_path: Path, stores: VectorStores) -> None:
    encoder = HashingEncoder()
    with pytest.raises(CatalogueError, match="no item"):
        build_index([], tmp_path, encoder, stores=stores)
    assert names(tmp_path) == []
    retriever = open_index(
        build_index([Item("only", "The only one")], tmp_path, encoder, stores=stores), encoder, stores=stores
    )
    assert [one.item_id for one in retriever.search(Query((WeightedText("whales"),))).candidates] == ["only"]
    assert retriever.similar("only") == ()
    retriever.close()


def test_a_repeated_id_leaves_the_old_index(tmp_path: Path, stores: VectorStores) -> None:
    encoder = HashingEncoder()
    old = build_index(shop_items(), tmp_path, encoder, stores=stores)
    with pytest.raises(CatalogueError, match="'a' occurs twice"):
        build_index([*shop_items(), Item("a", "again")], tmp_path, encoder, stores=stores)
    assert names(tmp_path) == ["000001"]
    assert latest_complete(tmp_path) == old


class _FullDisk(HashingEncoder):
    def encode(self, texts: Sequence[str]) -> FloatArray:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_sentence_and_leaves_the_old_index(tmp_path: Path) -> None:
    old = build_index(shop_items(), tmp_path, HashingEncoder())
    with pytest.raises(DataDirectoryError, match="is full: free some space"):
        build_index(made_up_films(5), tmp_path, _FullDisk())
    assert names(tmp_path) == ["000001"]
    assert latest_complete(tmp_path) == old


def test_a_full_disk_under_the_items_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_path = Path.open

    def opening(path: Path, *args: object, **kwargs: object) -> object:
        return open_path(Path("/dev/full") if path.name == "items.jsonl.gz" else path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", opening)
    with pytest.raises(DataDirectoryError, match="is full"):
        build_index(made_up_films(2_000), tmp_path, HashingEncoder())
    assert names(tmp_path) == []


def test_a_root_that_cannot_be_written(tmp_path: Path) -> None:
    in_the_way = tmp_path / "index"
    in_the_way.write_text("a file")
    with pytest.raises(DataDirectoryError, match="CHATALOGUE_DATA_DIR"):
        build_index(shop_items(), in_the_way / "default", HashingEncoder())
    assert latest_complete(in_the_way) is None


def test_a_read_only_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = build_index(shop_items(), tmp_path, HashingEncoder())

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataDirectoryError, match="Read-only file system"):
        build_index(shop_items(), tmp_path, HashingEncoder())
    assert latest_complete(tmp_path) == old


def test_a_second_builder_is_refused(tmp_path: Path) -> None:
    class Meanwhile(HashingEncoder):
        def encode(self, texts: Sequence[str]) -> FloatArray:
            with pytest.raises(DataDirectoryError, match="Another process is building"):
                build_index(shop_items(), tmp_path, HashingEncoder())
            return super().encode(texts)

    first = Meanwhile()
    assert build_index(shop_items(), tmp_path, first).name == "000001"
    assert first.asked
    assert build_index(shop_items(), tmp_path, HashingEncoder()).name == "000002"  # the lock is free again


def test_a_damaged_cache_starts_anew(tmp_path: Path) -> None:
    (tmp_path / "embeddings.sqlite").write_bytes(b"this is no database " * 100)
    encoder = HashingEncoder()
    assert read_manifest(build_index(shop_items(), tmp_path, encoder)).embedded == 6


def test_prune(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    folders = [build_index(shop_items()[:n], tmp_path, encoder) for n in (1, 2, 3, 4)]
    (folders[3] / "manifest.json").unlink()
    assert prune(tmp_path, keep=2) == [folders[0]]
    assert names(tmp_path) == ["000002", "000003", "000004"]
    assert prune(tmp_path, keep=0) == [folders[1]]  # never the last one
    assert build_index(shop_items(), tmp_path, encoder) == folders[3]  # the unfinished one never existed


def test_an_index_is_found_by_its_source_and_goes_with_it(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    assert with_source(tmp_path / "nowhere", "a") is None
    assert prune_others(tmp_path / "nowhere", []) == []
    one, two, again = (build_index(shop_items(), tmp_path, encoder, source=source) for source in ("a", "b", "a"))
    crashed = tmp_path / "000009"
    crashed.mkdir()
    assert (with_source(tmp_path, "a"), with_source(tmp_path, "b"), with_source(tmp_path, "c")) == (again, two, None)
    assert prune_others(tmp_path, ["b"]) == [one, again, crashed]
    assert names(tmp_path) == ["000002"]
    assert (tmp_path / "embeddings.sqlite").exists()
    assert prune_others(tmp_path, []) == [two]
    assert not (tmp_path / "embeddings.sqlite").exists()  # vectors of an erased text would tell of it
    with pytest.raises(DataDirectoryError):
        remove(two)


def test_exact_only_opens_no_chroma_and_finds_exactly_the_nearest(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    folder = build_index(shop_items(), tmp_path, encoder)
    shutil.rmtree(folder / "chroma")
    with pytest.raises(IndexUnavailable, match="no Chroma store"):
        open_index(folder, encoder)
    retriever = open_index(folder, encoder, stores=None)
    probe = encoder.encode(["whales"])[0]
    found = retriever.search(Query((WeightedText("whales"),)))
    assert not found.degraded
    dense = sorted((one for one in found.candidates if "dense" in one.branches), key=lambda c: c.branches["dense"].rank)
    cosines = [float(retriever.vector_of(one.item_id) @ probe) for one in dense]
    assert len(cosines) == 6
    assert cosines == sorted(cosines, reverse=True)
    assert not (folder / "chroma").exists()
    retriever.close()


def test_the_total_of_a_sized_stream_is_told(tmp_path: Path) -> None:
    class Stream:
        def __len__(self) -> int:
            return 6

        def __iter__(self) -> Iterator[Item]:
            return iter(shop_items())

    told: list[tuple[str, int, int]] = []
    build_index(Stream(), tmp_path, HashingEncoder(), progress=lambda *report: told.append(report))
    assert told[0] == ("embed", 6, 6)


def test_what_open_refuses(tmp_path: Path) -> None:
    encoder = HashingEncoder()
    folder = build_index(shop_items(), tmp_path, encoder)
    with pytest.raises(IndexUnavailable, match="encoder 'hashing', the settings say 'another'"):
        open_index(folder, HashingEncoder("another"))
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"schema": 0}))
    with pytest.raises(IndexUnavailable, match="version 0, this program needs"):
        open_index(folder, encoder)
    (folder / "manifest.json").write_text(json.dumps(manifest | {"n_items": 7}))
    with pytest.raises(IndexUnavailable, match="holds 6 items, its manifest says 7"):
        open_index(folder, encoder)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(IndexUnavailable, match="manifest"):
        open_index(folder, encoder)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "items.jsonl.gz").write_bytes(b"junk")
    with pytest.raises(IndexUnavailable, match="items"):
        open_index(folder, encoder)


def test_an_old_index_serves_while_the_next_is_built(tmp_path: Path, stores: VectorStores) -> None:
    encoder = HashingEncoder()
    old = open_index(build_index(shop_items(), tmp_path, encoder, stores=stores), encoder, stores=stores)
    new = open_index(build_index(shop_items()[:3], tmp_path, encoder, stores=stores), encoder, stores=stores)
    query = Query((WeightedText("whales"),))
    assert (len(old.search(query).candidates), len(new.search(query).candidates)) == (6, 3)
    old.close()
    assert len(new.search(query).candidates) == 3
    new.close()


def test_import_needs_neither_torch_nor_chroma() -> None:
    code = (
        "import sys, time, retrieval.index; print([m for m in ('torch', 'chromadb', 'bm25s') if m in sys.modules]);"
        "print(time.process_time())"
    )
    answer = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", code], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": "."},
    )  # fmt: skip
    loaded, seconds = answer.stdout.split("\n")[:2]
    assert loaded == "[]"
    assert float(seconds) < 5  # of the processor: 0.2 where this was written
