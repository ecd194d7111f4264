"""What indexing a catalogue costs, by `chatalogue index` in a process of its own, and how fast the index answers.

The queries are those of retrieval/bench/latency.py. Knows nothing of how an index is built.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from agent.datadir import DataDirectory
from agent.settings import Settings
from retrieval.demo import demo_articles_dir
from retrieval.errors import ChatalogueError
from retrieval.index import CACHE_FILE, ITEMS_FILE
from ui.bench.processes import CHATALOGUE, CommandFailed, Cost, environment, run_measured

Say = Callable[[str], None]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quantiles(_Frozen):
    """Milliseconds of one query, one at a time."""

    p50: float
    p95: float


class QueryTimes(_Frozen):
    """Search alone: embed, retrieve 200, fuse, filter. `filtered` is by the share of items that a filter leaves.

    `unfiltered` is by words and vectors alone, `first_day` with the branches that every shop has, `first_day_named` of
    texts that name an item; None where they were not measured yet.
    """

    n_queries: int
    encode_ms: Quantiles
    unfiltered_ms: Quantiles
    filtered_ms: dict[str, Quantiles]
    hnsw_recall_at_200: float
    serving_peak_rss_gib: float
    first_day_ms: Quantiles | None = None
    first_day_named_ms: Quantiles | None = None


class IndexCost(_Frozen):
    """One catalogue. `first` builds from nothing, `again` the same file once more: nothing needs embedding."""

    catalogue: str
    n_items: int
    n_rejected: int
    first: Cost
    again: Cost
    queries: QueryTimes


def measure_index(file: Path, settings: Settings, config: Path | None, say: Say) -> IndexCost:
    """Index `file` twice in the data directory of `settings`, which is emptied before, and time queries.

    The data directory keeps the catalogue live.

    Raises:
        CommandFailed: the file could not be indexed or searched; stderr says why.
    """
    if not file.is_file():
        raise CommandFailed(f"There is no catalogue {str(file)!r} to index; name a file of items.")
    folder = settings.data_dir
    shutil.rmtree(folder, ignore_errors=True)
    say(f"indexing {file.name} from nothing ...")
    first, indexed = _index(file, folder, config)
    say(f"{indexed['items']} items in {first.seconds:.0f} s; the same file again ...")
    again, indexed = _index(file, folder, config)
    say(f"{again.seconds:.0f} s; now queries ...")
    live = DataDirectory(folder).index(settings.tenant) / indexed["index"]
    return IndexCost(
        catalogue=file.name,
        n_items=indexed["items"],
        n_rejected=len(indexed["rejected"]),
        first=first,
        again=again,
        queries=_queries(live, folder),
    )


def _index(file: Path, folder: Path, config: Path | None) -> tuple[Cost, Mapping[str, Any]]:
    arguments = ["index", str(file.resolve()), "--keep-first", "--articles", str(demo_articles_dir()), "--json"]
    if config is not None:
        arguments += ["--config", str(config)]
    ran = run_measured((*CHATALOGUE, *arguments), environment(folder), f"Indexing {file.name}")
    return ran.cost, json.loads(ran.stdout)


def _queries(live: Path, folder: Path) -> QueryTimes:
    """Time queries on a copy of the index `live`: another process must not open the folder of a server."""
    own = folder / "queries"
    own.mkdir()
    shutil.copy(live.parent / CACHE_FILE, own)  # the vectors are there already: nothing is embedded again
    command = ("-m", "retrieval.bench.latency", "--items", str(live / ITEMS_FILE), "--folder", str(own))
    ran = run_measured((sys.executable, *command), environment(folder), "The benchmark of retrieval")
    try:
        return query_times(json.loads(ran.stdout))
    except (KeyError, ValueError) as error:
        raise ChatalogueError(f"The benchmark of retrieval said something that is not understood: {error!r}.") from None


def query_times(said: Mapping[str, Any]) -> QueryTimes:
    """What retrieval/bench/latency.py prints, with the figures that are reported.

    Raises:
        KeyError: a figure is missing.
        ValueError: a figure has another form.
    """
    filtered = {
        name.removeprefix("filtered_").removesuffix("_ms"): Quantiles.model_validate(times)
        for name, times in said.items()
        if name.startswith("filtered_")
    }
    return QueryTimes(
        n_queries=said["n_queries"],
        encode_ms=Quantiles.model_validate(said["encode_ms"]),
        unfiltered_ms=Quantiles.model_validate(said["unfiltered_ms"]),
        filtered_ms=filtered,
        hnsw_recall_at_200=said["hnsw_recall_at_200"],
        serving_peak_rss_gib=said["serving_peak_rss_gib"],
        first_day_ms=Quantiles.model_validate(said["first_day_ms"]),
        first_day_named_ms=Quantiles.model_validate(said["first_day_named_ms"]),
    )
