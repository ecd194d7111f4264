"""What sets an item apart from the others of its list, in a few words: an extreme of the list, or a value of its own.

Each is true of the item and of no other item of the list. Knows nothing of wishes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from agent.messages import Messages
from agent.ranking import value_of
from agent.understand.roles import Role, role_of
from retrieval.items import AttributeValue, Item
from retrieval.text import fold

MIN_LISTED = 3
"""Items of a list from which one of them is called its cheapest."""
MAX_VALUE_CHARS = 40
"""A longer value is a text."""
_EXTREMES: tuple[tuple[Role, bool], ...] = (("price", False), ("year", True), ("duration", False), ("rating", True))
"""Numbers worth a word, and whether it is the high end that is; the other ends are drawbacks."""
_OWN: tuple[Role, ...] = ("soft", "kind", "other", "colour", "maker", "brand", "cast", "country", "format", "language")
"""Whose values are said, the most telling first."""
_YES = frozenset({"yes", "true"})
_NO = frozenset({"no", "false", "none", "other", "unknown"})
_KEYS: dict[Role, str] = {"maker": "apart.maker", "brand": "apart.maker", "cast": "apart.cast"}

Said = Callable[[str, AttributeValue], str]
"""A value of an attribute in words, with its unit."""


def apart(item: Item, others: Sequence[Item], words: Messages, said: Said) -> str:
    """A sentence that is true of `item` alone, "" where nothing that can be said in short sets it apart."""
    return next(_sentences(item, others, words, said), "")


def _sentences(item: Item, others: Sequence[Item], words: Messages, said: Said) -> Iterator[str]:
    yield from _extremes(item, others, words, said)
    names = [name for name in item.attributes if not isinstance(item.attributes[name], float | int)]
    by_role = {name: role_of(name, number=False) for name in names}
    for role in _OWN:
        for name in (name for name in names if by_role[name] == role):
            theirs = {fold(value) for other in others for value in _texts(other, name)}
            if own := [value for value in _texts(item, name) if fold(value) not in theirs]:
                value = words.label(name) if fold(own[0]) in _YES else own[0]
                yield words.text(_KEYS.get(role, "apart.value"), value=value)
    yield from _whole(item, others, words, said)


def _extremes(item: Item, others: Sequence[Item], words: Messages, said: Said) -> Iterator[str]:
    if len(others) + 1 < MIN_LISTED:
        return
    roles = {name: role_of(name, number=True) for name in item.attributes}
    for role, high in _EXTREMES:
        for name in ["price"] if role == "price" else [name for name in roles if roles[name] == role]:
            mine, theirs = value_of(item, name), [value_of(other, name) for other in others]
            known = [value for value in theirs if isinstance(value, float | int)]
            if not isinstance(mine, float | int) or len(known) < len(others) or not _one_measure(item, others, role):
                continue
            if all(mine > value if high else mine < value for value in known):
                yield words.text(f"apart.{role}", value=said(name, mine))


def _one_measure(item: Item, others: Sequence[Item], role: Role) -> bool:
    return role != "price" or all(other.currency == item.currency for other in others)


def _whole(item: Item, others: Sequence[Item], words: Messages, said: Said) -> Iterator[str]:
    """Fields that only together set the item apart, as few as will do."""
    told: list[str] = []
    same = list(others)
    for name in ("price", *item.attributes):
        value = value_of(item, name)
        if value is None or len(shown := said(name, value)) > MAX_VALUE_CHARS:
            continue
        left = [other for other in same if value_of(other, name) == value]
        if len(left) == len(same):
            continue
        told.append(f"{words.label(name)} {shown}")
        same = left
        if not same:
            yield words.text("apart.fields", fields=words.text("wish.join").join(told))
            return


def _texts(item: Item, name: str) -> tuple[str, ...]:
    value = item.attributes.get(name, ())
    values = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
    return tuple(one for one in values if len(one) <= MAX_VALUE_CHARS and fold(one) not in _NO)
