"""Who answers a message: a part of the help desk, or the shop.

Knows nothing of what the parts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from agent.answering import decide
from agent.turn import Outcome, Situation


class DeskPart(Protocol):
    """A part of the help desk. Both are called in a thread and may read and write SQL."""

    def before(self, view: Situation) -> Outcome | None:
        """What this part answers; None where the message is none of its business."""
        ...

    def after(self, view: Situation, outcome: Outcome) -> Outcome:
        """What becomes of `outcome`, which another part or the shop decided."""
        ...


class HelpDesk:
    """The parts of a help desk before the shop, in the order in which they are asked."""

    def __init__(self, parts: Sequence[DeskPart] = ()) -> None:
        self._parts = tuple(parts)

    def decide(self, view: Situation) -> Outcome:
        """The outcome of a turn: the first part's that has one, else the shop's; the others may change it."""
        answered: DeskPart | None = None
        outcome: Outcome | None = None
        for part in self._parts:
            outcome = part.before(view)
            if outcome is not None:
                answered = part
                break
        outcome = outcome or decide(view)
        for part in self._parts:
            if part is not answered:
                outcome = part.after(view, outcome)
        return outcome
