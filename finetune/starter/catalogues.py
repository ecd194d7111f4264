"""Catalogues to learn from: the demo shop, invented ones, and copies with other names, values, titles and prices.

The copies are what makes a model learn to read any catalogue instead of knowing one. `plants` is never learned from.
Knows nothing of dialogues and models.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from agent.understand.roles import role_of
from finetune.dialogues.courses import invented_courses
from finetune.dialogues.noise import Dice
from finetune.dialogues.words import article
from retrieval.demo import demo_films_path
from retrieval.items import AttributeValue, Item
from retrieval.loading import load_catalogue
from retrieval.shape import CatalogueShape
from retrieval.table import ItemTable

HELD_OUT = "plants"
"""The domain that is only watched and measured."""
INVENTED_ITEMS = 160
COPIED_ITEMS = 220
"""Items of a copy, at most: a catalogue's words are learned from a few hundred turns."""
_PERSON = re.compile(r"[A-Z][\w'’.-]+(?: (?:[A-Z][\w'’.-]*|de|van|von|da|la|del)){1,3}")
PEOPLE_SHARE = 0.8
_CURRENCIES = ("EUR", "USD", "GBP")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Items with what customers call one of them, and more of them."""

    name: str
    table: ItemTable
    noun: str
    plural: str

    @property
    def items(self) -> tuple[Item, ...]:
        """All of them."""
        return tuple(self.table.items)


def catalogue_of(name: str, items: Sequence[Item], noun: str = "item") -> Catalogue:
    """A catalogue of `items`."""
    return Catalogue(name, ItemTable(items), noun, f"{noun}s")


def learned_from(copies: int, seed: int) -> Iterator[Catalogue]:
    """Demo shop, courses and invented ones, then `copies` of them in turn; the same for the same seed."""
    originals = [
        catalogue_of("films", load_catalogue(demo_films_path()).items, "film"),
        catalogue_of("courses", invented_courses(), "course"),
        *(invented(name, seed) for name in sorted(_worlds()["domains"]) if name != HELD_OUT),
    ]
    yield from originals
    for number in range(copies):
        yield copied(originals[number % len(originals)], seed, number)


def held_out(seed: int) -> Catalogue:
    """The catalogue that is never learned from."""
    return invented(HELD_OUT, seed)


# -- invented ones ---------------------------------------------------------------------------------


def invented(domain: str, seed: int, n: int = INVENTED_ITEMS) -> Catalogue:
    """`n` items of a domain of worlds.toml; no two have the same title."""
    world = _worlds()["domains"][domain]
    people = Dice((seed, 1, len(domain)))
    pools = {name: _pool(spec, people) for name, spec in world["attributes"].items()}
    titles = set[str]()
    items = []
    for number in range(n):
        dice = Dice((seed, 2, len(domain), number))
        attributes = {name: _drawn(spec, pools[name], dice) for name, spec in world["attributes"].items()}
        title = _title(dice, titles)
        price = Decimal(f"{_number(world['price'], dice):.10g}")
        said = {name: _in_words(value) for name, value in attributes.items()}
        text = article(world["text"].format(title=title, **said))
        items.append(
            Item(f"{domain}-{number + 1}", title, text, attributes, price, world["currency"], dice.chance(0.85))
        )
    return catalogue_of(domain, items, world["noun"])


def _pool(spec: Mapping[str, Any], dice: Dice) -> Sequence[str]:
    if spec.get("values") == "@people":
        return [_person(dice) for _ in range(spec["size"])]
    return tuple(spec.get("values", ()))


def _drawn(spec: Mapping[str, Any], pool: Sequence[str], dice: Dice) -> AttributeValue:
    if not pool:
        return _number(spec, dice)
    if "many" not in spec:
        return dice.pick(pool)
    return tuple(dict.fromkeys(dice.pick(pool) for _ in range(int(dice.pick(range(1, spec["many"] + 1))))))


def _number(spec: Mapping[str, Any], dice: Dice) -> float:
    steps = round((spec["high"] - spec["low"]) / spec["step"])
    return float(round(spec["low"] + spec["step"] * int(dice.random.integers(steps + 1)), 2))


def _in_words(value: AttributeValue) -> str:
    if isinstance(value, tuple):
        return " and ".join(value)
    return value if isinstance(value, str) else f"{value:.10g}"


def _person(dice: Dice) -> str:
    people = _worlds()["people"]
    return f"{dice.pick(people['first'])} {dice.pick(people['last'])}"


def _title(dice: Dice, taken: set[str]) -> str:
    words = _worlds()["titles"]
    while True:
        slots = {
            "adjective": dice.pick(words["adjectives"]),
            "noun": dice.pick(words["nouns"]),
            "noun2": dice.pick(words["nouns"]),
            "name": _word(dice).capitalize(),
        }
        title = str(dice.pick(words["forms"])).format(**slots)
        if title.casefold() not in taken:
            taken.add(title.casefold())
            return title


def _word(dice: Dice) -> str:
    return "".join(dice.pick(_worlds()["values"]["syllables"]) for _ in range(int(dice.pick((2, 2, 3)))))


# -- copies ----------------------------------------------------------------------------------------


def copied(original: Catalogue, seed: int, number: int) -> Catalogue:
    """A copy with other names, values, titles, prices and fewer attributes; the same for the same numbers.

    Its items have no texts: those of the original would speak of the original's values.
    """
    dice = Dice((seed, 3, number))
    items = original.items
    if len(items) > COPIED_ITEMS:
        items = tuple(items[int(at)] for at in sorted(dice.random.choice(len(items), COPIED_ITEMS, replace=False)))
    shape = CatalogueShape.of(items)
    names = _renamed(shape, dice)
    said = {name: _revalued(shape.attributes[name].values, dice) for name in names}
    titled = dice.chance(0.7)
    factor, currency = Decimal(dice.pick((1, 1, 2, 3, 10))), dice.pick(_CURRENCIES)
    taken = set[str]()
    made = []
    for item in items:
        attributes = {
            names[name]: _mapped(value, said[name]) for name, value in item.attributes.items() if name in names
        }
        title = _title(dice, taken) if titled else item.title
        price = None if item.price is None else item.price * factor
        paid = currency if price is not None else None
        made.append(replace(item, title=title, text="", attributes=attributes, price=price, currency=paid))
    noun = original.noun if dice.chance(0.5) else str(dice.pick(_worlds()["nouns"]["all"]))
    return catalogue_of(f"{original.name}-{number}", made, noun)


def _renamed(shape: CatalogueShape, dice: Dice) -> Mapping[str, str]:
    """New name by old name, for those that stay: about four of five, at least three."""
    names = [name for name in sorted(shape.attributes) if name != "price"]
    staying = [name for name in names if dice.chance(0.8)] or names
    if len(staying) < 3:
        staying = names
    renames = _worlds()["renames"]
    found: dict[str, str] = {}
    for name in staying:
        number = shape.attributes[name].kind == "number"
        role = role_of(name, number=number)
        choices = renames.get(role, renames["number" if number else "other"])
        free = [one for one in choices if one not in found.values() and one not in staying]
        found[name] = dice.pick(free) if free and dice.chance(0.6) else name
    return found


def _revalued(values: Mapping[str, int] | None, dice: Dice) -> Mapping[str, str]:
    """New value by old value; empty where the values stay."""
    if not values or not dice.chance(0.6):
        return {}
    people = sum(bool(_PERSON.fullmatch(value)) for value in values) >= PEOPLE_SHARE * len(values)
    capital = sum(value[:1].isupper() for value in values) > len(values) / 2
    make = _person if people else _compound if dice.chance(0.5) else _word
    taken: dict[str, str] = {}
    for value in values:
        new = _unlike(make, set(taken.values()), dice)
        taken[value] = new if people or not capital else new.title()
    return taken


def _unlike(make: Callable[[Dice], str], taken: set[str], dice: Dice) -> str:
    folded = {one.casefold() for one in taken}
    new = make(dice)
    while new.casefold() in folded:
        new = (
            f"{new.partition(' ')[0]} {_word(dice).capitalize()}" if make is _person else f"{make(dice)} {_word(dice)}"
        )
    return new


def _compound(dice: Dice) -> str:
    words = _worlds()["values"]
    glue = dice.pick((" ", " ", "-", ""))
    return f"{dice.pick(words['first'])}{glue}{dice.pick(words['second'])}"


def _mapped(value: AttributeValue, said: Mapping[str, str]) -> AttributeValue:
    if isinstance(value, tuple):
        return tuple(dict.fromkeys(said.get(one, one) for one in value))
    return said.get(value, value) if isinstance(value, str) else value


@cache
def _worlds() -> Mapping[str, Any]:
    return tomllib.loads(files("finetune.starter").joinpath("worlds.toml").read_text("utf-8"))


def nothing_said(held: bool) -> Sequence[str]:
    """Messages that say nothing of wishes; with `held` those that are not learned from."""
    found: Sequence[str] = _worlds()["none"]["held_out" if held else "train"]
    return found
