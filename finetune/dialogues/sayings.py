"""One wish put into words: phrases for facts about an item, with the pieces of text that carry them.

Knows the catalogue's attributes and the phrases; not dialogues, shown lists and noise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.preferences import Polarity, PreferenceKind, PreferenceOperator
from finetune.dialogues.noise import Dice
from finetune.dialogues.types import FactKind
from finetune.dialogues.words import NUMBERS, PEOPLE, SOFT, Attribute, Phrases, article, say_number
from retrieval.items import Item

Form: TypeAlias = Literal["head", "tail", "clause"]
"""Where a saying stands: as the thing that is wanted, behind it, or as a sentence of its own."""

_SLOT = re.compile(r"\{(\w+)\}")
_ROUND = {"price": 5.0, "year": 1.0, "duration": 5.0, "rating": 0.5}
"""Steps of the numbers that customers name; others are said to two digits."""
_BOUNDS: Mapping[str, tuple[str, ...]] = {
    "price": ("lt", "le", "le", "ge", "between"),
    "year": ("lt", "ge", "gt", "between", "decade", "decade", "eq"),
    "duration": ("lt", "le", "ge"),
    "rating": ("ge", "gt"),
    "plain": ("lt", "le", "ge"),
}
KNOWN_VALUES = 200
"""Customers speak against the more frequent values only: nobody avoids an extra."""
_DECADES = {1950: "fifties", 1960: "sixties", 1970: "seventies", 1980: "eighties", 1990: "nineties"}


@dataclass(frozen=True, slots=True)
class Meant:
    """What a fact says, before it has an id, a turn and evidence."""

    kind: PreferenceKind
    attribute: str | None
    op: PreferenceOperator
    values: tuple[str | float, ...]
    polarity: Polarity = "positive"


@dataclass(frozen=True, slots=True)
class Saying:
    """A phrase and what it means: one fact, or two bounds. `bare` names the value alone, for corrections."""

    text: str
    meant: tuple[Meant, ...]
    form: Form
    phrase: str
    kind: FactKind
    bare: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message, with the saying that it carries, or none."""

    text: str
    saying: Saying | None = None


def filled(phrase: str, slots: Mapping[str, str | Sequence[Piece]]) -> list[Piece]:
    """A phrase as pieces; slots that hold pieces stay pieces, words melt into the text around them."""
    words = {name: value for name, value in slots.items() if isinstance(value, str)}
    phrase = article(_SLOT.sub(lambda slot: words.get(slot.group(1), slot.group()), phrase))
    pieces: list[Piece] = []
    end = 0
    for slot in _SLOT.finditer(phrase):
        pieces.append(Piece(phrase[end : slot.start()]))
        pieces += [piece for piece in slots[slot.group(1)] if isinstance(piece, Piece)]
        end = slot.end()
    return [*pieces, Piece(phrase[end:])]


def plain(phrase: str, **slots: str) -> str:
    """A phrase with words in its slots."""
    return article(_SLOT.sub(lambda slot: slots[slot.group(1)], phrase))


