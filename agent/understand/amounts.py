"""Amounts in words and figures: "two and a half hours", "$5-10", "the late 80s", "八十年代".

Knows nothing of catalogues; `numbers.py` decides which attribute an amount is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

Unit = Literal["minutes", "money", "year", ""]

_ONES = dict(
    zip(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
        " sixteen seventeen "
        "eighteen nineteen".split(),
        range(20),
        strict=True,
    )
)
_TENS = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
_CHINESE = dict(zip("零一二三四五六七八九", range(10), strict=True)) | {"两": 2}
_DECADES = {
    "twenties": 20,
    "thirties": 30,
    "forties": 40,
    "fifties": 50,
    "sixties": 60,
    "seventies": 70,
    "eighties": 80,
    "nineties": 90,
    "noughties": 0,
    "naughties": 0,
    # as they are misspelt
    "ninties": 90,
    "ninetys": 90,
    "nintees": 90,
    "ninteys": 90,
    "eightys": 80,
    "eigthies": 80,
    "eighteis": 80,
    "eightees": 80,
    "seventys": 70,
    "seventees": 70,
    "sevinties": 70,
    "seveties": 70,
    "sixtys": 60,
    "sixites": 60,
    "fiftys": 50,
    "fifites": 50,
    "fourties": 40,
    "fortys": 40,
    "thirtys": 30,
    "twentys": 20,
}

_SMALL = "|".join(sorted([*_ONES, *_TENS], key=len, reverse=True))
_SPELLED = (
    rf"(?:(?:{_SMALL}|a)[\s-]hundred(?:\s(?:and\s)?(?:{_SMALL})(?:[\s-](?:{_SMALL}))?)?"
    rf"|(?:{_SMALL})(?:[\s-](?:{_SMALL}))?)"
)
_FIGURES = r"\d{1,3}(?:[,.]\d{3})+(?![\d])|\d+[.,]\d{1,2}(?!\d)|\d+"
_HAN = r"[零一二两三四五六七八九十百千]+"
NUMBER = rf"(?:{_FIGURES}|\b{_SPELLED}\b)"
_ANY = rf"(?:{NUMBER}|{_HAN})"

_MONEY_SIGN = r"[€$£¥]|\b(?:eur|usd|gbp|rmb|us\$)"
_MONEY_WORD = (
    r"(?:€|\$|£|¥|euros?\b|eur\b|dollars?\b|usd\b|bucks?\b|quid\b|pounds?\b|gbp\b|yuan\b|rmb\b|块钱|块|元|欧元"
    r"|欧|美元|美金|英镑|人民币)"
)
_PATTERNS: tuple[tuple[Unit, re.Pattern[str]], ...] = (
    (
        "minutes",
        re.compile(
            r"(?P<half>\bhalf an hour\b|\ba half hour\b|半个?小时)|(?P<hourhalf>\b(?:an|one) hour and a half\b"
            r"|\b1\.5 ?h\b|一个半小时)"
        ),
    ),
    (
        "minutes",
        re.compile(
            rf"(?P<h>{_ANY})(?P<plushalf>\s+and a half|个半)?\s?-?(?:hours?\b|hrs?\b|h(?=\d|\b)|个?(?:小时|钟头))"
            rf"(?P<tail>\s+and a half\b|半|\s?(?:and\s)?(?P<m>{_ANY})\s?(?:minutes?\b|mins?\b|m\b|分钟?)?(?![\d:]))?"
        ),
    ),
    ("minutes", re.compile(r"(?P<onehour>\b(?:an|a single) hour\b)|(?P<couple>\ba couple(?: of)? hours\b)")),
    ("minutes", re.compile(rf"(?P<min>{_ANY})\s?-?(?:minutes?\b|mins?\b|min\b|minuters?\b|分钟)")),
    ("money", re.compile(rf"(?:{_MONEY_SIGN})\s?(?P<sum>{_FIGURES})(?P<thousand>k\b)?(?:\s?{_MONEY_WORD})?")),
    ("money", re.compile(rf"(?P<sum>{_ANY})(?P<thousand>k\b)?[\s-]?{_MONEY_WORD}")),
    (
        "year",
        re.compile(
            rf"(?P<part>\bearly|\bmid(?:dle of the)?|\blate|早期的?|后期的?)?[\s-]?(?:the\s)?(?:"
            rf"(?P<decade>(?<![a-z0-9.])'?(?:1[89]|20)\d0(?:'?s\b|年代)|(?<![a-z0-9.$€£])'?\d0(?:'?s\b|年代))"
            rf"|\b(?P<named>{'|'.join(_DECADES)})\b|(?P<han>[二三四五六七八九]十年代)|\b(?P<century>18th|19th|20th|21st|nineteenth"
            r"|twentieth|twenty-first)[\s-]century\b)"
        ),
    ),
    (
        "year",
        re.compile(
            r"(?<![\d:$€£#(\[-])(?<!\d[.,])(?P<year>1[89]\d\d|20[0-4]\d|(?:(?<=\bin )|(?<=\bfrom )|(?<=\byear ))"
            r"(?:1[4-7]\d\d|20[5-9]\d|2[1-9]\d\d))(?!\d|[.,:]\d|\s?(?:gb|mb|mah|x|px|p\b|%|pieces"
            r"|units))年?"
        ),
    ),
)
_BARE = re.compile(rf"(?<![a-z0-9.#])(?P<bare>{_FIGURES})(?P<thousand>k\b)?\s?-?(?P<unit>%|\"|[a-z]+|公斤|寸|分)?")
MAX_AMOUNTS = 24
"""Amounts that are read in one message."""

_CENTURIES = {
    "18th": (1700.0, 1799.0),
    "19th": (1800.0, 1899.0),
    "nineteenth": (1800.0, 1899.0),
    "20th": (1900.0, 1999.0),
    "twentieth": (1900.0, 1999.0),
    "21st": (2000.0, 2099.0),
    "twenty-first": (2000.0, 2099.0),
}
_PART = {"early": (0, 3), "mid": (4, 6), "late": (7, 9), "早": (0, 3), "后": (7, 9)}


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its place; `low` and `high` differ for decades; `word` is an unknown unit or ""."""

    start: int
    end: int
    low: float
    high: float
    unit: Unit
    word: str = ""


