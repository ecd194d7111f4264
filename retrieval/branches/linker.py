"""Which items and values a dialogue names: longest match, with typos, missing years and everyday words in mind.

Any catalogue: titles and text values are phrases, nothing is known of films. Knows nothing of what is said about a
name, and of who says it. Not covered: pronouns, "the first one", translations.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import TypeAlias

import numpy as np

from retrieval.branches.base import RECENCY, Links
from retrieval.branches.mentions import Word, certainty, read_words, year_after
from retrieval.branches.phrases import MAX_PHRASE_WORDS, Match, PhraseIndex
from retrieval.lexical import singular
from retrieval.table import ItemTable
from retrieval.words import common_words

MAX_TURNS = 12
"""Older turns weigh less than RECENCY ** 12 = 0.002."""
MAX_WORDS = 300
"""Words of one turn that are read."""
MAX_NAMESAKES = 12
"""A title that more items share names none of them."""
TYPO = 0.7
"""How sure it is that a name in another spelling is meant."""
MAX_SPELLINGS = 48
"""Corrected spellings of one span that are tried."""
MAX_TYPO_WORDS = 8
"""Words of one turn for which other spellings are looked up."""
MAX_TYPO_SPAN = 7
"""Words of a name that may have a misspelt one among them."""
MAX_KEPT = 20_000
"""Turns of which it is remembered what they name."""


_Named: TypeAlias = tuple[float, int, tuple[str, str] | None]
"""(weight, row, None) of an item, (weight, -1, value) of a value."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A span of words that names something: which words, what, and how sure its spelling is (0 .. 1)."""

    start: int
    end: int
    matches: Sequence[Match]
    sure: float


class EntityLinker:
    """Finds names in dialogues. Built once for a table; read-only, safe to share between threads."""

    def __init__(self, table: ItemTable) -> None:
        self._phrases = PhraseIndex(table)
        self._read: dict[int, tuple[_Named, ...]] = {}

    def link(self, turns: Sequence[str]) -> Links:
        """What the turns name, oldest first; each name with its last mention's weight."""
        items: dict[int, float] = {}
        values: dict[tuple[str, str], float] = {}
        for age, turn in enumerate(reversed(turns[-MAX_TURNS:])):
            for weight, row, value in self._named(turn):
                weight *= RECENCY**age
                if value is None:
                    items[row] = max(items.get(row, 0.0), weight)
                else:
                    values[value] = max(values.get(value, 0.0), weight)
        return Links(items, values)

    def _named(self, turn: str) -> tuple[_Named, ...]:
        """What one turn names; the turns of a talk are read again with each new one, so what they name is kept."""
        key = hash(turn)  # not the words themselves: they are a customer's
        named = self._read.get(key)
        if named is None:
            named = tuple(self._names_in(read_words(turn)[:MAX_WORDS]))
            if len(self._read) >= MAX_KEPT:
                self._read = {}
            self._read[key] = named
        return named

    def _names_in(self, words: Sequence[Word]) -> Iterator[_Named]:
        for found in self._spans(words):
            titles = []
            for match in found.matches:
                if match.value is None:
                    titles.append(match)
                elif (weight := _sure(words, found, match)) > 0:
                    yield weight, -1, match.value
            yield from ((weight, row, None) for row, weight in _of_titles(words, found, titles).items())

    def _spans(self, words: Sequence[Word]) -> list[_Found]:
        """Spans that name something, the longest from the left; a misspelt name may reach over a shorter one."""
        spans = _Spans([word.norm for word in words])
        matched: defaultdict[int, list[_Found]] = defaultdict(list)
        for place, matches in self._phrases.find(spans.joined, spans.lengths).items():
            start, end = spans.bounds[place]
            if place >= spans.n_exact:
                matches = [match for match in matches if match.kind == "category"]
            if matches:
                matched[start].append(_Found(start, end, matches, 1.0))
        unread = set(range(len(words)))
        for found in _longest(words, matched):
            unread.difference_update(range(found.start, found.end))
        for found in self._misspelt(words, unread):
            matched[found.start].append(found)
        return _longest(words, matched)

    def _misspelt(self, words: Sequence[Word], unread: Collection[int]) -> Iterator[_Found]:
        """Names with a misspelt word among those that are `unread`; the words around it may have been read already."""
        others: dict[int, Mapping[str, int]] = {}
        for place in sorted(unread):
            if len(others) < MAX_TYPO_WORDS and words[place].norm not in common_words():
                if spellings := self._phrases.spellings(words[place].norm):
                    others[place] = spellings
        joined: list[str] = []
        bounds: list[tuple[int, int]] = []
        for start, end in _spans_around(others, len(words)):
            alone = end - start == 1
            options = [_spellings(words[at].norm, others.get(at, {}), alone=alone) for at in range(start, end)]
            joined.extend("".join(one) for one in islice(product(*options), MAX_SPELLINGS))
            bounds.extend([(start, end)] * (len(joined) - len(bounds)))
        for place, matches in self._phrases.find(joined, [end - start for start, end in bounds]).items():
            yield _Found(*bounds[place], matches, TYPO)


