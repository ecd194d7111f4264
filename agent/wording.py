"""Facts and wishes in words, from the message catalogues. Every word rests on a field.

Knows nothing of conversations or of the model that may write around these words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from agent.apart import apart
from agent.messages import Messages
from agent.preferences import OPPOSITE, Preference, PreferenceOperator
from agent.rank.axes import Axis, values_of
from agent.rank.session import PREFIX
from agent.ranking import Matched, Ranked, Shared, value_of
from retrieval.items import AttributeValue, Item

MAX_WISHES_SAID = 6
"""A sentence names at most so many wishes."""


@dataclass(frozen=True, slots=True)
class Wording:
    """The words of one language for one catalogue; `title_of` names an item by its id."""

    words: Messages
    title_of: Callable[[str], str]
    currency: str | None = None

    def wish(self, wish: Preference) -> str:
        """A wish as it is said in a sentence: "under 20.00 EUR", "not horror", "like Alien"."""
        attribute, words = wish.attribute, self.words
        negative = wish.polarity == "negative"
        if wish.op == "like":
            return words.text("wish.not_like" if negative else "wish.like", value=self.title_of(str(wish.values[0])))
        if attribute is None or wish.op == "about":
            return words.text("wish.not_about" if negative else "wish.about", value=self._values(wish))
        if attribute == "in_stock":
            return words.text("wish.stock")
        if negative and wish.op != "eq":  # "at least 90 minutes" rather than "not under 90 minutes"
            opposite: PreferenceOperator = OPPOSITE[wish.op]  # type: ignore[assignment]  # bounds only, here
            return self.wish(replace(wish, op=opposite, polarity="positive"))
        if wish.op == "eq" and len(wish.values) > 2 and all(isinstance(value, float | int) for value in wish.values):
            said = self._range(replace(wish, values=wish.values[:1]), replace(wish, values=wish.values[-1:]))
        else:
            said = self._bound(wish, attribute) if wish.op != "eq" or attribute == "year" else self._values(wish)
        return words.text("wish.not_eq", value=said) if negative else said

    def _bound(self, wish: Preference, attribute: str) -> str:
        family = {"price": "price_", "year": "year_"}.get(attribute, "minutes_" if in_minutes(attribute) else "")
        value = plain_number(float(wish.values[0])) if family == "minutes_" else self._values(wish)
        return self.words.text(f"wish.{family}{wish.op}", label=self.words.label(attribute), value=value)

    def _values(self, wish: Preference) -> str:
        attribute = wish.attribute or ""
        return self.words.text("wish.or").join(self._told(attribute, value) for value in wish.values)

    def _told(self, attribute: str, value: AttributeValue) -> str:
        """A value in words that say enough without the attribute's name: "wireless" for a yes."""
        yes = isinstance(value, str) and value.casefold() in YES
        return self.words.label(attribute) if yes and attribute else self.value(attribute, value)

    def wishes(self, wishes: Sequence[Preference]) -> str:
        """Wishes joined as a person would: "comedy, before 1990 and under 10.00 EUR"."""
        if not wishes:
            return self.words.text("reply.prefs_none")
        return self.join(self._phrases(wishes)[:MAX_WISHES_SAID])

    def _phrases(self, wishes: Sequence[Preference]) -> list[str]:
        """One phrase a wish; a lower and an upper bound of one number are said as a range, in the first one's place."""
        positive = [wish for wish in wishes if wish.polarity == "positive"]
        upper = {wish.attribute: wish for wish in positive if wish.op == "le"}
        ranges = {w.id: (w, upper[w.attribute]) for w in positive if w.op == "ge" and w.attribute in upper}
        merged = {high.id for _, high in ranges.values()}
        return [
            self._range(*ranges[wish.id]) if wish.id in ranges else self.wish(wish)
            for wish in wishes
            if wish.id not in merged
        ]

    def _range(self, low: Preference, high: Preference) -> str:
        attribute = str(low.attribute)
        first, last = self.value(attribute, low.values[0]), self.value(attribute, high.values[0])
        if attribute == "year" and float(low.values[0]) % 10 == 0 and float(high.values[0]) == float(low.values[0]) + 9:
            return self.words.text("wish.decade", value=first)
        family = attribute if attribute in ("year", "price") else "number"
        return self.words.text(f"wish.{family}_range", label=self.words.label(attribute), low=first, high=last)

    def broken(self, wishes: Sequence[Preference]) -> str:
        """What an item is that breaks `wishes`: "horror and not under 10.00 EUR"; the unwanted ones come first."""
        unwanted = [replace(wish, polarity="positive") for wish in wishes if wish.polarity == "negative"]
        missing = [wish for wish in wishes if wish.polarity == "positive"]
        said = [self.words.text("reply.breaks_not", wish=self.wish(wish)) for wish in unwanted]
        return self.join(said + [self.words.text("reply.breaks", wish=self.wish(wish)) for wish in missing])

    def join(self, parts: Sequence[str], last: Literal["wish.last", "wish.or"] = "wish.last") -> str:
        """The parts as one list in words: "a, b and c", or with `last` "a, b or c"."""
        if len(parts) < 2:
            return "".join(parts)
        return self.words.text("wish.join").join(parts[:-1]) + self.words.text(last) + parts[-1]

    def value(self, attribute: str, value: AttributeValue, currency: str | None = None) -> str:
        """A value with its unit: money with currency, minutes, plain numbers without ".0"."""
        if isinstance(value, tuple):
            return self.join(value)
        if attribute == "price":
            amount = f"{float(value):.2f}"
            return f"{amount} {currency or self.currency or ''}".strip()
        if in_minutes(attribute) and isinstance(value, float | int):
            return self.words.text("unit.minutes", value=plain_number(value))
        return plain_number(value) if isinstance(value, float | int) else str(value)

    def why(self, entry: Ranked, wishes: Sequence[Preference], slate: Sequence[Ranked] = ()) -> str:
        """Why an item is there; where another of `slate` is there for the same, what sets it apart as well."""
        said = self._why(entry, wishes)
        others = [one for one in slate if one.item.id != entry.item.id]
        same = self._why(_in_words(entry), wishes)  # "Crime and 13.90 EUR" says no more than "Crime and 14.50 EUR"
        if not said or all(self._why(_in_words(one), wishes) != same for one in others):
            return said
        own = apart(entry.item, [one.item for one in others], self.words, self.value)
        return self.words.text("why.two", first=said, second=own) if own else said

    def _why(self, entry: Ranked, wishes: Sequence[Preference]) -> str:
        """A sentence that names the wish this item meets, and one for what it shares with an item spoken of."""
        said = list(dict.fromkeys(self._matched(entry.item, match) for match in entry.matched))
        denied = [str(value) for wish in wishes if wish.polarity == "negative" for value in wish.values]
        also = self._also(entry.shared) if entry.shared and entry.shared.value not in (*said, *denied) else ""
        if said:
            matches = self.words.text("why.matches", wishes=self.join(said[:MAX_WISHES_SAID]))
            return self.words.text("why.two", first=matches, second=also) if also else matches
        liked = [wish for wish in wishes if wish.op == "like" and wish.polarity == "positive"]
        if liked and also:
            return also
        if liked and entry.features.get("likeness", 0.0) >= ALIKE:
            return self.words.text("why.like", title=self.title_of(str(liked[-1].values[0])))
        if (learned := self.learned(entry)) is not None:
            return self.words.text("why.session", value=learned[1])
        if also:
            return also
        if any(wish.op == "about" for wish in wishes):
            return self.words.text("why.words")
        return self.words.text("why.popular") if entry.features.get("popularity", 0) > POPULAR else ""

    def _also(self, shared: Shared) -> str:
        """What an item has like one that was spoken of: "Also directed by Ridley Scott, like Alien."."""
        key = f"also.{shared.attribute}"
        key = key if self.words.has(key) else "also.other"
        label, title = self.words.label(shared.attribute), self.title_of(shared.like_id)
        return self.words.text(key, label=label, value=shared.value, title=title)

    def learned(self, entry: Ranked) -> tuple[str, str] | None:
        """Attribute and value of the item that the customer's reactions speak for most, where they say much."""
        values = {
            f"{PREFIX}{Axis('value', name, value)}": (name, self.value(name, value))
            for name in entry.item.attributes
            for value in values_of(entry.item, name)
        }
        best = max(values, key=lambda name: entry.contributions.get(name, 0.0), default="")
        return values[best] if entry.contributions.get(best, 0.0) >= TELLING else None

    def _matched(self, item: Item, match: Matched) -> str:
        if match.attribute == "in_stock":
            return self.words.text("wish.stock")
        if match.attribute == "year":
            return self.words.text("wish.year_eq", value=self.value("year", match.value))
        if isinstance(match.value, str):
            return self._told(match.attribute, match.value)
        return self.value(match.attribute, match.value, item.currency)

    def trade_off(self, entry: Ranked, slate: Sequence[Ranked], missed: Sequence[Preference]) -> str | None:
        """One honest disadvantage, or None: out of stock, a missed wish, dearest or longest of the list."""
        item, words = entry.item, self.words
        if item.in_stock is False:
            return words.text("trade_off.out_of_stock")
        if missed:
            return words.text("trade_off.misses", wish=self.wish(missed[0]))
        if is_top(item, slate, "price"):
            return words.text("trade_off.dearest")
        if is_top(item, slate, "runtime_min"):
            minutes = value_of(item, "runtime_min")
            return words.text("trade_off.longest", value=self.value("runtime_min", minutes or 0.0))
        return None if item.text else words.text("trade_off.little_text")

    def fact(self, item: Item, attribute: str) -> str:
        """One field of an item as a sentence; says so when the catalogue does not have it."""
        words, value = self.words, value_of(item, attribute)
        if attribute == "text":
            if item.text:
                return words.text("fact.about", title=item.title, text=item.text)
            return words.text("fact.unknown", label=words.label(attribute), title=item.title)
        label, unit = self._label_and_unit(attribute)
        if value is None:
            return words.text("fact.unknown", label=label, title=item.title)
        if attribute == "in_stock":
            return words.text("fact.stock_yes" if value == "yes" else "fact.stock_no", title=item.title)
        said = self.value(attribute, value, item.currency)
        if attribute == "price":
            return words.text("fact.price", title=item.title, value=said)
        said = f"{said} {unit}" if unit and isinstance(value, float | int) else said
        return words.text("fact.text", title=item.title, label=label, value=said)

    def _label_and_unit(self, attribute: str) -> tuple[str, str]:
        """What a field is called, and its unit where its name ends with one: "battery_hours" -> battery, hours."""
        what, _, unit = attribute.rpartition("_")
        if what and unit in _UNITS and not self.words.has(f"label.{attribute}"):
            return self.words.label(what), unit
        return self.words.label(attribute), ""

    def superlative(self, attribute: str, *, descending: bool) -> str:
        """The superlative in words: "cheapest", "longest", "highest in screen size"."""
        suffix = "high" if descending else "low"
        key = f"superlative.{attribute}_{suffix}"
        if self.words.has(key):
            return self.words.text(key)
        return self.words.text(f"superlative.other_{suffix}", label=self.words.label(attribute))


