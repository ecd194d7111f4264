"""What of the catalogue stands in a message: values, people, titles, numbers and places in a list, with the words.

The language model's reading is held against this, so that nothing invented passes; knows nothing of models. Looser than
the rules (`entities.py`): whether a name is meant is the model's to say, whether it was written is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

from rapidfuzz.distance import OSA

from agent.understand.amounts import Amount, amounts_in
from agent.understand.lexicon import Entry, Lexicon
from agent.understand.message import Message, stem, words_of
from agent.understand.references import ItemOf
from agent.understand.titles import best_of, certainty, year_after
from retrieval.table import ItemTable
from retrieval.text import fold
from retrieval.words import common_words, function_words

MAX_WINDOW_WORDS = 8
"""Longer titles are found by their first words."""
MIN_SLIP_LETTERS = 5
"""Shorter words must stand as the catalogue writes them."""
_FIGURES = re.compile(r"\d+(?:[.,]\d+)?")
_PLACES = (
    ("first", "1st", "1", "top"), ("second", "2nd", "two", "2"), ("third", "3rd", "three", "3"),
    ("fourth", "4th", "four", "4"), ("fifth", "5th", "five", "5"), ("sixth", "6th", "six", "6"),
    ("seventh", "7th", "seven", "7"), ("eighth", "8th", "eight", "8"), ("ninth", "9th", "nine", "9"),
    ("tenth", "10th", "ten", "10"),
)  # fmt: skip
_LAST = frozenset({"last", "final", "bottom"})
_TAKES_BACK = frozenset(
    """actually anew anymore apologies back cancel care changed change changing clean clear correct
    corrected correction different differently disregard drop else enough error erase fresh forget ignore
    important instead longer matter matters meant mind misspoke mistake mistaken mixed never nevermind new
    rather remove reset restart reverse revert scrap scratch scrub skip slip sorry start starting strike
    switch typo undo wait whatever wrong wipe""".split()
)
"""Words without which not everything is taken back. To a long message of a kind that it never saw, a small model likes
to say that it is: 24 of 100 turns of RecQuest, all of them wrong."""
_TAKES_ONE_BACK = _TAKES_BACK | {"any", "either", "flexible", "open"}
"""Likewise one wish."""
_DENIES = frozenset({"no", "nope", "not", "out", "without"})
"""Words that may do so with one wish, where its matter is named: "no, horror", but not "also no musicals, please"."""

_lexicons: WeakKeyDictionary[ItemTable, Lexicon] = WeakKeyDictionary()


def lexicon_of(table: ItemTable) -> Lexicon:
    """The words of a catalogue, built once for a table (two seconds for 34,509 films) and gone with it."""
    lexicon = _lexicons.get(table)
    if lexicon is None:
        lexicon = _lexicons[table] = Lexicon.of(table.items, table.shape)
    return lexicon


@dataclass(frozen=True, slots=True)
class Found:
    """An entry of the lexicon and the span of the message that may mean it."""

    start: int
    end: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Said:
    """A value as the catalogue writes it, and the customer's words for it."""

    value: str
    evidence: str


