"""How fast and how exact search is, and what an index costs to build.

    python -m retrieval.bench.latency --items movies.jsonl.gz --folder /tmp/bench

Reads any file that `chatalogue index --keep-first` reads. Prints one JSON object on stdout. Queries are first sentences
of items, taken evenly from the catalogue, so their words are real but easy: this measures time and agreement, not
quality. `first_day` is a search with the branches of `retrieval.unlearned`, `named` one that names an item.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrieval.cores import usable_cores
from retrieval.encoder import Encoder, SentenceEncoder
from retrieval.index import build_index, open_index
from retrieval.items import Item
from retrieval.loading import check_catalogue
from retrieval.query import Filter, Query, WeightedText
from retrieval.search import Retriever
from retrieval.unlearned import unlearned

K = 200
WARM_UP_QUERIES = 10


class Quantiles(BaseModel):
    """Milliseconds of one query, one at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    p50: float
    p95: float


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--items", type=Path, required=True, help="the catalogue")
    parser.add_argument(
        "--folder", type=Path, help="keep the index and its embedding cache here (default: a temporary one)"
    )
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        result = run(
            options.items, options.folder or Path(temporary), options.queries, SentenceEncoder(dtype=options.dtype)
        )
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


def run(file: Path, root: Path, n_queries: int, encoder: Encoder) -> dict[str, Any]:
    """Build an index of `file` under `root`, then time `n_queries` queries on it."""
    encoder.encode(["warm"])
    started = time.perf_counter()
    folder = build_index(check_catalogue(file, keep_first=True), root, encoder, progress=_say, source=file.name)
    build_s = time.perf_counter() - started
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    started = time.perf_counter()
    retriever = open_index(folder, encoder)
    open_s = time.perf_counter() - started
    texts = first_sentences(retriever.table.items, n_queries)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    result = {
        "machine": {
            "cores": usable_cores(),
            "python": platform.python_version(),
            "load_1m": os.getloadavg()[0],
        },
        "encoder": encoder.name,
        "n_items": len(retriever.table),
        "n_embedded": manifest["embedded"],
        "build_s": round(build_s, 1),
        "build_peak_rss_gib": round(peak_gib, 2),
        "open_s": round(open_s, 2),
        "n_queries": len(texts),
        "encode_ms": timed(lambda text: encoder.encode([text]), texts).model_dump(),
        "unfiltered_ms": timed(_searching(retriever, ()), texts).model_dump(),
    }
    for share, filters in _filters(retriever):
        result[f"filtered_{share:.2%}_ms"] = timed(_searching(retriever, filters), texts).model_dump()
    retriever.further = unlearned(retriever.table)
    result["first_day_ms"] = timed(_searching(retriever, ()), texts).model_dump()
    titles = [f"something like {item.title}" for item in spread(retriever.table.items, n_queries)]
    result["first_day_named_ms"] = timed(_searching(retriever, ()), titles).model_dump()
    result["hnsw_recall_at_200"] = round(_recall(retriever, texts), 4)
    result["serving_peak_rss_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
    retriever.close()
    return result


def first_sentences(items: Sequence[Item], n: int) -> list[str]:
    """First sentences without the title, from items spread evenly over the catalogue."""
    texts = []
    for item in spread(items, n):
        sentence = re.split(r"(?<=[.!?])\s", item.text.replace(item.title, "it"), maxsplit=1)[0]
        texts.append(sentence[:200] or item.title)
    return texts


def spread(items: Sequence[Item], n: int) -> Sequence[Item]:
    """About `n` items, evenly over the catalogue."""
    return items[:: max(1, len(items) // n)][:n]


def _filters(retriever: Retriever) -> Iterator[tuple[float, tuple[Filter, ...]]]:
    """Bounds on the number attribute that most items have, leaving about 50, 10, 1 and 0.1 %."""
    shapes = [one for one in retriever.table.shape.attributes.values() if one.kind == "number"]
    if not shapes:
        return
    name = max(shapes, key=lambda one: one.count).name
    numbers = retriever.table.numbers(name)
    for share in (0.5, 0.1, 0.01, 0.001):
        filters = (Filter(name, "ge", (float(np.nanquantile(numbers, 1 - share)),)),)
        yield retriever.table.count(filters) / len(retriever.table), filters


def _searching(retriever: Retriever, filters: tuple[Filter, ...]) -> Callable[[str], object]:
    return lambda text: retriever.search(Query((WeightedText(text),), filters=filters, k=K))


def timed(call: Callable[[str], object], texts: Sequence[str]) -> Quantiles:
    """How long `call` takes for a text, after a few to warm up."""
    for text in texts[:WARM_UP_QUERIES]:
        call(text)
    times = []
    for text in texts:
        started = time.perf_counter()
        call(text)
        times.append((time.perf_counter() - started) * 1_000)
    return Quantiles(p50=round(float(np.quantile(times, 0.5)), 1), p95=round(float(np.quantile(times, 0.95)), 1))


def _recall(retriever: Retriever, texts: Sequence[str]) -> float:
    """Share of the exact 200 nearest that HNSW finds."""
    vectors = retriever.encoder.encode(texts)
    everything = np.ones(len(retriever.table), dtype=np.bool_)
    shares = []
    for vector in vectors:
        exact = retriever.dense.scan(vector, k=K, allowed=everything, id_rank=retriever.table.id_rank)
        found = retriever.dense.nearest(vector, k=K, id_rank=retriever.table.id_rank)
        shares.append(len({row for row, _ in exact} & {row for row, _ in found}) / max(len(exact), 1))
    return float(np.mean(shares))


def _say(stage: str, done: int, total: int) -> None:
    sys.stderr.write(f"\r{stage} {done}" + (f" of {total}" if total else ""))
    if stage == "done":
        sys.stderr.write("\n")


if __name__ == "__main__":
    main()
