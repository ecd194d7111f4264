"""The language in which a model says what a message means: the prompt, what gold facts look like, reading an answer.

One line a fact, values as the catalogue writes them, `!` for a condition, `-` for what is not wanted:

    genre!: Comedy     -cast!: Tom Cruise     price<= 20     year: 1994     price< it     like: Heat     like: #2
    about: rainy sunday     drop: 2     drop: price     drop: all     items: 2 director     none

Bounds and exact numbers are always conditions; "it" is the number of the item that is liked or pointed at; `drop` takes
a wish back by its number in the prompt, by attribute, or all; `items` points at places of the list shown last. What an
answer claims must stand in the message (`reading_evidence.py`), otherwise the line is dropped. Knows no engine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TypeAlias
from weakref import WeakKeyDictionary

from agent.llm.protocol import Message, Prompt
from agent.preferences import Added, Dropped, Fact, Polarity, Preference, PreferenceKind, PreferenceOperator
from agent.understand.message import words_of
from agent.understand.reading_evidence import Evidence, Found, lexicon_of, points_at
from agent.understand.types import DialogueContext
from retrieval.errors import NotFound
from retrieval.items import Item
from retrieval.shape import AttributeShape
from retrieval.table import ItemTable
from retrieval.text import visible

MAX_MESSAGE_CHARS = 400
"""What the model reads of a message."""
MAX_ATTRIBUTES = 14
"""The best filled ones; more would make the prompt long."""
EXAMPLES = 2
MAX_EXAMPLE_CHARS = 24
MAX_LINES = 8
"""Lines of an answer that are read: no message says more."""
MAX_WISHES = 8
MAX_NAMES = 10
MAX_NAME_CHARS = 40

_TASK = (
    "Say what the customer's message means: one fact a line, or none. ! is a must, - is not wanted, "
    "like: a title, about: own words, drop: a wish taken back, items: places on the list."
)
_RESERVED = frozenset({"like", "about", "drop", "items", "none", "wishes", "shown", "found", "message"})
_LINE = re.compile(r"(?P<no>-)?(?P<name>[^\W\d][\w ]*?)(?P<hard>!)?(?P<op>:|<=|>=|<|>)!?\s*(?P<value>.*\S)\s*")
_OPERATORS: Mapping[str, PreferenceOperator] = {":": "eq", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_SIGNS: Mapping[PreferenceOperator, str] = {op: sign for sign, op in _OPERATORS.items()}
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_IT = "it"
_OR = " | "
_DATED_TITLE = re.compile(r"\s*\(\d{4}\)\s*$")

Line: TypeAlias = re.Match[str]


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says, as far as the message bears it out.

    `facts` begin with what is taken back; `item_ids` and the `attribute` asked about them come from an `items` line;
    `refused` counts lines that were not understood or not borne out.
    """

    facts: tuple[Fact, ...] = ()
    item_ids: tuple[str, ...] = ()
    attribute: str | None = None
    refused: int = 0


# -- the prompt ------------------------------------------------------------------------------------


def reading_prompt(text: str, context: DialogueContext, table: ItemTable) -> Prompt:
    """What the model is asked: the catalogue's attributes (the same in every prompt), then this message.

    Whatever comes from a customer or a catalogue stands on one line.
    """
    parts = [*_wishes_in_force(context, table), *_shown(context), *_found(text, context, table)]
    parts.append(f"Message: “{one_line(text)[:MAX_MESSAGE_CHARS]}”")
    return Prompt((Message("system", _language(table).constant), Message("user", "\n".join(parts))))


def one_line(text: str) -> str:
    """`text` without line ends and invisible signs, and without the quotation marks that close a message."""
    return " ".join(visible(text).translate({0x201C: '"', 0x201D: '"'}).split())


def _wishes_in_force(context: DialogueContext, table: ItemTable) -> list[str]:
    numbered = list(enumerate(context.preferences, start=1))[-MAX_WISHES:]
    said = "; ".join(f"{n} {_wish_line(wish, table)}" for n, wish in numbered)
    return [f"Wishes: {said}"] if said else []


def _shown(context: DialogueContext) -> list[str]:
    shown = last_shown(context)
    return [f"Shown: {len(shown)} items"] if shown else []


def _found(text: str, context: DialogueContext, table: ItemTable) -> list[str]:
    """Names of the catalogue that the words may mean, as an answer would write them."""
    evidence = Evidence(text, table)
    places = {item_id: n for n, item_id in enumerate(last_shown(context), start=1)}
    said = dict.fromkeys(line for one in evidence.likely for line in _named(one, places, table))
    worked_out = {
        f"{amount.low:.10g}" if amount.low == amount.high else f"{amount.low:.10g} to {amount.high:.10g}": None
        for amount in evidence.amounts
        if f"{amount.low:.10g}" not in evidence.message.low[amount.start : amount.end]
    }
    names = [*list(said)[:MAX_NAMES], *worked_out]
    return [f"Found: {'; '.join(names)}"] if names else []


