"""What a catalogue of many items costs: built through the product's own index, then searched.

    python -m retrieval.bench.scale --items movies.jsonl.gz --n 1000000 --folder /tmp/scale

No free catalogue of a million described items is at hand, so a real one is repeated: each copy has the texts of its
item (its title with a number) and its vector with seeded noise, as far from it as items of the real catalogue are from
their nearest neighbour. Queries are first sentences of real items. This measures time, memory and the recall of HNSW,
not the quality of what is found. A build that was stopped takes up the vectors that it had; a finished index is only
measured, so calling again on the same folder gives the memory of serving without that of building.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from retrieval.bench.latency import Quantiles, first_sentences, timed
from retrieval.cache import EmbeddingCache
from retrieval.encoder import Encoder, FloatArray, SentenceEncoder
from retrieval.index import CACHE_FILE, build_index, open_index, with_source
from retrieval.items import Item
from retrieval.loading import check_catalogue
from retrieval.query import Query, WeightedText
from retrieval.search import Retriever
from retrieval.text import plain
from retrieval.vectors import HNSW, ef_search_for

K = 200
CUTOFFS = (10, 50, 200)
QUERIES = 200
RECALL_QUERIES = 100
EMBED_BATCH = 512
NEIGHBOUR_SAMPLE = 500
"""Real items whose nearest neighbour sets the noise."""
SAID_EVERY = 10_000
"""Items between two lines about the progress."""
BUILD_FILE = "build.json"
_GIB = 2**30

Say = Callable[[str], None]


class Build(BaseModel):
    """What building cost: seconds from the first item to the manifest, and the process's peak memory until then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seconds: float
    peak_rss_gib: float


class QueryTimes(BaseModel):
    """One query at a time. `first_s` is the first one, which makes what is made on first use.

    `search_ms` is a whole search (embed, retrieve 200 by words and vectors, fuse), the others are parts of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n: int
    first_s: float
    encode_ms: Quantiles
    search_ms: Quantiles
    lexical_ms: Quantiles
    dense_ms: Quantiles


class ScaleReport(BaseModel):
    """One size.

    `n_real` items were repeated up to `n_items`; `noise` is the length of the noise of a copy's vector against the
    vector's 1. `dense_recall` by cutoff: the share of the exact nearest among the first so many that HNSW gave when
    asked for 200. `serving_rss_gib` is the memory of the process after all queries, mapped files that were read
    included; where the index was built in the same process (`built_now`), also what building left behind.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalogue: str
    n_items: int
    n_real: int
    noise: float
    encoder: str
    hnsw: dict[str, int]
    build: Build | None
    built_now: bool
    index_gib: float
    open_s: float
    times: QueryTimes
    dense_recall: dict[int, float]
    serving_rss_gib: float


def measure_scale(items_file: Path, n: int, encoder: Encoder, folder: Path, say: Say) -> ScaleReport:
    """Build an index of `n` items under `folder` (unless it is there) and time queries on it.

    Raises:
        CatalogueError: the file has no item.
        DataDirectoryError: the folder cannot be written, or the disk is full.
    """
    say(f"reading {items_file.name} ...")
    real = list(check_catalogue(items_file, keep_first=True))
    folder.mkdir(parents=True, exist_ok=True)
    source = f"scale-{n}-{items_file.name}"
    index = with_source(folder, source)
    built_now = index is None
    vectors = _real_vectors(real, encoder, folder / CACHE_FILE, say)
    noise = noise_of(vectors)
    if index is None:
        index = _build(Copies(real, vectors, noise, encoder), n, folder, source, say)
    del vectors
    build_file = index / BUILD_FILE
    build = Build.model_validate_json(build_file.read_text(encoding="utf-8")) if build_file.is_file() else None
    say("opening ...")
    started = time.perf_counter()
    retriever = open_index(index, encoder)
    open_s = time.perf_counter() - started
    try:
        times = _times(retriever, first_sentences(real, QUERIES), say)
        recall = _recall(retriever, first_sentences(real, RECALL_QUERIES), say)
    finally:
        retriever.close()
    return ScaleReport(
        catalogue=items_file.name,
        n_items=n,
        n_real=len(real),
        noise=round(noise, 3),
        encoder=encoder.name,
        hnsw={k: v for k, v in HNSW.items() if isinstance(v, int)} | {"ef_search": ef_search_for(n)},
        build=build,
        built_now=built_now,
        index_gib=round(sum(one.stat().st_size for one in index.rglob("*") if one.is_file()) / _GIB, 2),
        open_s=round(open_s, 1),
        times=times,
        dense_recall=recall,
        serving_rss_gib=_rss_gib(),
    )


def noise_of(vectors: FloatArray) -> float:
    """The length of noise that makes two copies of an item as alike as neighbours of the real catalogue are.

    Two copies of a unit vector with noise of length s have a cosine of about 1 / (1 + s^2); that is set to the median
    cosine of a real vector and its nearest neighbour. `vectors` float32, (n, dim), of length 1.
    """
    rows = np.linspace(0, len(vectors) - 1, min(NEIGHBOUR_SAMPLE, len(vectors))).astype(np.int64)
    cosines = vectors[rows] @ vectors.T
    cosines[np.arange(len(rows)), rows] = -1.0
    nearest = float(np.median(cosines.max(axis=1)))
    return float(np.sqrt(max(1.0 / min(max(nearest, 0.1), 0.999) - 1.0, 0.0)))


