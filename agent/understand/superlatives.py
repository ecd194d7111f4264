"""Superlatives: "the longest", "highest rated", "lowest price" - a number of the catalogue and a direction.

Knows the catalogue's attributes; not over which items the most is sought.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.understand import intents
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message
from agent.understand.negation import tells


@dataclass(frozen=True, slots=True)
class Superlative:
    """The attribute whose most (or least) is asked for, and the words that ask."""

    attribute: str
    descending: bool
    start: int
    end: int


def read_superlative(message: Message, lexicon: Lexicon) -> Superlative | None:
    """The superlative of the message, its words marked as read; None without any."""
    attributes, low = lexicon.attributes, message.low
    for role, descending, pattern in intents.SUPERLATIVES:
        match = pattern.search(low)
        attribute = attributes.of(role)  # type: ignore[arg-type]  # the table holds roles only
        if role in ("popularity", "rating") and attribute is None and "popularity" in lexicon.numbers:
            attribute = "popularity"
        if match and attribute and message.free(*match.span()) and not _told(message, match.start()):
            message.take(*match.span())
            return Superlative(attribute, descending, *match.span())
    for match in intents.SUPERLATIVE_OF.finditer(low):
        named = attributes.named(match["what"])
        names = [name for start, _, name in named if name in attributes.numbers and start == 0]
        if names and message.free(*match.span()):
            message.take(*match.span())
            return Superlative(names[0], match["how"] in ("most", "highest", "greatest", "maximum"), *match.span())
    return None


def _told(message: Message, place: int) -> bool:
    """Whether it is told: "my latest film was ...", a superlative that asks for nothing."""
    mine = re.match(r"[\w -]{0,25}\b(?:i|we)(?:'ve| have)? (?:saw|seen|watch|bought|read)", message.low[place:])
    owned = re.search(r"\b(?:my|his|her|their)\s+$", message.left(place))
    return bool(mine or owned) or tells(message, place)