def _named(one: Found, places: Mapping[str, int], table: ItemTable) -> list[str]:
    if one.entry.kind == "title":
        item_id = one.entry.values[0]
        place = f" #{places[item_id]}" if item_id in places else ""
        return [f"like: {_title(table.get(item_id))}{place}"]
    label = _language(table).labels.get(one.entry.attribute)
    return [f"{label}: {one_line(value)[:MAX_NAME_CHARS]}" for value in one.entry.values] if label else []


def last_shown(context: DialogueContext) -> tuple[str, ...]:
    """The list that numbers point at."""
    return next((ids for ids in reversed(context.shown) if ids), ())


@dataclass(frozen=True, slots=True)
class _Language:
    """What is the same for every message of a catalogue: the constant part, and attributes' names both ways."""

    constant: str
    labels: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


_languages: WeakKeyDictionary[ItemTable, _Language] = WeakKeyDictionary()


def _language(table: ItemTable) -> _Language:
    language = _languages.get(table)
    if language is None:
        language = _languages[table] = _make_language(table)
    return language


def _make_language(table: ItemTable) -> _Language:
    roles = lexicon_of(table).attributes.roles
    labels: dict[str, str] = {}
    for name in sorted(table.shape.attributes):
        label = _label(name)
        if label and label not in _RESERVED and label not in labels.values() and roles[name] != "skip":
            labels[name] = label
    told = sorted(labels, key=lambda name: -table.shape.attributes[name].count)[:MAX_ATTRIBUTES]
    words = [name for name in told if table.shape.attributes[name].values is not None]
    numbers = [labels[name] for name in told if name not in words]
    lines = [f"{labels[name]}: {_examples(table.shape.attributes[name])}" for name in sorted(words)]
    if numbers:
        lines.append(f"{', '.join(sorted(numbers))}: numbers")
    return _Language("\n".join([_TASK, *lines]), labels, {label: name for name, label in labels.items()})


@cache
def _label(name: str) -> str:
    """An attribute's name as a word of the language: letters, figures, single spaces; "" where none are left."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", visible(name))
    label = " ".join(re.findall(r"[^\W_]+", spaced.lower()))
    return label if label[:1].isalpha() else ""


def _examples(shape: AttributeShape) -> str:
    short = (one_line(value) for value in shape.values or () if len(value) <= MAX_EXAMPLE_CHARS)
    return ", ".join([value for value, _ in zip(short, range(EXAMPLES), strict=False)])


# -- facts as an answer ----------------------------------------------------------------------------


def spoken(
    facts: Iterable[Fact], context: DialogueContext, item_ids: Sequence[str], attribute: str | None, table: ItemTable
) -> str:
    """Gold facts and items pointed at, as the model should say them; "none" where there is nothing.

    `attribute` is what is asked about `item_ids`. Attributes that the language has no word for are left out.
    """
    shown = last_shown(context)
    lines = []
    facts = tuple(facts)
    wishes = [fact.preference for fact in facts if isinstance(fact, Added)]
    liked = [str(wish.values[0]) for wish in wishes if wish.op == "like"]
    for fact in facts:
        if isinstance(fact, Dropped):
            lines += _drop_lines(fact, context, table)
        elif place := _place_said(fact.preference, shown, table):
            lines.append(f"{'-' if fact.preference.polarity == 'negative' else ''}like: #{place}")
        elif line := _wish_line(fact.preference, table, liked):
            lines.append(line)
    places = [str(shown.index(item_id) + 1) for item_id in item_ids if item_id in shown]
    if places:
        asked = f" {_language(table).labels.get(attribute, '')}".rstrip() if attribute else ""
        lines.append(f"items: {' '.join(places)}{asked}")
    return "\n".join(lines) or "none"


def _place_said(wish: Preference, shown: Sequence[str], table: ItemTable) -> int:
    """The place by which a liked item was pointed at; 0 where it was called by its title, or is no item."""
    if wish.op != "like" or wish.values[0] not in shown:
        return 0
    place = shown.index(str(wish.values[0])) + 1
    title = words_of(table.get(str(wish.values[0])).title)
    said = words_of(wish.evidence)
    return place if points_at(said, place) and not set(title) <= set(said) else 0


def _drop_lines(fact: Dropped, context: DialogueContext, table: ItemTable) -> list[str]:
    if fact.everything:
        return ["drop: all"]
    labels = _language(table).labels
    numbers = [n for n, wish in enumerate(context.preferences, start=1) if wish.id in fact.preference_ids]
    return [f"drop: {n}" for n in numbers] + [f"drop: {labels[name]}" for name in fact.attributes if name in labels]


def _wish_line(wish: Preference, table: ItemTable, liked: Sequence[str] = ()) -> str:
    """One wish in the language; "" where it has no word for the attribute."""
    no = "-" if wish.polarity == "negative" else ""
    if wish.op == "like":
        item_id = str(wish.values[0])
        return f"{no}like: {_title(table.get(item_id)) if item_id in table else item_id}"
    if wish.op == "about":
        return f"{no}about: {one_line(str(wish.values[0]))}"
    label = _language(table).labels.get(wish.attribute or "")
    if label is None:
        return ""
    if isinstance(wish.values[0], float | int):
        its = _number_of(liked[0], wish.attribute or "", table) if liked and wish.op != "eq" else None
        numbers = [_IT if number == its else f"{number:.10g}" for number in wish.values]
        return f"{no}{label}{_SIGNS[wish.op]} {_OR.join(numbers)}"
    hard = "!" if wish.kind == "hard" else ""
    return f"{no}{label}{hard}: {_OR.join(one_line(str(value)) for value in wish.values)}"


def _title(item: Item) -> str:
    return one_line(_DATED_TITLE.sub("", item.title)) or one_line(item.title)


def _number_of(item_id: str, name: str, table: ItemTable) -> float | None:
    """An item's number; None where it has none."""
    try:
        item = table.get(item_id)
    except NotFound:
        return None
    value = item.price if name == "price" else item.attributes.get(name)
    return None if value is None or isinstance(value, str | tuple) else float(value)


