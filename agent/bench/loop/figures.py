"""What visits came to: success, the first list's nDCG, exposure of an item, and before against after, person by person.

Intervals are 95 % bootstrap intervals over people. Knows nothing of how visits are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.dialogue.figures import MUST_BE_NONE
from agent.bench.loop.town import Townsperson
from agent.bench.loop.visits import Visit
from agent.bench.personal import RESAMPLES, Mean
from agent.bench.spread import Spread

Array: TypeAlias = NDArray[np.float64]

WITHIN: Final = 3
"""Turns."""
PLACES: Final = 5
"""Of the first list that count."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Frozen):
    """The same people with one state of the shop.

    `success`: the share to whom an item that they would take was offered within `WITHIN` turns; `success_slang` of
    those who began in their own words. `ndcg`: of the first list, by the person's taste. `broken`: faults of which one
    is too many. `adapters` and `rankers`: how many answers, and first lists, each made.
    """

    name: str
    people: int
    success: Mean
    success_slang: Mean | None
    success_plain: Mean | None
    ndcg: Mean
    turn_ms: Spread | None
    broken: dict[str, int]
    adapters: dict[str, int]
    rankers: dict[str, int]


class Gain(_Frozen):
    """One arm minus another, person by person: above zero is better."""

    arm: str
    against: str
    people: int
    success: Mean
    success_slang: Mean | None
    ndcg: Mean


class Exposure(_Frozen):
    """How often one item stood in the first list of so many people. `rise` is person by person."""

    item_id: str
    people: int
    before: Mean
    after: Mean
    rise: Mean


def arm(name: str, visits: Sequence[Visit], people: Sequence[Townsperson]) -> Arm:
    """The figures of visits that stand in the order of `people`.

    Raises:
        ValueError: they do not.
    """
    _check(visits, people)
    success, slang = successes(visits), [one.slang for one in people]
    faults = Counter(fault for one in visits for fault, many in one.dialogue.faults.items() for _ in many)
    return Arm(
        name=name,
        people=len(visits),
        success=_mean(success),
        success_slang=_of(success, slang),
        success_plain=_of(success, [not one for one in slang]),
        ndcg=_mean(first_ndcgs(visits, people)),
        turn_ms=Spread.of([ms for one in visits for ms in one.dialogue.turn_ms]),
        broken={fault: faults[fault] for fault in MUST_BE_NONE},
        adapters=dict(Counter(adapter or "none" for one in visits for adapter in one.adapters)),
        rankers=dict(Counter(one.ranker or "none" for one in visits)),
    )


def gain(
    name: str, visits: Sequence[Visit], against: str, others: Sequence[Visit], people: Sequence[Townsperson]
) -> Gain:
    """The first visits minus the others, which are of the same people.

    Raises:
        ValueError: they are not.
    """
    _check(visits, people)
    _check(others, people)
    success = successes(visits) - successes(others)
    return Gain(
        arm=name,
        against=against,
        people=len(people),
        success=_mean(success),
        success_slang=_of(success, [one.slang for one in people]),
        ndcg=_mean(first_ndcgs(visits, people) - first_ndcgs(others, people)),
    )


def exposure(item_id: str, before: Sequence[Visit], after: Sequence[Visit], people: Sequence[Townsperson]) -> Exposure:
    """Of the same people, before and after.

    Raises:
        ValueError: they are not the same.
    """
    _check(before, people)
    _check(after, people)
    earlier, later = (np.array([item_id in first_list(one) for one in each], dtype=float) for each in (before, after))
    return Exposure(
        item_id=item_id, people=len(people), before=_mean(earlier), after=_mean(later), rise=_mean(later - earlier)
    )


def successes(visits: Sequence[Visit]) -> Array:
    """1 for each visit in which something that would be taken was offered within `WITHIN` turns."""
    ends = [one.dialogue.success for one in visits]
    return np.array([end is not None and end <= WITHIN for end in ends], dtype=np.float64)


def first_ndcgs(visits: Sequence[Visit], people: Sequence[Townsperson]) -> Array:
    """Of each first list the nDCG at `PLACES` (Jaervelin and Kekaelaeinen, 2002), gains by taste; 0 of no list."""
    return np.array([_ndcg(first_list(one), person) for one, person in zip(visits, people, strict=True)])


def first_list(one: Visit) -> tuple[str, ...]:
    """What the first answer offered."""
    return one.lists[0] if one.lists else ()


def reactions_of(visits: Sequence[Visit]) -> Mapping[str, int]:
    """How many of each kind all of them sent."""
    found: Counter[str] = Counter()
    for one in visits:
        found.update(one.reactions)
    return dict(found.most_common())


def _ndcg(offered: Sequence[str], person: Townsperson) -> float:
    places = 1 / np.log2(np.arange(2, PLACES + 2))
    gains = np.array([person.gain(item_id) for item_id in offered[:PLACES]])
    best = np.array([person.gain(item_id) for item_id in person.order[:PLACES]])
    return float((gains * places[: len(gains)]).sum() / (best * places[: len(best)]).sum())


def _check(visits: Sequence[Visit], people: Sequence[Townsperson]) -> None:
    if [one.person for one in visits] != [one.need.number for one in people]:
        raise ValueError("the visits are not those of these people, in this order")


def _of(numbers: Array, which: Sequence[bool]) -> Mean | None:
    chosen = numbers[np.array(which, dtype=bool)]
    return _mean(chosen) if len(chosen) else None


def _mean(numbers: Array) -> Mean:
    draws = np.random.default_rng(0).integers(0, len(numbers), (RESAMPLES, len(numbers)))
    low, high = np.quantile(numbers[draws].mean(axis=1), [0.025, 0.975])
    return Mean(value=round(float(numbers.mean()), 4), low=round(float(low), 4), high=round(float(high), 4))
