"""What a benchmark run says of its lists, as it stands in the benchmark file. Knows nothing of how it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.bench.retrieval.exposure import Exposure
from agent.bench.retrieval.leaks import Finding
from agent.bench.retrieval.recall import Comparison, Interval, Scores
from agent.bench.spread import Spread

CEILING_K = 200
"""Items of each branch among which a ranker could look."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ceiling(_Frozen):
    """Share of the `n` novel labels among the first `CEILING_K` of a branch, whose lists have `ids` items (median)."""

    branch: str
    n: int
    recall: Interval
    ids: float


class Diversified(_Frozen):
    """The same lists, reordered with the knob at `knob`; `distance` is the mean of 1 - cosine within the first ten."""

    knob: float
    distance: float
    coverage: float
    gini: float
    novel: Scores


class RetrievalFigures(_Frozen):
    """Everything said of one run; None and () where the test rows have no targets.

    `novel` and `everything` are recall of both kinds of labels. `in_catalogue` is the share of the novel labels that
    the items have at all. `ms` is for one row, from the words to the list. `importance` by feature, largest first.
    """

    n_items: int
    n_train: int
    n_rows: int
    without: tuple[str, ...]
    novel: Scores | None
    everything: Scores | None
    in_catalogue: Interval | None
    ceilings: tuple[Ceiling, ...]
    exposure: Exposure
    diversity: tuple[Diversified, ...]
    ms: Spread | None
    fit_s: float
    importance: Mapping[str, float]
    leaks: tuple[Finding, ...]


class ComparedFiles(_Frozen):
    """The second prediction file minus the first; None where no row has such a label. `missing`: rows without list."""

    first: str
    second: str
    missing: tuple[int, int]
    novel: Comparison | None
    everything: Comparison | None


class AblationRow(_Frozen):
    """One part left out of the full system, or one that is not in it added; `difference` is this minus the full one."""

    part: str
    change: Literal["left out", "added"]
    novel: Scores
    difference: Comparison


class Ablation(_Frozen):
    """What each part is worth on one set, by novel labels."""

    n_train: int
    full: Scores
    rows: tuple[AblationRow, ...]
