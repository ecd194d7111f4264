"""How customers speak of a catalogue that nobody has seen before: its attributes, their values, the phrases for them.

Attribute names and kinds come from `CatalogueShape`; what an unknown name holds is guessed from the values (people have
two or three capitalised words). Knows nothing of dialogues.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from agent.understand.roles import Role, parts_of, role_of
from finetune.dialogues.noise import Dice
from finetune.dialogues.types import Half, Split
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.shape import AttributeShape, CatalogueShape

Sense: TypeAlias = Literal[
    "kind", "maker", "cast", "person", "brand", "format", "colour", "place", "language", "mood", "topic", "other",
    "price", "year", "duration", "rating", "plain",
]  # fmt: skip
"""How an attribute is spoken of; from "price" on they are numbers."""

NUMBERS: frozenset[Sense] = frozenset({"price", "year", "duration", "rating", "plain"})
PEOPLE: frozenset[Sense] = frozenset({"maker", "cast", "person"})
SOFT: frozenset[Sense] = frozenset({"mood", "topic"})
"""Wishes for these rank; wishes against them filter, as all wishes against something do."""

_OF_ROLE: Mapping[Role, Sense] = {
    "kind": "kind", "maker": "maker", "cast": "cast", "brand": "brand", "format": "format", "colour": "colour",
    "country": "place", "language": "language", "year": "year", "duration": "duration", "price": "price",
    "rating": "rating", "soft": "topic",
}  # fmt: skip
_MOODS = frozenset("mood vibe feel style atmosphere tone moods".split())
_PERSON = re.compile(r"(?:[A-Z][\w'’.-]+|[A-Z]\.?)(?: (?:[A-Z][\w'’.-]*|de|van|von|da|la|del)){1,3}")
_MEASURES = {"kg": "kg", "gb": "GB", "cm": "cm", "mm": "mm", "inches": "inches", "weeks": "weeks", "hours": "hours"}
_UNITS = frozenset(("min", "minutes", "usd", "eur", "avg", "n", *_MEASURES))
_SPOKEN = {"year": "year", "duration": "length", "price": "price", "rating": "rating"}
PEOPLE_SHARE = 0.8
"""So many of the values must look like names of people before an unknown attribute is taken for people."""
CODE_SHARE = 0.6
"""Values / items from which an unknown attribute is taken for codes or prose, and left out."""
MAX_VALUE_WORDS = 4
_CURRENCIES = {"EUR": ("{n} euros", "€{n}", "{n} EUR"), "USD": ("{n} dollars", "${n}", "{n} bucks"),
               "GBP": ("{n} pounds", "£{n}", "{n} quid")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute as it is spoken of.

    `spoken` is its name in words, `unit` follows its numbers ("GB", or nothing), `shared` are people who also stand
    under another attribute: who is meant shows only in phrases such as "by" and "starring".
    """

    name: str
    sense: Sense
    spoken: str
    values: tuple[str, ...] = ()
    unit: str = ""
    shared: frozenset[str] = frozenset()

    def of(self, item: Item) -> tuple[str, ...]:
        """The item's values that a customer could say, and that mean this attribute only."""
        value = item.attributes.get(self.name, ())
        said = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
        sayable = frozenset(self.values)
        return tuple(one for one in said if one in sayable)

    def number(self, item: Item) -> float | None:
        """The item's number; None where it has none."""
        if self.sense == "price":
            return None if item.price is None else float(item.price)
        value = item.attributes.get(self.name)
        return float(value) if isinstance(value, int | float) else None


def speakable(items: Sequence[Item], shape: CatalogueShape) -> tuple[Attribute, ...]:
    """The attributes that customers speak of, in the order of their names.

    A value that two attributes share is left out unless it is a person (the phrase tells "by" from "with"), and so are
    values that are also titles: what is meant would be a matter of taste.
    """
    sensed = {name: _sense(one, shape.n_items) for name, one in sorted(shape.attributes.items())}
    owners = Counter(
        value.casefold()
        for name, sense in sensed.items()
        if sense is not None and sense not in PEOPLE
        for value in shape.attributes[name].values or ()
    )
    taken = {item.title.casefold() for item in items} | {value for value, count in owners.items() if count > 1}
    people = Counter(
        value for name, sense in sensed.items() if sense in PEOPLE for value in shape.attributes[name].values or ()
    )
    shared = frozenset(value for value, count in people.items() if count > 1)
    found = []
    for name, sense in sensed.items():
        if sense is None:
            continue
        one = shape.attributes[name]
        values = tuple(value for value in one.values or () if _sayable(value) and value.casefold() not in taken)
        if sense in NUMBERS or len(values) > 1:
            spoken, unit = _spoken(name, sense)
            found.append(Attribute(name, sense, spoken, values, unit, shared.intersection(values)))
    return tuple(found)


