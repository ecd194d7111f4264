"""Whether a question pays, and which one: at most one a turn, with answers to tap.

A question is worth what its answer is expected to change (the expected value of sample information; Raiffa & Schlaifer
1961, "Applied Statistical Decision Theory"): it is asked where that is more than the turn that it costs. Conversational
recommenders pick their questions so, by the expected utility of the list after the answer (Boutilier 2002, "A POMDP
formulation of preference elicitation problems"; Christakopoulou et al. 2016, "Towards conversational recommender
systems") and by attribute (Zhang et al. 2018, "Towards conversational search and recommendation: system ask, user
respond"). Here utility is the probability that the item that is wanted comes to stand in a list that is shown, each
further turn worth `patience` of the one before: customers leave.

Knows nothing of the model and of conversations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from agent.answer import Question
from agent.chances import Chances, chances_of
from agent.preferences import Preference
from agent.ranking import Ranked, Slate
from agent.thresholds import Asking, thresholds
from agent.wording import Wording
from retrieval.shape import AttributeShape
from retrieval.table import ItemTable

MAX_VALUES = 60
"""An attribute with more distinct values (people, titles) makes no question to tap."""
MIN_SHARED = 2
"""Items that share a value on average; a value for each item (a maker, a code) makes no question either."""
MIN_COVERED = 0.8
"""Share of the catalogue's items that must have the attribute."""
MAX_VALUE_CHARS = 24
"""Longer values ("Ships in 3-5 business days") are no answers to tap."""
N_OPTIONS = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known when a list is about to be shown: `slate` with the items that it was chosen from.

    `seen` are ids that were shown before, `asked` the attributes that the customer was asked about before;
    `n_matching` items meet every hard wish.
    """

    wishes: Sequence[Preference]
    slate: Slate
    n_matching: int
    table: ItemTable
    seen: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Choice:
    """An attribute to ask about, the values to tap, and what asking is expected to gain in hit probability."""

    attribute: str
    options: tuple[str, ...]
    gain: float


Chooser: TypeAlias = Callable[[Moment], Choice | None]
"""Picks the question of a moment, None for none."""


def choose(moment: Moment, asking: Asking | None = None) -> Choice | None:
    """The question that gains most; None where showing the next items gains as much.

    Not after "like X" or words that describe something: what splits the items that are near to a text was not measured.
    """
    asking = asking or thresholds().asking
    if any(wish.op in ("like", "about") for wish in moment.wishes):
        return None
    chances = chances_of(moment.slate, moment.n_matching, moment.seen, asking.temperature)
    best: Choice | None = None
    for name in askable(moment):
        choice = _worth(name, moment, chances, asking)
        if choice and choice.gain > max(asking.min_gain, best.gain if best else 0.0):
            best = choice
    return best


def askable(moment: Moment) -> list[str]:
    """Attributes that may be asked about: short values that items share, never one that was spoken or asked of."""
    known = {wish.attribute for wish in moment.wishes} | moment.asked
    shape = moment.table.shape
    return [name for name, one in shape.attributes.items() if name not in known and _can_be_tapped(one, shape.n_items)]


def put(choice: Choice, wording: Wording) -> Question:
    """The question in words, with "show me anyway" as its last answer."""
    words = wording.words
    said = wording.join([wording.value(choice.attribute, option) for option in choice.options], last="wish.or")
    text = words.text("question.ask", label=words.label(choice.attribute), options=said)
    return Question(attribute=choice.attribute, text=text, options=[*choice.options, words.text("question.anyway")])


def way_out(attributes: Sequence[str], wording: Wording) -> Question:
    """After "nothing fits": which wish may go, the one that frees most first; each answer is a sentence to tap."""
    words = wording.words
    options = [words.text("question.forget", label=words.label(name)) for name in dict.fromkeys(attributes)]
    return Question(
        attribute=attributes[0] if attributes else "",
        text=words.text("question.way_out"),
        options=[*options[: N_OPTIONS - 1], words.text("question.start_over")],
    )


def _can_be_tapped(shape: AttributeShape, n_items: int) -> bool:
    if shape.values is None or shape.count < MIN_COVERED * n_items:
        return False
    return 2 <= len(shape.values) <= min(MAX_VALUES, shape.count // MIN_SHARED)


def _worth(name: str, moment: Moment, chances: Chances, asking: Asking) -> Choice | None:
    """The gain of a question about `name`, over not asking and showing further items.

    With the wanted item i among those not shown, page(i) the list in which "more" would bring it (0 is the next one),
    page_v(i) that after the answer v, d = `patience` and u = `no_preference`:

        gain = (1 - u) sum_v sum_i p(i) p(v|i) (d^page_v(i) - d^page(i))

    over the answers v that can be tapped. Who wants item i names each of its values equally likely. Who does not mind,
    or wants a value that is not offered, is shown the next items: nothing is gained.
    """
    considered, size = moment.slate.considered, max(1, len(moment.slate.entries))
    shown = {entry.item.id for entry in moment.slate.entries}
    hidden = [i for i, entry in enumerate(considered) if entry.item.id not in shown and chances[i] > 0]
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for i, entry in enumerate(considered):
        for value in _values(entry, name):
            rows[value].append(i)
    share = {i: chances[i] / len(own) for i in hidden if (own := _values(considered[i], name))}
    mass = {value: sum(share.get(i, 0.0) for i in members) for value, members in rows.items()}
    short = [value for value, chance in mass.items() if chance > 0 and len(value) <= MAX_VALUE_CHARS]
    options = sorted(short, key=lambda value: (-mass[value], value))[:N_OPTIONS]
    if len(options) < 2:
        return None
    by_more = chances[hidden] * asking.patience ** (np.arange(len(hidden)) // size)
    answered = 0.0
    for value in options:
        # The list after an answer is the best of all that fit it, those shown already included; "more" leaves them out.
        first = rows[value][:size]
        later = [i for i in rows[value][size:] if i in share]
        answered += sum(share.get(i, 0.0) for i in first)
        answered += sum(share[i] * asking.patience ** (1 + n // size) for n, i in enumerate(later))
    offered = np.array([_offered(_values(considered[i], name), options) for i in hidden])
    return Choice(name, tuple(options), (1 - asking.no_preference) * (answered - float(offered @ by_more)))


def _offered(values: Sequence[str], options: Sequence[str]) -> float:
    """The share of an item's values that can be tapped; 0 where it has none."""
    return sum(value in options for value in values) / len(values) if values else 0.0


def _values(entry: Ranked, attribute: str) -> tuple[str, ...]:
    value = entry.item.attributes.get(attribute)
    if isinstance(value, tuple):
        return tuple(dict.fromkeys(value))
    return (value,) if isinstance(value, str) else ()