@dataclass(frozen=True, slots=True)
class Sayer:
    """Puts wishes about items into words, in the phrases of one split."""

    attributes: tuple[Attribute, ...]
    phrases: Phrases
    currency: str | None
    noun: str
    plural: str

    def wanted(self, item: Item, dice: Dice, without: frozenset[str]) -> Saying | None:
        """A wish that `item` fulfils, for an attribute that is not in `without`; None where nothing can be said."""
        open_ = [one for one in self.attributes if one.name not in without and _has(one, item)]
        if not open_:
            return None
        attribute = dice.pick(open_)
        if attribute.sense in NUMBERS:
            return self._number(attribute, attribute.number(item) or 0.0, dice)
        value = dice.pick(attribute.of(item))
        return self.value(attribute, value, dice, soft=dice.chance(0.2) and value not in attribute.shared)

    def value(self, attribute: Attribute, value: str, dice: Dice, *, soft: bool) -> Saying:
        """A wish for one value; `soft` in words that leave room, for moods and topics it is soft anyway."""
        said = self.phrases.value(value, attribute.sense, dice)
        strength: PreferenceKind = "soft" if soft or attribute.sense in SOFT else "hard"
        key, form = self._place(attribute, said, soft=soft)
        phrase = dice.pick(self.phrases.all(key))
        text = plain(phrase, v=said, name=attribute.spoken, noun=self.noun)
        kind: FactKind = "soft" if strength == "soft" else "person" if attribute.sense in PEOPLE else "hard"
        return Saying(text, (Meant(strength, attribute.name, "eq", (value,)),), form, f"{key}: {phrase}", kind, said)

    def _place(self, attribute: Attribute, said: str, *, soft: bool) -> tuple[str, Form]:
        if soft:
            group = "person" if attribute.sense in PEOPLE else "mood" if attribute.sense == "mood" else "noun"
            return f"soft.{group}", "clause"
        if attribute.sense == "kind":
            return ("head.kinds" if said.endswith("s") else "head.kind"), "head"
        named = attribute.sense == "other" and attribute.spoken.split()[-1] in said.lower()
        return ("tail.named" if named else f"tail.{attribute.sense}"), "tail"

    def either(self, item: Item, dice: Dice) -> Saying | None:
        """Two kinds, one of them the item's."""
        for attribute in self.attributes:
            mine = attribute.of(item)
            others = [value for value in attribute.values if value not in mine]
            if attribute.sense == "kind" and mine and others:
                values = (dice.pick(mine), dice.pick(others))
                v, w = (self.phrases.value(value, "kind", dice) for value in values)
                phrase = dice.pick(self.phrases.all("head.either"))
                meant = Meant("hard", attribute.name, "eq", values)
                return Saying(
                    plain(phrase, v=v, w=w), (meant,), "head", f"head.either: {phrase}", "hard", f"{v} or {w}"
                )
        return None

    def unwanted(self, item: Item, dice: Dice) -> Saying | None:
        """A wish against a value that `item` does not have."""
        senses = PEOPLE | SOFT | {"kind", "brand", "colour"}
        named = [one for one in self.attributes if one.sense in senses and one.of(item)]
        if not named:
            return None
        attribute = dice.pick(named)
        mine = {*_values(attribute, item), *attribute.shared}
        others = [value for value in attribute.values[:KNOWN_VALUES] if value not in mine]
        return self._avoided(attribute, dice.pick(others), dice) if others else None

    def _avoided(self, attribute: Attribute, value: str, dice: Dice) -> Saying:
        group = "person" if attribute.sense in PEOPLE else "mood" if attribute.sense == "mood" else "noun"
        key = f"avoid.{group}"
        phrase = dice.pick(self.phrases.all(key))
        said = self.phrases.value(value, attribute.sense, dice)
        meant = Meant("hard", attribute.name, "eq", (value,), "negative")
        return Saying(plain(phrase, v=said), (meant,), "clause", f"{key}: {phrase}", "negation", said)

    def _number(self, attribute: Attribute, number: float, dice: Dice) -> Saying | None:
        op = dice.pick(_BOUNDS[attribute.sense])
        if op == "decade":
            return self._decade(attribute, number, dice)
        if op == "eq":
            return self.bound(attribute, "eq", number, dice)
        step = _ROUND.get(attribute.sense, 0.0) or 10.0 ** max(0, len(str(int(abs(number)))) - 2)
        down, up = (number // step) * step, -(-number // step) * step
        below, above = down - step * (down == number), up + step * (up == number)
        if op == "between":
            low, high = down - step * int(dice.pick(range(1, 4))), up + step * int(dice.pick(range(1, 4)))
            return self._between(attribute, low, high, dice) if low > 0 else None
        bound = {"lt": above, "le": up, "ge": down, "gt": below}[op]
        return self.bound(attribute, op, bound, dice) if bound > 0 else None

    def bound(self, attribute: Attribute, op: str, number: float, dice: Dice) -> Saying:
        """A number that is wanted: `op` of `PreferenceOperator`."""
        key = f"{attribute.sense}.{op}"
        phrase = dice.pick(self.phrases.all(key))
        number = float(f"{number:.10g}")
        said = say_number(number, attribute, self.currency, dice)
        meant = Meant("hard", attribute.name, op, (number,))  # type: ignore[arg-type]  # the tables have operators only
        text = plain(phrase, n=said, name=attribute.spoken)
        return Saying(text, (meant,), "tail", f"{key}: {phrase}", _number_kind(attribute), text)

    def _between(self, attribute: Attribute, low: float, high: float, dice: Dice) -> Saying:
        phrase = dice.pick(self.phrases.all(f"{attribute.sense}.between"))
        text = plain(phrase, n=f"{low:.10g}", m=say_number(high, attribute, self.currency, dice))
        return self._range(attribute, low, high, text, f"{attribute.sense}.between: {phrase}")

    def _decade(self, attribute: Attribute, year: float, dice: Dice) -> Saying:
        start = int(year) // 10 * 10
        phrase = dice.pick(self.phrases.all("year.decade"))
        ways = [f"{start}s", *([f"{start % 100}s", _DECADES[start]] if start in _DECADES else [])]
        return self._range(attribute, start, start + 9, plain(phrase, n=dice.pick(ways)), f"year.decade: {phrase}")

    def _range(self, attribute: Attribute, low: float, high: float, text: str, phrase: str) -> Saying:
        meant = (
            Meant("hard", attribute.name, "ge", (float(low),)),
            Meant("hard", attribute.name, "le", (float(high),)),
        )
        return Saying(text, meant, "tail", phrase, _number_kind(attribute), text)

    def but(self, liked: Item, target: Item, dice: Dice) -> Saying | None:
        """How `target` differs from `liked`, in words that need both: "cheaper", "less dark"; None: not sayable."""
        ways = list(self._differences(liked, target, dice))
        return dice.pick(ways) if ways else None

    def _differences(self, liked: Item, target: Item, dice: Dice) -> Iterator[Saying]:
        for one in self.attributes:
            mine, theirs = one.number(liked), one.number(target)
            if mine is not None and theirs is not None and mine != theirs:
                op: PreferenceOperator = "lt" if theirs < mine else "gt"
                if self.phrases.has(f"but.{one.sense}.{op}"):
                    yield self._different(f"but.{one.sense}.{op}", "", Meant("hard", one.name, op, (mine,)), dice)
            if one.sense not in ("mood", "topic", "kind"):
                continue
            for value in _apart(one.of(liked), _values(one, target)):
                kind: PreferenceKind = "soft" if one.sense == "mood" else "hard"
                key = "but.less" if one.sense == "mood" else "but.without"
                yield self._different(key, value, Meant(kind, one.name, "eq", (value,), "negative"), dice)
            for value in _apart(one.of(target), _values(one, liked)) if one.sense == "mood" else ():
                yield self._different("but.more", value, Meant("soft", one.name, "eq", (value,)), dice)

    def _different(self, key: str, value: str, meant: Meant, dice: Dice) -> Saying:
        phrase = dice.pick(self.phrases.all(key))
        return Saying(plain(phrase, v=value.lower()), (meant,), "clause", f"{key}: {phrase}", "like_but")


def _has(attribute: Attribute, item: Item) -> bool:
    return attribute.number(item) is not None if attribute.sense in NUMBERS else bool(attribute.of(item))


def _values(attribute: Attribute, item: Item) -> tuple[str, ...]:
    """All of the item's values, also those that are not sayable."""
    value = item.attributes.get(attribute.name, ())
    return (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()


def _apart(values: Sequence[str], others: Sequence[str]) -> list[str]:
    return [value for value in values if value not in others]


def _number_kind(attribute: Attribute) -> FactKind:
    if attribute.sense == "price":
        return "price"
    return "year" if attribute.sense == "year" else "number"
