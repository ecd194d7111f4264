"""What was found right before: after these words and items somebody took that one. Learned branches are made of it.

Knows nothing of where it comes from: a shop's event log, its purchase history, the train file of a benchmark.
"""

from __future__ import annotations

from dataclasses import dataclass

from retrieval.query import SeedItem


@dataclass(frozen=True, slots=True)
class Experience:
    """One moment at which items were accepted.

    `turns` is what was said before, oldest first, () for a purchase without a talk. `spoken` are the items spoken of
    before, oldest first, each with the attitude towards it. `accepted` are item ids; those that the catalogue no longer
    has are tolerated. `group` names what hangs together (a dialogue, a customer): cross-fitting never lets a group see
    itself. `weight` > 0 scales what is learned from it.
    """

    turns: tuple[str, ...]
    spoken: tuple[SeedItem, ...]
    accepted: tuple[str, ...]
    group: str
    weight: float = 1.0
