"""Where a message says no, where it only says perhaps, and where it tells a taste rather than a wish.

Knows nothing of catalogues. Rough by design: a scope of a negation runs from its word to the next
comma, "but" or turn to the positive.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice

from agent.understand.message import Message

MAX_SCOPE_CHARS = 70
MAX_SCOPES = 24

_CUE = re.compile(
    r"""
    \bnothing\s+(?:that(?:'s|\s+is)\s+|with\s+|too\s+|but\s+not\s+)?(?!like\b|better\b|but\b|beats\b|wrong\b)
  | \b(?:any|every)(?:thing|one|body)\s+but\s+(?!i\b|not\b)
  | \bnever\s+(?:again\s+)?(?=(?:with|by|from|starring|featuring|directed|any|anything|anyone|another)\b)
  | \b(?:not|no|never)\s+(?:a\s+)?(?:(?:big|huge|much\s+of\s+a)\s+)?fan\s+of\b
  | \bneither\s+(?!one\b|of\b|are\b|is\b)
  | \bno\s+more\b(?!\s+than\b)
  | \bno\s+(?!problem|one\b|idea|worries|doubt|matter|preference|thanks|thank|way\b|limit|need|i\s|it\b|that\b
        |this\b|the\b
        |make\b|sorry|rush|longer\b|not\b|actually\b|clue\b|more\b|less\b|later\b|earlier\b|just\b|but\b|you\b|we\b|instead\b)
  | (?<!why\ )(?<!if\ )(?<!or\ )(?<!whether\ )\bnot\s+(?!only\b|just\b|sure\b|necessarily\b|bad\b|really\b
        |at\s+all|yet\b|long\s+ago
        |interested\s+in\s+(?:it|that)\b|that\s+(?:one|i)\b|to\s+mention|have\s+to|need\s+to|necessarily|know|mind|matter|picky|fussy)
        (?:a\b|an\b|interested\s+in\b|into\b|in\s+the\s+mood\s+for\b|looking\s+for\b|keen\s+on\b|any\b|the\b|in\b|by\b|with\b|from\b)?
  | \b(?:without|excluding|exclude|except(?:\s+for)?|other\s+than|apart\s+from|aside\s+from|besides
        |minus|avoid(?:ing)?|skip(?:ping)?)\b
  | \bfree\s+of\b | \b(?:stay|keep)\s+(?:well\s+)?(?:away\s+from|clear\s+of)\b
  | \bsteer(?:ing)?\s+(?:well\s+)?clear\s+of\b | \b(?:leave|leaving)\s+out\b | \binstead\s+of\b | \brather\s+than\b
  | \b(?:tired|sick|bored|fed\s+up)\s+(?:of|with)\b | \brather\s+not\b | \bunlike\b
  | \b(?:do\s+not|don'?t|doesn'?t|does\s+not|didn'?t|did\s+not|wouldn'?t|won'?t|never)
        \s+(?:really\s+|particularly\s+|usually\s+|much\s+)?
        (?:want|wanna|like[ds]?|loved?|enjoy(?:ed)?|care\s+for|feel\s+like|watch
        |show|recommend|suggest|give|do|include|fancy|need|go\s+for|tend\s+to)\b
        (?!\s+it\b|\s+to\s+(?:pay|spend))
  | \b(?:hate[ds]?|dislike[ds]?|detest(?:ed)?|loathe[d]?|despise[d]?
        |(?:can'?t|cannot|can\s+not|couldn'?t)\s+(?:stand|bear|take|handle))\b
  | (?<!^)\b(?:isn'?t|aren'?t|wasn'?t|weren'?t)\s+(?:a\b|an\b|too\b|very\b|so\b)?
  | 除了|(?<![特区类性级个])别(?![的人名墅])(?:给我|再|看|推荐|放)?(?!超过)
  | 不要(?!超过)|不想看?要?|不看|不喜欢|不爱看?|讨厌|不含|不带|(?<!有)没有(?!了|吗|货)|不能有|避免|不是|不太
    """,
    re.VERBOSE,
)
_CUE_AFTER = re.compile(
    r"\s+(?P<verb>is|are)\s+(?:(?:definitely|absolutely|completely|strictly|simply|just)\s+)*(?:an?\s+)?"
    r"(?:out(?=\s*(?:$|[,.!;)]))|(?:total |complete )?no[- ]?go(?:e?s)?\b|off[- ]limits\b|off\s+the\s+table\b"
    r"|out\s+of\s+the\s+question\b|(?:deal|show)[- ]?(?:breaker|stopper)s?\b|not\s+an\s+option\b)"
)
"""A negation behind what it denies: "Tom Cruise is out"."""
_PARTS = re.compile(r"[,:(]|\s-\s")
_PARTS_OF_ONE = re.compile(r"[,:(]|\s-\s|\b(?:and|but)\b")
_MILD = re.compile(r"\b(?:too|very|so|that|overly|super|particularly|really|quite)\b|不太|太|这么|那么")
_SCOPE_END = re.compile(
    r"[.!?;\n()。]|\s-\s|,?\s\b(?:but|however|although|though|because|since|as long as|so|just|then|please)\b"
    r"|\band\s+(?=(?:i|we|my|maybe|preferably|ideally|something|anything|with|under|below|over|from|make"
    r"|more|less|please|rather"
    r"|just|only|show|give|find|if|it|that|love|like|prefer|want|in|on|by|around|about|starring|set|a|an"
    r"|the|some|not|no|recommend)\b)"
    r"|\s(?:i|we)\s+(?:also |really |do )?(?:like|love|liked|loved|want|need|enjoy|enjoyed|prefer)\b"
    r"|\b(?:under|below|over|before|after|between|around|starring|directed|preferably|ideally|instead"
    r"|or something)\b"
    r"|\s+for (?:my|our|the|a|tonight|us)\b|,\s*(?!(?:or|nor)\b)|(?:但|而|我要|我想|最好|要(?=[^求]))"
)
_WORKS = re.compile(r"\s*(?:(?:any|films?|movies?|anything|something|ones?)\s+)*")
_LIST_GOES_ON = re.compile(r",\s*(?:[\w'-]+\s){0,1}[\w'-]+\s*(?:,\s*(?:[\w'-]+\s){0,1}[\w'-]+)*,?\s+(?:or|nor)\s")
_SOFTENER = re.compile(
    r"\b(?:preferabl[ey]|ideally|maybe|perhaps|a (?:bit|little|touch)|kind of|kinda|sort of|sorta"
    r"|somewhat|slightly|if possible"
    r"|possibly|would be (?:nice|great|good|a (?:plus|bonus))|bonus|i(?:'d)? prefer|we(?:'d)? prefer"
    r"|prefer(?:red|ence)?|leaning|rather (?!than|not)"
    r"|(?:a|an) \w+ (?:feel|vibe|touch|element)s?|elements? of|hints? of|(?:lots|plenty|a lot|full) of"
    r"|with (?:some|a lot of|lots of|plenty of)|nice to have|if you can)\b"
    r"|[a-z]-ish\b|\b(?:dark|light|short|long|new|old|young|cheap|small|big|large|fast|slow|cool|warm|sweet|soft|hard"
    r"|bright|tall|thin|late|early|smart|odd|heavy|rough|mild|dry|thick|wide|(?:twen|thir|for|fif|six|seven|eigh|nine)ty"
    r"|red|green|blue|yell?ow|brown|black|white|gr[ea]y|pink|purple)d?ish\b"
    r"|最好|尽量|可能的话|也许|偏|有点|稍微"
)
_TASTE = re.compile(
    r"(?<!would )(?<!'d )(?<!d )\b(?:(?:i|we|he|she|they|who|really|also|usually|generally|mostly|do|even"
    r"|always|kids?|wife|husband)\s+"
    r"(?:really\s+|do\s+|also\s+|usually\s+|absolutely\s+|both\s+|all\s+|generally\s+|mostly\s+|just\s+|always\s+)?"
    r"(?:like[sd]?|love[sd]?|enjoy(?:s|ed)?|adore[sd]?|am into|'?m into|are into)"
    r"|(?:big|huge|a) fan of|favou?rite|my type|(?:but|and|also) (?:really )?(?:like|love|enjoy)|(?:^"
    r"|[.!,] ?)(?:love|enjoy)"
    r"|(?:i|we)(?:'ve| have)? (?:just |already |recently )?(?:saw|seen|watched|bought|finished)"
    r"|last (?:night|week|time)|yesterday"
    r"|(?:did|have) you (?:ever )?(?:like|see|seen|watch)|do you like|what about you)\b"
    r"|我(?:也|很|比较|最|都)?(?:喜欢|爱看|爱)"
)
_TASTE_IS_ASK = re.compile(r"\b(?:would|'d|id) (?:really )?(?:like|love)|like to (?:see|watch|buy|get|find)")


_SOFTENED_AFTER = re.compile(
    r"[^,]{0,12}(?:,\s*)?if possible\b|[^,]{0,12}(?:,\s*)?(?:preferably|ideally|would be (?:nice|great|good))(?=\s*(?:$"
    r"|[,.!?;]))|-?ish\b|更好|最好"
)


_TELLING_VERB = re.compile(
    r"(?<!that )(?<!which )(?<!who )\b(?:is|isn'?t|wasn'?t|aren'?t|'s|was|are|were|has|had|'ve|stars?"
    r"|starred|sounds?|seems?|looks? like|plays?|played|wrote|decides?|scared|think|thought"
    r"|believe|heard|saw|seen|watch(?:ed|es)|loved?|liked?|enjoyed|knew|mean|mentioned|remember\w*|did"
    r"|does|goes|went|might|reminds?"
    r"|(?:i|you) know|have (?:to|not|been|seen|watched)|made(?!\s+(?:in|by|before|after|since|from|between|of)\b))\b"
)
_MADE = re.compile(r"\bmade\s+(?:in|by|before|after|since|from|between|of)\b")
_SEEN = re.compile(
    r"\b(?:i|we)(?:'ve| have)? (?:\w+ )?(?:saw|seen|watched|bought|remember|loved?|liked?|enjoyed)\b|\b(?:my|our)\b"
)
_WHOSE = re.compile(r"\bwhose\s+[a-z]+(?:\s[a-z]+)?\s+(?:is|are|was|were)\b")
_REQUEST = re.compile(
    r"^\W*(?:(?:and|so|ok|okay|yes|well|but)\W+)*(?:which|what)\b|\b(?:want|wanna|need|looking|search\w*"
    r"|show|find|recommend\w*|suggest\w*|give|get|please|how about|what about|in the mood|prefer\w*"
    r"|only|must|make sure|should be|has to|have to be|let'?s|i'?ll (?:take|have)|(?:would|'d"
    r"|id) (?:really )?(?:like|love)|something|anything|make it"
    r"|any (?:good |other |more |great )?\w+s|do you (?:have|sell|carry|stock|know)|have you got|got any"
    r"|are there|is there|i meant?|try|give me)\b"
    r"|^\W*(?:an?|any|some)?\s*(?:[\w-]+\s+){0,2}(?:films?|movies?|ones?) (?:that (?:were|was) )?(?:made|shot"
    r"|released) (?!.*\b(?:i|we|my)\b)"
)


@dataclass(frozen=True, slots=True)
class Scope:
    """A negation: its cue from `start` to `cue_end`, what it denies up to `end`; `mild` for "not too"."""

    start: int
    cue_end: int
    end: int
    mild: bool


class Stances:
    """How the writer stands to what is said at a place of the message."""

    def __init__(self, message: Message) -> None:
        self._message = message
        self.scopes: list[Scope] = [
            _scope(message.low, match)
            for match in islice(_CUE.finditer(message.low), MAX_SCOPES)
            if message.free(match.start(), match.start() + 2)
        ]
        self.scopes += [_scope_before(message, match) for match in islice(_CUE_AFTER.finditer(message.low), MAX_SCOPES)]

    def end_at(self, cue_end: int, end: int) -> None:
        """The negation whose words end at `cue_end` reaches to `end` only: "not violent | horror"."""
        self.scopes = [replace(s, end=min(s.end, end)) if s.cue_end == cue_end else s for s in self.scopes]

    def denied(self, start: int) -> Scope | None:
        """The innermost negation over the place, or None.

        What begins within the words of the negation is denied by it, too: "not | in person".
        """
        found = [scope for scope in self.scopes if min(scope.start + 1, scope.cue_end) <= start < scope.end]
        return found[-1] if found else None

    def taste(self, start: int) -> bool:
        """Whether the clause tells what the writer likes in general or has seen, which is no order."""
        low, (left, _) = self._message.low, self._message.clause(start)
        before = low[left:start]
        if re.match(r"\s*(?:also|equally)\b", before):  # "I like thrillers but also rom coms"
            before = low[self._message.sentence(start)[0] : start]
        return bool(_TASTE.search(before)) and not _TASTE_IS_ASK.search(before)


def tells(message: Message, position: int) -> bool:
    """Whether the sentence at the place reports something and asks for nothing: "it has Amy Adams"."""
    sentence = message.low[slice(*message.sentence(position))]
    if _REQUEST.search(sentence):
        return False
    before = _WHOSE.sub(" ", message.unread(message.sentence(position)[0], position))  # "mens-watches" tell nothing
    told = _MADE.search(before) and _SEEN.search(sentence)  # "a film made in 2017 that I saw"
    return bool(told or _TELLING_VERB.search(before))


def hedged(message: Message, start: int, end: int) -> bool:
    """Whether the wish at the place is one that may be left open."""
    left, right = message.clause(start)
    before = message.low[max(left, start - 30) : start].rpartition(",")[2]
    after = message.low[end : min(right, end + 30)]
    return bool(_SOFTENER.search(before) or _SOFTENED_AFTER.match(after))


def _scope_before(message: Message, cue: re.Match[str]) -> Scope:
    """What "is out" denies: what stands before it in its part of the sentence; "are out" reaches over an "and"."""
    left, place = message.sentence(cue.start())[0], cue.start()
    parts = _PARTS if cue["verb"] == "are" else _PARTS_OF_ONE
    for match in parts.finditer(message.low, left, place):
        left = match.end()
    left += len(message.low[left:place]) - len(message.low[left:place].lstrip())
    return Scope(left, left, place, mild=False)


def _scope(low: str, cue: re.Match[str]) -> Scope:
    position, limit = cue.end(), min(len(low), cue.end() + MAX_SCOPE_CHARS)
    while position < limit:
        end = _SCOPE_END.search(low, position, limit)
        if end is None:
            position = limit
        elif end.group() in ("starring", "directed") and _WORKS.fullmatch(low, cue.end(), end.start()):
            position = end.end()  # "no films starring": what follows is all that is denied
        elif end.group().startswith(",") and (more := _LIST_GOES_ON.match(low, end.start())):
            position = more.end()
        else:
            position = end.start()
            break
    mild = bool(_MILD.search(low[cue.start() : cue.end() + 6]))
    return Scope(cue.start(), cue.end(), max(position, cue.end()), mild)
