"""A postal address in a message, and the country that it names. Not covered: whether the address exists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from agent.messages import messages
from agent.support.actions.orders import MAX_ADDRESS_CHARS
from agent.understand.types import Language
from retrieval.loading.clean import clean_line
from retrieval.text import fold

MIN_ADDRESS_CHARS = 8
_LANGUAGES: tuple[Language, ...] = ("en", "zh")
_ALIASES = {"uk": "GB", "great britain": "GB", "england": "GB", "scotland": "GB", "wales": "GB", "holland": "NL",
    "deutschland": "DE", "osterreich": "AT", "schweiz": "CH", "suisse": "CH", "espana": "ES", "italia": "IT",
    "norge": "NO", "sverige": "SE", "danmark": "DK", "suomi": "FI", "polska": "PL", "belgique": "BE", "belgie": "BE",
    "nederland": "NL", "republic of ireland": "IE"}  # fmt: skip
_ELSEWHERE = frozenset((
    "us usa u.s. u.s.a. america canada australia mexico brazil argentina china japan india russia ukraine turkey egypt "
    "israel singapore iceland greece portugal romania hungary bulgaria croatia serbia slovakia slovenia estonia latvia "
    "lithuania malta cyprus andorra monaco liechtenstein thailand vietnam indonesia malaysia philippines pakistan "
    "nigeria kenya morocco chile peru colombia taiwan 中国 日本 韩国 美国 加拿大 澳大利亚 印度 俄罗斯 葡萄牙 希腊 台湾 "
    "香港"
).split()) | {"united states", "united states of america", "new zealand", "south africa", "south korea", "czechia",
    "czech republic", "hong kong", "saudi arabia", "united arab emirates"}  # fmt: skip
"""Countries that addresses end with and that the Reel Shop does not deliver to; others are taken for a town."""
_NEW = (
    re.compile(r"\b(?:address|it)\b.*?(?:\bto\b|\bis\b|\bbe\b|:)\s*(?P<rest>.+)$", re.IGNORECASE | re.DOTALL),
    re.compile(r"\b(?:ship|send|deliver)\b.*?\bto\b:?\s*(?P<rest>.+)$", re.IGNORECASE | re.DOTALL),
    re.compile(r"(?:[改换](?:成|为|到)|寄[到往]|送到|新地址是?|地址是|[:：])\s*(?P<rest>.+)$", re.DOTALL),
)
_TAIL = re.compile(r"\s+(?:instead|please|thanks|thank you)[.!\s]*$|[.!。！\s]+$", re.IGNORECASE)
_NUMBER = re.compile(r"\d+")
_LETTER = re.compile(r"[^\W\d_]")


def address_in(text: str) -> str:
    """The address behind "address ... to", "ship it to" or a colon; "" where there is none."""
    found = (whole_address(match["rest"]) for pattern in _NEW if (match := pattern.search(text)))
    return next((address for address in found if address), "")


def whole_address(text: str) -> str:
    """The message as an address, on one line; "" where it cannot be one: one part, no number, a question."""
    line = _TAIL.sub("", clean_line(text.replace("\n", ", "))).strip(" ,;\"'“”")
    if not MIN_ADDRESS_CHARS <= len(line) <= MAX_ADDRESS_CHARS or "?" in line or "？" in line or "@" in line:
        return ""
    parted = "," in line or not line.isascii() or len(_NUMBER.findall(line)) > 1  # "a comedy from 1990" is none
    return line if parted and _NUMBER.search(line) and _LETTER.search(line) else ""


def country_in(address: str, known: Sequence[str], otherwise: str) -> str:
    """The ISO code of the country at the end (or, in Chinese, the beginning) of `address`.

    `otherwise` where it names none; "" for a country that is not among `known`.
    """
    names = _names()
    parts = [fold(part) for part in re.split(r"[,，;；\n]", address) if part.strip()]
    ends = [parts[-1], *(" ".join(parts[-1].split()[-n:]) for n in (1, 2, 3, 4))] if parts else []
    for end in ends:
        if end in _ELSEWHERE:
            return ""
        if (code := names.get(end)) is not None:
            return code if code in known else ""
    for name in (*names, *_ELSEWHERE):
        if not name.isascii() and parts and parts[0].startswith(name):
            return names[name] if names.get(name) in known else ""
    return otherwise


@cache
def _names() -> dict[str, str]:
    """Country codes by folded name, in every language that we have."""
    found = dict(_ALIASES)
    for language in _LANGUAGES:
        words = messages(language)
        for code in ("AT", "BE", "CH", "DE", "DK", "ES", "FI", "FR", "GB", "IE", "IT", "LU", "NL", "NO", "PL", "SE"):
            found[fold(words.label(f"country_{code}"))] = code
    return found
