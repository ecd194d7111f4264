"""Taking wishes back: "forget the price", "no, I meant 1994", "not Chris Evans, Chris Pine".

Knows the wishes in force and the new ones; makes `Dropped` facts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.preferences import Dropped, Preference
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, stem, words_of
from agent.understand.types import DialogueContext
from agent.understand.wishes import Reading, Wish
from agent.understand.words import function_words

_DROP = re.compile(
    r"\b(?:forget|never ?mind|ignore|drop|remove|scrap|lose|disregard|clear|delete|lift|skip|cancel)\s+(?:about\s+)?"
    r"(?P<what>[^,.;!?]{3,40}?)"
    r"(?=\s*(?:[,.;!?]|$|\bbut\b|\band\b|\bplease\b|\bfor now\b|\binstead\b))"
    r"|(?:忘掉|忘了|取消|去掉|别管|不考虑|不在乎|不用管|不限|忽略)(?P<han>[^,.;!?]{1,10})"
)
_NO_MATTER = re.compile(
    r"(?:\bthe\s+|\bmy\s+)?(?P<what>[a-z][a-z ]{2,25}?)\s+(?:really\s+)?(?:doesn'?t|does not|don'?t"
    r"|do not|isn'?t|is not|won'?t)\s+(?:really\s+)?"
    r"(?:matter|important|an? (?:issue|problem|concern))\b"
    r"|\b(?:don'?t|do not)\s+(?:really\s+)?(?:care|mind)\s+(?:about|what"
    r"|which)\s+(?:the\s+)?(?P<care>[a-z][a-z ]{2,25})"
    r"|\bany\s+(?P<any>[a-z]{4,12})\b(?=\s*(?:$|[,.!]|is (?:fine|ok|okay|good)|will do|works|would do))"
    r"|\bno\s+(?P<limit>[a-z]{4,12})\s+(?:limit|preference|restriction)s?\b"
    r"|(?P<irrelevant>[a-z]{4,12}) is (?:no object|irrelevant|not important|unimportant)"
    r"|(?P<han>[\u4e00-\u9fff]{2})(?:无所谓|不重要|不限|随便|都行|没关系)"
)
_EVERYTHING = re.compile(
    r"\b(?:everything|all(?: of (?:it|that|them))?|(?:all|my) (?:the )?(?:filters?|wishes|preferences|criteria))\b"
)
_CORRECTION = re.compile(
    r"\bactually\b|\bno,?\s+(?:i|make|not|sorry|wait|let)\b|\bi mean(?:t)?\b|\bmake (?:it|that)\b"
    r"|\binstead\b|\bon second thoughts?\b|\bsorry\b"
    r"|\b(?:change|switch)\b.{0,20}\bto\b|\bscratch that\b|\bcorrection\b|\bwait\b|\bnot\b[^.;!?]{2,30},"
    r"|\brather\b(?! not| than)"
    r"|不对|我是说|我的意思是|改成|换成|应该是|其实"
)
_ADDITIVE = re.compile(
    r"\b(?:also|too|as well|plus|additionally|still|both|even|on top)\b|^\s*(?:and|but|with|or)\b|还要?|也要?|并且|而且"
)
_WORK = re.compile(
    r"\b(?:filters?|limits?|requirements?|restrictions?|constraints?|part|wish|things?|conditions?|preferences?)\b"
)


def take_back(message: Message, context: DialogueContext, lexicon: Lexicon, reading: Reading) -> None:
    """`Dropped` facts for wishes that the words take back; their spans are marked as read."""
    for pattern in (_DROP, _NO_MATTER):
        for match in pattern.finditer(message.low):
            what = next((text for text in match.groupdict().values() if text), "")
            if not message.free(match.start(), match.end()):
                continue
            if dropped := _dropped(what, match, message, context, lexicon):
                reading.dropped.append(dropped)
                message.take(match.start(), match.end())


def _dropped(
    what: str, match: re.Match[str], message: Message, context: DialogueContext, lexicon: Lexicon
) -> Dropped | None:
    evidence = message.quote(match.start(), match.end())
    if _EVERYTHING.search(what):
        return Dropped(context.turn, evidence, everything=True)
    ids = _spoken_of(what, context.preferences)
    if ids:
        return Dropped(context.turn, evidence, preference_ids=ids)
    attributes = tuple(dict.fromkeys(name for _, _, name in lexicon.attributes.named(what)))
    return Dropped(context.turn, evidence, attributes=attributes) if attributes else None


def _spoken_of(what: str, preferences: Sequence[Preference]) -> tuple[str, ...]:
    """Wishes whose values the words name."""
    words = {stem(word) for word in words_of(_WORK.sub(" ", what))} - function_words()
    found = []
    for wish in preferences:
        values = [{stem(word) for word in words_of(str(value))} for value in wish.values]
        quoted = {stem(word) for word in words_of(wish.evidence)} - function_words()
        if words and (any(value and value <= words for value in values) or words <= quoted):
            found.append(wish.id)
    return tuple(found)


def replace_old(message: Message, context: DialogueContext, lexicon: Lexicon, reading: Reading) -> None:
    """Drop older wishes that the new ones stand in for."""
    corrected = bool(_CORRECTION.search(message.low))
    additive = bool(_ADDITIVE.search(message.low))
    gone: dict[str, str] = {}
    for wish in list(reading.wishes):
        if wish.doubtful:
            continue
        if wish.polarity == "negative":
            _deny_old(wish, context, reading, gone, corrected=corrected)
            continue
        for old in context.preferences:
            if _stands_in(wish, old, lexicon, corrected=corrected, additive=additive):
                gone.setdefault(old.id, message.quote(wish.start, wish.end))
    by_evidence: dict[str, list[str]] = {}
    for preference_id, evidence in gone.items():
        by_evidence.setdefault(evidence, []).append(preference_id)
    for evidence, ids in by_evidence.items():
        reading.dropped.append(Dropped(context.turn, evidence, preference_ids=tuple(ids)))


def _deny_old(wish: Wish, context: DialogueContext, reading: Reading, gone: dict[str, str], *, corrected: bool) -> None:
    """Take Evans back for "not Chris Evans, Chris Pine"; without another name he is excluded."""
    other = any(new.attribute == wish.attribute and new.polarity == "positive" for new in reading.wishes)
    if not (corrected and other):
        return
    for old in context.preferences:
        same = {str(v).casefold() for v in old.values} & {str(v).casefold() for v in wish.values}
        if old.attribute == wish.attribute and old.polarity == "positive" and same:
            gone.setdefault(old.id, reading.message.quote(wish.start, wish.end))
            if wish in reading.wishes:
                reading.wishes.remove(wish)


def _stands_in(new: Wish, old: Preference, lexicon: Lexicon, *, corrected: bool, additive: bool) -> bool:
    if old.attribute != new.attribute or new.attribute is None or old.polarity == "negative":
        return False
    if tuple(old.values) == tuple(new.values) and old.op == new.op:
        return False
    if new.attribute in lexicon.attributes.numbers:
        return (new.op == "eq") or (corrected and old.op == "eq")
    if new.kind != "hard":
        return corrected and old.kind == "soft"
    shape = lexicon.shape.attributes.get(new.attribute)
    if corrected or (shape is not None and shape.kind == "text"):
        return True
    return lexicon.attributes.roles.get(new.attribute) == "kind" and old.kind == "hard" and not additive
