"""What a human should look at, the most uncertain first: held-back feedback, and turns that nobody said anything of.

Uncertainty is the entropy (bits) of the chance that the turn served the customer, as it was thought when it was
answered; 1 where nothing was thought, and for yes and no to one item (active learning by uncertainty, Lewis and Gale
1994). Knows nothing of where it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.log.opinions import FeedbackTalk
from finetune.feedback.rows import Doubt, Draft
from finetune.feedback.talks import Told, View, told_turns

Why: TypeAlias = Doubt | Literal["unjudged"]


@dataclass(frozen=True, slots=True)
class Doubtful:
    """One thing to label by its `id`: a reaction (its event), or a turn. Words are masked.

    `proposed` is what the model would learn to say, "" where the question is only whether the turn was good.
    """

    id: str
    why: Why
    uncertainty: float
    turn_id: str
    message: str
    reply: str
    items: tuple[str, ...]
    proposed: str = ""


def queue(talks: Iterable[FeedbackTalk], held: Sequence[Draft], view: View) -> tuple[Doubtful, ...]:
    """Everything that waits for a human, in the order in which it should be seen."""
    of_turn: dict[str, list[Draft]] = {}
    for draft in held:
        of_turn.setdefault(draft.row.turn_id, []).append(draft)
    found = [
        one
        for talk in talks
        for told in told_turns(talk, view)
        for one in _of(told, of_turn.get(told.turn.turn_id, []))
    ]
    return tuple(sorted(found, key=lambda one: (-one.uncertainty, one.id)))


def entropy(probability: float | None) -> float:
    """In bits: 1 where both are as likely, or nothing is known; 0 where it is certain."""
    if probability is None:
        return 1.0
    parts = (probability, 1 - probability)
    return sum(-part * math.log2(part) for part in parts if part > 0)


def _of(told: Told, held: Sequence[Draft]) -> Iterator[Doubtful]:
    titles = tuple(item.title for item in told.items.values())
    message, reply = told.view.mask(told.turn.message), told.view.mask(told.turn.reply)
    probability = (told.answered.trace.get("confidence") or {}).get("probability")
    events: dict[str, Draft] = {}
    for draft in held:
        events.setdefault(draft.row.events[-1], draft)
    for event_id, draft in events.items():
        row = draft.row
        uncertainty = 1.0 if draft.doubt == "contradiction" else entropy(probability)
        names = tuple(told.items[item].title for item in row.items if item in told.items)
        proposed = row.answers[0].strip() if row.signal == "edit" else ""
        yield Doubtful(event_id, draft.doubt, uncertainty, row.turn_id, message, reply, names, proposed)
    if titles and not told.given and told.label is None:
        yield Doubtful(told.turn.turn_id, "unjudged", entropy(probability), told.turn.turn_id, message, reply, titles)