class _Spans:
    """All spans of some words, then (from place `n_exact` on) those that end in a plural, with its singular.

    `joined`: the tokens of each without spaces; `lengths`: how many they are; `bounds`: which words.
    """

    def __init__(self, norms: Sequence[str]) -> None:
        self.joined: list[str] = []
        self.bounds: list[tuple[int, int]] = []
        plurals: list[tuple[str, tuple[int, int]]] = []
        singles = [singular(norm) for norm in norms]
        for start in range(len(norms)):
            text = ""
            for end in range(start + 1, min(start + MAX_PHRASE_WORDS, len(norms)) + 1):
                if singles[end - 1] != norms[end - 1]:
                    plurals.append((text + singles[end - 1], (start, end)))
                text += norms[end - 1]
                self.joined.append(text)
                self.bounds.append((start, end))
        self.n_exact = len(self.joined)
        self.joined += [text for text, _ in plurals]
        self.bounds += [bounds for _, bounds in plurals]
        self.lengths = [end - start for start, end in self.bounds]


def _spellings(word: str, others: Mapping[str, int], *, alone: bool) -> Sequence[str]:
    """As it is written and as it may be meant; a word that stands alone has one slip at most ("fantastic")."""
    return [other for other, slips in others.items() if slips == 1] if alone else [word, *others]


def _spans_around(places: Iterable[int], n_words: int) -> list[tuple[int, int]]:
    """Spans that hold one of the places, each once."""
    spans = {
        (start, end)
        for place in places
        for start in range(max(place - MAX_TYPO_SPAN + 1, 0), place + 1)
        for end in range(place + 1, min(start + MAX_TYPO_SPAN, n_words) + 1)
    }
    return sorted(spans)


def _longest(words: Sequence[Word], matched: Mapping[int, Sequence[_Found]]) -> list[_Found]:
    """From the left the longest span that is said as a name; spans do not overlap."""
    chosen: list[_Found] = []
    end = 0
    for start in sorted(matched):
        if start < end:
            continue
        for found in sorted(matched[start], key=lambda one: -one.end):
            if any(_sure(words, found, match) for match in found.matches):
                chosen.append(found)
                end = found.end
                break
    return chosen


def _sure(words: Sequence[Word], found: _Found, match: Match) -> float:
    """How sure it is that this is meant: 0 .. 1."""
    said = certainty(words, found.start, found.end, match.kind)
    if match.kind == "title" and said < 1.0:
        year = year_after(words, found.end)
        said = 1.0 if year is not None and abs(match.year - year) <= 1 else said
    return found.sure * match.sure * said


def _of_titles(words: Sequence[Word], found: _Found, titles: Sequence[Match]) -> Mapping[int, float]:
    """Rows of a title with their weights: those of the year that is said, else all share it."""
    year = year_after(words, found.end)
    if year is not None:
        exact = [match for match in titles if match.year == year]
        dated = [match for match in titles if abs(match.year - year) <= 1]
        # A catalogue may not know the year of an item; an item of another year is not meant.
        titles = exact or dated or [match for match in titles if np.isnan(match.year)]
    best = max((match.sure for match in titles), default=0.0)
    titles = [match for match in titles if match.sure == best]
    if not titles or len(titles) > MAX_NAMESAKES:
        return {}
    weights = ((match.row, _sure(words, found, match) / len(titles)) for match in titles)
    return {row: weight for row, weight in weights if weight}
