"""The ways in which one field of an item may be said, as patterns over normalised words. Reads English.

Every way says the field's own value and nothing beside it. Knows nothing of wishes, of other items and of sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.ranking import value_of
from agent.understand.roles import Role, parts_of, role_of
from agent.wording import in_minutes, plain_number
from retrieval.items import Item
from retrieval.text import fold

Part: TypeAlias = Literal["plain", "fits", "but"]
"""What a claim is said for: just true of the item, a reason why it fits, a drawback."""

_TOKEN = re.compile(r"\d+(?:[.,]\d+)+|[€$£]|[^\W_]+(?:'[^\W_]+)?")
_WHOLE: Mapping[str, str] = {
    **{f"{word}'s": f"{word} is" for word in ("it", "that", "this", "here", "there", "what")},
    **{f"{word}n't": f"{word} not" for word in ("is", "are", "was", "does", "do", "has", "have")},
    **{f"{word}'re": f"{word} are" for word in ("you", "they", "we")},
    **{f"{word}'ll": f"{word} will" for word in ("you", "it", "they")},
    "you've": "you have",
    "you'd": "you would",
}
"""Contractions in full: negations must be seen."""
_BEFORE: Mapping[Role, str] = {
    "language": "(?:spoken |shot )?in ",
    "country": "(?:(?:comes |is |hails )?from |made in )",
    "format": "(?:(?:comes? |available )?(?:on|as|as a|in) )?",
    "brand": "(?:made by |by |from |of )?",
    "colour": "(?:(?:comes? |available )?in )?",
    "soft": "(?:about )?",
}
"""What stands before a value; where it may not be left out, the value alone could mean something else."""
_NO_BARE = frozenset(
    "yes no not none true false never nothing without only yet more less most least but though although however".split()
)
"""Values that would turn or weigh other words when they stand alone."""
_MADE: Mapping[str, tuple[str, str]] = {
    "director": ("directed by|helmed by|a film by|from director|by director", "directed|directs|made|helmed|helms"),
    "author": ("written by|a book by|by author|from author|penned by", "wrote"),
    "instructor": ("taught by|led by|given by|by|with|with instructor", "teaches|leads|gives|taught"),
    "teacher": ("taught by|led by|given by|by|with|with teacher", "teaches|leads|gives|taught"),
}
"""By the attribute's name: what stands before who made it, and what they did."""
_AUDIENCE = frozenset({"level", "audience", "skill_level"})
"""Attributes whose values are people to whom it is open."""
_ABOUT = frozenset({"subject", "topic", "theme", "area"})
"""Words in the names of attributes whose values are what it is about."""
_ITSELF = "(?:it|this|this one|this film|this movie|this book|this course|the film|the book|the course)"
_MONEY = {"EUR": ("eur", "euros", "euro"), "USD": ("usd", "dollars", "dollar"), "GBP": ("gbp", "pounds", "pound")}
_SIGNS = {"EUR": "€", "USD": r"\$", "GBP": "£"}
_UNITS = {"g": "g|grams?", "kg": "kg|kilos?|kilograms?", "cm": "cm|centimetres?", "gb": "gb|gigabytes?"}
_NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
                 "twelve")  # fmt: skip
NEAR_HOURS = 12
"""Minutes by which a length may miss whole hours that are said with "almost" or "just over"."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Words, as a pattern over normalised text, that are true of the item; `part` is what they may be said for.

    `needs`: one of these must stand in a sentence for the pattern to be worth compiling; () for always.
    """

    pattern: str
    field: str
    part: Part = "plain"
    needs: tuple[str, ...] = ()


def normal(text: str) -> str:
    """Words and numbers alone, folded, one space between, contractions in full: the form that claims are matched in."""
    return " ".join(_WHOLE.get(one, one) for one in _TOKEN.findall(fold(text).replace("’", "'")))


def claim(body: str, field: str, part: Part, needs: Iterable[str] = ()) -> Claim:
    """A claim that ends with a word."""
    return Claim(rf"(?:{body})(?= |$)", field, part, tuple(filter(None, map(normal, needs))))


