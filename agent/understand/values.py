"""From names to wishes: which are conditions, which only tastes, which are alternatives, which are denied.

Knows where names stand and how the writer stands to them; not how they were found.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from agent.understand import intents
from agent.understand.entities import Mention, attributes_near
from agent.understand.lexicon import Entry, Lexicon
from agent.understand.message import Message, words_of
from agent.understand.negation import Stances, hedged, tells
from agent.understand.roles import Role
from agent.understand.titles import LIKE
from agent.understand.wishes import Wish

_OR = re.compile(
    r"\s*(?:,?\s*\bor\b|/|,?\s*\beither\b|或者?|还是|,\s*(?=.{0,30}\bor\b))\s*(?:(?:a|an|the|by|with|some"
    r"|maybe|even|from|in)\s+)*",
    re.ASCII,
)
_AND = re.compile(r"\s*(?:,|&|,?\s*\band\b|和|跟|与)\s*(?:(?:a|an|the|by|with|some|from|in)\s+)*")
_FILM_NOUN = re.compile(r"\s*(?:films?|movies?|flicks?|ones?|stuff|items?|products?)\b")
_DESCRIBES = re.compile(
    r"(?<!make )\b(?:it|that|this|he|she|they|which)(?:'s|'re| is| are| was| were)?\s+(?:also |really "
    r"|such |kind of |more of )?(?:an?|the)?\s*(?:(?!has\b|have\b|stars?\b|features?\b)\w+\s+)?$"
)
_PAST = re.compile(
    r"\b(?:(?:was|were)(?!\s+(?:made|shot|filmed|produced|released|directed|written)\b)"
    r"|went|watched|saw|grew up|used to|last (?:night|week|year)|yesterday|recently"
    r"|would you|do you(?! have| sell| carry| stock| know| got)|have you(?! got| any)|did you|are you"
    r"|you like)\b"
)
_FAN = re.compile(r"\s*(?:films?|movies?|genres?)?\s*(?:fan|buff|lover|person|guy|girl|nerd|junkie|freak)s?\b")
_PROPER: frozenset[Role] = frozenset({"country", "language", "brand"})
_IS_PRAISED = re.compile(
    r"\s*(?:just |also )?(?:is|was|are|were|has|had|scared|made(?!\s+(?:in|by|before|after|since|from|between|of)\b)"
    r"|plays|played|might)\b(?!\s*(?:fine|ok|okay|good|what))"
    r"|\s*'s\s+(?:great|good|the best|my)"
)
_GOOD = re.compile(
    r"\b(?:love[ds]?|liked?|likes|enjoy(?:ed|s)?|adore[ds]?|favou?rites?|great|fantastic|amazing"
    r"|excellent|awesome|brilliant|masterpiece|best)\b|喜欢|爱|好看|最爱"
)
_BAD = re.compile(
    r"\b(?:hate[ds]?|dislike[ds]?|terrible|awful|boring|worst|bad|horrible|disappointing|disappointed"
    r"|sucks?|sucked|crap|overrated|stupid)\b|讨厌|难看|无聊|不喜欢"
)
_NOT_GOOD = re.compile(
    r"\b(?:not|n'?t|never|didn'?t|don'?t|wasn'?t|isn'?t|cannot|can'?t)\s+(?:\w+\s+){0,2}(?:love|like"
    r"|enjoy|good|great|stand|care|my|a fan)\b|不(?:太)?(?:喜欢|爱|好看)"
)
_UNSEEN = re.compile(
    r"\b(?:haven'?t|have not|not|never|didn'?t|hadn'?t)\s+(?:\w+\s+)?(?:seen|see|watched|watch|heard|read"
    r"|tried)\b|没看过"
)
_OWNED = re.compile(
    r"\balready (?:has|have|had|own(?:s|ed)?|got|bought|seen|saw|watched|read|gave|given)\b"
    r"|\b(?:has|have|'ve|'s|own(?:s|ed)?|got|bought|seen|saw|watched)\s+(?:\w+\s+)?already\b"
    r"|\b(?:i|we|he|she|they|(?:my|his|her|our) \w+)(?: \w+)? owns?\b|(?:已经|早就)(?:有|看过|买)"
)
_OWNED_AFTER = re.compile(r"[\"'*)]?\s*(?:already\b|too many times)")
_JOINED = re.compile(
    r"[\"'*]?\s*(?:,|and|or|&|,\s*and|meets|crossed with"
    r"|和|跟|与|或者?|\+|/)+\s*(?:also\s+|the (?:film|movie)\s+)?[\"'*]?"
)


def value_wishes(
    message: Message, lexicon: Lexicon, stances: Stances, found: Sequence[Mention], *, taste: bool = False
) -> list[Wish]:
    """Wishes for the values and people of `found`; alternatives become one wish with several values."""
    mentions = [mention for mention in found if mention.entry.kind != "title"]
    _describe_only(message, lexicon, stances, mentions)
    wishes: list[Wish] = []
    quoted: set[int] = set()
    position = 0
    while position < len(mentions):
        group = _alternatives(message, lexicon, stances, mentions[position:])
        wishes += _wishes(message, lexicon, stances, group, quoted, taste=taste)
        position += len(group)
    return wishes


def _describe_only(message: Message, lexicon: Lexicon, stances: Stances, mentions: Sequence[Mention]) -> None:
    """In "not violent horror" the "not" denies the adjective; the noun behind it is asked for."""
    for adjective, noun in itertools.pairwise(mentions):
        scope = stances.denied(noun.start)
        if scope is None or scope is not stances.denied(adjective.start) or not adjective.entry.soft:
            continue
        cue = message.low[scope.start : scope.cue_end].strip()
        beside = not message.low[adjective.end : noun.start].strip(" -")
        before = re.fullmatch(
            r"\s*(?:(?:too|very|so|that|overly|really)\s+)?", message.low[scope.cue_end : adjective.start]
        )
        kind = lexicon.attributes.roles.get(noun.entry.attribute) == "kind" and not noun.entry.soft
        if cue in ("not", "不是", "不太") and beside and before and kind:
            stances.end_at(scope.cue_end, adjective.end)


def _alternatives(message: Message, lexicon: Lexicon, stances: Stances, mentions: Sequence[Mention]) -> list[Mention]:
    group = [mentions[0]]
    if mentions[0].entry.every or stances.denied(mentions[0].start):
        return group
    for mention in mentions[1:]:
        last = group[-1]
        if mention.entry.attribute != last.entry.attribute or mention.entry.every or stances.denied(mention.start):
            break
        between = message.low[last.end : mention.start]
        between = _FILM_NOUN.sub("", between, count=1) if _FILM_NOUN.match(between) else between
        shape = lexicon.shape.attributes.get(mention.entry.attribute)
        one_valued = shape is not None and shape.kind == "text"
        rest = message.low[mention.start : mention.start + 40]
        if _OR.fullmatch(between) or (_AND.fullmatch(between) and (one_valued or _listed_with_or(between, rest))):
            group.append(mention)
        else:
            break
    return group


def _listed_with_or(between: str, rest: str) -> bool:
    """In "comedy, drama or horror" the comma stands for the "or" to come."""
    return between.strip() == "," and bool(re.match(r"[\w\s'-]{2,25}(?:,[\w\s'-]{2,25})*,?\s+or\s", rest))


def _wishes(
    message: Message, lexicon: Lexicon, stances: Stances, group: Sequence[Mention], quoted: set[int], *, taste: bool
) -> list[Wish]:
    first, last = group[0], group[-1]
    entry = first.entry
    scope = stances.denied(first.start)
    start = scope.start if scope and scope.start not in quoted else first.start
    if scope:
        quoted.add(scope.start)
    doubtful = any(mention.certainty == "doubtful" for mention in group)
    if scope:
        apart = entry.soft and bool(re.search(r"\w", message.low[scope.cue_end : first.start]))
        named = lexicon.attributes.roles.get(entry.attribute) == "kind"
        kind = "soft" if scope.mild or (apart and named) else "hard"  # "no potty humour" spares comedies
        senses = [entry, *_other_senses(message, lexicon, first)]
        return [Wish(one.attribute, "eq", one.values, start, last.end, kind, "negative", doubtful) for one in senses]  # type: ignore[arg-type]
    soft = entry.soft or taste or _is_soft(message, lexicon, stances, group)
    kind = "soft" if soft else "hard"
    if entry.every:
        return [Wish(entry.attribute, "eq", (v,), start, last.end, kind, "positive", doubtful) for v in entry.values]  # type: ignore[arg-type]
    merged = tuple(dict.fromkeys(value for mention in group for value in mention.entry.values))
    return [Wish(entry.attribute, "eq", merged, start, last.end, kind, "positive", doubtful)]  # type: ignore[arg-type]


def _other_senses(message: Message, lexicon: Lexicon, mention: Mention) -> list[Entry]:
    """Other attributes that have the very same value: "no war" denies the genre and the theme, where none is named."""
    entry = mention.entry
    if entry.kind != "value" or entry.every:
        return []
    if entry.attribute in attributes_near(message, mention.start, mention.end, lexicon):
        return []
    words = [words_of(value) for value in entry.values]
    found = (one for own in words for one in lexicon.values_like(own))
    return [one for one in found if one.attribute != entry.attribute and [*map(words_of, one.values)] == words]


def _is_soft(message: Message, lexicon: Lexicon, stances: Stances, group: Sequence[Mention]) -> bool:
    """Whether the words tell a taste, a memory or a leaning instead of a condition."""
    start, end = group[0].start, group[-1].end
    left = message.low[message.clause(start)[0] : start]
    if hedged(message, start, end) or stances.taste(start) or tells(message, start):
        return True
    if _DESCRIBES.search(left) or _PAST.search(left) or _FAN.match(message.low, end):
        return True
    person = group[0].entry.kind in ("person", "surname")
    named = lexicon.attributes.roles.get(group[0].entry.attribute) in _PROPER  # "from the United States"
    if not person and not named and re.search(r"(?<!for )\bthe\s*$", left) and not _FILM_NOUN.match(message.low, end):
        return True  # "the comedy between the two"
    if person and (_IS_PRAISED.match(message.low, end) or LIKE.search(left)):
        return True
    return bool(re.search(r"(?<!would )(?<!'d )(?<!’d )\b(?:like|similar to)\s+(?:a|an)\s*$", left))


def title_wishes(
    message: Message, stances: Stances, found: Sequence[Mention], shown: frozenset[str], *, ask: bool
) -> tuple[list[Wish], list[str]]:
    """(likes and dislikes, ids of titles that are only named); `ask`: the message asks for a title itself."""
    wishes: list[Wish] = []
    named: list[str] = []
    previous: tuple[Mention, str] | None = None
    for mention in (mention for mention in found if mention.entry.kind == "title"):
        role = _role(message, stances, mention, ask=ask)
        if (
            previous
            and _JOINED.fullmatch(message.low[previous[0].end : mention.start])
            and not stances.denied(mention.start)
        ):
            role = previous[1]
        item_id = mention.entry.values[0]
        if role == "named" or (role == "seen" and item_id in shown):
            named.append(item_id)
        else:
            polarity = "negative" if role == "negative" else "positive"
            doubtful = mention.certainty == "doubtful"
            wishes.append(Wish(None, "like", (item_id,), mention.start, mention.end, "soft", polarity, doubtful))  # type: ignore[arg-type]
        previous = (mention, role)
    return wishes, named


def _role(message: Message, stances: Stances, mention: Mention, *, ask: bool) -> str:
    left = message.low[message.clause(mention.start)[0] : mention.start]
    right = message.low[mention.end : message.clause(mention.end)[1]]
    own = re.split(r",|\band\b(?=\s+(?:i |we )?(?:love|like|hate|enjoy|dislike))", left)[-1]
    if _UNSEEN.search(own):
        return "named"
    if stances.denied(mention.start) or _NOT_GOOD.search(own) or re.search(r"\bnothing like\s*[\"']?$", left):
        return "negative"
    if _BAD.search(own):
        return "negative"
    if _OWNED.search(own) or (_OWNED_AFTER.match(right) and not ask):
        liked = intents.LIKE_IT.search(message.low, mention.end)
        return "positive" if liked else "negative"  # the customer needs another one
    if LIKE.search(left) or _GOOD.search(own):
        return "positive"
    if re.match(r"[\"'*)]?\s*(?:sucked|sucks|bored me)\b", right):
        return "negative"
    if re.match(r"[\"'*)]?\s*(?:was|is|were|being|,?\s*(?:which|that) (?:was|is))\b", right) and (
        _BAD.search(right) or _NOT_GOOD.search(right)
    ):
        return "negative"
    if ask:
        return "named"
    if re.search(r"\b(?:seen|watched|saw|own|read)\b|看过", own):
        return "seen"
    alone = not re.sub(
        r"[\W\d_]+|\b(?:the|film|movie|please|what about|how about|and|ok|hmm|maybe|yes)\b", "", left + right
    )
    return "named" if alone and mention.certainty == "sure" else "positive"