def _in_words(entry: Ranked) -> Ranked:
    """The entry without the numbers that it matched: they stand beside it anyway, and differ without telling much."""
    return replace(entry, matched=tuple(one for one in entry.matched if not isinstance(one.value, float | int)))


def in_minutes(attribute: str) -> bool:
    """Whether a number is a duration in minutes, by its name: `runtime_min` is, `players_min` is not."""
    return attribute.endswith("_min") and any(word in attribute for word in ("runtime", "duration", "length", "time"))


YES = frozenset({"yes", "true"})
"""Values that say of an item what the attribute is called."""
NO = frozenset({"no", "false"})
"""Values that deny it."""
_UNITS = frozenset(
    "g kg mg cm mm m km l ml w kw v gb tb mb hz mah lumens inches hours days weeks months years pages".split()
)
"""Last parts of the names of numbers that are units: "battery_hours" is a battery of so many hours."""
ALIKE = 0.35
"""Cosine of two descriptions from which an item is called close to a liked one."""
TELLING = 0.1
"""What a value must add to the score for having been learned, to be given as the reason."""
POPULAR = 0.7
"""Log popularity, against the catalogue's maximum, from which an item is called popular."""


def plain_number(value: float) -> str:
    """A number for people: no ".0", no exponent (as ":g" would write 237000000)."""
    return str(int(value)) if float(value).is_integer() else f"{value:.10g}"


def is_top(item: Item, slate: Sequence[Ranked], attribute: str) -> bool:
    """Strictly the highest of a slate of at least three, by a margin that a customer would notice."""
    mine = value_of(item, attribute)
    others = [value_of(entry.item, attribute) for entry in slate if entry.item.id != item.id]
    numbers = [float(value) for value in others if isinstance(value, float | int)]
    return isinstance(mine, float | int) and len(numbers) >= 2 and mine > max(numbers) * 1.1
