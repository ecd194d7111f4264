"""For whom an item is, men or women, and who asks: "I am a man" says no word against women's shoes, and means one.

Search by words and vectors cannot see this: "men" is one word among hundreds, and "women's running shoes" is a near
neighbour of "men's". Reads titles, because listings say it there, and attributes made for it. Knows nothing of ranking.
Not covered: children, other languages than English, more than one person in one message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from retrieval.items import Item
from retrieval.query import Query
from retrieval.table import BoolArray, ItemTable
from retrieval.text import fold

Audience: TypeAlias = Literal["men", "women"]

MIN_SHARE = 0.02
"""A catalogue of which less is marked for men, or for women, has other things in mind ("A Few Good Men")."""
MAX_TURNS = 12
"""Older turns are not read: whom it is for has been said again, or has changed."""
MAX_TURN_CHARS = 1_000
"""What is read of one turn."""
CLOSE = 80
"""Characters of a clause before a word that may say whether it is meant."""
ATTRIBUTES = frozenset({"audience", "department", "gender", "sex"})

_OWNED = re.compile(r"\b(?:(?P<women>women'?s|ladies'?|for\s+women)|(?P<men>men'?s|for\s+men))(?!\w)")
"""The forms that say whose a listing is: "Men in Black" is nobody's."""
_MARKED = re.compile(r"\b(?:(?P<women>wom[ae]n(?:'?s)?|ladies'?)|(?P<men>m[ae]n(?:'?s)?)|(?P<both>unisex))(?!\w)")
_VALUE = re.compile(r"(?P<women>women(?:'?s)?|woman|females?|ladies)|(?P<men>men(?:'?s)?|man|males?)")
_PERSON = re.compile(
    r"\b(?:(?P<women>wom[ae]n(?:'?s)?|lady|ladies|females?|(?<=for\smy\s)(?:wife|girlfriend|mother|mom|mum|sister))"
    r"|(?P<men>men(?:'?s)?|(?:(?<=\ba\s)|(?<=\bold\s)|(?<=\bam\s))man|gentlem[ae]n|males?"
    r"|(?<=for\smy\s)(?:husband|boyfriend|father|dad|brother)))\b(?!-)"
)
"""Not every "man": "oh man", "man-made"."""
_CLAUSE_END = re.compile(r"[.,!?;:\n]|\bbut\b")
_DENIED = re.compile(
    r"\b(?:no|not|don'?t|doesn'?t|aren'?t|isn'?t|never|stop|without|instead\s+of|other\s+than)"
    r"(?:\s+(?!for\b)\w+){0,2}\s+(?:for\s+)?$"
)
_MEANT = re.compile(
    r"\b(?:i\s+am|i'?m|as\s+an?|for\s+(?:an?|my)|it'?s\s+for|show|find|want|need|like|looking|recommend|suggest|prefer"
    r"|only|is\s+there|are\s+there|have\s+you|you\s+have)\b"
)
"""Who asks, or what is asked for, as is a clause that begins with it; "it compares to the men's model" is neither."""


class Audiences:
    """Which items are for men and which for women. Read-only; safe to share between threads."""

    def __init__(self, table: ItemTable) -> None:
        """Read every item once; 34,509 titles take 0.2 s."""
        titles = [fold(item.title) for item in table.items]
        owned = [_only(_OWNED.finditer(title)) for title in titles]
        typed = [_typed(item) for item in table.items]
        told = [title or value for title, value in zip(owned, typed, strict=True)]
        fewest = min(told.count("men"), told.count("women"))
        self._not_for: dict[Audience, BoolArray] = {}
        if fewest and fewest >= MIN_SHARE * len(table):
            marked = [_only(_MARKED.finditer(title)) or value for title, value in zip(titles, typed, strict=True)]
            self._not_for = {"men": _are(marked, "women"), "women": _are(marked, "men")}

    def against(self, query: Query) -> BoolArray | None:
        """Which items are for somebody else than the one who asks: bool, (len(table),); None where nobody said."""
        if not self._not_for:
            return None
        said = query.turns if query.own is None else query.own
        who = asking(said or tuple(one.text for one in query.texts))
        return None if who is None else self._not_for[who]


def asking(turns: Sequence[str]) -> Audience | None:
    """Whom the turns, oldest first, are for: by the latest that means it, else the latest that mentions it."""
    mentioned: Audience | None = None
    for turn in reversed(turns[-MAX_TURNS:]):
        told = list(_told(fold(turn[:MAX_TURN_CHARS])))
        if (meant := _agreed(who for who, is_meant in told if is_meant)) is not None:
            return meant
        mentioned = mentioned or _agreed(who for who, _ in told)
    return mentioned


def _told(text: str) -> Iterator[tuple[Audience, bool]]:
    """Each audience that a folded text names, and whether it is meant; "no women's" means the other one."""
    for clause in _CLAUSE_END.split(text):
        for found in _PERSON.finditer(clause):
            before = clause[max(found.start() - CLOSE, 0) : found.start()]
            denied = _DENIED.search(before) is not None
            women = (found["women"] is not None) != denied
            meant = denied or not before.strip() or _MEANT.search(before) is not None
            yield "women" if women else "men", meant


def _typed(item: Item) -> Audience | None:
    """By an attribute that is made for it."""
    values = [value for name, value in item.attributes.items() if fold(name) in ATTRIBUTES]
    texts = [text for value in values if not isinstance(value, float) for text in _listed(value)]
    return _only(match for text in texts if (match := _VALUE.fullmatch(fold(text))))


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _only(matches: Iterable[re.Match[str]]) -> Audience | None:
    """The one audience that all matches are of."""
    found = {match.lastgroup for match in matches}
    if found == {"men"}:
        return "men"
    return "women" if found == {"women"} else None


def _agreed(told: Iterable[Audience]) -> Audience | None:
    """The one audience that is told of; None for none or for both."""
    found = set(told)
    return found.pop() if len(found) == 1 else None


def _are(marked: Sequence[Audience | None], who: Audience) -> BoolArray:
    return np.array([one == who for one in marked], dtype=np.bool_)
