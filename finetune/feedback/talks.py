"""One turn of the log with everything that was said of it, ready for rows to be made of: only what counts.

What is not signed by us, was not shown, was taken back or is older than asked for is left out here, and counted. Texts
are masked on their way in. Knows nothing of rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from agent.evidence import KNOWN_REASON
from agent.history import context_of
from agent.learning.experiences import WEIGHTS, said
from agent.log.ids import is_ours
from agent.log.opinions import Answered, FeedbackTalk, Given
from agent.log.records import FeedbackKind, TurnState
from agent.preferences import Preference
from agent.understand.types import DialogueContext
from finetune.feedback.masking import Mask
from retrieval.items import Item
from retrieval.table import ItemTable
from retrieval.text import fold

AGAINST: Mapping[FeedbackKind, float] = {"reject": 0.75, "thumb_down": 0.5}
"""What a refusal counts; the likes of `WEIGHTS` count as for search. Not tuned."""


@dataclass(frozen=True)
class View:
    """What is the same for all turns: the signing secret, the mask, from when on, and the live catalogue.

    `left_out` counts why what was not used.
    """

    secret: bytes
    mask: Mask
    since: datetime | None
    table: ItemTable | None
    left_out: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Told:
    """A turn that stands and was answered. `given`: what counts of it; `label`: a human's word on the turn."""

    talk: FeedbackTalk
    turn: TurnState
    answered: Answered
    given: tuple[Given, ...]
    view: View

    @cached_property
    def turns(self) -> tuple[str, ...]:
        """The talk up to the customer's message, as the rank skill reads it; masked."""
        before = [turn for turn in self.talk.state.turns if turn.number < self.turn.number]
        return tuple(map(self.view.mask, (*said(before), self.turn.message)))

    @cached_property
    def context(self) -> DialogueContext:
        """What understanding knew before the message; free text of wishes masked."""
        state = self.talk.state
        before = replace(
            state,
            turns=tuple(turn for turn in state.turns if turn.number < self.turn.number),
            edits=tuple(edit for edit in state.edits if edit.after_turn < self.turn.number),
        )
        context = context_of(before)
        return replace(context, preferences=tuple(self.masked(wish) for wish in context.preferences))

    @cached_property
    def items(self) -> Mapping[str, Item]:
        """The items of the slate as they were sent: what their cards said, by id."""
        return {str(card["id"]): _item_of(card, self.view.table) for card in self.answered.cards}

    @property
    def label(self) -> tuple[str, bool] | None:
        """A human's word on the whole turn and the event that has it."""
        return next(
            (
                (one.event_id, one.good)
                for one in self.talk.labels
                if (one.turn_id, one.of) == (self.turn.turn_id, None)
            ),
            None,
        )

    @property
    def owner(self) -> str:
        """The person, or the conversation of somebody without a name."""
        return self.talk.state.conversation.person_id or self.talk.state.conversation.id

    @property
    def counts_as(self) -> str:
        """Whom it counts for: nobody can tell those without a name apart who come through one API key."""
        talk = self.talk.state.conversation
        return talk.person_id or f"key:{talk.key_id}"

    @property
    def words(self) -> str:
        """The message, for finding those that say the same."""
        return " ".join(fold(self.turn.message).split())

    def masked(self, wish: Preference) -> Preference:
        """The wish with its free text masked."""
        if wish.op != "about":
            return wish
        return replace(wish, values=tuple(self.view.mask(str(value)) for value in wish.values))

    def liked(self, item_id: str) -> Given | None:
        """The strongest reaction that took the item."""
        of_item = [one for one in self.given if one.item_id == item_id and one.kind in WEIGHTS]
        return max(of_item, key=lambda one: WEIGHTS[one.kind], default=None)

    def refused(self, item_id: str) -> Given | None:
        """The strongest reaction against the item; "I have seen it" is none."""
        of_item = [one for one in self.given if one.item_id == item_id and _is_against(one)]
        return max(of_item, key=lambda one: AGAINST[one.kind], default=None)

    @property
    def given_correction(self) -> Given | None:
        """What somebody would have said instead: a support agent's before the customer's, the newest."""
        texts = [one for one in self.given if one.kind == "correct" and (one.text or "").strip()]
        return max(texts, key=lambda one: (one.by_agent, one.at), default=None)

    def of_reply(self, kind: FeedbackKind) -> Given | None:
        """The reaction of this kind to the whole reply."""
        return next((one for one in self.given if one.item_id is None and one.kind == kind), None)


def told_turns(talk: FeedbackTalk, view: View) -> Iterator[Told]:
    """The turns that stand, oldest first, each with what counts."""
    for turn in talk.state.turns:
        answered = talk.answered.get(turn.turn_id)
        if turn.undone or answered is None:
            continue
        if view.since is not None and answered.at < view.since:
            continue
        if not is_ours(turn.turn_id, view.secret):
            view.left_out["turns that we did not sign"] += 1
            continue
        yield Told(talk, turn, answered, _counting(talk, turn, answered, view), view)


def _counting(talk: FeedbackTalk, turn: TurnState, answered: Answered, view: View) -> tuple[Given, ...]:
    shown = {one.item_id for one in answered.offered}
    found = []
    for one in talk.given:
        if one.turn_id != turn.turn_id:
            continue
        if one.item_id is not None and one.item_id not in shown:
            view.left_out["reactions to items that the list had not"] += 1
            continue
        found.append(one)
    return tuple(found)


def _is_against(one: Given) -> bool:
    return one.kind in AGAINST and one.reason != KNOWN_REASON


def _item_of(card: Mapping[str, Any], table: ItemTable | None) -> Item:
    """As the rank skill's prompts need it; the text, which a card lacks, is the live catalogue's."""
    item_id = str(card["id"])
    attributes = {
        name: tuple(value) if isinstance(value, list) else value for name, value in card.get("attributes", {}).items()
    }
    text = table.get(item_id).text if table is not None and item_id in table else ""
    return Item(id=item_id, title=str(card["title"]), text=text, attributes=attributes)
