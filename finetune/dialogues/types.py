"""What the grammar gives back: turns with what they mean, fact by fact. Knows nothing of how they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.preferences import Fact
from agent.understand.types import DialogueContext, Intent

Split: TypeAlias = Literal["train", "held_out"]
"""Which of the two disjoint sets of phrases is spoken."""

Half: TypeAlias = Literal["all", "fit", "test"]
"""Which phrases of a split: all, or one of two halves (what is fitted on phrases that nobody learned from needs others
to be tested on). A table of one phrase has it in both."""

FactKind: TypeAlias = Literal[
    "hard", "soft", "negation", "price", "year", "number", "person", "like", "like_but", "correction", "drop", "topic",
    "reference",
]  # fmt: skip
"""What scores are reported by; `reference` is an item pointed at, the others are facts."""

Act: TypeAlias = Literal["wish", "like", "like_but", "correction", "drop", "topic", "reference"]
"""What a turn is there to do."""


@dataclass(frozen=True, slots=True)
class GoldFact:
    """A fact, its kind, and the phrase with open slots that said it (what a reader missed can be counted by it).

    The fact's evidence is quoted from the turn's text as typed, mistakes and all.
    """

    fact: Fact
    kind: FactKind
    phrase: str


@dataclass(frozen=True, slots=True)
class GeneratedTurn:
    """One message of a customer and how it should be read.

    Attributes:
        text: as typed.
        act: what the turn is there to do; a topic change or a correction has wishes among its facts.
        intent: as understanding names it.
        gold: the new facts, in the order in which they are folded.
        item_ids: items pointed at by their place in a list.
        attribute: what is asked about them; None where nothing is named.
        phrase: the phrase around the facts, slots open.
        context: what a reader may know: turn number, wishes in force before, lists shown.
    """

    text: str
    act: Act
    intent: Intent
    gold: tuple[GoldFact, ...]
    context: DialogueContext
    phrase: str
    item_ids: tuple[str, ...] = ()
    attribute: str | None = None

    @property
    def facts(self) -> tuple[Fact, ...]:
        """The facts alone, ready to be folded."""
        return tuple(one.fact for one in self.gold)


@dataclass(frozen=True, slots=True)
class GeneratedDialogue:
    """A customer's turns; `target_id` is the item in mind at the end, which every hard wish in force then fits."""

    id: str
    target_id: str
    turns: tuple[GeneratedTurn, ...]
