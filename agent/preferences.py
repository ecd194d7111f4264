"""What a customer wants, as typed facts with evidence, and the state that they fold into.

Facts are stored with their turn and never changed; the state is a fold over them, so undoing a
turn, editing it or removing a chip is leaving facts out, and no model is run again. Knows nothing
of how facts were found.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from retrieval.query import Filter, FilterOperator

PreferenceKind: TypeAlias = Literal["hard", "soft"]
PreferenceOperator: TypeAlias = Literal["eq", "lt", "le", "gt", "ge", "about", "like"]
Polarity: TypeAlias = Literal["positive", "negative"]


OPPOSITE: Mapping[FilterOperator, FilterOperator] = {"eq": "ne", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}
"""What a filter becomes when the wish is negative: "not under 90" is "at least 90"."""


@dataclass(frozen=True, slots=True)
class Preference:
    """One wish and the words that caused it.

    `attribute` is a name of the catalogue (or `price`, `in_stock`, `title`); None for free text
    (`about`) and for an item that was spoken of (`like`: `value` is its id). Several values mean
    any of them. `hard` wishes filter, `soft` ones only rank. `evidence` is quoted from turn `turn`
    (1 is the customer's first message; 0 a wish from an earlier conversation).
    """

    id: str
    kind: PreferenceKind
    attribute: str | None
    op: PreferenceOperator
    values: tuple[str | float, ...]
    polarity: Polarity
    evidence: str
    turn: int

    @property
    def value(self) -> str | float | list[str | float]:
        """The one value, or the list of alternatives: the form of the API."""
        return self.values[0] if len(self.values) == 1 else list(self.values)

    def as_filter(self) -> Filter | None:
        """The exact condition of a hard wish; None for soft ones, free text and liked items."""
        if self.kind != "hard" or self.attribute is None or self.op in ("about", "like"):
            return None
        op: FilterOperator = self.op  # type: ignore[assignment]  # narrowed above: about and like are gone
        if self.polarity == "negative":
            op = OPPOSITE[op]
        return Filter(self.attribute, op, self.values, key=self.id)


@dataclass(frozen=True, slots=True)
class Added:
    """The customer stated a wish."""

    preference: Preference


@dataclass(frozen=True, slots=True)
class Dropped:
    """The customer took wishes back: by id (a chip), by attribute ("forget the price"), or all."""

    turn: int
    evidence: str
    preference_ids: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    everything: bool = False


Fact: TypeAlias = Added | Dropped


def fold(facts: Iterable[Fact]) -> tuple[Preference, ...]:
    """The wishes in force after `facts` (oldest first), oldest first.

    A new bound on a number replaces an older bound of the same direction, and one that contradicts
    it; a new exact number replaces an older one, and a bound that it breaks; a wish identical in
    meaning replaces the older one; a wish that says the opposite of an older one on the same value
    replaces it.
    """
    state: dict[str, Preference] = {}
    for fact in facts:
        if isinstance(fact, Dropped):
            state = {key: wish for key, wish in state.items() if not _drops(fact, wish)}
        else:
            state = {key: wish for key, wish in state.items() if not _supersedes(fact.preference, wish)}
            state[fact.preference.id] = fact.preference
    return tuple(state.values())


def taken_back(facts: Iterable[Fact]) -> tuple[Preference, ...]:
    """The wishes that were stated in `facts` and are no longer in force, oldest first."""
    facts = tuple(facts)
    in_force = {wish.id for wish in fold(facts)}
    stated = (fact.preference for fact in facts if isinstance(fact, Added))
    return tuple(wish for wish in stated if wish.id not in in_force)


def _drops(fact: Dropped, wish: Preference) -> bool:
    return fact.everything or wish.id in fact.preference_ids or (wish.attribute or wish.op) in fact.attributes


_LOWER = ("gt", "ge")
_UPPER = ("lt", "le")
_COMPARE: Mapping[FilterOperator, Callable[[float, float], bool]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


def _supersedes(new: Preference, old: Preference) -> bool:
    if new.id == old.id:
        return True
    if new.kind == "soft" and old.kind == "hard":
        return False  # "less violent" after "nothing violent" must not let violence in
    if new.attribute != old.attribute:
        return False
    if new.attribute is not None and _bound_of(new) is not None:
        return _bound_supersedes(new, old)
    if _is_exact_number(new) and (_is_exact_number(old) or _bound_of(old) is not None):
        return _number_supersedes(new, old)
    same_values = {str(v).casefold() for v in new.values} & {str(v).casefold() for v in old.values}
    return old.op == new.op and bool(same_values)


def _bound_of(wish: Preference) -> tuple[FilterOperator, float] | None:
    """The bound that `wish` sets ("not under 90" is "at least 90"); None for other wishes."""
    if wish.op in _LOWER + _UPPER:
        op: FilterOperator = wish.op  # type: ignore[assignment]  # narrowed above
        return (OPPOSITE[op] if wish.polarity == "negative" else op), float(wish.values[0])
    return None


def _is_exact_number(wish: Preference) -> bool:
    """A number that an item must have ("from 1994"); "not from 1994" rules nothing else out."""
    return wish.op == "eq" and wish.polarity == "positive" and all(isinstance(v, float | int) for v in wish.values)


def _bound_supersedes(new: Preference, old: Preference) -> bool:
    new_bound, old_bound = _bound_of(new), _bound_of(old)
    if new_bound is None or old_bound is None:
        return _is_exact_number(old)  # an exact number given before, a bound now: the bound is the newer wish
    if (new_bound[0] in _LOWER) == (old_bound[0] in _LOWER):
        return True
    low, high = (new_bound, old_bound) if new_bound[0] in _LOWER else (old_bound, new_bound)
    return low[1] > high[1] or (low[1] == high[1] and (low[0], high[0]) != ("ge", "le"))


def _number_supersedes(new: Preference, old: Preference) -> bool:
    bound = _bound_of(old)
    return bound is None or not any(_COMPARE[bound[0]](float(value), bound[1]) for value in new.values)
