"""The figures of simulated conversations: success, turns, faults, each with an interval over needs.

pass^k, the share of needs that succeed in all of k runs, is that of tau-bench (Yao et al., 2024).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.dialogue.needs import MAX_PATIENCE, Need
from agent.bench.dialogue.runner import FAULTS, Dialogue, Fault
from agent.bench.personal import RESAMPLES, Mean
from agent.bench.spread import Spread

WITHIN = (1, 3, 5, 10)
"""Turns within which success is told."""
MUST_BE_NONE: Final[tuple[Fault, ...]] = (
    "hard wish broken",
    "title not in the catalogue",
    "item named that was not shown",
    "claim unsupported",
    "turn failed",
)
"""Faults of which one is too many; the others are dull, not false."""
UNKNOWN_WITHOUT_OBJECT = (
    "hard wish broken: whatever is named counts as offered, also what is advised against",
    "title not in the catalogue: only lines of a list and titles with a year are looked at",
    "item named that was not shown: not counted, since what is named is taken for offered",
    "claim unsupported: only of items that are named by the catalogue's own title",
    "question repeated: a question is the last sentence, its attribute the one that it names",
)
"""What is less than sure of a bot that sends no `chatalogue` object."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Within(_Frozen):
    """The share of conversations in which a target was offered within so many turns."""

    within_turns: int
    success: Mean


class Faults(_Frozen):
    """How often a thing was wrong in all conversations, and the share of needs in which it was at all."""

    fault: Fault
    times: int
    needs: Mean


class Figures(_Frozen):
    """`needs` customers, each `runs` times; brackets are 95 % bootstrap intervals over needs.

    `passed_all_runs` is pass^k with k = `runs`; `turns_to_success` is over the conversations that succeeded. `left` is
    how many ended with the customer's patience, `acts` how often customers did what. Of `phrasable` messages (those
    with values) `phrased` are in a language model's words. `turn_ms` is the time of a reply as the customer sees it.
    """

    needs: int
    runs: int
    turns: int
    passed_all_runs: Mean
    turns_to_success: Mean | None
    success: list[Within]
    faults: list[Faults]
    left: int
    acts: dict[str, int]
    phrasable: int
    phrased: int
    turn_ms: Spread | None


class Cell(_Frozen):
    """One bot. `full_text`: the conversations in which the language model wrote; None: there are none of their own.

    `unknown` says what of the figures is not sure.
    """

    cell: str
    bot: str
    figures: Figures
    full_text: Figures | None
    unknown: list[str]


class Difference(_Frozen):
    """A cell minus the first one, need by need: above zero is better than that one."""

    cell: str
    against: str
    needs: int
    success: list[Within]
    passed_all_runs: Mean


class Drawn(_Frozen):
    """How many of the needs have what; `targets` are the items that would do, `impatient` leaves before turn 10."""

    targets: Spread
    hard_wishes: int
    soft_wishes: int
    unwanted_values: int
    bounds: int
    said_later: int
    never_said_unasked: int
    changes_of_mind: int
    impatient: int


class DialogueReport(_Frozen):
    """What customers with needs from one catalogue made of several bots; `customer`: whose words they use."""

    catalogue: str
    items: int
    needs: int
    runs: int
    seed: int
    customer: str
    drawn: Drawn
    cells: list[Cell]
    differences: list[Difference]


def drawn_of(needs: Sequence[Need]) -> Drawn:
    """What the needs are like: in how many there is a second hard wish, a soft one, and so on."""
    wishes = [need.wishes for need in needs]
    targets = Spread.of([len(need.targets) for need in needs])
    if targets is None:
        raise ValueError("there are no needs")
    return Drawn(
        targets=targets,
        hard_wishes=sum(sum(wish.hard for wish in own) > 1 for own in wishes),
        soft_wishes=sum(any(not wish.hard for wish in own) for own in wishes),
        unwanted_values=sum(any(wish.op == "ne" for wish in own) for own in wishes),
        bounds=sum(any(wish.op in ("le", "ge") for wish in own) for own in wishes),
        said_later=sum(any(wish.told == "later" for wish in own) for own in wishes),
        never_said_unasked=sum(any(wish.told == "asked" for wish in own) for own in wishes),
        changes_of_mind=sum(need.mistaken is not None for need in needs),
        impatient=sum(need.patience < MAX_PATIENCE for need in needs),
    )


def figures_of(dialogues: Sequence[Dialogue], runs: int) -> Figures:
    """The figures of conversations that stand need by need, `runs` of each."""
    ended = _ended(dialogues, runs)
    counts = {fault: [len(one.faults.get(fault, ())) for one in dialogues] for fault in FAULTS}
    return Figures(
        needs=len(ended),
        runs=runs,
        turns=sum(one.turns for one in dialogues),
        passed_all_runs=_ratio(_passed(ended)),
        turns_to_success=_turns(ended),
        success=[Within(within_turns=k, success=_ratio((ended <= k).mean(axis=1))) for k in WITHIN],
        faults=[
            Faults(fault=fault, times=sum(many), needs=_ratio((_by_need(many, runs) > 0).any(axis=1).astype(float)))
            for fault, many in counts.items()
        ],
        left=sum(one.success is None and "turn failed" not in one.faults for one in dialogues),
        acts=dict(Counter(act for one in dialogues for act in one.acts).most_common()),
        phrasable=sum(one.phrasable for one in dialogues),
        phrased=sum(one.phrased for one in dialogues),
        turn_ms=Spread.of([ms for one in dialogues for ms in one.turn_ms]),
    )


def difference(
    cell: str, dialogues: Sequence[Dialogue], against: str, others: Sequence[Dialogue], runs: int
) -> Difference:
    """The first conversations against the others, which are about the same needs in the same order."""
    ours, theirs = _ended(dialogues, runs), _ended(others, runs)
    return Difference(
        cell=cell,
        against=against,
        needs=len(ours),
        success=[
            Within(within_turns=k, success=_ratio((ours <= k).mean(axis=1) - (theirs <= k).mean(axis=1)))
            for k in WITHIN
        ],
        passed_all_runs=_ratio(_passed(ours) - _passed(theirs)),
    )


def _ended(dialogues: Sequence[Dialogue], runs: int) -> NDArray[np.float64]:
    """The turn of success, infinite where there was none: (needs, runs)."""
    return _by_need([np.inf if one.success is None else one.success for one in dialogues], runs)


def _passed(ended: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 for each need that succeeded in all runs: (needs,)."""
    return np.asarray(np.isfinite(ended).all(axis=1), dtype=np.float64)


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
