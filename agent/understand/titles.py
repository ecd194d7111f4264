"""Whether words that are a title are meant as one.

"heat" is a film only when it is quoted, dated, or stands where a title stands; "Blade Runner" always.
Knows nothing of what is said about the title.
"""

from __future__ import annotations

import re
from typing import Literal

from agent.understand.lexicon import Entry, Lexicon
from agent.understand.message import Message, Token
from retrieval.words import common_words, frequent_words, function_words

Certainty = Literal["sure", "doubtful", "no"]

LIKE = re.compile(
    r"(?:(?<!would )(?<!'d )(?<!\bid )\blike|\bsimilar to|\bin the (?:style|vein|spirit|mould|mold) of"
    r"|\balong the lines of|\bremind(?:s|ed)? me of"
    r"|\breminiscent of|\bsuch as|\bsame (?:\w+ )?as|\bas \w+ as|\bcomparable to|\bclose to|\bthan"
    r"|\bunlike|类似于?|像|跟|和)"
    r"\s*(?:(?:the )?(?:film|movie|one|original|book|show)s?:?\s+)?[\"'*]?$"
)
WANTED = re.compile(r"(?:\bwould|'d|\bid) (?:really )?(?:like|love)\s*[\"'*]?$")
"""What stands before a thing that is itself asked for: "I'd like ..."."""
_SPOKEN_OF = re.compile(
    r"(?:[,:]|\b(?:see|seen|saw|watch|watched|watching|rewatched|love|loved|loves|liked|likes|enjoy|enjoyed"
    r"|hate|hated|adore|adored|recommend"
    r"|about|film|movie|called|named|titled|have|is|favou?rites? (?:is|are|was|were|movies? (?:is|are)"
    r"|films? (?:is|are))|buy|get|take|order|find"
    r"|try|of|why not|show me|not|and|or|directed|wrote|in|stars in|price of|much is|for|with|does|did"
    r"|has|was)|看过|喜欢|讨厌|有|不喜欢)\s*[\"'*]?$"
)
_NAMED = re.compile(
    r"\b(?:(?:seen|saw|see|watched|watch|love[ds]?|liked|enjoyed|hated|film|movie|called|named|titled"
    r"|owns?|owned|already (?:has|have|had|got|bought)"
    r"|compare|versus|vs\.?|between|directed|stars in|price of|much is|long is|who'?s in"
    r"|why not)\s*[\"'*]?$)"
)
_COMPARED = re.compile(
    r"\b(?:between|compare|versus|vs\.?|differ\w*|which (?:one |film |movie |of them )?(?:is|was|has|runs|costs)"
    r"|(?:is|are|was))\b[^.?!]{0,60}(?:,|\b(?:and|or|vs\.?|versus|with|to|than))\s*[\"'*]?$"
)
_DENIED = re.compile(
    r"\b(?:not|no|except(?: for)?|other than|apart from|besides|(?:any|every)thing but|without|excluding|skip|leave out"
    r"|instead of)\s+(?:the\s+(?:film|movie)\s+)?[\"'*]?$"
)
_ELLIPSIS = re.compile(
    r"^\W*(?:(?:ok(?:ay)?|so|but)\W+)?(?:and|and what about|and how about|what about|how about)\s+[\"'*]?$"
)
_YEAR_AFTER = re.compile(r"[\"'*.\u2026!?]*\s*[(\[,]?\s*((?:1[89]|20)\d\d)\b\s*[)\]]?")
_DATED = re.compile(r"\s*[(\[](?:1[89]|20)\d\d[)\]]")
_ENDS = re.compile(r"[\"'*]?\s*(?:$|[,.!?;:)]|(?:and|or|but|too|please|though|again)\b)")
_QUOTES = "\"'*_`“”‘’«»「」『』《》"
_MIN_SURE_LETTERS = 7
"""A single uncommon word in small letters is a title from this length on."""


def year_after(message: Message, end: int) -> tuple[float | None, int]:
    """The year that follows a title, "Heat (1995)", and where it ends."""
    match = _YEAR_AFTER.match(message.low, end)
    return (float(match.group(1)), match.end()) if match else (None, end)


def certainty(message: Message, tokens: list[Token], entries: list[Entry], lexicon: Lexicon) -> Certainty:
    """How sure it is that these words name one of `entries` (titles)."""
    start, end = tokens[0].start, tokens[-1].end
    year, _ = year_after(message, end)
    if year is not None and any(entry.year is not None and abs(entry.year - year) <= 1 for entry in entries):
        return "sure"
    if _DATED.match(message.low, end) and any(entry.year is not None for entry in entries):
        return "doubtful"  # a film of that name, but of another year
    if quoted(message, start, end):
        return "sure"
    content = [token for token in tokens if token.norm not in function_words()]
    if not content:
        return _only_function_words(message, tokens)
    if all(entry.alias for entry in entries) and any(token.norm.isdigit() for token in content[:1]):
        return "no"  # "3 hours" is not the film "Three Hours"
    uncommon = [token for token in content if token.norm not in common_words() and not token.norm.isdigit()]
    capital = message.cased and all(token.capital or token.norm.isdigit() for token in content)
    if len(tokens) == 1 or (len(content) == 1 and len(tokens) == 2):
        return _one_word(message, tokens, content[0], lexicon, capital=capital, common=not uncommon)
    if uncommon and not _a_person(tokens, entries, lexicon):
        return "sure" if capital or len(uncommon) > 1 or len(content) > 1 else "doubtful"
    return _common_words(message, tokens, content, capital=capital)


