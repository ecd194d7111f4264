"""Takes personal data out of words before other customers' searches may learn from them.

Deterministic and deliberately too eager: what goes missing costs a search nothing. Covered: addresses of mail and web,
handles, numbers of six digits or more (telephones, orders, cards) but not years, and names that somebody introduces
("my name is ...", "I'm Anna", "my wife Anna"). Not covered: names that are merely said, addresses in words, other
languages than English and Chinese. Knows nothing of the catalogue.
"""

from __future__ import annotations

import re
from typing import Final

MIN_DIGITS: Final = 6
"""A number with fewer is a price, a year or a size."""

_ADDRESS = re.compile(r"\S*@\S+|(?:https?://|www\.)\S+", re.IGNORECASE)
_NUMBER = re.compile(r"[^\W\d_]*\+?\(?\d(?:[ ().\-/]{0,2}\d){3,}\w*")
_YEARS = re.compile(r"(?:(?:1[89]|20)\d\d[ \-/.]*)+")
_NAME = r"[A-Z][\w'\u2019-]*(?:\s+[A-Z][\w'\u2019-]*){0,2}"
_INTRODUCED = re.compile(
    r"\b((?:[Mm]y|[Oo]ur)\s+(?:\w+\s+)?(?:name(?:\s+is|'s|\u2019s)?|wife|husband|son|daughter|mother|mum|mom|father|dad|"
    r"sister|brother|girlfriend|boyfriend|partner|friend|boss|kid|child)(?:\s+is)?,?"
    r"|[Ii](?:'m|\u2019m|\s+am)|I\s+am|[Tt]his\s+is|[Cc]all\s+me)\s+" + _NAME
)
_SAID_IN_ANY_CASE = re.compile(r"\b((?:my|the)\s+name(?:\s+is|'s|\u2019s)|call\s+me)\s+\w+", re.IGNORECASE)
_CHINESE_NAME = re.compile(r"(我叫|我的名字[是叫]|我姓)[\u4e00-\u9fff]{1,4}")
_HIDDEN = " "


def mask(text: str) -> str:
    """`text` with a space where there was personal data."""
    text = _ADDRESS.sub(_HIDDEN, text)
    text = _NUMBER.sub(_number, text)
    text = _INTRODUCED.sub(r"\1" + _HIDDEN, text)
    text = _SAID_IN_ANY_CASE.sub(r"\1" + _HIDDEN, text)
    return _CHINESE_NAME.sub(r"\1" + _HIDDEN, text)


def _number(match: re.Match[str]) -> str:
    found = match[0]
    short = sum(char.isdigit() for char in found) < MIN_DIGITS
    return found if short or _YEARS.fullmatch(found.strip()) else _HIDDEN
