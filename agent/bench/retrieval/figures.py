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
SLATE = 5
"""Places of a list that a customer is shown by default."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ceiling(_Frozen):
    """Share of the `n` novel labels among the first `CEILING_K` of a branch, whose lists have `ids` items (median)."""

    branch: str
    n: int
    recall: Interval
    ids: float


class Diversified(_Frozen):
    """The same lists with the first `SLATE` places given anew, the knob at `knob`.

    Within these places: `distance` is the mean of 1 - cosine, `miscalibration` the mean divergence from the taste that
    the items spoken of show (nats; None where none has the attribute), `in_slate` the recall, with coverage and Gini.
    """

    way: Literal["likeness", "calibration"] = "likeness"
    knob: float
    distance: float
    miscalibration: float | None = None
    coverage: float
    gini: float
    in_slate: Interval | None = None
    novel: Scores


class ModelOrder(_Frozen):
    """How the language model ordered the first `n` of each list, too; `unanswered` lists are the ranker's.

    `adapter` None: the base model, untuned; `prior` None: it is weighed by `agent.rank.blend.UNTUNED_WEIGHT`.
    """

    model: str
    adapter: str | None
    prior: float | None
    n: int
    unanswered: int


class RetrievalFigures(_Frozen):
    """Everything said of one run; None and () where the test rows have no targets.

    `novel` and `everything` are recall of both kinds of labels. `in_catalogue` is the share of the novel labels that
    the items have at all. `ms` is for one row, from the words to the list. `importance` by feature, largest first.
    `llm` is None where the language model was not asked.
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
    llm: ModelOrder | None = None


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

    def with_row(self, row: AblationRow) -> Ablation:
        """With the row in the place of the one for the same part, else at the end."""
        rows = {one.part: one for one in self.rows} | {row.part: row}
        return self.model_copy(update={"rows": tuple(rows.values())})

    def onto(self, earlier: Ablation | None) -> Ablation:
        """These rows on top of an earlier run's, whose rows stay if they are differences to the same full system."""
        if earlier is None or (earlier.n_train, earlier.full) != (self.n_train, self.full):
            return self
        together = earlier
        for row in self.rows:
            together = together.with_row(row)
        return together
