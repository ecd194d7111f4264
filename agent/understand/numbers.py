"""Bounds on numbers: years, minutes, money, ratings and whatever else the catalogue counts.

Knows the words before and after an amount, and which attribute its unit fits. Vague words ("short",
"cheap") become soft bounds at quantiles of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from agent.preferences import PreferenceKind, PreferenceOperator
from agent.understand.about import in_request
from agent.understand.amounts import Amount, amounts_in, number
from agent.understand.lexicon import Lexicon
from agent.understand.message import Message, stem
from agent.understand.negation import Stances, hedged, tells
from agent.understand.roles import parts_of
from agent.understand.wishes import Wish, softened

YEAR_LEEWAY = 3.0
"""Years on each side that "around 1994" still allows."""

AMOUNT_LEEWAY = 0.2
"""Share on each side that "around 20 euros" still allows."""

RECENT_YEARS = 5.0
MAX_NAME_CHARS = 40
"""How far before an amount its attribute may be called by name."""

_NOT = (
    r"(?:(?:\b(?:no|not|nothing|none|never|nor|isn'?t|aren'?t|don'?t want (?:anything|one|it|to (?:pay|spend"
    r"|go))|can'?t (?:be|cost|pay|spend|go)"
    r"|without (?:anything|going))|不要|不|别|没有)\s*(?:(?:that'?s?|that is|to be|be|is|cost(?:s|ing)?"
    r"|an? (?:single )?(?:minute|second|cent|penny|dime|euro|dollar|day|year)"
    r"|go(?:ing)?|made|released|from|much|any|too)\s+)*)?"
)
_OPERATORS: tuple[tuple[PreferenceOperator, str], ...] = (
    (
        "lt",
        r"\b(?:under|below|beneath|(?:less|lower|fewer|smaller|cheaper|shorter|older|earlier|lighter) than"
        r"|before|prior to|pre-?)|<"
        r"|低于|少于|不到|不足|小于|短于|早于",
    ),
    (
        "le",
        r"\b(?:at (?:the )?most|max(?:imum)?(?: of)?|up to|until|till|within|capped at|(?:limit"
        r"|maximum)(?: (?:of|is))?"
        r"|budget(?: (?:of|is|around|about))*|can (?:only )?(?:spend|pay)|as (?:much|long) as)|<=|≤|最多|至多|上限"
        r"|不高于|预算",
    ),
    (
        "gt",
        r"\b(?:over|above|(?:more|greater|higher|longer|newer|later|bigger|larger|heavier|better"
        r"|more recent) than|after|post-?|exceed(?:ing|s)?"
        r"|past)|(?<![<-])>|超过|高于|多于|大于|长于|晚于",
    ),
    (
        "ge",
        r"\b(?:at (?:the )?least|min(?:imum)?(?: (?:of|is))?|since|starting (?:at|from|in)|from|upwards? of)"
        r"|>=|≥|至少|不少于|不低于|最少|从",
    ),
)
_FILLER = r"\s*(?:(?:the|a|an|year|years|of|like|price|it|say|just|about|around|roughly|than|is|was|in|early|于)\s+)*$"
_LEFT = tuple((op, re.compile(rf"(?P<no>{_NOT})(?:{words}){_FILLER}")) for op, words in _OPERATORS)
_APPROXIMATELY = re.compile(
    r"(?:\b(?:around|about|roughly|approximately|approx\.?|circa|ca\.?|some|near(?:ly)?|close to)|~|大约|大概"
    r"|约)\s*(?:the\s+|year\s+|of\s+)*$"
)
_RIGHT: tuple[tuple[PreferenceOperator, re.Pattern[str]], ...] = (
    (
        "le",
        re.compile(
            r"\s*(?:or (?:so )?(?:less|under|below|cheaper|shorter|fewer)|and (?:under|below|less)|max(?:imum)?\b"
            r"|tops\b|at (?:the )?most|以下|以内|之内|以里|内|封顶)"
        ),
    ),
    ("le", re.compile(r"\s*(?:or (?:earlier|before|older)|and (?:earlier|before|older)|年?及[以之]前)")),
    (
        "ge",
        re.compile(
            r"\s*(?:or (?:more|over|above|longer|later|newer|higher|better|after|up)|and (?:up|above|over|later"
            r"|newer|higher|onwards?|on|after|more)"
            r"|onwards?\b|(?:-|to|until)\s*(?:the )?(?:present|now|today)\b|on(?=\W*$)"
            r"|年?及[以之]后|\+|plus\b|minimum\b|at (?:the )?least|以上|起|之上)"
        ),
    ),
    ("lt", re.compile(r"\s*(?:以前|之前|前)")),
    ("gt", re.compile(r"\s*(?:以后|之后|后)")),
)
_ABOUT_RIGHT = re.compile(r"\s*(?:or so\b|ish\b|-ish\b|左右|上下)")
_RANGE = re.compile(r"\s*(?:-|to|until|till|through|and|到|至|~)\s*(?:the\s+)?")
_EITHER = re.compile(r"\s*(?:or|and|/|,|或者?|和)\s*(?:the\s+)?")
_BETWEEN = re.compile(r"(?:\bbetween|\bfrom|\brange(?: of)?|从)\s*(?:the\s+|of\s+)*$")
_SPEND = re.compile(r"\b(?:have|got|only|for|spend|pay|budget|cost|price|预算|花)\b[^.,;]{0,15}$|预算|价格")
_ANOTHER_WISH = re.compile(r"[,;.!?]|\b(?:and|or|but|with)\b")
_IN_TIME = re.compile(r"\b(?:have|got|only|in)\b[^.,;]{0,15}$")
_OPPOSITE: dict[PreferenceOperator, PreferenceOperator] = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}
_LAST_YEARS = re.compile(
    r"\b(?:in |from |over |of )?(?:the )?(?:last|past|previous) (?:(?P<n>\d+|[a-z]+|couple of"
    r"|few) )?(?P<unit>years?|decades?)\b|(?:最近|近)(?P<han>[一二两三四五六七八九十\d]+)年"
)
_VAGUE_NEGATION = re.compile(
    r"\b(?:not?|nothing|isn'?t|aren'?t|don'?t want)\b[\w\s']{0,14}\b(?:too|very|so|that|overly|super"
    r"|really|quite)\s+$|不太|不要太|别太|太$"
)

# words, role, operator, quantile (for years: years before the newest as a negative number)
_VAGUE: tuple[tuple[str, str, PreferenceOperator, float], ...] = (
    (r"(?:short|brief|quick)|短一?点?的?|短片", "duration", "le", 0.25),
    (
        r"(?:long|lengthy)(?! (?:time|ago|day|week|as|for|been|story|way|flight|before|after|term))|长一?点的?",
        "duration",
        "ge",
        0.75,
    ),
    (
        r"(?:cheap|affordable|inexpensive|low[- ]?(?:cost|priced?)|budget[- ]friendly|good (?:deal|bargain)s?"
        r"|on a budget)|便宜的?",
        "price",
        "le",
        0.33,
    ),
    (r"(?:expensive|pricey|premium|high[- ]?end|luxury|luxurious|costly)|昂贵|高端|贵", "price", "ge", 0.75),
    (
        r"(?:recent|newish|new(?! (?:to|york|zealand|mexico|orleans|jersey|year'?s?|here|search|one'?s? for))"
        r"|modern|contemporary|current)(?:ly)?|最近的|新片|新一?点?的",
        "year",
        "ge",
        -RECENT_YEARS,
    ),
    (
        r"(?:(?<!year )(?<!years )(?<!year-)(?<!years-)(?<!yr )old(?! (?:boy|man|men|woman|lady|friend|enough"
        r"|school))|older|vintage|old[- ]school|classic)|老片"
        r"|老电影|经典",
        "year",
        "le",
        -30.0,
    ),
)
_VAGUE_PATTERNS = tuple(
    (re.compile(rf"(?<![a-z0-9-])(?:{words})(?![a-z0-9-]|\s+than\b)"), role, op, share)
    for words, role, op, share in _VAGUE
)
_DATED = re.compile(
    r"\b(?:(?:films?|movies?|something|anything|one|ones|made|released|shot) (?:in|from)|from|of|year|before"
    r"|after|since"
    r"|than|until|between)\s+(?:the\s+)?(?:year\s+)?$"
)
_DENIED_TIME = re.compile(
    r"\b(?:not|nothing|none|never|avoid|without|exclud(?:e|ing)|except(?: for)?|skip|leave out|steer clear of"
    r"|(?:any|every)thing but|no (?:films?|movies?|ones?|items?|products?|stuff)"
    r"|(?:do not|don'?t) (?:really )?(?:want|like|show(?: me)?|include))\s+"
    r"(?:(?:anything|any|films?|movies?|ones?|stuff|items?|products?|made|released|shot|that (?:is|are|was|were))\s+)*"
    r"(?:(?:from|in|of|out of)\s+)?(?:the\s+)?(?:year\s+)?$"
)
"""What stands before a time that must not be: "not from the 90s"."""
_AGE_OF_PERSON = re.compile(r"\d+\s?-?(?:years?|yrs?|month|岁)\s?-?old|岁|\bborn\b")


class NumberReader:
    """Reads the bounds of one message."""

    def __init__(self, message: Message, lexicon: Lexicon, asked: str | None) -> None:
        self._message = message
        self._lexicon = lexicon
        self._asked = asked if asked in lexicon.attributes.numbers else None
        self._year = lexicon.attributes.of("year")
        self._named_from = 0

    def bounds(self) -> list[Wish]:
        """Wishes on amounts, in the order of the words; their spans are marked as read."""
        wishes = self._last_years()
        found = amounts_in(self._message.low, self._message.free, years=self._year is not None)
        found = [amount for amount in found if not self._is_age(amount)]
        position = 0
        while position < len(found):
            amount = found[position]
            before = found[position - 1] if position else None
            self._named_from = self._end_of(before) if before else 0
            following = found[position + 1] if position + 1 < len(found) else None
            if following and (pair := self._pair(amount, following)):
                wishes += pair
                position += 2
                continue
            wishes += self._single(amount, wishes)
            position += 1
        for wish in wishes:
            self._message.take(wish.start, wish.end)
        return wishes

    def vague(self, stances: Stances, taken: Callable[[int, int], bool]) -> list[Wish]:
        """Soft bounds for "short", "cheap", "recent" where the catalogue has no such value itself."""
        wishes = []
        for pattern, role, op, share in _VAGUE_PATTERNS:
            attribute = self._lexicon.attributes.of(role)  # type: ignore[arg-type]  # the table holds roles only
            match = pattern.search(self._message.low)
            if (
                not attribute
                or not match
                or taken(match.start(), match.end())
                or not in_request(self._message, *match.span())
            ):
                continue
            before = len(self._message.low[: match.start()].rstrip())
            if (
                before
                and not self._message.free(before - 1, before)
                and re.search(r"[a-z0-9]$", self._message.low[:before])
            ):
                continue  # "two hours long" has been read as two hours
            wish = self._vague_wish(match, attribute, op, share, stances)
            if wish:
                wishes.append(wish)
        return wishes

    def _vague_wish(
        self, match: re.Match[str], attribute: str, op: PreferenceOperator, share: float, stances: Stances
    ) -> Wish | None:
        start = match.start()
        negation = _VAGUE_NEGATION.search(self._message.left(start, 40))
        scope = stances.denied(start)
        if scope or negation:
            op = "le" if op == "ge" else "ge"
            share = 1 - share if share < 0 else 0.66 if op == "le" else 0.33
            start = scope.start if scope else start
        if share < 0 or attribute == self._year:
            newest = self._lexicon.quantile(attribute, 1.0)
            years = RECENT_YEARS if op == "ge" and not scope else 30.0 if op == "le" and not scope else 15.0
            value = None if newest is None else newest - years
        else:
            value = self._lexicon.quantile(attribute, share)
        if value is None:
            return None
        return Wish(attribute, op, (value,), start, match.end(), kind="soft")

    # -- one amount ----------------------------------------------------------------------------

    def _single(self, amount: Amount, before: list[Wish]) -> list[Wish]:
        left = self._message.left(amount.start, 50)
        op, start = _operator(left, amount.start)
        right_op, end = _right_operator(self._message.low, amount.end)
        attribute = self._attribute(amount, start, end, op or right_op, before)
        if attribute is None or (attribute == self._year and not self._plausible_year(amount)):
            return []
        amount = replace(amount, end=self._end_of(amount))
        if right_op is None and (denied := self._denied_time(attribute, amount, left)):
            return [denied]
        if approximate := _APPROXIMATELY.search(left):
            if op is None and right_op is None:
                return self._around(attribute, amount, amount.start - len(left) + approximate.start(), amount.end)
        if about := _ABOUT_RIGHT.match(self._message.low, amount.end):
            return self._around(attribute, amount, amount.start, about.end())
        from_on = op == "ge" and "from" in left[-12:]
        if right_op and (op is None or from_on):
            return [self._bound(attribute, right_op, amount, start if op else amount.start, end)]
        if (
            op == "ge"
            and attribute == self._year
            and re.search(r"\bfrom\b|从", left[-12:])
            and "since" not in left[-8:]
        ):
            return self._exact(attribute, amount, start)
        if op:
            return [self._bound(attribute, op, amount, start, amount.end)]
        return self._unmarked(attribute, amount, left)

    def _end_of(self, amount: Amount) -> int:
        """Where the amount ends: a word behind it that no attribute is called or counted by belongs to what follows."""
        word = amount.word
        if not word.isalpha() or self._counted_in(word) or self._lexicon.attributes.named(word):
            return amount.end
        return amount.start + len(self._message.low[amount.start : amount.end - len(word)].rstrip())

    def _denied_time(self, attribute: str, amount: Amount, left: str) -> Wish | None:
        """Every year of "not from the 90s", none of which may be: what is older and what is newer stays."""
        denied = _DENIED_TIME.search(left)
        if denied is None and amount.low < amount.high:
            denied = re.search(r"\bno\s+$", left)
        if attribute != self._year or denied is None:
            return None
        years = tuple(float(year) for year in range(int(amount.low), int(amount.high) + 1))
        start = amount.start - len(left) + denied.start()
        return Wish(attribute, "eq", years, start, amount.end, polarity="negative")

    def _unmarked(self, attribute: str, amount: Amount, left: str) -> list[Wish]:
        """An amount without "under" or "over": what it means depends on what is counted."""
        role = self._lexicon.attributes.roles.get(attribute)
        if role == "year":
            return self._exact(attribute, amount, amount.start)
        if role == "price" and (_SPEND.search(left) or amount.unit == "money"):
            return [self._bound(attribute, "le", amount, amount.start, amount.end)]
        if role == "duration":
            if _IN_TIME.search(left):
                return [self._bound(attribute, "le", amount, amount.start, amount.end)]
            return self._around(attribute, amount, amount.start, amount.end)
        return [self._bound(attribute, "eq", amount, amount.start, amount.end)]

    def _exact(self, attribute: str, amount: Amount, start: int) -> list[Wish]:
        """The year or the decade itself; softly where it is only told: "a film made in 2017 that I saw"."""
        told = attribute == self._year and tells(self._message, amount.start)
        wishes = self._stated(attribute, amount, start)
        return [softened(wish) for wish in wishes] if told else wishes

    def _stated(self, attribute: str, amount: Amount, start: int) -> list[Wish]:
        if amount.low == amount.high:
            return [self._wish(attribute, "eq", amount.low, start, amount.end)]
        return [
            self._wish(attribute, "ge", amount.low, start, amount.end),
            self._wish(attribute, "le", amount.high, start, amount.end),
        ]

    def _around(self, attribute: str, amount: Amount, start: int, end: int) -> list[Wish]:
        year = attribute == self._year
        low = amount.low - (YEAR_LEEWAY if year else AMOUNT_LEEWAY * amount.low)
        high = amount.high + (YEAR_LEEWAY if year else AMOUNT_LEEWAY * amount.high)
        return [
            Wish(attribute, "ge", (round(low, 2),), start, end, kind="soft"),
            Wish(attribute, "le", (round(high, 2),), start, end, kind="soft"),
        ]

    def _bound(self, attribute: str, op: PreferenceOperator, amount: Amount, start: int, end: int) -> Wish:
        value = amount.high if op in ("gt", "le") else amount.low
        return self._wish(attribute, op, value, start, end)

    def _wish(self, attribute: str, op: PreferenceOperator, value: float, start: int, end: int) -> Wish:
        return Wish(attribute, op, (value,), start, end, kind="soft" if hedged(self._message, start, end) else "hard")

    # -- two amounts ---------------------------------------------------------------------------

    def _pair(self, first: Amount, second: Amount) -> list[Wish] | None:
        between = self._message.low[first.end : second.start]
        left = self._message.left(first.start, 30)
        bracket = _BETWEEN.search(left)
        same = first.unit == second.unit or "" in (first.unit, second.unit)
        if not same or not between.strip() or _DENIED_TIME.search(left):
            return None
        if first.high > second.high:
            if not (bracket and "between" in bracket.group() and _RANGE.fullmatch(between)):
                return None
            return self._reversed(first, second, first.start - len(left) + bracket.start())
        unit = second if second.unit or second.word else first
        start = first.start - len(left) + bracket.start() if bracket else first.start
        if _RANGE.fullmatch(between) and (bracket or not re.search(r"and", between)):
            attribute = self._attribute(unit, start, second.end, "ge", [])
        elif first.unit == second.unit == "year" and _EITHER.fullmatch(between) and second.low <= first.high + 1:
            attribute = self._attribute(unit, start, second.end, "ge", [])
        else:
            return None
        if attribute is None:
            return None
        return [
            self._wish(attribute, "ge", first.low, start, second.end),
            self._wish(attribute, "le", second.high, start, second.end),
        ]

    def _reversed(self, first: Amount, second: Amount, start: int) -> list[Wish] | None:
        """Read "between 10 and 8 euros" as from 8 to 10."""
        attribute = self._attribute(second if second.unit or second.word else first, start, second.end, "ge", [])
        if attribute is None:
            return None
        low = self._wish(attribute, "ge", second.low, start, second.end)
        return [low, self._wish(attribute, "le", first.high, start, second.end)]

    # -- which attribute -----------------------------------------------------------------------

    def _attribute(
        self, amount: Amount, start: int, end: int, op: PreferenceOperator | None, before: list[Wish]
    ) -> str | None:
        attributes = self._lexicon.attributes
        if amount.unit == "minutes":
            return attributes.of("duration")
        if amount.unit == "money":
            return attributes.of("price")
        named = self._named(start, max(end, amount.end))
        if amount.unit == "year":
            if named and named != self._year:
                return named
            return self._year if self._plausible_year(amount) else None
        if amount.word:
            return self._by_unit(amount.word, named)
        if named:
            return named
        if self._asked:
            return self._asked
        if op is None:
            return None
        if before and before[-1].end >= start - 5:
            return before[-1].attribute
        return attributes.of("price")

    def _by_unit(self, word: str, named: str | None) -> str | None:
        fitting = self._lexicon.attributes.unit(
            {'"': "inches", "寸": "inches", "公斤": "kg", "分": "rating"}.get(word, word)
        )
        if word in ("star", "stars", "分", "points") and not fitting:
            return self._lexicon.attributes.of("rating")
        counted = self._counted_in(word)
        if len(counted) == 1:
            return counted[0]
        if named in self._lexicon.attributes.numbers:
            return named
        return fitting[0] if len(fitting) == 1 else None

    def _counted_in(self, word: str) -> list[str]:
        """The attributes whose unit the word is, which stands last in their name: "weeks" of `duration_weeks`."""
        return [n for n in self._lexicon.attributes.unit(word) if stem(parts_of(n)[-1]) == stem(word)]

    def _named(self, start: int, end: int) -> str | None:
        """A number attribute called by name right before or after the amount."""
        low = self._message.low
        since = max(self._named_from, start - MAX_NAME_CHARS)
        since += low[since:start].rfind(",") + 1
        names = [
            name
            for s, e, name in self._lexicon.attributes.named(low[since:start])
            if name in self._lexicon.attributes.numbers and self._message.free(since + s, since + e)  # no Vincent Price
        ]
        if names:
            return names[-1]
        after = self._lexicon.attributes.named(low[end : end + 24])
        goes_on = bool(after) and not _ANOTHER_WISH.search(low, end, end + after[0][0])
        if goes_on and after[0][0] <= 5 and after[0][2] in self._lexicon.attributes.numbers:
            return after[0][2]
        return None

    def _plausible_year(self, amount: Amount) -> bool:
        shape = self._lexicon.shape.attributes[self._year or ""]
        low, high = shape.minimum or 0.0, shape.maximum or 9_999.0
        if amount.low != amount.high or _DATED.search(self._message.left(amount.start, 16)):
            return True  # "from the 1800s", "a film from 2030": nothing fits, and that is said
        return low - 60 <= amount.low <= high + 15

    def _is_age(self, amount: Amount) -> bool:
        around = self._message.low[max(0, amount.start - 12) : amount.end + 12]
        return amount.unit != "money" and bool(_AGE_OF_PERSON.search(around))

    def _last_years(self) -> list[Wish]:
        match = _LAST_YEARS.search(self._message.low)
        newest = self._lexicon.quantile(self._year, 1.0) if self._year else None
        if (
            not match
            or newest is None
            or self._year is None
            or not (in_request(self._message, *match.span()) or re.match(r"(?:from|of)\b", match.group()))
            or not self._message.free(match.start(), match.end())
        ):
            return []
        word = match["n"] or match["han"] or "one"
        years = {"couple of": 2.0, "few": 4.0}.get(word) or number(word)
        if years is None:
            return []
        if (match["unit"] or "").startswith("decade"):
            years *= 10
        self._message.take(match.start(), match.end())
        kind: PreferenceKind = "soft" if tells(self._message, match.start()) else "hard"
        return [Wish(self._year, "ge", (newest - years,), match.start(), match.end(), kind)]


def _operator(left: str, place: int) -> tuple[PreferenceOperator | None, int]:
    """The operator that ends at `place` and where its words begin; the longest reading wins."""
    best: tuple[int, PreferenceOperator] | None = None
    for op, pattern in _LEFT:
        match = pattern.search(left)
        if match and (best is None or match.start() < best[0]):
            denied = bool(match["no"].strip())
            best = (match.start(), _OPPOSITE[op] if denied else op)
    if best is None:
        return None, place
    return best[1], place - len(left) + best[0]


def _right_operator(low: str, end: int) -> tuple[PreferenceOperator | None, int]:
    for op, pattern in _RIGHT:
        if match := pattern.match(low, end):
            return op, match.end()
    return None, end
