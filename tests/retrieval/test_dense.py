"""Chroma, embedded and a server, beside the exact scan: agreement, a score for itself, damage."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval.dense import VECTORS_FILE, DenseIndex, DenseWriter
from retrieval.errors import IndexUnavailable, NotFound
from retrieval.vectors import CHROMA_FOLDER, EF_SEARCH, EMBEDDED, VectorStores, ef_search_for

N, DIM = 1_500, 24
ID_RANK = np.arange(N, dtype=np.int32)


def vectors() -> np.ndarray:
    rng = np.random.default_rng(3)
    made = rng.standard_normal((N, DIM)).astype(np.float32)
    made[100:110] = made[5]  # ties
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def names(n: int) -> Sequence[str]:
    return [f"wp:{i}" for i in range(n)]


def write(folder: Path, rows: np.ndarray, stores: VectorStores = EMBEDDED) -> None:
    with DenseWriter(folder, DIM, stores) as writer:
        for start in range(0, len(rows), 400):
            part = rows[start : start + 400]
            ids = names(len(rows))[start : start + len(part)]
            writer.add(ids, [f"document {one}" for one in ids], part)
        writer.finish()


def open_dense(folder: Path, stores: VectorStores | None = EMBEDDED, n: int = N) -> DenseIndex:
    return DenseIndex(folder, names(n), dim=DIM, row_of=lambda name: int(name.removeprefix("wp:")), stores=stores)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, stores: VectorStores) -> Iterator[DenseIndex]:
    folder = tmp_path_factory.mktemp("dense")
    write(folder, vectors(), stores)
    opened = open_dense(folder, stores)
    assert opened.problem == ""
    yield opened
    opened.close()


def test_the_vector_file_holds_what_was_written(index: DenseIndex) -> None:
    assert np.array_equal(index.vectors, vectors())
    assert not index.vectors.flags.writeable


def test_hnsw_finds_what_the_scan_finds(index: DenseIndex) -> None:
    everything = np.ones(N, dtype=np.bool_)
    rng = np.random.default_rng(4)
    shares = []
    for probe in rng.standard_normal((20, DIM)).astype(np.float32):
        exact = index.scan(probe, k=200, allowed=everything, id_rank=ID_RANK)
        near = index.nearest(probe, k=200, id_rank=ID_RANK)
        assert len(near) == 200
        assert [score for _, score in near] == sorted((score for _, score in near), reverse=True)
        shares.append(len(dict(exact).keys() & dict(near).keys()) / 200)
    assert np.mean(shares) >= 0.98


@pytest.mark.parametrize("share", [0.5, 0.1, 0.01, 0.001])
def test_a_partial_scan_equals_the_full_scan_filtered_to_the_bit(index: DenseIndex, share: float) -> None:
    allowed = np.random.default_rng(5).random(N) < share
    allowed[[5, 101, 104]] = True
    probe = vectors()[7]
    full = index.scan(probe, k=N, allowed=np.ones(N, dtype=np.bool_), id_rank=ID_RANK)
    expected = [(row, score) for row, score in full if allowed[row]]
    assert index.scan(probe, k=200, allowed=allowed, id_rank=ID_RANK) == expected[:200]


def test_equal_vectors_come_by_id(index: DenseIndex) -> None:
    hits = index.scan(vectors()[5], k=6, allowed=np.ones(N, dtype=np.bool_), id_rank=ID_RANK)
    assert [row for row, _ in hits] == [5, 100, 101, 102, 103, 104]


def test_nothing_allowed_and_k_beyond_the_catalogue(index: DenseIndex) -> None:
    assert index.scan(vectors()[0], k=5, allowed=np.zeros(N, dtype=np.bool_), id_rank=ID_RANK) == []
    assert index.nearest(vectors()[0], k=0, id_rank=ID_RANK) == []
    assert len(index.nearest(vectors()[0], k=N + 50, id_rank=ID_RANK)) <= N


def test_one_row(tmp_path: Path, stores: VectorStores) -> None:
    write(tmp_path, vectors()[:1], stores)
    opened = open_dense(tmp_path, stores, 1)
    assert [row for row, _ in opened.nearest(vectors()[0], k=200, id_rank=ID_RANK)] == [0]
    opened.close()


def test_damage_is_one_sentence(tmp_path: Path) -> None:
    write(tmp_path, vectors()[:400])
    with pytest.raises(IndexUnavailable, match=r"shape \(400, 24\), the catalogue needs \(1500, 24\)"):
        open_dense(tmp_path)
    (tmp_path / CHROMA_FOLDER / "chroma.sqlite3").write_bytes(b"junk" * 500)
    with pytest.raises(IndexUnavailable, match="Chroma store cannot be opened"):
        open_dense(tmp_path, n=400)
    (tmp_path / CHROMA_FOLDER / "chroma.sqlite3").unlink()
    with pytest.raises(IndexUnavailable, match="no Chroma store"):
        open_dense(tmp_path, n=400)
    (tmp_path / VECTORS_FILE).write_bytes(b"junk")
    with pytest.raises(IndexUnavailable, match="cannot be read"):
        open_dense(tmp_path, n=400)


def test_an_id_that_the_catalogue_does_not_have_is_a_failure_of_the_store(tmp_path: Path, stores: VectorStores) -> None:
    write(tmp_path, vectors()[:10], stores)

    def unknown(item_id: str) -> int:
        raise NotFound(f"{item_id} is not there.")

    opened = DenseIndex(tmp_path, names(10), dim=DIM, row_of=unknown, stores=stores)
    with pytest.raises(IndexUnavailable, match="the catalogue does not"):
        opened.nearest(vectors()[0], k=3, id_rank=ID_RANK)
    opened.close()


def test_larger_catalogues_search_wider(tmp_path: Path, stores: VectorStores, monkeypatch: pytest.MonkeyPatch) -> None:
    """HNSW as it is set for a few ten thousand items finds 76 % of the nearest of a million."""
    assert ef_search_for(40_000) == EF_SEARCH < ef_search_for(100_000) < ef_search_for(1_000_000)
    write(tmp_path, vectors(), stores)
    monkeypatch.setattr("retrieval.vectors.EF_ITEMS", N // 4)
    opened = open_dense(tmp_path, stores)
    try:
        configured = opened._store._collection.configuration_json["hnsw"]["ef_search"]  # type: ignore[union-attr]
        assert configured == ef_search_for(N) > EF_SEARCH
        assert len(opened.nearest(vectors()[0], k=50, id_rank=ID_RANK)) == 50
    finally:
        opened.close()
