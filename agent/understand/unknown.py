"""Names that the catalogue does not have: "do you have Frobnicator 3000?", "films by Miyazaki".

Only where a name must stand: after "by", "starring", "like", "do you have", or in quotation marks.
"""

from __future__ import annotations

import re

from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, Token
from agent.understand.negation import tells
from retrieval.words import common_words, function_words

_BEFORE_NAME = re.compile(
    r"\b(?:by|directed by|starring|featuring|director|actor|actress|brand|(?:anything|something|films?"
    r"|movies?|ones?|stuff) (?:from|with))\s+(?:the\s+)?$"
)
_BEFORE_THING = re.compile(
    r"\b(?:why not|what about|how about|why isn'?t|do you (?:have|sell|carry|stock|know)|have you got"
    r"|got any|looking for|(?:something|anything"
    r"|films?|movies?|ones?|more|stuff|items?) (?:just )?(?:like|similar to)|find me|show me|search for"
    r"|where is|i want|i need|called|named|titled)"
    r"\s+(?:(?:a|an|the|any|some|copy of|film|movie|something|by|from|new|watch|see|buy|to)\s+)*$"
)
_LIKE_A_NAME = re.compile(
    r"\b(?:an?|some|any|more|other)?\s*(?:something|anything|films?|movies?|ones?|stuff"
    r"|items?) (?:just )?(?:like|similar to)"
    r"\s+(?:the\s+)?$"
)
_QUOTED = re.compile(r"[\"“«《「]([^\"“”«»《》「」]{2,60})[\"”»》」]")
_INNER = frozenset("of the and a an in on for to from at de la le von van no".split())
_NOT_A_NAME = frozenset(
    "i monday tuesday wednesday thursday friday saturday sunday january february march april may june"
    " july august september october november "
    "december christmas halloween easter english french netflix amazon hulu disney imdb dvd tv ok usa uk"
    " blu ray hd uhd".split()
)
MIN_LETTERS = 3
_SELLS = re.compile(
    r"\bdo you (?:guys |also |even )?(?:sell|carry|stock)\s+(?:(?:any|some|a|an|the|more|other|also)\s+)*"
    r"(?P<thing>[a-z][a-z' -]{2,30}?)(?=\s*(?:[?.!,]|$|\b(?:here|too|as well|in|on|with|for|from|by|about|like"
    r"|that|and|or)\b))"
)
_GENERAL = frozenset(
    "anything something everything stuff things thing items item products product films film movies movie books"
    " book shows"
    " show titles title discs disc one ones it them these those this that others other else new old used good cheap"
    " recommendations suggestions kids".split()
)


def unknown_name(message: Message, lexicon: Lexicon) -> tuple[int, int] | None:
    """The span of a name that nothing in the catalogue answers to, or None."""
    for match in _QUOTED.finditer(message.text):
        if message.free(match.start(1), match.end(1)) and not message.low[match.start(1) : match.end(1)].isspace():
            return match.span(1)
    tokens = message.tokens
    for first, token in enumerate(tokens):
        left = message.left(token.start)
        by = bool(_BEFORE_NAME.search(left))
        if not message.free(token.start, token.end) or not (by or _BEFORE_THING.search(left)):
            continue
        if tells(message, token.start) and not _LIKE_A_NAME.search(left):
            continue
        if span := _name_from(message, lexicon, tokens[first:], by=by):
            return span
    return None


def unsold_thing(message: Message, lexicon: Lexicon) -> tuple[int, int] | None:
    """The span of a thing that no item has to do with: "do you sell popcorn?"; None for "do you sell comedies?"."""
    for match in _SELLS.finditer(message.low):
        start, end = match.span("thing")
        tokens = [token for token in message.tokens_in(start, end) if token.norm not in function_words()]
        if not tokens or not message.free(start, end):
            continue
        if not any(token.norm in _GENERAL or lexicon.values_like([token.norm]) for token in tokens):
            return start, start + len(message.low[start:end].rstrip())
    return None


def _name_from(message: Message, lexicon: Lexicon, tokens: list[Token], *, by: bool) -> tuple[int, int] | None:
    """The run of capitals that begins here; after "by" also small letters, of a word that is no word."""
    run: list[Token] = []
    for token in tokens:
        if not message.free(token.start, token.end) or (run and message.low[run[-1].end : token.start].strip(" -.'")):
            break
        named = (message.cased and token.capital) or (bool(run) and token.norm.isdigit())
        inner = bool(run) and token.norm in _INNER
        if not (named or inner):
            break
        run.append(token)
    while run and run[-1].norm in _INNER:
        run.pop()
    letters = [token for token in run if token.norm not in _NOT_A_NAME and not token.norm.isdigit()]
    odd = [token for token in letters if token.norm not in common_words()]
    if letters and (odd or (len(letters) >= 2 and not by) or by):
        if not all(token.norm in function_words() for token in letters):
            return run[0].start, run[-1].end
    first = tokens[0]
    small = by and first.norm.isalpha() and len(first.norm) > MIN_LETTERS and first.norm not in common_words()
    if small and not lexicon.is_word(first.norm):
        second = tokens[1] if len(tokens) > 1 else None
        both = (
            second is not None
            and second.norm not in common_words()
            and second.norm.isalpha()
            and message.free(second.start, second.end)
        )
        return first.start, (second.end if both and second else first.end)
    return None
