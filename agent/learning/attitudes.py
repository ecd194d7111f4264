"""What a customer thinks of each item spoken of, from -2 (hated) to 2 (loved): the one place that says so.

Knows nothing of who they are and of when it was said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agent.evidence import KNOWN_REASON, is_known
from agent.log.records import FeedbackKind, TurnState
from agent.preferences import Preference

LIKED = 2.0
"""Named as liked ("something like X"); named as hated it is the same below 0."""

OF_REACTION: Mapping[FeedbackKind, float] = {
    "buy": 2.0,
    "accept": 1.0,
    "thumb_up": 1.0,
    "thumb_down": -1.0,
    "reject": -1.0,
}
"""A click says that an item was looked at, and no more."""


def attitudes(wishes: Iterable[Preference], reactions: Iterable[tuple[str, FeedbackKind]]) -> dict[str, float]:
    """By item id, in the order in which items first came up: reactions (item id, kind), then wishes.

    What was said in words stands over reactions, a no over a yes, a purchase over a thumb. "I have seen it" is no no.
    """
    found: dict[str, float] = {}
    for item_id, kind in reactions:
        if kind in OF_REACTION:
            found[item_id] = stronger(found.get(item_id, 0.0), OF_REACTION[kind])
    for wish in wishes:
        if wish.op == "like" and (wish.polarity == "positive" or not is_known(wish.evidence)):
            sign = 1.0 if wish.polarity == "positive" else -1.0
            found |= dict.fromkeys((str(value) for value in wish.values), sign * LIKED)
    return found


def opinions(turns: Iterable[TurnState]) -> list[tuple[str, FeedbackKind]]:
    """The reactions to items that say what somebody thinks of them, oldest turns first."""
    return [
        (one.item_id, one.kind)
        for turn in turns
        for one in turn.reactions
        if one.item_id is not None and one.kind in OF_REACTION and one.reason != KNOWN_REASON
    ]


def stronger(one: float, other: float) -> float:
    """A no over a yes, else what is further from 0."""
    return min(one, other) if min(one, other) < 0 else max(one, other)
