"""What is asked about an item: a field, a measure in everyday words, or something that no field says.

Knows nothing of how the message was understood, and nothing of the model.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from agent.understand.roles import Role, parts_of, role_of
from retrieval.items import Item
from retrieval.shape import CatalogueShape
from retrieval.text import fold

Measure: TypeAlias = Literal["weight", "size"]

_MEASURES: tuple[tuple[Measure, re.Pattern[str]], ...] = (
    ("weight", re.compile(r"\bhow heavy\b|\bweighs?\b|多重")),
    ("size", re.compile(r"\bhow (?:big|large|wide|tall)\b|多大")),
)
_WHO: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("brand", re.compile(r"\bwho (?:makes?|made|manufactures?|produces?) (?:it|them|this|these|the|number)\b")),
)
_WHO_WROTE = re.compile(r"\bwho (?:wrote|writes|is (?:the )?(?:author|writer))\b")
_WRITERS = ("author", "writer", "writers", "screenwriter")
_TEACHERS = ("instructor", "teacher", "tutor", "lecturer")
_WHO_TEACHES = re.compile(r"\bwho (?:teaches|leads|gives|taught|is (?:the )?teach(?:er|ing))\b")
_QUESTION = re.compile(r"\?\s*$|^(?:and |so |ok |but )?(?:what|how|which|who|when|where|is|are|do|does|can|has|have)\b")
_PLACE = re.compile(r"\b(?:first|second|third|fourth|fifth|the last|last one|number \d|#\d|other|both)\b")
_MIN_NAMED = 4
"""Letters that a word of an attribute's name must share with the question to be asked for."""
_YES_OR_NO = re.compile(
    r"^(?:and |but |so |ok |okay |hm+ )?"
    r"(?:is|are|was|does|do|did|has|have|had|can|could|will|would|when|where|who|how)\b|吗[?？。]*$"
)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_WORD = re.compile(r"[^\W_]+")
_NO_CONTENT = frozenset(
    "and but so ok okay is are was does do did has have had can could will would it this that these those the a an one "
    "ones of in on at for to with from by about any some number no first second third fourth fifth last there they "
    "them what which who how me my i you your s item film movie product course title come comes made make be been get "
    "use used also too really very".split()
)
STEM = 5
"""Words agree when their first five letters do."""


def measure_asked(text: str, shape: CatalogueShape) -> str | None:
    """The attribute that a message asks for by "how heavy?" or "who makes it?"; a measure's name where it has none."""
    low = fold(text)
    for measure, pattern in _MEASURES:
        if pattern.search(low):
            return _of_role(measure, shape) or measure
    for role, pattern in _WHO:
        if pattern.search(low) and (name := _of_role(role, shape)):
            return name
    if _WHO_WROTE.search(low):  # never answered with who directed it
        return next((name for name in _WRITERS if name in shape.attributes), "writer")
    if _WHO_TEACHES.search(low):
        return next((name for name in _TEACHERS if name in shape.attributes), None)
    return None


def _of_role(role: Role, shape: CatalogueShape) -> str | None:
    names = (name for name, one in shape.attributes.items() if role_of(name, number=one.kind == "number") == role)
    return next(names, None)


def is_question(text: str) -> bool:
    """Whether a message asks something, and not of an item that it points at by its place in a list."""
    low = fold(text).strip()
    return _QUESTION.search(low) is not None and _PLACE.search(low) is None


def field_named(text: str, shape: CatalogueShape) -> str | None:
    """The attribute that a question has a word of in its name: "how long does the battery last?" -> battery_hours."""
    asked = {word[:STEM] for word in _WORD.findall(fold(text)) if len(word) >= _MIN_NAMED and word not in _NO_CONTENT}
    for name in shape.attributes:
        if asked & {part[:STEM] for part in parts_of(name) if len(part) >= _MIN_NAMED}:
            return name
    return None


def asks_what_is_not_said(text: str, item: Item) -> bool:
    """Whether `text` asks yes or no, when, where, who or how of what neither text nor fields of `item` speak of."""
    low = fold(text).strip()
    if not _YES_OR_NO.search(low):
        return False
    if _CHINESE.search(low):
        return True
    known = " " + " ".join(_WORD.findall(fold(item.document())))
    asked = [word for word in _WORD.findall(low) if word not in _NO_CONTENT and not word.isdigit()]
    return any(f" {word[:STEM]}" not in known for word in asked)