class Copies:
    """A real catalogue, repeated: the items for `build_index` and, as their encoder, the vectors of the copies."""

    def __init__(self, real: Sequence[Item], vectors: FloatArray, noise: float, encoder: Encoder) -> None:
        self.name = encoder.name
        self.dim = encoder.dim
        self._real = real
        self._vectors = vectors
        self._noise = noise
        self._pending: dict[str, tuple[int, int]] = {}  # document of a copy -> row of its item, number

    def items(self, n: int) -> Iterator[Item]:
        """`n` items: the real ones first, then copy after copy of each."""
        for number in range(n):
            copy, row = divmod(number, len(self._real))
            item = self._real[row]
            if copy:
                item = replace(item, id=f"{item.id}~{copy}", title=f"{item.title} ({copy})")
            self._pending[plain(item.document())] = (row, copy)
            yield item

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Vectors of documents that `items` gave since the last call."""
        made = np.empty((len(texts), self.dim), dtype=np.float32)
        for place, text in enumerate(texts):
            row, copy = self._pending[text]
            made[place] = self._vectors[row]
            if copy:
                drawn = np.random.default_rng((row, copy)).standard_normal(self.dim, dtype=np.float32)
                made[place] += drawn * np.float32(self._noise / np.linalg.norm(drawn))
                made[place] /= np.linalg.norm(made[place])
        self._pending.clear()
        return made


def _build(copies: Copies, n: int, folder: Path, source: str, say: Say) -> Path:
    def progress(stage: str, done: int, of: int) -> None:
        if done % SAID_EVERY < EMBED_BATCH or stage != "embed":
            say(f"{stage}: {done} of {n}")

    started = time.perf_counter()
    index = build_index(copies.items(n), folder, copies, progress=progress, source=source)
    peak = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _GIB, 2)
    build = Build(seconds=round(time.perf_counter() - started, 1), peak_rss_gib=peak)
    (index / BUILD_FILE).write_text(build.model_dump_json(), encoding="utf-8")
    return index


def _real_vectors(real: Sequence[Item], encoder: Encoder, cache_file: Path, say: Say) -> FloatArray:
    """float32, (len(real), dim); what the cache lacks is embedded and kept there."""
    cache = EmbeddingCache(cache_file, encoder.name, encoder.dim)
    made = np.empty((len(real), encoder.dim), dtype=np.float32)
    try:
        for start in range(0, len(real), EMBED_BATCH):
            batch = real[start : start + EMBED_BATCH]
            texts = {item.content_hash(): plain(item.document()) for item in batch}
            known = cache.get(list(texts))
            missing = [one for one in texts if one not in known]
            if missing:
                fresh = dict(zip(missing, encoder.encode([texts[one] for one in missing]), strict=True))
                cache.put(fresh)
                known |= fresh
                say(f"embedding real items: {start + len(batch)} of {len(real)}")
            made[start : start + len(batch)] = [known[item.content_hash()] for item in batch]
    finally:
        cache.close()
    return made


def _times(retriever: Retriever, texts: Sequence[str], say: Say) -> QueryTimes:
    started = time.perf_counter()
    retriever.search(Query((WeightedText(texts[0]),), k=K))
    first_s = time.perf_counter() - started
    say(f"timing {len(texts)} queries ...")
    everything = np.ones(len(retriever.table), dtype=np.bool_)
    id_rank = retriever.table.id_rank
    vectors = dict(zip(texts, retriever.encoder.encode(texts), strict=True))
    return QueryTimes(
        n=len(texts),
        first_s=round(first_s, 2),
        encode_ms=timed(lambda text: retriever.encoder.encode([text]), texts),
        search_ms=timed(lambda text: retriever.search(Query((WeightedText(text),), k=K)), texts),
        lexical_ms=timed(lambda text: retriever.lexical.search(text, k=K, allowed=everything, id_rank=id_rank), texts),
        dense_ms=timed(lambda text: retriever.dense.nearest(vectors[text], k=K, id_rank=id_rank), texts),
    )


def _recall(retriever: Retriever, texts: Sequence[str], say: Say) -> dict[int, float]:
    """By cutoff: the share of the exact nearest that stands among the first so many of what HNSW found."""
    say(f"recall of {len(texts)} queries against the exact scan ...")
    everything = np.ones(len(retriever.table), dtype=np.bool_)
    shares: dict[int, list[float]] = {cutoff: [] for cutoff in CUTOFFS}
    for vector in retriever.encoder.encode(texts):
        exact = retriever.dense.scan(vector, k=K, allowed=everything, id_rank=retriever.table.id_rank)
        found = retriever.dense.nearest(vector, k=K, id_rank=retriever.table.id_rank)
        for cutoff in CUTOFFS:
            wanted = {row for row, _ in exact[:cutoff]}
            shares[cutoff].append(len(wanted & {row for row, _ in found[:cutoff]}) / max(len(wanted), 1))
    return {cutoff: round(float(np.mean(found)), 4) for cutoff, found in shares.items()}


def _rss_gib() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / _GIB, 2)


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--items", type=Path, required=True, help="the real catalogue")
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, required=True, help="where the index is built, and found the next time")
    options = parser.parse_args(argv)
    report = measure_scale(options.items, options.n, SentenceEncoder(), options.folder, _say)
    sys.stdout.write(report.model_dump_json(indent=2) + "\n")


if __name__ == "__main__":
    main()
