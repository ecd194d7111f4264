"""A real catalogue repeated: as many items as asked for, copies as far apart as real neighbours, built only once."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from retrieval_doubles import HashingEncoder, made_up_films, shop_items

from retrieval.bench.scale import Copies, measure_scale, noise_of
from retrieval.demo import demo_films_path
from retrieval.encoder import FloatArray
from retrieval.text import plain


def unit(rows: FloatArray) -> FloatArray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_noise_gives_copies_the_cosine_of_real_neighbours() -> None:
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((50, 384), dtype=np.float32)
    pairs = unit(np.repeat(centres, 2, axis=0) + 0.5 * rng.standard_normal((100, 384), dtype=np.float32))
    real = float(np.median([pairs[i] @ pairs[i + 1] for i in range(0, 100, 2)]))
    encoder = HashingEncoder()
    encoder.dim = 384
    copies = Copies(made_up_films(100), pairs, noise_of(pairs), encoder)
    made = copies.encode([plain(item.document()) for item in copies.items(300)])
    assert np.array_equal(made[:100], pairs)  # the real items stay what they are
    assert np.linalg.norm(made, axis=1) == pytest.approx(np.ones(300), abs=1e-5)
    assert float(np.median([made[100 + i] @ made[200 + i] for i in range(100)])) == pytest.approx(real, abs=0.03)


def test_copies_have_ids_of_their_own_and_the_texts_of_their_items() -> None:
    real = shop_items()
    encoder = HashingEncoder()
    copies = Copies(real, encoder.encode([item.document() for item in real]), 0.5, encoder)
    items = list(itertools.islice(copies.items(1_000), 15))
    assert len({item.id for item in items}) == 15
    assert [item.text for item in items] == [item.text for item in (real * 3)[:15]]
    assert items[7].title == "Café Noir (1)"
    vectors = copies.encode([plain(item.document()) for item in items])
    again = list(copies.items(15))
    assert np.array_equal(copies.encode([plain(item.document()) for item in again]), vectors)


def test_an_index_is_built_once_and_measured_whenever_asked(tmp_path: Path) -> None:
    films = tmp_path / "films.jsonl"
    rows = demo_films_path().read_text(encoding="utf-8").splitlines()[:60]
    films.write_text("\n".join(rows), encoding="utf-8")
    said: list[str] = []
    encoder = HashingEncoder()
    first = measure_scale(films, 150, encoder, tmp_path / "scale", said.append)
    assert (first.n_items, first.n_real, first.built_now) == (150, 60, True)
    assert first.build is not None
    assert first.build.peak_rss_gib > 0
    assert first.dense_recall[10] == 1.0  # 150 items: HNSW sees them all
    assert any("150" in line for line in said)
    embedded = len(set(encoder.asked))
    again = measure_scale(films, 150, encoder, tmp_path / "scale", said.append)
    assert not again.built_now
    assert (again.build, again.noise) == (first.build, first.noise)
    assert len(set(encoder.asked)) == embedded  # nothing new was embedded
    assert len(list((tmp_path / "scale").glob("0*"))) == 1