def _sense(shape: AttributeShape, n_items: int) -> Sense | None:
    number = shape.kind == "number"
    role = "price" if shape.name == "price" else role_of(shape.name, number=number)
    if role == "skip" or (number and shape.minimum == shape.maximum):
        return None
    if role == "soft":
        return "mood" if _MOODS & set(parts_of(shape.name)) else "topic"
    if role in _OF_ROLE:
        return _OF_ROLE[role]
    if number:
        return "plain"
    values = list(shape.values or ())
    if sum(bool(_PERSON.fullmatch(value)) for value in values) >= PEOPLE_SHARE * len(values):
        return "person"
    flag = {value.casefold() for value in values} <= {"yes", "no"}
    return None if flag or len(values) > max(CODE_SHARE * n_items, 3) else "other"


def _sayable(value: str) -> bool:
    """Short, with letters, and without the marks of open slots."""
    short = 3 <= len(value) <= 40 and len(value.split()) <= MAX_VALUE_WORDS
    return short and any(map(str.isalpha, value)) and not {"{", "}"} & set(value)


def _spoken(name: str, sense: Sense) -> tuple[str, str]:
    parts = parts_of(name)
    unit = next((_MEASURES[part] for part in parts if part in _MEASURES), "")
    if sense in _SPOKEN:
        return _SPOKEN[sense], unit
    return " ".join(part for part in parts if part not in _UNITS) or name, unit


@cache
def _tables() -> Mapping[str, Mapping[Split, tuple[str, ...]]]:
    """Phrases by dotted key ("tail.cast") and split."""
    text = files("finetune.dialogues").joinpath("phrases.toml").read_text("utf-8")
    found: dict[str, Mapping[Split, tuple[str, ...]]] = {}
    _flatten("", tomllib.loads(text), found)
    return found


def _flatten(prefix: str, table: Mapping[str, object], found: dict[str, Mapping[Split, tuple[str, ...]]]) -> None:
    for name, value in table.items():
        if not isinstance(value, dict):
            continue
        key = f"{prefix}.{name}" if prefix else name
        if "train" in value:
            found[key] = {"train": tuple(value["train"]), "held_out": tuple(value["held_out"])}
        else:
            _flatten(key, value, found)


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of one split, or of a half of it."""

    split: Split
    half: Half = "all"

    def keys(self) -> tuple[str, ...]:
        """Every table that there is."""
        return tuple(_tables())

    def has(self, key: str) -> bool:
        """Whether there are phrases of that name."""
        return key in _tables()

    def all(self, key: str) -> tuple[str, ...]:
        """The phrases of one table.

        Raises:
            BadRequest: no table has that name.
        """
        try:
            phrases = _tables()[key][self.split]
        except KeyError:
            raise BadRequest(f"There are no phrases named {key}; there are: {', '.join(_tables())}.") from None
        if self.half == "all" or len(phrases) == 1:
            return phrases
        return phrases[::2] if self.half == "fit" else phrases[1::2]

    def value(self, value: str, sense: Sense, dice: Dice) -> str:
        """How a value is said: another word for it where there is one, names of people as they are."""
        if sense in PEOPLE or sense == "brand":
            return value
        key = f"surface.{value.casefold()}"
        if self.has(key):
            return dice.pick(self.all(key))
        said = value.replace("-", " ") if sense == "kind" else value
        return said.lower() if sense in ("kind", "mood", "topic", "colour") else said


def say_number(number: float, attribute: Attribute, currency: str | None, dice: Dice) -> str:
    """A number as a customer writes it: "15 euros", "an hour and a half", "1990", "256 GB"."""
    plain = f"{number:.10g}"
    if attribute.sense == "price":
        return dice.pick(_CURRENCIES.get(currency or "", ("{n}",))).format(n=plain)
    if attribute.sense != "duration":
        return f"{plain} {attribute.unit}".strip()
    ways = ["{n} minutes", "{n} min"] if not attribute.unit else ["{n} " + attribute.unit]
    if not attribute.unit and number % 60 == 0:
        ways.append("an hour" if number == 60 else f"{number / 60:.10g} hours")
    if not attribute.unit and number == 90:
        ways.append("an hour and a half")
    return dice.pick(ways).format(n=plain)


def article(text: str) -> str:
    """`text` with "a" made "an" before vowels."""
    return re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)
