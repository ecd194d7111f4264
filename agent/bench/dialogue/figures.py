"""The figures of simulated conversations: success, turns, faults, each with an interval over needs.

pass^k, the share of needs that succeed in all of k runs, is that of tau-bench (Yao et al., 2024).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.dialogue.runner import Dialogue
from agent.bench.personal import RESAMPLES, Mean

WITHIN = (1, 3, 5, 10)
"""Turns within which success is told."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Within(_Frozen):
    """The share of conversations in which a target was offered within so many turns."""

    within_turns: int
    success: Mean


class Faults(_Frozen):
    """How often a thing was wrong in all conversations, and the share of needs in which it was at all."""

    fault: str
    times: int
    needs: Mean


class DialogueReport(_Frozen):
    """`needs` customers, each `runs` times; brackets are 95 % bootstrap intervals over needs.

    `passed_all_runs` is pass^k with k = `runs`; `turns_to_success` is over the conversations that succeeded.
    """

    bot: str
    catalogue: str
    items: int
    needs: int
    runs: int
    seed: int
    turns: int
    passed_all_runs: Mean
    turns_to_success: Mean | None
    success: list[Within]
    faults: list[Faults]


def figures_of(
    dialogues: Sequence[Dialogue], *, bot: str, catalogue: str, items: int, runs: int, seed: int
) -> DialogueReport:
    """The report of conversations that stand need by need, `runs` of each."""
    ended = _by_need([np.inf if one.success is None else one.success for one in dialogues], runs)
    faults = {
        "hard wish broken": [len(one.broken) for one in dialogues],
        "title not in the catalogue": [len(one.invented) for one in dialogues],
        "question repeated": [len(one.repeated) for one in dialogues],
        "claim unsupported": [len(one.unsupported) for one in dialogues],
        "turn failed": [int(bool(one.failed)) for one in dialogues],
    }
    return DialogueReport(
        bot=bot,
        catalogue=catalogue,
        items=items,
        needs=len(ended),
        runs=runs,
        seed=seed,
        turns=sum(one.turns for one in dialogues),
        passed_all_runs=_ratio(np.isfinite(ended).all(axis=1).astype(float)),
        turns_to_success=_turns(ended),
        success=[Within(within_turns=k, success=_ratio((ended <= k).mean(axis=1))) for k in WITHIN],
        faults=[
            Faults(fault=name, times=sum(counts), needs=_ratio((_by_need(counts, runs) > 0).any(axis=1).astype(float)))
            for name, counts in faults.items()
        ],
    )


def _by_need(numbers: Sequence[float], runs: int) -> NDArray[np.float64]:
    """float64, (needs, runs)."""
    return np.array(numbers, dtype=np.float64).reshape(-1, runs)


def _turns(ended: NDArray[np.float64]) -> Mean | None:
    succeeded = np.isfinite(ended)
    if not succeeded.any():
        return None
    return _ratio(np.where(succeeded, ended, 0).sum(axis=1), succeeded.sum(axis=1).astype(float))


def _ratio(numbers: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> Mean:
    """Sum over sum, needs drawn again; draws in which nothing counts are left out."""
    weights = np.ones(len(numbers)) if weights is None else weights
    draws = np.random.default_rng(0).integers(0, len(numbers), (RESAMPLES, len(numbers)))
    below = weights[draws].sum(axis=1)
    drawn = numbers[draws].sum(axis=1)[below > 0] / below[below > 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = numbers.sum() / weights.sum()
    return Mean(value=round(float(value), 4), low=round(float(low), 4), high=round(float(high), 4))