class Evidence:
    """One message held against one catalogue."""

    def __init__(self, text: str, table: ItemTable) -> None:
        self.message = Message(text)
        self.lexicon = lexicon_of(table)
        self._table = table
        self._words = [self._word(token.base) for token in self.message.tokens]

    def takes_back(self, everything: bool) -> bool:
        """Whether any word says that a wish, or all that was said, no longer holds."""
        words = _TAKES_BACK if everything else _TAKES_ONE_BACK
        return any(token.base in words for token in self.message.tokens)

    def denies(self, names: Collection[str]) -> bool:
        """Whether some word may say so of the wish whose matter has such `names`."""
        words = [token.base for token in self.message.tokens]
        said = {*words, *map(stem, words)}
        named = any({*words_of(name), *map(stem, words_of(name))} & said for name in names)
        return named and not _DENIES.isdisjoint(words)

    @cached_property
    def found(self) -> tuple[Found, ...]:
        """Everything that any run of words may mean, longer runs first, then in the order of the words."""
        return tuple(sorted(self._windows(), key=lambda one: (one.start - one.end, one.start)))

    @cached_property
    def likely(self) -> tuple[Found, ...]:
        """What the words most likely name, in their order: of overlapping runs the longest."""
        kept: list[Found] = []
        for one in self.found:
            same = [other for other in kept if one.start < other.end and other.start < one.end]
            if all((one.start, one.end) == (other.start, other.end) for other in same) and self._plausible(one):
                kept.append(one)
        return tuple(sorted(kept, key=lambda one: one.start))

    @cached_property
    def amounts(self) -> tuple[Amount, ...]:
        """Numbers with their units, minutes and years worked out: "an hour and a half", "the eighties"."""
        return tuple(amounts_in(self.message.low, self.message.free, years=True))

    def value(self, attribute: str, said: str) -> Said | None:
        """The value of `attribute` that `said` names, where the message says it in any known way; None otherwise."""
        key = fold(said)
        for one in self.found:
            if one.entry.kind != "title" and one.entry.attribute == attribute:
                for value in one.entry.values:
                    if fold(value) == key:
                        return Said(value, self.message.quote(one.start, one.end))
        values = self.lexicon.shape.attributes[attribute].values or {}
        if said in values and (span := self._near(words_of(said))):
            return Said(said, self.message.quote(*span))
        return None

    def title(self, said: str) -> Said | None:
        """The id of the item whose title (or short title) `said` is, where the message names it; None otherwise."""
        key = fold(said)
        for one in self.found:
            if one.entry.kind == "title" and fold(self._table.get(one.entry.values[0]).title) == key:
                return self._titled([e.entry for e in self.found if self._titled_alike(e, one)], one.start, one.end)
        words = words_of(said)
        entries = self.lexicon.find(words, [stem(word) for word in words])
        titles = [entry for entry in entries if entry.kind == "title"]
        span = self._near(words) if titles else None
        return self._titled(titles, *span) if span else None

    def quote(self, said: str) -> str:
        """The customer's own words where `said` repeats them, whatever case and signs; "" otherwise."""
        words, tokens = words_of(said), self.message.tokens
        for first in range(len(tokens) - len(words) + 1 if words else 0):
            window = tokens[first : first + len(words)]
            if [token.norm for token in window] == words:
                return self.message.quote(window[0].start, window[-1].end)
        return ""

    def number(self, number: float) -> str:
        """The words that say this number; "" where none do."""
        for amount in self.amounts:
            if number in (amount.low, amount.high):
                return self.message.quote(amount.start, amount.end)
        for figures in _FIGURES.finditer(self.message.low):
            if float(figures.group().replace(",", ".")) == number:
                return figures.group()
        return ""

    def place(self, place: int, shown: Sequence[str], item_of: ItemOf) -> str:
        """The words that point at the item of that place (1 is the first) of the list shown; "" where none do."""
        for token in self.message.tokens:
            if points_at([token.norm], place) or (place == len(shown) and token.base in _LAST):
                return self.message.quote(token.start, token.end)
        item = item_of(shown[place - 1])
        rare = {w for w in words_of(item.title) if w not in common_words() and len(w) > 3} if item else set()
        return next((self.message.quote(t.start, t.end) for t in self.message.tokens if t.base in rare), "")

    # -- finding -------------------------------------------------------------------------------

    def _word(self, base: str) -> str:
        corrected = self.lexicon.correct(base) if len(base) >= MIN_SLIP_LETTERS else None
        return corrected[0] if corrected else base

    def _windows(self) -> Iterator[Found]:
        tokens, words = self.message.tokens, self._words
        starts = self.lexicon.starts
        for first, word in enumerate(words):
            longest = max(2, starts.get(word, 0), starts.get(stem(word), 0))
            for n in range(1, min(longest, MAX_WINDOW_WORDS, len(words) - first) + 1):
                window = words[first : first + n]
                found = self._entries(window, [token.norm for token in tokens[first : first + n]])
                for entry in found:
                    yield Found(tokens[first].start, tokens[first + n - 1].end, entry)

    def _entries(self, words: list[str], norms: list[str]) -> list[Entry]:
        found = self.lexicon.find(words, [stem(word) for word in words])
        if words != norms:
            found = found + [
                entry for entry in self.lexicon.find(norms, [stem(n) for n in norms]) if entry not in found
            ]
        if not found and len(words) > 1 and not all(word in common_words() for word in words):
            person = self.lexicon.near_person(words)
            return [person] if person else []
        return found

    def _plausible(self, one: Found) -> bool:
        """Whether the words can be meant as this at all: in small letters "her" is no film, "short" nobody's name."""
        tokens = self.message.tokens_in(one.start, one.end)
        if one.entry.kind == "value":
            return not all(token.norm in function_words() for token in tokens)
        if one.entry.kind == "title":
            return certainty(self.message, tokens, [one.entry], self.lexicon) != "no"
        capital = self.message.cased and all(token.capital for token in tokens)
        return capital or not all(token.norm in common_words() for token in tokens)

    def _titled(self, titles: Sequence[Entry], start: int, end: int) -> Said:
        year, _ = year_after(self.message, end)
        return Said(best_of(list(titles), year).values[0], self.message.quote(start, end))

    def _titled_alike(self, other: Found, one: Found) -> bool:
        """Namesakes at the same words."""
        same = (other.start, other.end, other.entry.kind) == (one.start, one.end, "title")
        return same and fold(self._title(other)) == fold(self._title(one))

    def _title(self, one: Found) -> str:
        return self._table.get(one.entry.values[0]).title

    def _near(self, words: Sequence[str]) -> tuple[int, int] | None:
        """Where these words stand, up to a slip in a longer one."""
        tokens = self.message.tokens
        for first in range(len(tokens) - len(words) + 1 if words else 0):
            window = tokens[first : first + len(words)]
            if all(_alike(token.norm, word) or token.base == word for token, word in zip(window, words, strict=True)):
                return window[0].start, window[-1].end
        return None


def points_at(words: Sequence[str], place: int) -> bool:
    """Whether one of the folded words names that place of a list: "second", "2"."""
    names = _PLACES[place - 1] if place <= len(_PLACES) else (str(place),)
    return any(_alike(word, name) for word in words for name in names)


def _alike(written: str, word: str) -> bool:
    if written == word or stem(written) == stem(word):
        return True
    return (
        len(word) >= MIN_SLIP_LETTERS and written[:1] == word[:1] and OSA.distance(written, word, score_cutoff=1) <= 1
    )
