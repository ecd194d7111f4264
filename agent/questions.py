"""Whether a question pays, and which one: at most one a turn, with answers to tap.

A question pays when many items fit, little is known, and one attribute splits the candidates well:
its expected information is measured in bits. Knows nothing of the model.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from agent.answer import Question
from agent.preferences import Preference
from agent.ranking import Ranked
from agent.wording import Wording
from retrieval.shape import AttributeShape
from retrieval.table import ItemTable

MANY = 40
"""Fewer matching items are shown, not asked about."""
MAX_WISHES = 1
"""With more wishes than this the customer has said enough."""
MIN_BITS = 1.2
"""Expected information of the answer; 1 bit halves the candidates."""
MAX_VALUES = 60
"""An attribute with more distinct values (people, titles) makes no question to tap."""
N_OPTIONS = 4
TOP = 50
"""The candidates whose split counts."""


def question_for(
    wishes: Sequence[Preference],
    considered: Sequence[Ranked],
    n_matching: int,
    table: ItemTable,
    wording: Wording,
) -> Question | None:
    """The best question, or None when showing is better than asking."""
    specific = any(wish.op in ("like", "about") for wish in wishes)
    if n_matching < MANY or len(wishes) > MAX_WISHES or specific:
        return None
    known = {wish.attribute for wish in wishes}
    best_bits, best = MIN_BITS, None
    for name, shape in table.shape.attributes.items():
        if name in known or not _askable(shape, table.shape.n_items):
            continue
        split = Counter(v for entry in considered[:TOP] for v in _values(entry, name))
        bits = _entropy(split)
        if len(split) >= 2 and bits > best_bits:
            best_bits, best = bits, (name, [value for value, _ in split.most_common(N_OPTIONS)])
    if best is None:
        return None
    attribute, options = best
    label = wording.words.label(attribute)
    said = wording.join([wording.value(attribute, option) for option in options])
    text = wording.words.text("question.ask", label=label, options=said)
    return Question(attribute=attribute, text=text, options=[*options, wording.words.text("question.anyway")])


def _askable(shape: AttributeShape, n_items: int) -> bool:
    return shape.values is not None and 2 <= len(shape.values) <= MAX_VALUES and shape.count >= 0.8 * n_items


def _values(entry: Ranked, attribute: str) -> tuple[str, ...]:
    value = entry.item.attributes.get(attribute)
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, str) else ()


def _entropy(split: Counter[str]) -> float:
    total = sum(split.values())
    return -sum(n / total * math.log2(n / total) for n in split.values()) if total else 0.0