def called_for(message: Message, tokens: list[Token], *, firm: bool) -> bool:
    """Whether capitals stand where a title is asked for: "something like Alien", "why not Alien?".

    `firm`: the words are a value, too, that an item must have. "I'd like Apple" asks for the brand and not for the
    fruit of that name.
    """
    left = message.left(tokens[0].start)
    if not (message.cased and tokens[0].capital) or (firm and WANTED.search(left)):
        return False
    return _cued(left)


def _cued(left: str) -> bool:
    """Whether lower-case text ends with words behind which a title is expected."""
    return any(pattern.search(left) for pattern in (LIKE, WANTED, _NAMED, _COMPARED))


def quoted(message: Message, start: int, end: int) -> bool:
    """Whether the span stands in quotation marks, stars or backticks of its own."""
    text = message.text
    return start > 0 and end < len(text) and text[start - 1] in _QUOTES and text[end] in _QUOTES + ",.!?"


def _only_function_words(message: Message, tokens: list[Token]) -> Certainty:
    """Judge "It", "Her", "Up": a capital alone is not enough."""
    capital = message.cased and all(token.capital for token in tokens)
    inside = not message.starts_sentence(tokens[0].start)
    ends = re.match(r"\s*(?:$|[,.!?;)\"]|(?:and|or|but|was|is|movie|film|again)\b)", message.low[tokens[-1].end :])
    if (
        ends
        and capital
        and inside
        and tokens[0].norm not in ("i", "ok", "tv")
        and _NAMED.search(message.left(tokens[0].start))
    ):
        return "sure"
    return "no"


def _one_word(
    message: Message, tokens: list[Token], word: Token, lexicon: Lexicon, *, capital: bool, common: bool
) -> Certainty:
    left = message.left(tokens[0].start)
    alone = len(message.tokens) <= len(tokens) + 1
    ends = bool(_ENDS.match(message.low, tokens[-1].end))
    cue = _cued(left)
    if lexicon.values_like([token.norm for token in tokens]):
        return "sure" if capital and cue else "no"  # "like Alien" means the film, "like aliens" the theme
    if word.norm.isdigit():
        return "sure" if _NAMED.search(left) or (LIKE.search(left) and not left.rstrip().endswith("than")) else "no"
    if len(message.tokens) == len(tokens) and word.norm not in frequent_words():
        return "sure" if word.capital else "doubtful"
    everyday = word.norm in frequent_words()
    if _DENIED.search(left) and ends and not everyday and word.norm not in lexicon.first_names:
        return "sure"  # at worst an item is left out that was not meant
    if ends and _ELLIPSIS.fullmatch(message.low[: tokens[0].start]) and (capital or not everyday):
        return "sure"
    if common or word.norm in lexicon.first_names:
        if capital and cue and tokens[0].norm not in ("i",):
            return "sure"
        article = len(tokens) == 2 and tokens[0].norm == "the" and tokens[0].capital and word.capital
        if capital and (article or alone or _SPOKEN_OF.search(left)) and not message.starts_sentence(tokens[0].start):
            return "sure" if article else "doubtful"
        return "doubtful" if cue and word.norm not in frequent_words() else "no"
    if cue or alone or (capital and not message.starts_sentence(tokens[0].start)):
        return "sure"
    return "sure" if len(word.norm) >= _MIN_SURE_LETTERS and len(tokens) == 2 else "doubtful"


def _common_words(message: Message, tokens: list[Token], content: list[Token], *, capital: bool) -> Certainty:
    """Judge "Back to the Future", "Get Out": every word is everyday."""
    left = message.left(tokens[0].start)
    if capital and tokens[0].capital:
        return "sure"
    if capital and len(content) >= 2:
        return "sure"
    if LIKE.search(left) or WANTED.search(left) or _NAMED.search(left):
        return "sure" if len(content) >= 2 else "doubtful"
    if len(message.tokens) <= len(tokens) + 1 and len(tokens) > 2:
        return "sure"
    if len(tokens) >= 4 and len(content) >= 2:
        return "doubtful"
    return "doubtful" if _SPOKEN_OF.search(left) and len(content) >= 2 else "no"


def _a_person(tokens: list[Token], entries: list[Entry], lexicon: Lexicon) -> bool:
    """Whether the words are a person's full name besides: then the person is meant."""
    found = lexicon.find([token.norm for token in tokens], [token.stem for token in tokens])
    return len(entries) < len(found) and any(entry.kind == "person" for entry in found)


def best_of(entries: list[Entry], year: float | None) -> Entry:
    """Of namesakes the one of that year, else the full title before aliases, the best known, the newest."""
    if year is not None:
        dated = [entry for entry in entries if entry.year is not None and abs(entry.year - year) <= 1]
        entries = dated or entries
    return max(entries, key=lambda entry: (not entry.alias, entry.weight, entry.year or 0.0))
