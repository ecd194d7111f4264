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
MIN_SHARED = 2
"""Items that share a value on average; a value for each item (a maker, a code) makes no question either."""
MIN_COVERED = 0.8
"""Share of the catalogue's items that must have the attribute."""
MAX_VALUE_CHARS = 24
"""Longer values ("Ships in 3-5 business days") are no answers to tap."""
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
        bits = _bits(split)
        if len(split) >= 2 and bits > best_bits:
            best_bits, best = bits, (name, [value for value, _ in split.most_common(N_OPTIONS)])
    if best is None:
        return None
    attribute, options = best
    label = wording.words.label(attribute)
    said = wording.join([wording.value(attribute, option) for option in options], last="wish.or")
    text = wording.words.text("question.ask", label=label, options=said)
    return Question(attribute=attribute, text=text, options=[*options, wording.words.text("question.anyway")])


def way_out(attributes: Sequence[str], wording: Wording) -> Question:
    """After "nothing fits": which wish may go, the one that frees most first; each answer is a sentence to tap."""
    words = wording.words
    options = [words.text("question.forget", label=words.label(name)) for name in dict.fromkeys(attributes)]
    return Question(
        attribute=attributes[0] if attributes else "",
        text=words.text("question.way_out"),
        options=[*options[: N_OPTIONS - 1], words.text("question.start_over")],
    )


def _askable(shape: AttributeShape, n_items: int) -> bool:
    if shape.values is None or shape.count < MIN_COVERED * n_items:
        return False
    return 2 <= len(shape.values) <= min(MAX_VALUES, shape.count // MIN_SHARED)


def _values(entry: Ranked, attribute: str) -> tuple[str, ...]:
    value = entry.item.attributes.get(attribute)
    if isinstance(value, tuple):
        return value
    return (value,) if isinstance(value, str) else ()


def _bits(split: Counter[str]) -> float:
    """Expected information of the answer when only the offered options can be tapped: the rest is one answer."""
    offered = [n for _, n in split.most_common(N_OPTIONS)]
    total = sum(split.values())
    parts = [n / total for n in (*offered, total - sum(offered)) if n] if total else []
    return -sum(part * math.log2(part) for part in parts)