# -- an answer as facts ----------------------------------------------------------------------------


def read(answer: str, text: str, context: DialogueContext, table: ItemTable, *, complete: bool = True) -> Reading:
    """The facts of an answer to `reading_prompt(text, context, table)` that the message bears out.

    Args:
        answer: what the model said.
        text: the message.
        context: what the prompt was made from.
        table: the catalogue.
        complete: whether the model ended by itself; otherwise the last line is cut off, and dropped.
    """
    lines = [line.strip() for line in answer.split("\n")]
    if not complete:
        lines = lines[:-1]
    reader = _Reader(Evidence(text, table), context, table)
    for line in [line for line in lines if line][:MAX_LINES]:
        if line.casefold() != "none" and not reader.take(line):
            reader.refused += 1
    return reader.reading()


class _Reader:
    """One answer on its way through its lines."""

    def __init__(self, evidence: Evidence, context: DialogueContext, table: ItemTable) -> None:
        self._evidence, self._context, self._table = evidence, context, table
        self._language = _language(table)
        self._dropped: list[Dropped] = []
        self._wishes: list[Preference] = []
        self._late: list[tuple[str, PreferenceOperator, Polarity]] = []
        self._items: tuple[str, ...] = ()
        self._attribute: str | None = None
        self.refused = 0

    def take(self, line: str) -> bool:
        """Read one line; False where it says nothing that holds."""
        found = _LINE.fullmatch(line)
        if found is None:
            return False
        name, value = found["name"].strip().casefold(), found["value"]
        polarity: Polarity = "negative" if found["no"] else "positive"
        if name in _RESERVED:
            return found["op"] == ":" and self._take_reserved(name, value, polarity)
        attribute = self._language.names.get(name)
        if attribute is None:
            return False
        if self._table.shape.attributes[attribute].values is None:
            return self._take_number(attribute, _OPERATORS[found["op"]], value, polarity)
        return found["op"] == ":" and self._take_value(attribute, value, polarity, "hard" if found["hard"] else "soft")

    def reading(self) -> Reading:
        """All that was taken, what is taken back first."""
        for attribute, op, polarity in self._late:
            number = self._anchored(attribute)
            if number is None:
                self.refused += 1
            else:
                self._add("hard", attribute, op, (number,), polarity, self._evidence.message.text.strip())
        dropped = [one for one in self._dropped if self._is_taken_back(one)]
        self.refused += len(self._dropped) - len(dropped)
        facts: list[Fact] = [*dropped, *map(Added, self._wishes)]
        return Reading(tuple(facts), self._items, self._attribute, self.refused)

    def _take_reserved(self, name: str, value: str, polarity: Polarity) -> bool:
        if name == "drop":
            return self._take_drop(value)
        if name == "items":
            return self._take_items(value)
        if name == "like":
            return self._take_like(value, polarity)
        quote = self._evidence.quote(value) if name == "about" else ""
        return bool(quote) and self._add("soft", None, "about", (quote,), polarity, quote)

    def _take_value(self, attribute: str, value: str, polarity: Polarity, kind: PreferenceKind) -> bool:
        said = [self._evidence.value(attribute, one.strip()) for one in value.split(_OR.strip())]
        known = [one for one in said if one is not None]
        if not known or len(known) < len(said):
            return False
        values = tuple(dict.fromkeys(one.value for one in known))
        evidence = max((one.evidence for one in known), key=len)
        return self._add(kind, attribute, "eq", values, polarity, evidence)

    def _take_number(self, attribute: str, op: PreferenceOperator, value: str, polarity: Polarity) -> bool:
        if value.casefold() == _IT:
            self._late.append((attribute, op, polarity))
            return op != "eq"
        said = [one.strip() for one in value.split(_OR.strip())]
        if not all(map(_NUMBER.fullmatch, said)):
            return False
        numbers = tuple(float(one) for one in said)
        words = [self._evidence.number(number) for number in numbers]
        return all(words) and self._add("hard", attribute, op, numbers, polarity, words[0])

    def _take_like(self, value: str, polarity: Polarity) -> bool:
        if place := re.fullmatch(r"#(\d{1,2})", value):
            item_id, evidence = self._pointed_at(int(place.group(1)))
        else:
            said = self._evidence.title(re.sub(r" #\d{1,2}$", "", value))
            item_id, evidence = (said.value, said.evidence) if said else ("", "")
        return bool(item_id) and self._add("soft", None, "like", (item_id,), polarity, evidence)

    def _take_drop(self, value: str) -> bool:
        turn, evidence = self._context.turn, self._evidence.message.text.strip()
        if value == "all":
            dropped = Dropped(turn, evidence, everything=True)
        elif value.isdigit() and 1 <= int(value) <= len(self._context.preferences):
            dropped = Dropped(turn, evidence, preference_ids=(self._context.preferences[int(value) - 1].id,))
        elif attribute := self._language.names.get(value.casefold()):
            dropped = Dropped(turn, evidence, attributes=(attribute,))
        else:
            return False
        self._dropped.append(dropped)
        return True

    def _is_taken_back(self, dropped: Dropped) -> bool:
        """Whether the message bears it out: a word that takes back, or one that may, and what it is of."""
        if dropped.everything or self._evidence.takes_back(everything=False):
            return self._evidence.takes_back(dropped.everything)
        gone = [wish for wish in self._context.preferences if wish.id in dropped.preference_ids]
        of = {*dropped.attributes, *(wish.attribute for wish in gone if wish.attribute)}
        if of & {wish.attribute for wish in self._wishes}:
            names: list[str] = [wish.evidence for wish in self._wishes if wish.attribute in of]
        else:
            labels = [self._language.labels[one] for one in of if one in self._language.labels]
            names = [*labels, *(str(value) for wish in gone for value in wish.values)]
        return self._evidence.denies(names)

    def _take_items(self, value: str) -> bool:
        match = re.fullmatch(r"(?P<places>#?\d{1,2}(?:[ ,]+#?\d{1,2})*)(?: (?P<attribute>\S.*))?", value)
        places = [int(n) for n in re.findall(r"\d+", match["places"])] if match else []
        items = [self._pointed_at(place)[0] for place in places]
        attribute = self._language.names.get((match["attribute"] or "").casefold()) if match else None
        if not items or not all(items) or (match and match["attribute"] and attribute is None):
            return False
        self._items, self._attribute = tuple(dict.fromkeys(items)), attribute
        return True

    def _pointed_at(self, place: int) -> tuple[str, str]:
        """The item of that place and the words that point at it; empty where none do."""
        shown = last_shown(self._context)
        if not 1 <= place <= len(shown):
            return "", ""
        evidence = self._evidence.place(place, shown, self._item_of)
        return (shown[place - 1], evidence) if evidence else ("", "")

    def _item_of(self, item_id: str) -> Item | None:
        return self._table.get(item_id) if item_id in self._table else None

    def _anchored(self, attribute: str) -> float | None:
        """The number of the item that "it" is: liked here, pointed at, in focus, or first on the list."""
        liked = [str(wish.values[0]) for wish in self._wishes if wish.op == "like"]
        for item_id in (*liked, *self._items, *self._context.focus[:1], *last_shown(self._context)[:1]):
            return _number_of(item_id, attribute, self._table)
        return None

    def _add(
        self,
        kind: PreferenceKind,
        attribute: str | None,
        op: PreferenceOperator,
        values: tuple[str | float, ...],
        polarity: Polarity,
        evidence: str,
    ) -> bool:
        turn = self._context.turn
        if all((w.attribute, w.op, w.values) != (attribute, op, values) for w in self._wishes):
            key = f"t{turn}-m{len(self._wishes) + 1}"
            self._wishes.append(Preference(key, kind, attribute, op, values, polarity, evidence, turn))
        return True
