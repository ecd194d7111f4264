"""Taking wishes back: "forget the price", "no, I meant 1994", "not Chris Evans, Chris Pine".

Knows the wishes in force and the new ones; makes `Dropped` facts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from agent.preferences import Dropped, Preference
from agent.understand import intents
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, stem, words_of
from agent.understand.roles import PERSON_ROLES
from agent.understand.types import DialogueContext
from agent.understand.wishes import Reading, Wish
from retrieval.words import function_words

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
    r"|\bany\s+(?P<any>[a-z]{4,12}(?:\s[a-z]{3,12}){0,2}?)\b"
    r"(?=\s*(?:$|[,.!]|is (?:fine|ok|okay|good)|will do|works|would do))"
    r"|\b(?:i am|i'?m|we are|we'?re)\s+(?:really\s+|quite\s+|very\s+|fairly\s+)?"
    r"(?:flexible|easy|open|relaxed|not (?:too |very |so )?(?:picky|fussy|bothered|strict|particular))\s+"
    r"(?:on|about|with|regarding|as to|when it comes to)\s+(?:the\s+|my\s+)?"
    r"(?P<flexible>[a-z][a-z ]{2,40}?)(?=\s*(?:$|[,.;!?]|\bbut\b|\bas long\b|\bthough\b))"
    r"|\bno\s+(?P<limit>[a-z]{4,12})\s+(?:limit|preference|restriction)s?\b"
    r"|(?P<irrelevant>[a-z]{4,12}) is (?:no object|irrelevant|not important|unimportant|flexible|negotiable)"
    r"|(?P<han>[\u4e00-\u9fff]{2})(?:无所谓|不重要|不限|随便|都行|没关系)"
)
_NEUTRAL = re.compile(r"\b(?:actually|films?|movies?|with|some|a little|i|do|like|love|enjoy|now|again)\b")
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
_NO = re.compile(r"^\W*(?:no|nope|nah|wait|oops)\s*[,.!:-]+\s*(?=\w)")
"""What begins a correction that says no more than the new wish: "no, Tom Hanks"."""
_ADDITIVE = re.compile(
    r"\b(?:also|too|as well|plus|additionally|still|both|even|on top)\b|^\s*(?:and|but|with|or)\b|还要?|也要?"
    r"|并且|而且"
)
_WORK = re.compile(
    r"\b(?:filters?|limits?|requirements?|restrictions?|constraints?|part|wish|things?|conditions?|preferences?)\b"
)


_PERMITS = re.compile(
    r"(?:^|[,.;!?]\s*|\b(?:and|but|actually|ok(?:ay)?|well|sorry|no)\b,?\s+)(?:i (?:think|guess|suppose) )?"
    r"(?P<fine>[^,.;!?]{2,40}?)(?:'s|\s+(?:is|are|would be|can be|films? (?:is|are)|movies? (?:is|are)))\s+"
    r"(?:actually |also |really |perfectly |quite |totally )*"
    r"(?:fine|ok(?:ay)?|all ?right|allowed|welcome|acceptable|included|(?:not a|no) problem|good)\b(?: (?:too"
    r"|after all|again|now))*"
    r"|\b(?:i|we) (?:actually |really |do )*(?:don'?t|do not|wouldn'?t) (?:actually |really )?mind"
    r" (?P<mind>(?!about\b|what\b|which\b|if\b|how\b)[^,.;!?]{2,40}?)(?: (?:after all|any ?more|though|too"
    r"|now))*(?=\s*(?:[,.;!?]|$|\bbut\b))"
    r"|(?:\bactually,? |\bno,? |\bbut |\bsorry,? |\bwait,? )(?:i|we) (?:do |really |also )*(?:like|love"
    r"|enjoy) (?P<like>[^,.;!?]{2,40})"
    r"|\b(?:i|we) (?:actually |do |really )+(?:like|love|enjoy) (?P<do>[^,.;!?]{2,40}?) after all\b"
    r"|\b(?P<after>[^,.;!?]{2,40}?) after all\b"
    r"|\b(?P<table>[^,.;!?]{2,40}?) (?:is|are) back (?:on the table|in)\b"
    r"|\b(?:allow|include|permit|bring back|you (?:can|may) (?:show|include|recommend"
    r"|suggest)(?: me)?) (?P<allow>[^,.;!?]{2,40}?)(?: again)?(?=\s*(?:[,.;!?]|$|\bbut\b))"
    r"|(?P<han>[\u4e00-\u9fff·]{2,8}?)(?:其实)?也(?:可以|行|没关系|没问题|不错)|(?:不介意"
    r"|可以接受)(?P<hanmind>[\u4e00-\u9fff]{2,8})"
    r"|其实我?(?:还是|也|挺|很)?喜欢(?P<hanlike>[\u4e00-\u9fff·]{1,8})"
)
_HIM = re.compile(r"^(?:him|her|he|she|他|她)$")
_IT = re.compile(r"^(?:it|them|that|those|these|they|它)$")
_MEANT = re.compile(
    r"(?:\b(?:i|we) mean(?:t)?|\bas in|\bmeaning) the (?P<new>[a-z]+)(?:,? (?:and )?not the (?P<old>[a-z]+))?"
    r"|(?:我说的是|我是说|我指的是)(?P<hannew>[\u4e00-\u9fff]{2})"
)


def clarify(message: Message, context: DialogueContext, lexicon: Lexicon, reading: Reading) -> None:
    """Move an older wish to the attribute that was meant: "I meant the country, not the language"."""
    for match in _MEANT.finditer(message.low):
        new = lexicon.attributes.named(match["new"] or match["hannew"])
        if not new or not message.free(*match.span()):
            continue
        message.take(*match.span())
        attribute = new[0][2]
        for old in context.preferences:
            words = [word for word in words_of(_NEUTRAL.sub(" ", old.evidence.lower())) if word not in function_words()]
            entries = [entry for entry in lexicon.values_like(words) if entry.attribute == attribute]
            if old.attribute != attribute and entries:
                evidence = message.quote(*match.span())
                reading.dropped.append(Dropped(context.turn, evidence, preference_ids=(old.id,)))
                values = entries[0].values
                reading.add(Wish(attribute, "eq", values, *match.span(), kind=old.kind, polarity=old.polarity))


def permit(message: Message, context: DialogueContext, lexicon: Lexicon, reading: Reading) -> None:
    """`Dropped` facts for what was forbidden and is allowed now: "Tom Cruise is fine"; nothing new is required."""
    forbidden = [wish for wish in context.preferences if wish.polarity == "negative"]
    for match in _PERMITS.finditer(message.low):
        what = next((text for text in match.groupdict().values() if text), "").strip()
        if not message.free(match.start(), match.end()):
            continue
        named = _NEUTRAL.sub(" ", what)
        ids = spoken_of(named, forbidden) or meant_by(named, forbidden, lexicon)
        ids = ids or _pointed_at(what, forbidden, lexicon)
        if ids:
            reading.dropped.append(Dropped(context.turn, message.quote(*match.span()), preference_ids=ids))
        if ids or match["mind"]:  # what one does not mind is no wish
            message.take(match.start(), match.end())


def meant_by(what: str, forbidden: Sequence[Preference], lexicon: Lexicon) -> tuple[str, ...]:
    """Wishes whose values the words mean in another way: "scary films", 恐怖片."""
    entries = lexicon.values_like(words_of(what))
    return tuple(
        wish.id
        for wish in forbidden
        if any(entry.attribute == wish.attribute and set(entry.values) & set(wish.values) for entry in entries)
    )


def _pointed_at(what: str, forbidden: Sequence[Preference], lexicon: Lexicon) -> tuple[str, ...]:
    """What "him" or "it" was: the person, or the thing, that was forbidden last."""
    if _HIM.match(what):
        forbidden = [
            w for w in forbidden if w.op != "eq" or lexicon.attributes.roles.get(w.attribute or "") in PERSON_ROLES
        ]
    elif not _IT.match(what):
        return ()
    return tuple(wish.id for wish in forbidden[-1:])


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
    ids = spoken_of(what, context.preferences)
    if ids:
        return Dropped(context.turn, evidence, preference_ids=ids)
    attributes = tuple(dict.fromkeys(name for _, _, name in lexicon.attributes.named(what)))
    wished = {wish.attribute for wish in context.preferences}
    if context.asked and context.asked.attribute in attributes and wished.isdisjoint(attributes):
        if intents.SHOW_ANYWAY.search(message.low):
            return None  # no wish is taken back: our question is waved off
    return Dropped(context.turn, evidence, attributes=attributes) if attributes else None


def spoken_of(what: str, preferences: Sequence[Preference]) -> tuple[str, ...]:
    """Wishes whose values the words name."""
    words = {stem(word) for word in words_of(_WORK.sub(" ", what))} - function_words()
    found = []
    for wish in preferences:
        values = [{stem(word) for word in words_of(str(value))} for value in wish.values]
        quoted = {stem(word) for word in words_of(wish.evidence)} - function_words()
        if words and (any(value and value <= words for value in values) or words <= quoted):
            found.append(wish.id)
    return tuple(found)


def replace_old(
    message: Message, context: DialogueContext, lexicon: Lexicon, reading: Reading, settled: Collection[str | None] = ()
) -> None:
    """Drop older wishes that the new ones stand in for; of attributes that are `settled` the words named the old."""
    additive = bool(_ADDITIVE.search(message.low))
    denied = bool(_NO.match(message.low)) and not additive
    corrected = denied or bool(_CORRECTION.search(message.low))
    gone: dict[str, str] = {}
    for wish in list(reading.wishes):
        if wish.doubtful or wish.attribute in settled:
            continue
        if wish.polarity == "negative":
            _deny_old(wish, context, reading, gone, corrected=corrected)
            continue
        for old in context.preferences:
            other = denied and same_people(wish, old, lexicon)  # "no, Tom Hanks" after a wish for a director
            if other or _stands_in(wish, old, lexicon, corrected=corrected, additive=additive):
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


def same_people(new: Wish, old: Preference, lexicon: Lexicon) -> bool:
    """Whether both wish for people, one of whom may stand in for the other; not for the same one."""
    roles = lexicon.attributes.roles
    people = all(roles.get(one.attribute or "") in PERSON_ROLES for one in (new, old))
    return people and new.polarity == old.polarity == "positive" and set(new.values).isdisjoint(old.values)


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
