"""Situations in which a reply is written: an item at the head of a list, wishes that it meets, one that it may miss.

Items are taken from a catalogue, then changed: another price, another year, sold out, so that what is learned is to
copy what is given. Knows nothing of phrases.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from agent.messages import messages
from agent.preferences import Preference, PreferenceOperator
from agent.rank.axes import Axis, values_of
from agent.rank.session import PREFIX
from agent.ranking import Matched, Ranked, Shared, value_of
from agent.reply_facts import ReplyFacts, facts_of
from agent.understand.roles import PERSON_ROLES, role_of
from agent.wording import Wording
from finetune.dialogues.noise import Dice
from finetune.dialogues.types import Split
from retrieval.items import AttributeValue, Item
from retrieval.table import ItemTable

LIST_SIZE = 5
HELD_OUT_SHARE = 5
"""One in so many items is spoken of in held-out situations alone."""
_CURRENCIES = ("EUR", "USD", "GBP")
_SKIPPED = frozenset({"skip", "popularity"})


@dataclass(frozen=True, slots=True)
class ReplySituation:
    """What the reply is about: as serving has it. `shown` is the whole list, `entry` its first."""

    entry: Ranked
    shown: tuple[Ranked, ...]
    wishes: tuple[Preference, ...]
    facts: ReplyFacts
    wording: Wording


def situations(table: ItemTable, n: int, seed: int, split: Split) -> Iterator[ReplySituation]:
    """`n` situations over the items of `split`, the same for the same seed."""
    items = [item for item in table.items if item.text and in_split(item, split)]
    if not items:
        return
    sharing = _sharing(table.items)
    for number in range(n):
        yield _situation(items, table, sharing, Dice((seed, 3, number)))


def in_split(item: Item, split: Split) -> bool:
    """Whether an item belongs to `split`: by its id, so a catalogue that grows leaves the others where they are."""
    return (zlib.crc32(item.id.encode()) % HELD_OUT_SHARE == 0) == (split == "held_out")


def _sharing(items: Sequence[Item]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Ids of the items that have a value, for values that say something: by attribute and value."""
    found: dict[tuple[str, str], list[str]] = {}
    for item in items:
        for name, value in item.attributes.items():
            for text in _texts(value):
                found.setdefault((name, text), []).append(item.id)
    return {key: tuple(ids) for key, ids in found.items() if 1 < len(ids) <= max(2, len(items) // 8)}


def _situation(
    items: Sequence[Item],
    table: ItemTable,
    sharing: Mapping[tuple[str, str], tuple[str, ...]],
    dice: Dice,
) -> ReplySituation:
    currency = dice.pick(_CURRENCIES)
    wording = Wording(messages("en"), lambda item_id: table.get(item_id).title, currency)
    item = _changed(dice.pick(items), currency, dice)
    others = {one.id: one for one in (_changed(dice.pick(table.items), currency, dice) for _ in range(LIST_SIZE - 1))}
    others.pop(item.id, None)
    met = _met(item, dice)
    missed = _missed(item, table, dice) if dice.chance(0.35) else ()
    wishes: tuple[Preference, ...] = (*met, *missed)
    entry = Ranked(item, 0.0, {}, {}, tuple(Matched(str(w.attribute), _value(item, w)) for w in met if w.op == "eq"))
    entry, wishes = _brought_up(entry, wishes, table, sharing, dice)
    shown = (entry, *(Ranked(one, 0.0, {}, {}) for one in others.values()))
    facts = facts_of(entry, shown, wishes, missed, wording, table)
    return ReplySituation(entry, shown, wishes, facts, wording)


def _changed(item: Item, currency: str, dice: Dice) -> Item:
    price = Decimal(dice.pick(range(300, 6000, 10))) / 100
    attributes = dict(item.attributes)
    year = attributes.get("year")
    if isinstance(year, float | int) and dice.chance(0.5):
        attributes["year"] = float(year) + dice.pick(range(-9, 4))
    return replace(item, price=price, currency=currency, attributes=attributes, in_stock=not dice.chance(0.12))


def _met(item: Item, dice: Dice) -> tuple[Preference, ...]:
    """One to three wishes for what the item has; sometimes none."""
    names = [n for n, v in item.attributes.items() if role_of(n, number=not _texts(v)) not in _SKIPPED]
    wishes: dict[str, Preference] = {}
    for _ in range(dice.pick((0, 1, 1, 2, 2, 3))):
        name = "price" if dice.chance(0.25) else "in_stock" if dice.chance(0.05) else dice.pick(names)
        value = value_of(item, name)
        if name == "in_stock":
            if item.in_stock:
                wishes[name] = _wish(name, "eq", "yes")
        elif isinstance(value, float | int):
            wishes[name] = _bound(name, float(value), dice)
        elif (texts := _texts(value)) and len(texts[0]) < 40:
            wishes[name] = _wish(name, "eq", dice.pick(texts))
    return tuple(wishes.values())


def _bound(name: str, value: float, dice: Dice) -> Preference:
    if name != "price" and dice.chance(0.2):
        return _wish(name, "eq", value)
    if name == "price":
        limit = value * dice.pick((1.0, 1.02, 1.2, 1.5, 2.0)) + dice.pick((0.0, 0.5))
        limit = max(float(int(limit)), value) if dice.chance(0.5) else round(limit, 2)
        return _wish(name, "le" if limit == value or dice.chance(0.5) else "lt", limit)
    step = 10 if value >= 20 else 1
    if dice.chance(0.5):
        return _wish(name, "le", float((value // step + 1) * step))
    return _wish(name, "ge", float(max(0, (value - 1) // step) * step))


def _missed(item: Item, table: ItemTable, dice: Dice) -> tuple[Preference, ...]:
    """A soft wish for a value that the item has not, or against one that it has."""
    names = [
        name
        for name, shape in table.shape.attributes.items()
        if shape.values and role_of(name, number=False) in ("kind", "soft", "colour", "format")
    ]
    if not names:
        return ()
    name = dice.pick(names)
    own = _texts(value_of(item, name))
    if own and dice.chance(0.3):
        return (_wish(name, "eq", dice.pick(own), kind="soft", negative=True),)
    foreign = [value for value in table.shape.attributes[name].values or () if value not in own]
    return (_wish(name, "eq", dice.pick(foreign), kind="soft"),) if foreign else ()


def _brought_up(
    entry: Ranked,
    wishes: tuple[Preference, ...],
    table: ItemTable,
    sharing: Mapping[tuple[str, str], tuple[str, ...]],
    dice: Dice,
) -> tuple[Ranked, tuple[Preference, ...]]:
    """What else speaks for the item: something shared with a liked one, nearness, words, what was learned."""
    item = entry.item
    if dice.chance(0.35):
        keys = [(name, text) for name, value in item.attributes.items() for text in _texts(value)]
        keys = [key for key in keys if key in sharing]
        people = [key for key in keys if role_of(key[0], number=False) in PERSON_ROLES]
        if keys:
            name, text = dice.pick(people or keys)
            if others := [one for one in sharing[name, text] if one != item.id]:
                liked = dice.pick(others)
                return replace(entry, shared=Shared(name, text, liked)), (*wishes, _like(liked))
    if not wishes or all(wish.kind == "soft" for wish in wishes):
        way = dice.pick(("like", "words", "popular", "learned"))
        if way == "like":
            liked = dice.pick(table.items).id
            return replace(entry, features={"likeness": 0.9}), (*wishes, _like(liked))
        if way == "words":
            return entry, (*wishes, Preference("about", "soft", None, "about", ("something",), "positive", "said", 1))
        if way == "popular":
            return replace(entry, features={"popularity": 0.9}), wishes
        learned = [Axis("value", name, value) for name in item.attributes for value in values_of(item, name)]
        if learned:
            return replace(entry, contributions={f"{PREFIX}{dice.pick(learned)}": 1.0}), wishes
    return entry, wishes


def _like(item_id: str) -> Preference:
    return Preference("like", "soft", None, "like", (item_id,), "positive", "said", 1)


def _wish(
    name: str, op: PreferenceOperator, value: str | float, *, kind: str = "hard", negative: bool = False
) -> Preference:
    how: Literal["hard", "soft"] = "soft" if kind == "soft" else "hard"
    key = f"{name}-{op}-{value}-{negative}"
    return Preference(key, how, name, op, (value,), "negative" if negative else "positive", "said", 1)


def _value(item: Item, wish: Preference) -> AttributeValue:
    return wish.values[0] if isinstance(wish.values[0], str) else float(wish.values[0])


def _texts(value: AttributeValue | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
