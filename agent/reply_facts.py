"""Why an item fits these wishes and what speaks against it: facts found by code, before any word is written.

Each fact names the field that backs it. What is found nowhere is not said: an item may have no fact at all.
Knows nothing of the language model and of how facts become sentences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from agent.preferences import Preference
from agent.ranking import Ranked, value_of
from agent.understand.roles import Role, role_of
from agent.wording import ALIKE, POPULAR, YES, Wording, in_minutes, is_top
from retrieval.items import Item
from retrieval.table import ItemTable

FitKind: TypeAlias = Literal["value", "bound", "stock", "avoids", "shared", "like", "learned", "words", "popular"]
ButKind: TypeAlias = Literal[
    "out_of_stock", "misses", "unwanted", "dearest", "longest", "near_bound", "oldest", "unlike", "little_known",
    "little_text",
]  # fmt: skip

MAX_FITS = 3
"""Facts that one sentence can hold."""
NEAR_BOUND = 0.05
"""Share of a price limit that may be left over when a price is called close to it."""
OLDER_YEARS = 10
"""Years before the next oldest of the list from which age is worth a word."""
MUCH_LESS = 0.5
"""Popularity against the next lowest of the list below which an item is called less in demand."""

_PHRASES: Mapping[FitKind | ButKind, str] = {
    "value": "pitch.value",
    "bound": "pitch.bound",
    "stock": "pitch.stock",
    "avoids": "pitch.avoids",
    "shared": "pitch.shared_other",
    "like": "pitch.like",
    "learned": "pitch.learned",
    "words": "pitch.words",
    "popular": "pitch.popular",
    "out_of_stock": "pitch.out_of_stock",
    "misses": "pitch.misses",
    "unwanted": "pitch.unwanted",
    "dearest": "pitch.dearest",
    "longest": "pitch.longest",
    "near_bound": "pitch.near_bound",
    "oldest": "pitch.oldest",
    "unlike": "pitch.unlike",
    "little_known": "pitch.little_known",
    "little_text": "pitch.little_text",
}
_VALUES: Mapping[Role, str] = {
    "maker": "pitch.value_maker",
    "cast": "pitch.value_cast",
    "year": "pitch.value_year",
    "rating": "pitch.value_number",
    "weight": "pitch.value_number",
    "size": "pitch.value_number",
}
"""Values that need a word beside them; a number of any other role needs one, too."""
_SHARED: Mapping[str, str] = {"director": "pitch.shared_director", "cast": "pitch.shared_cast"}


@dataclass(frozen=True, slots=True)
class ReplyFact:
    """One true thing that speaks for an item or against it.

    Attributes:
        kind: what sort of fact; the kinds of `FitKind` speak for it.
        field: the item's own field that backs it ("genre", "price", "in_stock", "text", ...).
        value: what stands in the field, in words.
        other: what it is held against, in words: a wish, or the title of another item.
        wishes: the wishes that it meets or misses.
        number: whether the field holds a number.
    """

    kind: FitKind | ButKind
    field: str
    value: str = ""
    other: str = ""
    wishes: tuple[Preference, ...] = ()
    number: bool = False

    def phrase(self, wording: Wording) -> str:
        """The fact in a few words without a verb: "also directed by Ridley Scott, like Alien"."""
        key = _PHRASES[self.kind]
        if self.kind == "shared":
            key = _SHARED.get(self.field, key)
        elif self.kind == "value":
            key = _VALUES.get(role_of(self.field, number=self.number), "pitch.value_number" if self.number else key)
            key = _PHRASES["value"] if in_minutes(self.field) else key
        label = wording.words.label(self.field)
        value = label if self.value.casefold() in YES else self.value
        return wording.words.text(key, value=value, other=self.other, label=label)


@dataclass(frozen=True, slots=True)
class ReplyFacts:
    """What there is to say of one item: at most `MAX_FITS` that speak for it, at most one against it."""

    fits: tuple[ReplyFact, ...] = ()
    but: ReplyFact | None = None

    @property
    def all(self) -> tuple[ReplyFact, ...]:
        """All of them, those that speak for the item first."""
        return (*self.fits, self.but) if self.but else self.fits


def facts_of(
    entry: Ranked,
    shown: Sequence[Ranked],
    wishes: Sequence[Preference],
    missed: Sequence[Preference],
    wording: Wording,
    table: ItemTable,
) -> ReplyFacts:
    """The facts about `entry`.

    Args:
        entry: the item to speak of.
        shown: the list that it stands in, itself included.
        wishes: those in force.
        missed: those of them that the item does not meet.
        wording: the words of the customer's language.
        table: the catalogue; it knows the items that wishes name.
    """
    return ReplyFacts(_fits(entry, wishes, missed, wording), _but(entry, shown, wishes, missed, wording, table))


def _fits(
    entry: Ranked, wishes: Sequence[Preference], missed: Sequence[Preference], wording: Wording
) -> tuple[ReplyFact, ...]:
    """The wishes that it meets, and what it shares with an item spoken of; else what else brought it up."""
    met = [wish for wish in wishes if wish.attribute is not None and wish.op != "about" and wish not in missed]
    found = [
        fact
        for wish in met
        if wish.polarity == "positive" and wish.op == "eq"
        for fact in _values(entry, wish, wording)
    ]
    bounds: dict[str, list[Preference]] = {}
    for wish in met:
        if wish.op not in ("eq", "like"):
            bounds.setdefault(str(wish.attribute), []).append(wish)
    for attribute, group in bounds.items():
        if (value := value_of(entry.item, attribute)) is not None:
            said = wording.value(attribute, value, entry.item.currency)
            found.append(ReplyFact("bound", attribute, said, wording.wishes(group), tuple(group)))
    if (shared := _shared(entry, found, wishes, wording)) is not None:
        found = [*found[: MAX_FITS - 1], shared]
    found = list(dict.fromkeys(found))[:MAX_FITS]
    return tuple(found) or _otherwise(entry, met, wishes, wording)


def _values(entry: Ranked, wish: Preference, wording: Wording) -> list[ReplyFact]:
    attribute = str(wish.attribute)
    if attribute == "in_stock":
        return [ReplyFact("stock", attribute, wishes=(wish,))] if entry.item.in_stock else []
    if attribute == "title":
        return []
    matched = [match.value for match in entry.matched if match.attribute == attribute]
    values = [one for value in matched for one in (value if isinstance(value, tuple) else (value,))]
    return [
        ReplyFact(
            "value",
            attribute,
            wording.value(attribute, one, entry.item.currency),
            "",
            (wish,),
            not isinstance(one, str),
        )
        for one in values
    ]


def _shared(
    entry: Ranked, found: Sequence[ReplyFact], wishes: Sequence[Preference], wording: Wording
) -> ReplyFact | None:
    shared = entry.shared
    denied = {str(value) for wish in wishes if wish.polarity == "negative" for value in wish.values}
    if shared is None or shared.value in denied or shared.value in {fact.value for fact in found}:
        return None
    return ReplyFact("shared", shared.attribute, shared.value, wording.title_of(shared.like_id))


def _otherwise(
    entry: Ranked, met: Sequence[Preference], wishes: Sequence[Preference], wording: Wording
) -> tuple[ReplyFact, ...]:
    """What is said of an item that meets no wish for a value; what it is not comes last."""
    liked = [wish for wish in wishes if wish.op == "like" and wish.polarity == "positive"]
    if liked and entry.features.get("likeness", 0.0) >= ALIKE:
        return (ReplyFact("like", "text", other=wording.title_of(str(liked[-1].values[0])), wishes=(liked[-1],)),)
    if (learned := wording.learned(entry)) is not None:
        return (ReplyFact("learned", *learned),)
    if entry.item.text and (about := [wish for wish in wishes if wish.op == "about" and wish.polarity == "positive"]):
        return (ReplyFact("words", "text", wishes=(about[-1],)),)
    for wish in met:
        if wish.polarity == "negative" and wish.op == "eq" and len(wish.values) == 1:
            return (ReplyFact("avoids", str(wish.attribute), str(wish.values[0]), wishes=(wish,)),)
    popular = entry.features.get("popularity", 0.0) > POPULAR
    return (ReplyFact("popular", "popularity"),) if popular else ()


def _but(
    entry: Ranked,
    shown: Sequence[Ranked],
    wishes: Sequence[Preference],
    missed: Sequence[Preference],
    wording: Wording,
    table: ItemTable,
) -> ReplyFact | None:
    """The first found of: sold out, a missed wish, dearest, longest, near the limit, oldest, unlike what was liked."""
    item = entry.item
    if item.in_stock is False:
        return ReplyFact("out_of_stock", "in_stock")
    if soft := [wish for wish in missed if wish.kind == "soft" and wish.attribute is not None]:
        return _missed(item, soft[0], wording)
    if is_top(item, shown, "price"):
        return ReplyFact("dearest", "price", wording.value("price", value_of(item, "price") or 0.0, item.currency))
    if is_top(item, shown, "runtime_min"):
        minutes = value_of(item, "runtime_min") or 0.0
        return ReplyFact("longest", "runtime_min", wording.value("runtime_min", minutes))
    found = _near_bound(item, wishes, wording) or _oldest(item, shown) or _unlike(item, wishes, wording, table)
    if found is not None:
        return found
    if _much_less(item, shown):
        return ReplyFact("little_known", "popularity")
    return None if item.text else ReplyFact("little_text", "text")


def _missed(item: Item, wish: Preference, wording: Wording) -> ReplyFact:
    if wish.polarity == "positive" or wish.op != "eq":
        return ReplyFact("misses", str(wish.attribute), other=wording.wish(wish), wishes=(wish,))
    own = value_of(item, str(wish.attribute))
    unwanted = {str(value).casefold() for value in wish.values}
    has = [str(one) for one in (own if isinstance(own, tuple) else (own,)) if str(one).casefold() in unwanted]
    return ReplyFact("unwanted", str(wish.attribute), (has or [str(wish.values[0])])[0], wishes=(wish,))


def _near_bound(item: Item, wishes: Sequence[Preference], wording: Wording) -> ReplyFact | None:
    if item.price is None:
        return None
    for wish in wishes:
        if wish.attribute == "price" and wish.op in ("le", "lt") and wish.polarity == "positive":
            limit, price = float(wish.values[0]), float(item.price)
            if limit * (1 - NEAR_BOUND) <= price <= limit:
                said = wording.value("price", limit, item.currency)
                return ReplyFact("near_bound", "price", wording.value("price", price, item.currency), said, (wish,))
    return None


def _oldest(item: Item, shown: Sequence[Ranked]) -> ReplyFact | None:
    mine = item.attributes.get("year")
    others = [e.item.attributes.get("year") for e in shown if e.item.id != item.id]
    years = [year for year in others if isinstance(year, float | int)]
    if isinstance(mine, float | int) and len(years) >= 2 and mine <= min(years) - OLDER_YEARS:
        return ReplyFact("oldest", "year", f"{mine:g}")
    return None


def _unlike(item: Item, wishes: Sequence[Preference], wording: Wording, table: ItemTable) -> ReplyFact | None:
    """Of what was liked the kind that this one is not, where the two share none."""
    liked = [str(w.values[0]) for w in wishes if w.op == "like" and w.polarity == "positive"]
    if not liked or liked[-1] not in table:
        return None
    other = table.get(liked[-1])
    for name in other.attributes:
        if role_of(name, number=False) == "kind" and (theirs := _texts(other, name)) and (own := _texts(item, name)):
            if not {text.casefold() for text in theirs} & {text.casefold() for text in own}:
                return ReplyFact("unlike", name, theirs[0], wording.title_of(liked[-1]))
            return None
    return None


def _texts(item: Item, name: str) -> tuple[str, ...]:
    value = item.attributes.get(name, ())
    return (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()


def _much_less(item: Item, shown: Sequence[Ranked]) -> bool:
    others = [entry.item.popularity for entry in shown if entry.item.id != item.id]
    return len(others) >= 2 and 0 < item.popularity < MUCH_LESS * min(others)
