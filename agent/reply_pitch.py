"""The sentences about the first item: what each may say, what it says of what there is to say, and code's own words.

Three parts: what the item is, why it fits, what speaks against it. Nothing is said twice in a conversation.
Knows nothing of engines and streams.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from agent.grounding import Grounding
from agent.reply_claims import Claims
from agent.reply_facts import ReplyFacts
from agent.reply_prompt import first_sentence, title_words
from agent.wording import Wording
from retrieval.items import Item
from retrieval.shape import CatalogueShape

PitchPart: TypeAlias = Literal["what", "fits", "but"]
PARTS: tuple[PitchPart, ...] = ("what", "fits", "but")
"""In the order in which they are said."""
WISH_KINDS = frozenset({"value", "bound", "stock", "avoids"})
"""Facts that meet a wish for a value; the others are reasons of another kind."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What an accepted sentence tells; `objection` says why it must not be shown, "" where it may."""

    tells: frozenset[PitchPart] = frozenset()
    objection: str = ""


@dataclass(slots=True)
class Pitch:
    """What is said of one item in one reply; `before` are the bot's earlier replies of this conversation.

    `wish_words` are the customer's own.
    """

    item: Item
    facts: ReplyFacts
    wording: Wording
    shape: CatalogueShape
    shown: Sequence[Item] = ()
    before: Sequence[str] = ()
    wish_words: str = ""
    pending: list[PitchPart] = field(init=False)
    _grounding: Grounding | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.pending = [part for part in PARTS if self.own_words(part)]

    def judge(self, sentence: str) -> Judged:
        """Whether `sentence` may be shown, and which parts it tells."""
        if self._said(sentence):
            return Judged()
        said = sentence.removeprefix(title_words(self.item)).removeprefix(":").strip()
        if self._grounding is None:  # not needed where code speaks alone
            claims = Claims(self.item, self.facts.all, self.shown)
            self._grounding = Grounding(self.item, self.shape, self.wish_words, claims)
        shortened = self._grounding.shortens(said)
        spoken = self._grounding.claims_in(said)
        if spoken is not None and not shortened:
            told: tuple[tuple[PitchPart, bool], ...] = (("fits", spoken.fits), ("but", spoken.but))
            return Judged(frozenset(part for part, says in told if says))
        if objection := self._grounding.objection(sentence):
            return Judged(objection=objection)
        if not shortened and self._grounding.body(said) == said:  # backed words can still be put together into a lie
            return Judged(objection="it is neither the item's text with parts left out nor made of given facts")
        return Judged(frozenset({"what"}))

    def own_words(self, part: PitchPart) -> str:
        """Code's sentence for `part`; "" where there is nothing to say, or where all of it was said already."""
        words = self.wording.words
        if part == "what":
            sentence = first_sentence(self.item.text)
            if not sentence or self._said(sentence):
                return ""
            return words.text("pitch.template", title=self.item.title, sentence=sentence)
        if part == "fits":
            if not self.facts.fits:
                return ""
            said = self.wording.join([fact.phrase(self.wording) for fact in self.facts.fits])
            ways = [words.text("pitch.fits", facts=said), words.text("pitch.fits_again", facts=said)]
            asked = any(fact.kind in WISH_KINDS for fact in self.facts.fits)
            return self._unsaid(ways if asked else ways[::-1])
        if self.facts.but is None:
            return ""
        said = self.facts.but.phrase(self.wording)
        return self._unsaid([words.text("pitch.but", fact=said), words.text("pitch.but_again", fact=said)])

    def _unsaid(self, ways: Sequence[str]) -> str:
        return next((way for way in ways if not self._said(way)), "")

    def _said(self, sentence: str) -> bool:
        """Whether this conversation has heard `sentence` about this item."""
        return any(sentence in reply and self.item.title in reply for reply in self.before)
