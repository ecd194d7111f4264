"""One training as it lies on disk, and what a report says of it. Knows no steps and no gate.

The folder is described in agent/runs.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from agent.runs import JOB, ROWS, run_state
from finetune.cycle_report import Gain, put
from finetune.cycle_rows import CycleRows
from finetune.dataset import read_rows
from finetune.feedback.types import FeedbackRow
from finetune.gating.types import Verdict

FRESH: Final = "fresh"
"""The gate's rule whose number says whether the adapter helps."""


class Erased(Exception):
    """Somebody whose rows are learned from is to be forgotten: what was trained so far is thrown away."""


class Stopped(BaseException):
    """Somebody asked the job to stop; it goes on with the next one. It passes the gate, which catches all faults."""


@dataclass(frozen=True)
class Run:
    """One training. `fields` are those of job.json."""

    folder: Path
    fields: Mapping[str, Any]

    @property
    def adapter(self) -> str:
        """Id of the adapter that comes of it."""
        return self.folder.name

    @property
    def champion(self) -> str | None:
        """The champion when it began; None: the adapter of the settings was."""
        return self.fields["champion"]  # type: ignore[no-any-return]

    def noted(self, **changed: object) -> Run:
        """With other fields, which are on disk then.

        Raises:
            Erased: it was thrown away meanwhile.
        """
        if run_state(self.folder) is None:
            raise Erased
        one = replace(self, fields={**self.fields, **changed})
        put(self.folder / JOB, json.dumps(one.fields, indent=1, sort_keys=True) + "\n")
        return one

    def rows(self) -> tuple[FeedbackRow, ...]:
        """What it learns from, the held-out ones among them."""
        return read_rows(self.folder / ROWS)


def read_run(folder: Path) -> Run:
    """What job.json says.

    Raises:
        Erased: it was thrown away.
    """
    try:
        return Run(folder, json.loads((folder / JOB).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise Erased from None


def counted_in(found: CycleRows, wanted: int) -> dict[str, Any]:
    """What there is to learn from, in numbers and under "told" in words."""
    data, n = found.data, len(found.rows)
    kinds = {kind: sum(row.kind == kind for row in found.rows) for kind in ("sft", "kto", "dpo", "rank")}
    told = [f"{n} of {wanted} rows of new feedback, of {len({row.user for row in found.rows})} customers."]
    waiting = sum(data.held.values())
    if waiting:
        told.append(f"{waiting} wait for a human (`chatalogue feedback queue`).")
    for item, ids in found.quarantine.items():
        shift = found.shift
        rise = f"{shift.rise:.0%}" if shift is not None else ""
        told.append(
            f"Alarm: {item} has {rise} more of all likes than before, which chance does not do; its {len(ids)} rows "
            "are left out (`chatalogue feedback label EVENT good` lets one in)."
        )
    return {
        "told": " ".join(told), "rows": n, "of": wanted, "kinds": kinds, "held": dict(data.held),
        "refused": data.refused, "left_out": dict(data.left_out),
        "quarantine": {item: list(ids) for item, ids in found.quarantine.items()},
    }  # fmt: skip


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """What job.json keeps of it."""
    told = verdict.for_manifest()
    metrics = {
        name: {"value": one.value, "low": one.low, "high": one.high, "n": one.n}
        for name, one in verdict.metrics().items()
    }
    return {
        "passed": verdict.passed, "reason": told.reason, "thresholds": dict(told.thresholds), "metrics": metrics,
    }  # fmt: skip


def gain_of(told: Mapping[str, Any]) -> Gain | None:
    """What the gate's rule on fresh rows found, the first of its numbers."""
    for name, one in told["metrics"].items():
        rule, _, what = name.partition(": ")
        if rule == FRESH:
            return Gain(one["value"], one["low"], one["high"], one["n"], what)
    return None
