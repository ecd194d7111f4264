"""One wish in the place of another, both named: "change comedy to drama", "Tom Hanks instead of Tom Cruise".

Knows the wishes in force and the words; what the new wish is, is read with all the others. Without the old wish among
those in force nothing is swapped: "a comedy instead of a horror film" then only denies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.preferences import Dropped, Preference
from agent.understand.corrections import meant_by, same_people, spoken_of
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, words_of
from agent.understand.types import DialogueContext
from agent.understand.wishes import Reading, Wish

_OLD = r"(?P<old>(?:[^.;!?]|(?<=\b[a-z])\.){2,60}?)"
_END = r"(?=\s*(?:(?<!\b[a-z])\.|[,;!?]|$|\bplease\b))"
"""The dot of an initial ends nothing: "J. K. Simmons"."""
_CHANGE = re.compile(
    r"(?P<cue>\b(?:change|switch|swap|exchange|replace)\s+(?P<old>[^.;!?]{2,60}?)\s+(?:to|for|with|by|into)\s)"
    r"(?=\s*[^.;!?\s])"
)
_NEW_BEFORE = (
    re.compile(rf"(?<=\S)(?P<cue>,?\s+(?:instead of|rather than|in place of)\s+{_OLD}){_END}"),
    re.compile(rf"(?<=\S)(?P<cue>,\s*(?:and\s+)?not\s+{_OLD.replace('^.', '^.,')}){_END}"),
)
_NOTHING_NEW = re.compile(r"[\W_]*(?:(?:please|and|also|but|no|yes|ok|okay|sorry|well|actually|thanks)\b[\W_]*)*")
_DENIED = re.compile(r"\b(?:no|not|nothing|without|never)\b")


def swap(message: Message, context: DialogueContext, lexicon: Lexicon, reading: Reading) -> tuple[Preference, ...]:
    """The wishes that are named as the old ones: dropped, and the words that name them marked as read."""
    gone: list[Preference] = []
    for pattern in (_CHANGE, *_NEW_BEFORE):
        for match in pattern.finditer(message.low):
            since = message.sentence(match.start())[0]
            if pattern is not _CHANGE and _NOTHING_NEW.fullmatch(message.low, since, match.start()):
                continue  # "please, not horror" says it again
            old = _named(match["old"], context.preferences, lexicon)
            if old and message.free(*match.span("cue")):
                ids = tuple(wish.id for wish in old)
                reading.dropped.append(Dropped(context.turn, message.quote(*match.span()), preference_ids=ids))
                message.take(*match.span("cue"))
                gone += old
    return tuple(gone)


def _named(text: str, preferences: Sequence[Preference], lexicon: Lexicon) -> list[Preference]:
    """The wishes in force that the words name: by value, by other words for it, by the attribute's name."""
    denied = _DENIED.search(text) and not lexicon.values_like(words_of(text))  # "No warranty" is a value
    polarity = "negative" if denied else "positive"
    wishes = [wish for wish in preferences if wish.polarity == polarity]
    ids = spoken_of(text, wishes) or meant_by(text, wishes, lexicon)
    attributes = {name for _, _, name in lexicon.attributes.named(text)}
    return [wish for wish in wishes if wish.id in ids or (not ids and wish.attribute in attributes)]


def as_firm(reading: Reading, gone: Sequence[Preference], lexicon: Lexicon) -> None:
    """What takes the place of a wish is as hard as that one was, in whatever words it is said."""
    for old in gone:
        reading.wishes = [
            replace(wish, kind=old.kind, doubtful=False) if _in_place(wish, old, lexicon) else wish
            for wish in reading.wishes
        ]


def _in_place(new: Wish, old: Preference, lexicon: Lexicon) -> bool:
    if new.attribute is None or new.polarity != old.polarity:
        return False
    return new.attribute == old.attribute or same_people(new, old, lexicon)