def one_of(texts: Iterable[str]) -> str:
    """A pattern for any of `texts`, the longest first."""
    said = sorted({normal(text) for text in texts} - {""}, key=len, reverse=True)
    return "|".join(map(re.escape, said)) or r"(?!)"


def ways(item: Item, name: str, part: Part, only: str = "") -> Iterator[Claim]:
    """The ways to say the field `name`; `only`: of a list this value alone."""
    value = value_of(item, name)
    if value is None:
        return
    if isinstance(value, float | int):
        yield claim(_number(item, name, float(value)), name, part)
        return
    values = [one for one in (value if isinstance(value, tuple) else (value,)) if not only or fold(one) == fold(only)]
    role = role_of(name, number=False)
    if role == "cast":
        yield from _cast(name, values, part)
        return
    if role == "maker" or name in _MADE:
        yield from _makers(name, values, part)
    if role == "brand":
        yield claim(rf"(?:{one_of(values)})'s", name, part, values)
    if role != "maker":
        yield from _values(name, role, values, part)


def _values(name: str, role: Role, values: Sequence[str], part: Part) -> Iterator[Claim]:
    label = normal(" ".join(parts_of(name)))
    bare = one_of(one for one in values if normal(one) not in _NO_BARE and not normal(one).isdigit())
    before = "(?:(?:about|on|in) (?:the |a )?)?" if _ABOUT & set(parts_of(name)) else _BEFORE.get(role, "")
    yield claim(f"{before}(?:{bare})", name, part, values)
    yield claim(f"(?:its |the )?{label}(?: is)? (?:{one_of(values)})", name, part, values)
    if name in _AUDIENCE:
        people = f"(?:(?:all |every |an? )?(?:{bare})s?)"
        meant = "(?:suitable |suited |made |meant |open )?(?:for|to)|suits|aimed at"
        yield claim(f"(?:{meant}) {people}", name, part, values)
        yield claim(f"{people}(?: level| are welcome)", name, part, values)
    if [fold(one) for one in values] in (["yes"], ["true"]) and label not in _NO_BARE:
        yield claim(label, name, part, (label,))


def _cast(name: str, people: Sequence[str], part: Part) -> Iterator[Claim]:
    """Who plays in it: a name never stands without the word that says its part."""
    some = _some(people)
    yield claim(
        rf"(?:with|starring|featuring|features|stars|it stars|its cast includes|the cast includes) {some}"
        r"(?: in the cast| among its cast)?",
        name, part, people,
    )  # fmt: skip
    within = "(?:it|the cast(?: of(?= this | the ))?)"
    plays = rf"(?:stars?|plays?|appears?) in {_ITSELF}|stars?|(?:is|are) in {within}"
    yield claim(rf"{some} (?:{plays})", name, part, people)


def _makers(name: str, people: Sequence[str], part: Part) -> Iterator[Claim]:
    """Who made it."""
    some = _some(people)
    before, did = _MADE.get(name, ("made by", "made"))
    yield claim(rf"(?:{before}|by|the {re.escape(name)} is|its {re.escape(name)} is) {some}", name, part, people)
    yield claim(rf"{some} (?:{did})(?: {_ITSELF}(?= |$))?", name, part, people)
    yield claim(rf"(?:{one_of(people)})'s", name, part, people)


def _some(people: Sequence[str]) -> str:
    anyone = one_of(people)
    return rf"(?:{anyone})(?:(?: and)? (?:{anyone}))*"


def _number(item: Item, name: str, value: float) -> str:
    """A number with its unit or its name; a year may stand alone."""
    role = "price" if name == "price" else role_of(name, number=True)
    if role == "price":
        verbs = (
            "costs?|will cost you|sells? for|goes for|(?:is |are )?priced at|comes? (?:in )?at|comes to|you pay|"
            "(?:is|are) yours for|(?:with )?(?:its |the |a )?price(?: is| of)?|at a price of|for|at"
        )
        return rf"(?:it |they )?(?:(?:{verbs}) )?(?:just |only )?(?:{money(value, item.currency)})"
    said = number_said(value)
    if role == "year":
        before = "released|made|published|came out|comes|dates|dating"
        return rf"(?:(?:{before}) )?(?:(?:from|in|of) )?(?:{said})|(?:dates|dating) back to (?:{said})"
    if in_minutes(name):
        verbs = (
            "(?:it )?runs(?: for| to)?|(?:it )?lasts|takes|clocks in at|at|of|"
            "(?:with |its |the |a )?(?:running time|runtime|run time|length)(?: of| is)?"
        )
        length = rf"(?:{said}) (?:min|minutes?)(?: long)?|(?:{hours(value)})(?: long)?"
        return rf"(?:(?:{verbs}) )?(?:{length})"
    return _measure(role, parts_of(name), value, said)


