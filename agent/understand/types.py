"""What understanding is given and what it gives back. Knows nothing of how it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.preferences import Fact, Preference

Language: TypeAlias = Literal["en", "zh"]
"""The languages that have rules and message catalogues; other languages are read as English."""

Intent: TypeAlias = Literal[
    "recommend",  # new or changed wishes, "something like X", critique of a shown item
    "more",  # other items for the same wishes
    "show_anyway",  # an answer instead of our question: no more questions, just items
    "why",  # why items were shown (`item_ids`)
    "why_not",  # why a named item was not shown (`item_ids`)
    "superlative",  # the most or least of a number over the whole catalogue (`attribute`, `descending`)
    "count",  # how many items match
    "item_question",  # about shown or named items (`item_ids`); `attribute` where one was named
    "compare",  # two to four items side by side (`item_ids`)
    "support",  # delivery, returns, accounts ...: the help articles
    "handoff",  # a human, please
    "values",  # which values an attribute of the catalogue has (`attribute`)
    "wishes",  # what the customer has asked for so far
    "unknown_item",  # a title or a value that the catalogue does not have (`said`)
    "undo",  # take the last turn back
    "reset",  # start over
    "accept",  # takes a shown item (`item_ids`)
    "reject",  # does not want a shown item (`item_ids`)
    "greeting",
    "thanks",
    "help",  # what can you do?
    "identity",  # are you a human?
    "acknowledge",  # "ok", "yes", "never mind": words that ask for nothing
    "distress",  # somebody speaks of wanting to die
    "out_of_scope",  # outside what a shop does
    "empty",  # nothing that could be read
    "too_long",  # more characters than are read
]


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """The question we put last: which attribute, and the answers that were offered for tapping."""

    attribute: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DialogueContext:
    """What understanding may know of the conversation so far.

    `turn` is the number of the message now read (first is 1). `preferences` is the folded state
    before it. `shown` has the item ids of each list that was shown, oldest list first, in the
    order of their numbers on screen. `focus` are the items spoken of last, most recent first.
    `questions` are the customer's messages of the turns just before, newest first, as far as all of them
    asked about items: "and Jaws?" asks the same of another one.
    """

    turn: int = 1
    preferences: tuple[Preference, ...] = ()
    shown: tuple[tuple[str, ...], ...] = ()
    focus: tuple[str, ...] = ()
    asked: AskedQuestion | None = None
    questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Understanding:
    """One message, read.

    `facts` are new ones only. `item_ids` are the items that the words point at (references,
    titles), best first. `said` quotes what could not be found. `doubtful` holds facts that rules
    propose with little certainty: a model confirms them (agent/understand/model.py) or they lapse.
    `support_text` is the part of the message that the help articles should answer, None for none.
    """

    intent: Intent
    language: Language = "en"
    facts: tuple[Fact, ...] = ()
    doubtful: tuple[Fact, ...] = ()
    item_ids: tuple[str, ...] = ()
    attribute: str | None = None
    descending: bool = True
    said: str = ""
    support_text: str | None = None
