"""What is asked about an item: a field, a measure in everyday words, or something that no field says.

Knows nothing of how the message was understood, and nothing of the model.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from agent.understand.roles import Role, role_of
from retrieval.items import Item
from retrieval.shape import CatalogueShape
from retrieval.text import fold

Measure: TypeAlias = Literal["weight", "size"]

_MEASURES: tuple[tuple[Measure, re.Pattern[str]], ...] = (
    ("weight", re.compile(r"\bhow heavy\b|\bweighs?\b|多重")),
    ("size", re.compile(r"\bhow (?:big|large|wide|tall)\b|多大")),
)
_YES_OR_NO = re.compile(
    r"^(?:and |but |so |ok |okay |hm+ )?(?:is|are|was|does|do|did|has|have|had|can|could|will|would)\b|吗[?？。]*$"
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
    """The attribute that a message asks for by "how heavy?", or the name of the measure where there is none."""
    low = fold(text)
    for measure, pattern in _MEASURES:
        if pattern.search(low):
            role: Role = measure
            names = (
                name for name, one in shape.attributes.items() if role_of(name, number=one.kind == "number") == role
            )
            return next(names, measure)
    return None


def asks_what_is_not_said(text: str, item: Item) -> bool:
    """Whether `text` is a yes-or-no question about something of which neither text nor fields of `item` speak."""
    low = fold(text).strip()
    if not _YES_OR_NO.search(low):
        return False
    if _CHINESE.search(low):
        return True
    known = " " + " ".join(_WORD.findall(fold(item.document())))
    asked = [word for word in _WORD.findall(low) if word not in _NO_CONTENT and not word.isdigit()]
    return any(f" {word[:STEM]}" not in known for word in asked)