def _measure(role: Role, words: Sequence[str], value: float, said: str) -> str:
    """Any other number: with its unit where its name has one, or with its name."""
    unit = rf"(?:{said}) {words[-1]}"
    if len(words) > 1:
        units = _UNITS.get(words[-1], words[-1])
        verbs = {"duration": "takes|lasts|runs(?: for)?|spread over|of", "weight": "weighs?"}.get(role, "of")
        one = f"|{words[-1].removesuffix('s')}" if words[-1].endswith("s") else ""
        what = " ".join(words[:-1])
        lasts = rf"(?:(?:its |the )?{what}(?: life)? (?:lasts(?: for)?|is|of) )?"
        after = rf"(?: of {what}(?: life)?| {what}(?: life)?| long)?"
        unit = rf"(?:(?:it )?(?:{verbs}) (?:just |only )?|{lasts})?(?:{said}) (?:{units}{one}){after}"
    if role == "rating":
        return rf"rated (?:at )?(?:{said})|(?:{said}) stars|(?:its |the |a )?{' '.join(words)}(?: is| of)? (?:{said})"
    return rf"{unit}|(?:its |the |a )?{' '.join(words)}(?: is| of)? (?:{said})"


def number_said(value: float) -> str:
    """A number in digits, and in a word where it is small and whole."""
    word = _NUMBER_WORDS[int(value)] if value.is_integer() and 2 <= value < len(_NUMBER_WORDS) else ""
    return one_of((plain_number(value), f"{value:,.10g}", word))


def hours(minutes: float) -> str:
    """A length in words of whole hours, exact or near: digits that stand in no field are never said."""
    found = []
    for n in range(1, len(_NUMBER_WORDS)):
        said = "(?:one|an) hour" if n == 1 else rf"{_NUMBER_WORDS[n]} hours"
        over = minutes - 60 * n
        if over == 0:
            found.append(said)
        elif -NEAR_HOURS <= over < 0:
            found.append(rf"(?:almost|nearly|just under|a little under|not quite) {said}")
        elif 0 < over <= NEAR_HOURS:
            found.append(rf"(?:just over|a little over|a bit over|slightly over) {said}")
    return "|".join(found) or r"(?!)"


def money(value: float, currency: str | None) -> str:
    """An amount with its currency, as it may be said."""
    amounts = one_of((f"{value:.2f}", f"{value:,.2f}", plain_number(value)))
    codes = "|".join(_MONEY.get(currency or "", (normal(currency or ""),)))
    if not codes:
        return rf"(?:{amounts})"
    sign = _SIGNS.get(currency or "")
    before = rf"|(?:{codes.split('|')[0]}{'|' + sign if sign else ''}) (?:{amounts})"
    after = f"|{sign}" if sign else ""
    return rf"(?:{amounts}) (?:{codes}{after}){before}"


def limit_said(item: Item, name: str, value: float) -> str:
    """A limit of a number field, with its unit."""
    if name == "price":
        return money(value, item.currency)
    said = number_said(value)
    if in_minutes(name):
        exact = _NUMBER_WORDS[int(value // 60)] if value % 60 == 0 and value // 60 < len(_NUMBER_WORDS) else ""
        return rf"(?:{said})(?: (?:min|minutes))?" + (rf"|{exact} hours?" if exact else "")
    words = parts_of(name)
    return rf"(?:{said})(?: {words[-1]})?" if len(words) > 1 else rf"(?:{said})"
