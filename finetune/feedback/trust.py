"""What a row may count: copies and bursts count less, nobody and no item counts more than a share, doubts wait.

In this order: campaigns are found and held back with everything else that a human should see first; copies of one
opinion are weighed down, those of one customer and those of several in the same words; so are bursts; then caps on what
one customer says of one item, on one customer, and on one item. The bounds hold for each kind of rows by itself. Not
covered: customers who are invented one by one and differ in words, items and times; the exposure alarm is for those
(finetune/feedback/exposure.py). Knows nothing of logs.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from finetune.feedback.rows import Draft
from finetune.feedback.types import ROW_KINDS, FeedbackRow, RowKind

Group = TypeVar("Group", bound=Hashable)

USER_ITEM_CAP: Final = 1.0
"""Weight of all that one customer says of one item, in each kind."""
USER_CAP: Final = 8.0
"""Weight of all that one customer says, in each kind."""
NAMELESS_ITEM_CAP: Final = 10.0
NAMELESS_CAP: Final = 200.0
"""The same of all customers without a name who come through one API key: nobody can tell whether they are one."""
ITEM_SHARE: Final = 0.05
"""Share of a kind's weight that one item may have where there are many items."""
FAIR: Final = 2.0
"""Times the mean weight of an item that one may have in any case: a small catalogue has no long tail."""
BURST_WINDOW: Final = timedelta(minutes=1)
BURST_FREE: Final = 12
"""Reactions of one customer within the window that count in full; beyond that they share what these count."""
CAMPAIGN_TURNS: Final = 4
CAMPAIGN_SHARE: Final = 0.8
"""A customer who reacts to one item in so many turns, and in this share of all turns that they react to, campaigns."""
ITEM_FLOOR: Final = 3.0
"""What an item may weigh in any case: as much as three customers may say of it."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """The outcome.

    Attributes:
        rows: in the order of the drafts.
        held: wait for a human.
        refused: how many a human found bad.
        kept: the drafts of `rows`, one for each.
        item_bounds: by kind, what `item_weight` of no item is above.
    """

    rows: tuple[FeedbackRow, ...]
    held: tuple[Draft, ...]
    refused: int
    kept: tuple[Draft, ...]
    item_bounds: Mapping[RowKind, float]


def weighed(drafts: Sequence[Draft]) -> Weighed:
    """The rows that may be learned from, each with what it counts."""
    campaigns = _campaigns(drafts)
    doubted = [_doubted(draft, campaigns) for draft in drafts]
    kept = [one for one in doubted if one.verdict is not False and (not one.doubt or one.verdict)]
    held = tuple(one for one in doubted if one.verdict is None and one.doubt)
    weights, bounds = _capped(kept, [draft.row.weight * left for draft, left in zip(kept, _factors(kept), strict=True)])
    counted = [(draft, weight) for draft, weight in zip(kept, weights, strict=True) if weight > 0]
    rows = tuple(replace(draft.row, weight=round(weight, 6)) for draft, weight in counted)
    refused = sum(one.verdict is False for one in doubted)
    return Weighed(rows, held, refused, tuple(draft for draft, _ in counted), bounds)


def item_weight(rows: Iterable[FeedbackRow], item_id: str, kind: RowKind) -> float:
    """What all rows of a kind count together that are for or against an item."""
    return sum(row.weight for row in rows if row.kind == kind and item_id in row.items)


def _doubted(draft: Draft, campaigns: frozenset[tuple[str, str]]) -> Draft:
    """Marked where its customer campaigns for or against one of its items, or its first doubt."""
    pushed = any((draft.row.user, item) in campaigns for item in draft.row.items)
    return replace(draft, doubt="pushed") if pushed and not draft.doubt else draft


def _campaigns(drafts: Iterable[Draft]) -> frozenset[tuple[str, str]]:
    """Customer and item."""
    turns: dict[str, set[str]] = defaultdict(set)
    of_item: dict[tuple[str, str], set[str]] = defaultdict(set)
    for draft in drafts:
        if draft.row.items and draft.row.events:
            turns[draft.row.user].add(draft.row.turn_id)
            for item in draft.row.items:
                of_item[draft.row.user, item].add(draft.row.turn_id)
    return frozenset(
        (user, item)
        for (user, item), found in of_item.items()
        if len(found) >= CAMPAIGN_TURNS and len(found) >= CAMPAIGN_SHARE * len(turns[user])
    )


def _factors(drafts: Sequence[Draft]) -> list[float]:
    """What copies and bursts leave of each weight: the n-th copy counts 1 / n."""
    own: Counter[Hashable] = Counter()
    others: dict[Hashable, dict[str, int]] = defaultdict(dict)
    times = _times(drafts)
    found = []
    for draft in drafts:
        row = draft.row
        opinion = (draft.words, row.kind, row.skill, row.signal, row.items, row.good, row.answers)
        own[row.counts_as, opinion] += 1
        said = others[opinion]
        place = said.setdefault(row.counts_as, len(said) + 1)
        near = _near(times[row.user], draft.at)
        found.append(min(1.0, BURST_FREE / max(1, near)) / (own[row.counts_as, opinion] * place))
    return found


def _times(drafts: Iterable[Draft]) -> dict[str, list[datetime]]:
    """When each customer reacted, each reaction once, in order."""
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    for draft in drafts:
        of_user = found[draft.row.user]
        if len(draft.row.events) == 1:  # every reaction has a row of its own
            of_user[draft.row.events[0]] = draft.at
    return {user: sorted(of_user.values()) for user, of_user in found.items()}


def _near(times: Sequence[datetime], at: datetime) -> int:
    """How many of `times` are within the window."""
    return bisect_right(times, at + BURST_WINDOW) - bisect_left(times, at - BURST_WINDOW)


def _capped(drafts: Sequence[Draft], weights: Sequence[float]) -> tuple[list[float], dict[RowKind, float]]:
    """`weights` under the caps, each kind by itself; and what no item weighs more than, by kind."""
    capped, bounds = list(weights), {}
    for kind in ROW_KINDS:
        places = [place for place, draft in enumerate(drafts) if draft.row.kind == kind]
        of_kind, bounds[kind] = _of_one_kind([drafts[place] for place in places], [weights[place] for place in places])
        for place, weight in zip(places, of_kind, strict=True):
            capped[place] = weight
    return capped, bounds


def _of_one_kind(drafts: Sequence[Draft], weights: list[float]) -> tuple[list[float], float]:
    """The weights, and what no item weighs more than."""
    rows = [draft.row for draft in drafts]
    nameless = {draft.row.counts_as for draft in drafts if draft.is_nameless}
    opinions = [[(row.counts_as, item) for item in row.items] for row in rows]
    weights = _lowered(weights, opinions, lambda one: NAMELESS_ITEM_CAP if one[0] in nameless else USER_ITEM_CAP)
    owners = [[row.counts_as] for row in rows]
    weights = _lowered(weights, owners, lambda one: NAMELESS_CAP if one in nameless else USER_CAP)
    items = [row.items for row in rows]
    bound = _item_bound(weights, items)
    return _lowered(weights, items, lambda _: bound), bound


def _lowered(weights: Sequence[float], groups: Sequence[Sequence[Group]], cap: Callable[[Group], float]) -> list[float]:
    """Scaled so that no group has more than its cap; a row of several groups takes the smallest scale."""
    sums: dict[Group, float] = defaultdict(float)
    for weight, of_row in zip(weights, groups, strict=True):
        for group in of_row:
            sums[group] += weight
    scale = {group: min(1.0, cap(group) / total) for group, total in sums.items() if total > 0}
    return [
        weight * min((scale.get(group, 1.0) for group in of_row), default=1.0)
        for weight, of_row in zip(weights, groups, strict=True)
    ]


def _item_bound(weights: Sequence[float], items: Sequence[Sequence[str]]) -> float:
    """What no item may weigh more than: a share of all rows about items before any item is lowered."""
    known = {item for of_row in items for item in of_row}
    share = max(ITEM_SHARE, FAIR / len(known)) if known else 1.0
    whole = sum(weight for weight, of_row in zip(weights, items, strict=True) if of_row)
    return max(ITEM_FLOOR, min(1.0, share) * whole)