def amounts_in(low: str, free: Callable[[int, int], bool], *, years: bool) -> list[Amount]:
    """Every amount of lower-case text in free places, in order; `years`: four figures may be a year."""
    found: list[Amount] = []
    for unit, pattern in _PATTERNS:
        if len(found) >= MAX_AMOUNTS:
            break
        if unit == "year" and not years:
            continue
        for match in pattern.finditer(low):
            start, end = _trim(match)
            if not _clear(found, free, start, end):
                continue
            if amount := _amount(match, unit):
                found.append(replace(amount, start=start, end=end))
    for match in _BARE.finditer(low):
        if len(found) >= MAX_AMOUNTS:
            break
        value = number(match["bare"])
        word = match["unit"] or ""
        end = match.end() if word and word not in _NOT_UNITS else match.end("bare")
        if value is not None and _clear(found, free, match.start(), end):
            scale = 1_000 if match["thousand"] else 1
            found.append(
                Amount(match.start(), end, value * scale, value * scale, "", "" if word in _NOT_UNITS else word)
            )
    return sorted(found, key=lambda amount: amount.start)


_NOT_UNITS = frozenset(
    "and or to for but is in on with the a an of at from not no please max maximum tops years year film"
    " films movie movies items "
    "that if i it them these ones one only st nd rd th s x would as".split()
)


def number(text: str) -> float | None:
    """The value of figures, English words below a thousand or Chinese figures; None for anything else."""
    text = text.strip().removeprefix("'")
    if re.fullmatch(r"\d{1,3}([,.]\d{3})+", text):
        return float(re.sub(r"[,.]", "", text))
    if re.fullmatch(r"\d{1,12}([.,]\d{1,2})?", text):
        return float(text.replace(",", "."))
    if text and all(char in "零一二两三四五六七八九十百千" for char in text):
        return _han(text)
    total, known = 0, False
    for word in re.split(r"[\s-]+", text):
        if word == "hundred":
            total = max(1, total) * 100
        elif word not in ("and", "a"):
            value = _ONES.get(word, _TENS.get(word))
            if value is None:
                return None
            total += value
        known = True
    return float(total) if known else None


def _han(text: str) -> float:
    total, digit = 0, 0
    for char in text:
        if char in _CHINESE:
            digit = _CHINESE[char]
        else:
            total += max(1, digit) * {"十": 10, "百": 100, "千": 1_000}[char]
            digit = 0
    return float(total + digit)


def _amount(match: re.Match[str], unit: Unit) -> Amount | None:
    groups = match.groupdict()
    if unit == "year":
        span = _years(groups)
    else:
        value = _minutes(groups) if unit == "minutes" else number(groups["sum"])
        if value is not None and groups.get("thousand"):
            value *= 1_000
        span = None if value is None else (value, value)
    return Amount(0, 0, span[0], span[1], unit) if span else None


def _minutes(groups: dict[str, str | None]) -> float | None:
    fixed = {"half": 30.0, "hourhalf": 90.0, "onehour": 60.0, "couple": 120.0}
    for name, value in fixed.items():
        if groups.get(name):
            return value
    if text := groups.get("min"):
        return number(text)
    hours = number(groups.get("h") or "")
    if hours is None:
        return None
    tail = groups.get("tail") or ""
    extra = number(groups.get("m") or "") if groups.get("m") else (30.0 if tail or groups.get("plushalf") else 0.0)
    return hours * 60 + (extra or 0.0) + (30.0 if tail and groups.get("plushalf") else 0.0)


def _years(groups: dict[str, str | None]) -> tuple[float, float] | None:
    if text := groups.get("year"):
        return float(text), float(text)
    if text := groups.get("century"):
        return _CENTURIES[text]
    if text := groups.get("decade"):
        first = int(re.sub(r"\D", "", text))
        if first == 1800:
            return _CENTURIES["19th"]  # nobody means the ten years
    elif text := groups.get("named"):
        first = _DECADES[text]
    elif text := groups.get("han"):
        first = _CHINESE[text[0]] * 10
    else:
        return None
    if first < 100:
        first += 2000 if first < 20 else 1900
    part = groups.get("part") or ""
    since, until = next((span for word, span in _PART.items() if part.startswith(word)), (0, 9))
    return float(first + since), float(first + until)


def _trim(match: re.Match[str]) -> tuple[int, int]:
    text = match.group()
    return match.start() + len(text) - len(text.lstrip(" -")), match.end() - (len(text) - len(text.rstrip()))


def _clear(found: list[Amount], free: Callable[[int, int], bool], start: int, end: int) -> bool:
    return start < end and free(start, end) and all(end <= other.start or start >= other.end for other in found)


def joined(low: str, found: list[Amount], *, between: re.Pattern[str]) -> Iterator[tuple[Amount, Amount]]:
    """Neighbouring amounts with only `between` (fully matched) between them."""
    for first, second in zip(found, found[1:], strict=False):
        if between.fullmatch(low[first.end : second.start]):
            yield first, second
