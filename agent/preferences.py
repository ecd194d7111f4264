"""What a customer wants, as typed facts with evidence, and the state that they fold into.

Facts are stored with their turn and never changed; the state is a fold over them, so undoing a
turn, editing it or removing a chip is leaving facts out, and no model is run again. Knows nothing
of how facts were found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from retrieval.query import Filter, FilterOperator

PreferenceKind: TypeAlias = Literal["hard", "soft"]
PreferenceOperator: TypeAlias = Literal["eq", "lt", "le", "gt", "ge", "about", "like"]
Polarity: TypeAlias = Literal["positive", "negative"]


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
            opposite: dict[str, FilterOperator] = {"eq": "ne", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}
            op = opposite[op]
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
    it; a wish identical in meaning replaces the older one; a wish that says the opposite of an older
    one on the same value replaces it.
    """
    state: dict[str, Preference] = {}
    for fact in facts:
        if isinstance(fact, Dropped):
            state = {key: wish for key, wish in state.items() if not _drops(fact, wish)}
        else:
            state = {key: wish for key, wish in state.items() if not _supersedes(fact.preference, wish)}
            state[fact.preference.id] = fact.preference
    return tuple(state.values())


def _drops(fact: Dropped, wish: Preference) -> bool:
    return fact.everything or wish.id in fact.preference_ids or (wish.attribute or wish.op) in fact.attributes


_LOWER = ("gt", "ge")
_UPPER = ("lt", "le")


def _supersedes(new: Preference, old: Preference) -> bool:
    if new.id == old.id:
        return True
    if new.attribute != old.attribute:
        return False
    if new.op in _LOWER + _UPPER and new.attribute is not None:
        return _bound_supersedes(new, old)
    same_values = {str(v).casefold() for v in new.values} & {str(v).casefold() for v in old.values}
    return old.op == new.op and bool(same_values)


def _bound_supersedes(new: Preference, old: Preference) -> bool:
    if (old.op in _LOWER) == (new.op in _LOWER) and old.op in _LOWER + _UPPER:
        return True
    if old.op == "eq":  # an exact number given before, a bound now: the bound is the newer wish
        return all(isinstance(value, float | int) for value in old.values)
    low, high = (new, old) if new.op in _LOWER else (old, new)
    return float(low.values[0]) > float(high.values[0])
