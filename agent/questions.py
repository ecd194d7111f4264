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

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from agent.answer import Question
from agent.chances import Chances, chances_of
from agent.preferences import Preference, PreferenceOperator
from agent.ranking import Ranked, Slate, value_of
from agent.thresholds import Asking, thresholds
from agent.understand.roles import Role, role_of
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
N_BANDS = 3
"""Of a number: "up to 10", "10 to 20", "20 or more"."""
LEAST_GAIN = 0.0005
"""In hit probability: what a question must gain though no turn is lost by it, beside items that were asked for."""
NEVER_ASKED: frozenset[Role] = frozenset({"rating", "popularity", "skip"})
"""Numbers that nobody is asked for: everyone would have more."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known when a list is about to be shown: `slate` with the items that it was chosen from.

    `seen` are ids that were shown before, `asked` the attributes that the customer was asked about before;
    `n_matching` items meet every hard wish. `told`: the message told something new, so there may be more to come
    unasked; who only wants others has said what there is to say.
    """

    wishes: Sequence[Preference]
    slate: Slate
    n_matching: int
    table: ItemTable
    seen: frozenset[str] = frozenset()
    asked: frozenset[str] = frozenset()
    told: bool = True


@dataclass(frozen=True, slots=True)
class Band:
    """Numbers from `low` to `high`; None: no end on that side."""

    low: float | None
    high: float | None

    def holds(self, number: float) -> bool:
        """Whether the number lies within, its own ends included."""
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


Option: TypeAlias = str | Band


@dataclass(frozen=True, slots=True)
class Choice:
    """An attribute to ask about, the values or bands to tap, and what is expected to be gained in hit probability."""

    attribute: str
    options: tuple[Option, ...]
    gain: float


Chooser: TypeAlias = Callable[[Moment], Choice | None]
"""Picks the question of a moment, None for none."""


def choose(moment: Moment, asking: Asking | None = None) -> Choice | None:
    """The question that gains most; None where it gains less than its price.

    It costs the turn in which the customer answers instead of telling something; who only asked for other items would
    have told nothing.

    Not after "like X" or words that describe something: what splits the items that are near to a text was not measured.
    """
    asking = asking or thresholds().asking
    if any(wish.op in ("like", "about") for wish in moment.wishes):
        return None
    chances = chances_of(moment.slate, moment.n_matching, moment.seen, asking.temperature)
    best: Choice | None = None
    price = asking.min_gain if moment.told else LEAST_GAIN
    for name in askable(moment):
        choice = _worth(name, moment, chances, asking)
        if choice and choice.gain > max(price, best.gain if best else 0.0):
            best = choice
    return best


def askable(moment: Moment) -> list[str]:
    """Attributes to ask about: short values that items share, numbers; never one that was spoken or asked of."""
    known = {wish.attribute for wish in moment.wishes} | moment.asked
    shape = moment.table.shape
    return [name for name, one in shape.attributes.items() if name not in known and _can_be_tapped(one, shape.n_items)]


def put(choice: Choice, wording: Wording) -> Question:
    """The question in words, with "show me anyway" as its last answer."""
    words = wording.words
    options = [_in_words(choice.attribute, option, wording) for option in choice.options]
    said = wording.join(options, last="wish.or")
    text = words.text("question.ask", label=words.label(choice.attribute), options=said)
    return Question(attribute=choice.attribute, text=text, options=[*options, words.text("question.anyway")])


