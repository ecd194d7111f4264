"""Titles and text values of a catalogue as phrases that are found by their words, however spaced or slightly misspelt.

Phrases are kept as sorted 64-bit hashes: some 50 MB for 1,000,000 titles. Knows nothing of dialogues.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import OSA
from rapidfuzz.process import extract

from retrieval.branches.mentions import NameKind
from retrieval.lexical import singular
from retrieval.table import ItemTable, NumberArray
from retrieval.text import fold, tokens
from retrieval.words import common_words

MAX_PHRASE_WORDS = 10
MAX_VALUE_CHARS = 60
"""Longer values are texts, not names of anything."""
CATEGORY_SHARE = 0.3
"""An attribute with fewer distinct values for each item that has it is made of categories, not of names."""
FULL_NAME_SHARE = 0.5
"""An attribute of which fewer values have two words is made of categories, too: people have a first name."""
WITHOUT_ARTICLE = 0.9
WITHOUT_SUBTITLE = 0.7
SURNAME = 0.6
MIN_ALIAS_LETTERS = 4
MIN_JOINED_LETTERS = 7
"""Words may be joined or split otherwise ("spiderman") in phrases of so many letters."""
MIN_TYPO_LETTERS = 5
MIN_LETTERS_FOR_TWO_SLIPS = 9
MAX_SPELLINGS = 8

_YEAR_AT_END = re.compile(r"\s*[(\[]((?:18|19|20)\d\d)[)\]]\s*$")
_SUBTITLE = re.compile(r"\s*(?::|\s[-–—]\s)")
_ARTICLES = ("the", "a", "an")


@dataclass(frozen=True, slots=True)
class Match:
    """What a phrase stands for: the item in `row`, or (row -1) a `value`: (attribute, folded value).

    `sure` < 1 for a shortened form; `year` of the item, NaN where unknown.
    """

    row: int
    value: tuple[str, str] | None
    kind: NameKind
    sure: float
    year: float


class PhraseIndex:
    """All names of a table. Read-only; safe to share between threads."""

    def __init__(self, table: ItemTable) -> None:
        self._years = _years(table)
        self._n_items = len(table)
        names = _Collector()
        for row, item in enumerate(table.items):
            names.add_title(row, _YEAR_AT_END.sub("", item.title))
        self._values: list[tuple[str, str]] = []
        self._kinds: list[NameKind] = []
        for attribute, kind, values in _attributes(table):
            for value in values:
                names.add_value(self._n_items + len(self._values), value, kind)
                self._values.append((attribute, value))
                self._kinds.append(kind)
        names.add_surnames(self._values, self._kinds, self._n_items)
        order = np.argsort(np.array(names.keys, dtype=np.int64), kind="stable")
        self._keys = np.array(names.keys, dtype=np.int64)[order]
        self._codes = np.array(names.codes, dtype=np.int32)[order]
        self._sure = np.array(names.sure, dtype=np.float32)[order]
        self._lengths = np.array(names.lengths, dtype=np.int8)[order]
        self._by_letter = _by_letter(names.words)
        self._known = names.words

    def find(self, joined: Sequence[str], n_words: Sequence[int]) -> dict[int, list[Match]]:
        """What spans stand for, given as their tokens without spaces and how many those are.

        Returns:
            Place in `joined` -> matches, for those spans alone that are a name.
        """
        keys = np.array([hash(one) for one in joined], dtype=np.int64)
        firsts = np.searchsorted(self._keys, keys)
        known = firsts < len(self._keys)
        known[known] = self._keys[firsts[known]] == keys[known]
        found: dict[int, list[Match]] = {}
        for place in np.flatnonzero(known).tolist():
            end = int(np.searchsorted(self._keys, keys[place], side="right"))
            long = len(joined[place]) >= MIN_JOINED_LETTERS
            places = [at for at in range(firsts[place], end) if long or self._lengths[at] == n_words[place]]
            if places:
                found[place] = [self._match(at) for at in places]
        return found

    def is_known(self, word: str) -> bool:
        """Whether some name has this word."""
        return word in self._known

    def spellings(self, word: str) -> Mapping[str, int]:
        """Words of names that `word` may be a misspelling of, with the slips that makes; the first letter is right."""
        slips = 2 if len(word) >= MIN_LETTERS_FOR_TWO_SLIPS else 1
        if len(word) < MIN_TYPO_LETTERS:
            return {}
        near = [
            other
            for length in range(len(word) - slips, len(word) + slips + 1)
            for other in self._by_letter.get((word[0], length), ())
        ]
        found = extract(word, near, scorer=OSA.distance, score_cutoff=slips, limit=MAX_SPELLINGS)
        return {other: int(distance) for other, distance, _ in found if distance}

    def _match(self, at: int) -> Match:
        code, sure = int(self._codes[at]), float(self._sure[at])
        if code < self._n_items:
            return Match(code, None, "title", sure, float(self._years[code]))
        place = code - self._n_items
        return Match(-1, self._values[place], self._kinds[place], sure, np.nan)


class _Collector:
    """Phrases on their way into the index: hash, what they stand for, how sure, of how many words."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.codes: list[int] = []
        self.sure: list[float] = []
        self.lengths: list[int] = []
        self.words: set[str] = set()

    def add_title(self, row: int, title: str) -> None:
        words = tokens(title)
        self._add(words, row, 1.0)
        if len(words) > 1 and words[0] in _ARTICLES and _is_alias(words[1:]):
            self._add(words[1:], row, WITHOUT_ARTICLE)
        if (cut := _SUBTITLE.search(title)) is not None:
            main = tokens(title[: cut.start()])
            if len(main) > 1 or _is_alias(main):
                self._add(main, row, WITHOUT_SUBTITLE)

    def add_value(self, code: int, value: str, kind: NameKind) -> None:
        words = tokens(value)
        self._add(words, code, 1.0)
        if kind == "category" and words and (single := singular(words[-1])) != words[-1]:
            self._add([*words[:-1], single], code, 1.0)

    def add_surnames(self, values: Sequence[tuple[str, str]], kinds: Sequence[NameKind], first: int) -> None:
        """The last word of a name of two to four words, where only one name has it."""
        bearers: defaultdict[str, set[str]] = defaultdict(set)
        split = [tokens(value) if kind == "name" else [] for (_, value), kind in zip(values, kinds, strict=True)]
        for (_, value), words in zip(values, split, strict=True):
            if words:
                bearers[words[-1]].add(value)
        for place, words in enumerate(split):
            if 2 <= len(words) <= 4 and len(bearers[words[-1]]) == 1 and _is_alias(words[-1:]):
                self._add(words[-1:], first + place, SURNAME)

    def _add(self, words: Sequence[str], code: int, sure: float) -> None:
        if not 0 < len(words) <= MAX_PHRASE_WORDS:
            return
        self.keys.append(hash("".join(words)))
        self.codes.append(code)
        self.sure.append(sure)
        self.lengths.append(len(words))
        self.words.update(words)


