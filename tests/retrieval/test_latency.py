"""The benchmark of retrieval reads what `chatalogue index` reads, also the items of an index."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from retrieval_doubles import HashingEncoder

from retrieval.bench.latency import run
from retrieval.demo import demo_films_path
from retrieval.index import ITEMS_FILE


def test_an_indexs_items_are_measured_without_embedding_again(tmp_path: Path) -> None:
    films = tmp_path / "films.jsonl"
    rows = demo_films_path().read_text(encoding="utf-8").splitlines()[:40]
    films.write_text("\n".join([*rows, rows[0]]), encoding="utf-8")  # of equal ids the first is kept
    first = run(films, tmp_path / "first", 5, HashingEncoder())
    assert (first["n_items"], first["n_embedded"], first["n_queries"]) == (40, 40, 5)
    (tmp_path / "second").mkdir()
    shutil.copy(tmp_path / "first" / "embeddings.sqlite", tmp_path / "second")
    second = run(tmp_path / "first" / "000001" / ITEMS_FILE, tmp_path / "second", 5, HashingEncoder())
    assert (second["n_items"], second["n_embedded"]) == (40, 0)
    for name in ("encode_ms", "unfiltered_ms", "first_day_ms", "first_day_named_ms"):
        assert 0 < second[name]["p50"] <= second[name]["p95"]
    assert json.dumps(second)