def _in_words(attribute: str, option: Option, wording: Wording) -> str:
    """An option as the customer may say it: the rules read it back."""
    if isinstance(option, str):
        return option
    ends: tuple[tuple[PreferenceOperator, float | None], ...] = (("ge", option.low), ("le", option.high))
    bounds = [(op, number) for op, number in ends if number is not None]
    return wording.wishes([Preference(op, "hard", attribute, op, (n,), "positive", "", 0) for op, n in bounds])


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
    if shape.count < MIN_COVERED * n_items:
        return False
    if shape.values is None:
        return role_of(shape.name, number=True) not in NEVER_ASKED
    return 2 <= len(shape.values) <= min(MAX_VALUES, shape.count // MIN_SHARED)


def _worth(name: str, moment: Moment, chances: Chances, asking: Asking) -> Choice | None:
    """The gain of a question about `name`, over not asking and showing further items.

    With the wanted item i among those not shown, page(i) the list in which "more" would bring it (0 is the next one),
    page_v(i) that after the answer v, d = `patience` and u the share without a preference:

        gain = (1 - u) sum_v sum_i p(i) p(v|i) (d^page_v(i) - d^page(i))

    over all answers v: the likeliest can be tapped, others are said. Who wants item i names each of its values equally
    likely. Who does not mind is shown the next items: nothing is gained.
    """
    considered, size = moment.slate.considered, max(1, len(moment.slate.entries))
    shown = moment.seen.union(entry.item.id for entry in moment.slate.entries)
    hidden = [i for i, entry in enumerate(considered) if entry.item.id not in shown and chances[i] > 0]
    own = _own(name, moment, chances, hidden)
    rows: defaultdict[Option, list[int]] = defaultdict(list)
    for i, options in enumerate(own):
        for option in options:
            rows[option].append(i)
    share = {i: float(chances[i]) / len(own[i]) for i in hidden if own[i]}
    mass = {option: sum(share.get(i, 0.0) for i in members) for option, members in rows.items()}
    options = _offered(mass)
    if len(options) < 2:
        return None
    by_more = sum(float(chances[i]) * asking.patience ** (n // size) for n, i in enumerate(hidden) if own[i])
    answered = sum(_after(members, share, size, asking.patience) for members in rows.values())
    without = asking.no_preference if moment.told else asking.no_preference_after_more
    return Choice(name, options, (1 - without) * (answered - by_more))


def _after(members: Sequence[int], share: Mapping[int, float], size: int, patience: float) -> float:
    """What an answer is worth that `members` fit, best first; only those in `share` are new to the customer.

    The list after it is of new ones where they fill it, else of the best of all (`agent.recommending`); "more" brings
    new ones.
    """
    new = [i for i in members if i in share]
    first = new[:size] if len(new) >= size else [i for i in members[:size] if i in share]
    later = [i for i in new if i not in first]
    value = sum(share[i] for i in first)
    return value + sum(share[i] * patience ** (1 + n // size) for n, i in enumerate(later))


def _offered(mass: Mapping[Option, float]) -> tuple[Option, ...]:
    """The likeliest values, or the bands in their order."""
    found = [option for option, chance in mass.items() if chance > 0]
    bands = sorted((one for one in found if isinstance(one, Band)), key=lambda band: band.low or -np.inf)
    values = [one for one in found if isinstance(one, str) and len(one) <= MAX_VALUE_CHARS]
    values.sort(key=lambda value: (-mass[value], value))
    return (*bands, *values[:N_OPTIONS])


def _own(name: str, moment: Moment, chances: Chances, hidden: Sequence[int]) -> list[tuple[Option, ...]]:
    """The options that each considered item fits."""
    considered = moment.slate.considered
    if moment.table.shape.attributes[name].values is not None:
        return [_values(entry, name) for entry in considered]
    numbers = [value_of(entry.item, name) for entry in considered]
    known = [float(one) if isinstance(one, int | float) else None for one in numbers]
    told = [(known[i], float(chances[i])) for i in hidden]
    bands = _bands([(number, chance) for number, chance in told if number is not None])
    return [() if one is None else tuple(band for band in bands if band.holds(one))[:1] for one in known]


def _bands(numbers: Sequence[tuple[float, float]]) -> tuple[Band, ...]:
    """At most `N_BANDS` stretches of about the same probability, with round ends, of (number, probability); () for one.

    Neighbours share their end, as people put it: "10 to 20", "20 or more".
    """
    ordered = sorted(numbers)
    if not ordered or ordered[0][0] == ordered[-1][0]:
        return ()
    low, high = ordered[0][0], ordered[-1][0]
    step = 10.0 ** math.floor(math.log10(high - low))
    step = step / 2 if (high - low) / step >= N_BANDS else step / 10
    summed = np.cumsum([chance for _, chance in ordered])
    cuts = [np.searchsorted(summed, summed[-1] * n / N_BANDS) for n in range(1, N_BANDS)]
    ends = {float(f"{round(ordered[min(int(cut), len(ordered) - 1)][0] / step) * step:.10g}") for cut in cuts}
    inner = sorted(end for end in ends if low < end < high)
    edges = [None, *inner, None]
    return tuple(itertools.starmap(Band, itertools.pairwise(edges))) if inner else ()


def _values(entry: Ranked, attribute: str) -> tuple[str, ...]:
    value = entry.item.attributes.get(attribute)
    if isinstance(value, tuple):
        return tuple(dict.fromkeys(value))
    return (value,) if isinstance(value, str) else ()
