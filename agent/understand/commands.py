"""Messages that are read whole: distress, undo, a fresh start, a human, small talk.

Knows phrases and whether a question was asked; not wishes and items.
"""

from __future__ import annotations

from agent.preferences import Dropped
from agent.understand import intents, talk
from agent.understand.entities import mentions
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, words_of
from agent.understand.persons import declines_person, wants_person
from agent.understand.types import DialogueContext, Understanding
from agent.understand.wishes import Reading


def command(message: Message, context: DialogueContext, lexicon: Lexicon, reading: Reading) -> Understanding | None:
    """What the whole message is, or None where wishes are to be read; a fresh start with a wish behind it is noted."""
    low, language = message.low.strip(), message.language
    if talk.distressed(low):
        return Understanding("distress", language)
    if intents.UNDO.match(low):
        return Understanding("undo", language)
    if reset := _reset(message, context, reading):
        return reset
    wanted = wants_person(low) is not None
    named = (wanted or intents.HANDOFF.search(low) is not None) and _is_title(message, lexicon)
    if wanted and not named:
        return Understanding("handoff", language)
    kinds = ("handoff", intents.HANDOFF), ("out_of_scope", intents.OUT_OF_SCOPE), ("out_of_scope", talk.INJECTED)
    for intent, pattern in kinds[named or declines_person(message.low) :]:
        for match in pattern.finditer(message.low):
            if not intents.about_a_film(message.low, match.start()):
                return Understanding(intent, language, said=match.group().strip())  # type: ignore[arg-type]
    return _small_talk(message, context, lexicon)


def _is_title(message: Message, lexicon: Lexicon) -> bool:
    """Whether nobody is asked for once the titles that are named beyond doubt are left out: "The Operator"."""
    rest = message.low
    for one in mentions(message, lexicon, message.free):
        if one.entry.kind == "title" and one.certainty == "sure":
            rest = rest[: one.start] + " " * (one.end - one.start) + rest[one.end :]
    return wants_person(rest) is None and intents.HANDOFF.search(rest) is None


def _small_talk(message: Message, context: DialogueContext, lexicon: Lexicon) -> Understanding | None:
    low, language = message.low.strip(), message.language
    if intents.GREETING.match(low):
        return Understanding("greeting", language)
    if intents.THANKS.match(low):
        return Understanding("thanks", language)
    if context.asked is None and (words := talk.small_talk(low)):
        return Understanding(words, language)
    if attribute := talk.asked_values(low, lexicon):
        return Understanding("values", language, attribute=attribute)
    return None


def _reset(message: Message, context: DialogueContext, reading: Reading) -> Understanding | None:
    """A fresh start; words after it are the first wish of the new search: "start over: a silent western"."""
    low = message.low
    match = intents.RESET.search(low)
    if match is None or (len(message.tokens) > 12 and match.start() > len(low) - len(low.lstrip()) + 12):
        return None
    dropped = Dropped(context.turn, message.quote(0, len(message.text)), everything=True)
    if len(words_of(low[match.end() :])) < 2:
        return Understanding("reset", message.language, facts=(dropped,))
    message.take(*match.span())
    reading.dropped.append(dropped)
    return None