def _is_alias(words: Sequence[str]) -> bool:
    """Whether a shortened name still names something: several words, or one that is not an everyday word."""
    if len(words) != 1:
        return len(words) > 1
    return len(words[0]) >= MIN_ALIAS_LETTERS and words[0] not in common_words() and not words[0].isdigit()


def _attributes(table: ItemTable) -> Iterator[tuple[str, NameKind, Sequence[str]]]:
    """Each text attribute with its distinct folded values that may be names."""
    for name, shape in table.shape.attributes.items():
        if shape.values is None:
            continue
        values = list(dict.fromkeys(fold(value) for value in shape.values if len(value) <= MAX_VALUE_CHARS))
        full = sum(" " in value for value in values)
        few = len(values) <= CATEGORY_SHARE * shape.count or full < FULL_NAME_SHARE * len(values)
        yield name, "category" if few else "name", values


def _years(table: ItemTable) -> NumberArray:
    """The year of each item: of its attribute, else of its title; NaN where it has none."""
    named = [name for name, shape in table.shape.attributes.items() if shape.kind == "number" and "year" in name]
    years = table.numbers(named[0]) if named else np.full(len(table), np.nan)
    for row in np.flatnonzero(np.isnan(years)).tolist():
        if (found := _YEAR_AT_END.search(table.items[row].title)) is not None:
            years[row] = float(found.group(1))
    return years


def _by_letter(words: Iterable[str]) -> Mapping[tuple[str, int], Sequence[str]]:
    """Words by first letter and length; too short ones and numbers are not corrected."""
    found: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for word in sorted(words):
        if len(word) >= MIN_TYPO_LETTERS - 1 and not word.isdigit():
            found[word[0], len(word)].append(word)
    return dict(found)
