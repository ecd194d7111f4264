"""The words of one catalogue: its values, titles and people, found again in what a customer writes.

Built once for an index. Knows nothing of dialogues; whether a found name is meant is decided elsewhere.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from rapidfuzz.distance import OSA

from agent.understand.message import is_cjk, stem, words_of
from agent.understand.roles import PERSON_ROLES, Attributes, Role
from agent.understand.synonyms import Synonym, people_synonyms, person_synonyms, value_synonyms
from retrieval.items import Item
from retrieval.shape import AttributeShape, CatalogueShape
from retrieval.words import common_words

EntryKind = Literal["value", "person", "surname", "title"]

MAX_PHRASE_WORDS = 10
"""Longer titles are found by their first words."""

MAX_VALUE_CHARS = 60
"""Longer values are texts, not names of anything."""

MAX_NAME_WORDS = 6

MAX_NAMESAKES = 3
"""A surname that more people share says too little to filter by."""

FIRM = frozenset({"family-friendly", "kid-friendly"})
"""Moods and tags that are a condition where they are asked for by another word: "for my kids"."""

MIN_FUZZY_LETTERS = 5
MIN_LETTERS_FOR_TWO_SLIPS = 11
"""Full names with fewer letters are misspelt in one place at most."""
DOMINANCE = 3.0
"""A person with this many times the weight of the next of that name is the one meant."""

_YEAR_IN_TITLE = re.compile(r"\s*\((\d{4})\)\s*$")
_PLAIN_WORD = re.compile(r"[a-z]{3,}")
_ROMAN = {"ii": "2", "iii": "3", "iv": "4", "v": "5", "vi": "6", "vii": "7", "viii": "8"}
_SPELLED = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eleven": "11",
    "twelve": "12",
}
_ARTICLES = ("the", "a", "an")
_SUFFIXES = {"jr", "sr", "ii", "iii", "iv"}
_PARTICLES = {"de", "del", "della", "di", "da", "van", "von", "le", "la", "du", "mc", "st", "bin", "ter", "o"}
_ROLE_RANK: dict[Role, int] = {"kind": 0, "brand": 1, "format": 1, "colour": 1, "country": 3, "language": 4, "soft": 6}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a phrase may stand for.

    `values` are values of `attribute` (alternatives, or with `every` several wishes), or the one item
    id of a title. `weight` grows with how often, or how popular. `alias`: a shortened title.
    """

    kind: EntryKind
    attribute: str
    values: tuple[str, ...]
    weight: float = 1.0
    soft: bool = False
    every: bool = False
    year: float | None = None
    alias: bool = False


@dataclass(slots=True)
class Lexicon:
    """Phrases of a catalogue; `Lexicon.of` builds it, `find` looks up a run of words."""

    shape: CatalogueShape
    attributes: Attributes
    stocked: bool = False
    phrases: dict[str, list[Entry]] = field(default_factory=dict)
    stems: dict[str, list[Entry]] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    ids: frozenset[str] = frozenset()
    first_names: frozenset[str] = frozenset()
    _buckets: dict[tuple[str, int], list[str]] = field(default_factory=dict)
    _vocabulary: set[str] = field(default_factory=set)
    _described: set[str] = field(default_factory=set)
    _full_names: dict[tuple[int, str], list[tuple[str, Entry]]] = field(default_factory=dict)
    _full_titles: dict[tuple[int, str], list[tuple[str, Entry]]] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Sequence[Item], shape: CatalogueShape) -> Lexicon:
        """Read every item once; 34,509 films take about two seconds."""
        lexicon = cls(shape, Attributes(shape))
        lexicon.ids = frozenset(item.id for item in items)
        lexicon.stocked = any(item.in_stock is not None for item in items)
        lexicon._add_values()
        lexicon._add_people(items)
        lexicon._add_titles(items)
        lexicon._add_numbers(items)
        for item in items:
            lexicon._described.update(_PLAIN_WORD.findall(item.text.lower()))
        lexicon._index()
        return lexicon

    def find(self, norms: Sequence[str], stems: Sequence[str]) -> list[Entry]:
        """Everything that exactly these words may stand for, likeliest first."""
        found = list(self.phrases.get(" ".join(norms), ()))
        found += [entry for entry in self.stems.get(" ".join(stems), ()) if entry not in found]
        if 2 <= len(stems) <= 3 and not found and not is_cjk(stems[0]):
            found += self.stems.get("".join(stems), ())
        return found

    def values_like(self, words: Sequence[str]) -> list[Entry]:
        """Attribute values and synonyms for these words, no titles, no people."""
        return list(self.stems.get(" ".join(stem(word) for word in words), ()))

    def correct(self, word: str) -> tuple[str, int] | None:
        """The word of the catalogue that `word` misspells, with the number of slips; None where it is a word itself."""
        if (
            len(word) < MIN_FUZZY_LETTERS
            or not word.isalpha()
            or word in common_words()
            or stem(word) in common_words()
        ):
            return None
        if word in self._vocabulary or stem(word) in self._vocabulary:
            return None
        limit = 1 if len(word) < 8 else 2
        best = _nearest(word, self._buckets, limit)
        if best is None or best[0] in self.stems:
            return best
        everyday = _nearest(word, _common_buckets(), best[1])
        return None if everyday else best  # "gorry" is a slip of "gory", not of a Mr Gordy

    def is_word(self, word: str) -> bool:
        """Whether it is a word at all: of everyday English, of the catalogue, or of its descriptions."""
        return word in common_words() or stem(word) in common_words() or self.knows(word) or word in self._described

    def near_person(self, words: Sequence[str]) -> Entry | None:
        """The person whose full name these words misspell: "audry hepburn". A name is not a slip of another.

        Of a first name letters may be missing all the same: "Jon Travolta", but "Joan Chen" is not John Chen.
        """
        names = self._full_names.get((len(words), "".join(word[0] for word in words)), ())
        best: tuple[int, float, Entry] | None = None
        for key, entry in names:
            slips = _slips_of_name(words, key.split())
            pairs = list(zip(words, key.split(), strict=True))
            strange = any(self.knows(word) and word != own for word, own in pairs[1:])
            strange = strange or (
                self.knows(words[0]) and len(words[0]) == len(pairs[0][1]) and words[0] != pairs[0][1]
            )
            if slips is not None and not strange and (best is None or (slips, -entry.weight) < best[:2]):
                best = slips, -entry.weight, entry
        return best[2] if best else None

    def near_title(self, words: Sequence[str]) -> Entry | None:
        """The title that these words misspell, as a name may be misspelt; its numbers are right."""
        best: tuple[int, float, Entry] | None = None
        for key, entry in self._full_titles.get((len(words), "".join(word[0] for word in words)), ()):
            own = key.split()
            slips = _slips_of_name(words, own)
            numbers = any(word.isdigit() and word != right for word, right in zip(words, own, strict=True))
            if slips is not None and not numbers and (best is None or (slips, -entry.weight) < best[:2]):
                best = slips, -entry.weight, entry
        return best[2] if best else None

    def knows(self, word: str) -> bool:
        """Whether the word stands in any value, name or title."""
        return word in self._vocabulary or stem(word) in self._vocabulary

    def quantile(self, attribute: str, share: float) -> float | None:
        """The number below which `share` of the catalogue lies; None for an attribute without numbers."""
        ordered = self.numbers.get(attribute)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    # -- building ------------------------------------------------------------------------------

    def _add_values(self) -> None:
        for name, attribute in self.shape.attributes.items():
            role = self.attributes.roles[name]
            if attribute.values is None or role == "skip" or role in PERSON_ROLES:
                continue
            if set(attribute.values) <= {"yes", "no"}:
                self._add_stem(name.replace("_", " "), Entry("value", name, ("yes",), attribute.count))
            elif not _is_long_text(attribute):
                for value, count in attribute.values.items():
                    if len(value) <= MAX_VALUE_CHARS:
                        self._add_stem(value, Entry("value", name, (value,), count, soft=role == "soft"))
        for synonym in value_synonyms():
            self._add_synonym(synonym, besides=False)
        for synonym in people_synonyms():
            self._add_synonym(synonym, besides=True)
        for entries in self.stems.values():
            entries.sort(key=self._preference)

    def _preference(self, entry: Entry) -> tuple[int, float]:
        coverage = self.shape.attributes[entry.attribute].count
        return _ROLE_RANK.get(self.attributes.roles[entry.attribute], 5), -coverage

    def _add_stem(self, phrase: str, entry: Entry) -> None:
        words = [stem(word) for word in words_of(phrase)]
        if not words or (len(words) == 1 and (words[0].isdigit() or (len(words[0]) < 2 and not is_cjk(words[0])))):
            return
        keys = {" ".join(words)} | ({"".join(words)} if 2 <= len(words) <= 3 else set())
        for key in keys:
            entries = self.stems.setdefault(key, [])
            if all((old.attribute, old.values) != (entry.attribute, entry.values) for old in entries):
                entries.append(entry)

    def _add_synonym(self, synonym: Synonym, *, besides: bool) -> None:
        """Only to values that the catalogue has; `besides`: also where the phrase is a value itself."""
        key = " ".join(stem(word) for word in words_of(synonym.phrase))
        if not besides and any(not entry.every for entry in self.stems.get(key, ())):
            return
        found = [(entry, target) for target in synonym.targets for entry in self._targets(target)]
        if synonym.every:
            if len({target for _, target in found}) < len(synonym.targets):
                return
            attribute = found[0][0].attribute
            values = tuple(dict.fromkeys(e.values[0] for e, _ in found if e.attribute == attribute))
            if len(values) == len(synonym.targets):
                self._add_stem(synonym.phrase, Entry("value", attribute, values, every=True))
        elif found:
            first = found[0][0]
            soft = synonym.soft or (first.soft and first.values[0].casefold() not in FIRM)
            self._add_stem(synonym.phrase, Entry("value", first.attribute, first.values, first.weight, soft=soft))

    def _targets(self, target: str) -> list[Entry]:
        entries = self.stems.get(" ".join(stem(word) for word in words_of(target)), [])
        direct = [entry for entry in entries if not entry.every and words_of(entry.values[0]) == words_of(target)]
        return sorted(direct, key=self._preference)

    def _add_people(self, items: Sequence[Item]) -> None:
        weights = _weights(items, self.attributes.all_of(sorted(PERSON_ROLES)))
        surnames: dict[str, dict[str, list[tuple[float, str]]]] = defaultdict(lambda: defaultdict(list))
        first_names: set[str] = set()
        for (name, person), weight in weights.items():
            words = words_of(person)
            if words and len(words) <= MAX_NAME_WORDS:
                self._add_phrase(" ".join(words), Entry("person", name, (person,), weight))
                first_names.add(words[0])
                for surname in _surnames(words):
                    surnames[surname][name].append((weight, person))
        self.first_names = frozenset(first_names)
        for surname, by_attribute in surnames.items():
            for name, bearers in by_attribute.items():
                if entry := _surname_entry(name, bearers):
                    self._add_phrase(surname, entry)
        self._add_foreign_names()

    def _add_foreign_names(self) -> None:
        for synonym in person_synonyms():
            for target in synonym.targets:
                for entry in self.phrases.get(" ".join(words_of(target)), ()):
                    if entry.kind == "person":
                        self._add_phrase(" ".join(words_of(synonym.phrase)), entry)

    def _add_titles(self, items: Sequence[Item]) -> None:
        year_attribute = self.attributes.of("year")
        for item in items:
            title, year = item.title, item.attributes.get(year_attribute) if year_attribute else None
            if match := _YEAR_IN_TITLE.search(title):
                title, year = title[: match.start()], float(match.group(1))
            words = words_of(title)[:MAX_PHRASE_WORDS]
            if not words:
                continue
            number = float(year) if isinstance(year, int | float) else None
            entry = Entry("title", "title", (item.id,), item.popularity, year=number)
            alias = Entry("title", "title", (item.id,), item.popularity, year=number, alias=True)
            self._add_phrase(" ".join(words), entry)
            for other in _aliases(title, words):
                self._add_phrase(other, alias)

    def _add_phrase(self, key: str, entry: Entry) -> None:
        entries = self.phrases.setdefault(key, [])
        if entry not in entries:
            entries.append(entry)

    def _add_numbers(self, items: Sequence[Item]) -> None:
        for name in self.attributes.numbers:
            values = (item.price if name == "price" else item.attributes.get(name) for item in items)
            self.numbers[name] = sorted(float(v) for v in values if v is not None and not isinstance(v, str | tuple))
        popularity = sorted(item.popularity for item in items)
        if popularity and popularity[-1] > 0:
            self.numbers.setdefault("popularity", popularity)

    def _index(self) -> None:
        for entries in self.phrases.values():
            entries.sort(key=lambda entry: (entry.kind == "title", entry.alias, -entry.weight, -(entry.year or 0)))
        fuzzy: dict[str, None] = {}
        for key, entries in (*self.stems.items(), *self.phrases.items()):
            words = key.split()
            people = [entry for entry in entries if entry.kind == "person"] if 2 <= len(words) <= 3 else []
            for person in people[:1]:
                self._full_names.setdefault((len(words), "".join(word[0] for word in words)), []).append((key, person))
            titles = [entry for entry in entries if entry.kind == "title"] if len(words) > 1 else []
            for title in titles[:1]:
                self._full_titles.setdefault((len(words), "".join(word[0] for word in words)), []).append((key, title))
            self.starts[words[0]] = max(self.starts.get(words[0], 0), len(words))
            self._vocabulary.update(words)
            if key in self.stems or len(self.ids) < 5_000 or any(entry.weight > 3 for entry in entries):
                fuzzy.update(dict.fromkeys(words))
        for word in fuzzy:
            if len(word) >= MIN_FUZZY_LETTERS and word.isalpha() and not is_cjk(word[0]):
                self._buckets.setdefault((word[0], len(word)), []).append(word)


def _weights(items: Sequence[Item], attributes: Sequence[str]) -> dict[tuple[str, str], float]:
    """How much each (attribute, person) counts: by number of items and their popularity."""
    weights: dict[tuple[str, str], float] = defaultdict(float)
    for item in items:
        worth = 1.0 + math.log1p(max(0.0, item.popularity))
        for name in attributes:
            value = item.attributes.get(name, ())
            for person in (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ():
                weights[name, person] += worth
    return weights


def _nearest(word: str, buckets: dict[tuple[str, int], list[str]], limit: int) -> tuple[str, int] | None:
    best: tuple[str, int] | None = None
    for length in range(len(word) - limit, len(word) + limit + 1):
        for candidate in buckets.get((word[0], length), ()):
            slips = OSA.distance(word, candidate, score_cutoff=limit)
            if slips <= limit and (best is None or slips < best[1]):
                best = (candidate, slips)
    return best


def _slips_of_name(words: Sequence[str], name: Sequence[str]) -> int | None:
    """Slips between two names word for word, None for too many: one a word, two of a name in all."""
    slips = [OSA.distance(word, own, score_cutoff=1) for word, own in zip(words, name, strict=True)]
    total = sum(slips)
    return (
        total if max(slips) <= 1 and total <= (2 if sum(map(len, name)) >= MIN_LETTERS_FOR_TWO_SLIPS else 1) else None
    )


@cache
def _common_buckets() -> dict[tuple[str, int], list[str]]:
    buckets: dict[tuple[str, int], list[str]] = {}
    for word in common_words():
        buckets.setdefault((word[0], len(word)), []).append(word)
    return buckets


def _is_long_text(attribute: AttributeShape) -> bool:
    sample = list(attribute.values or ())[:200]
    return sum(value.count(" ") + 1 for value in sample) > 5 * max(1, len(sample))


def _surnames(words: list[str]) -> list[str]:
    """The forms by which a person is called without the first name; none for people of one name."""
    while len(words) > 2 and words[-1] in _SUFFIXES:
        words = words[:-1]
    if len(words) < 2 or len(words[-1]) < 3 or words[-1].isdigit():
        return []
    found = [words[-1]]
    if len(words) > 2 and words[-2] in _PARTICLES:
        found.append(" ".join(words[-2:]))
    return found


def _surname_entry(attribute: str, bearers: list[tuple[float, str]]) -> Entry | None:
    """The one person meant, or the few that may be; None where the name is too frequent."""
    bearers = sorted(bearers, reverse=True)
    weight, first = bearers[0]
    if len(bearers) == 1 or weight >= DOMINANCE * bearers[1][0]:
        return Entry("surname", attribute, (first,), weight)
    if len(bearers) <= MAX_NAMESAKES:
        return Entry("surname", attribute, tuple(person for _, person in bearers), weight)
    return None


def _aliases(title: str, words: list[str]) -> set[str]:
    """Shorter and other spellings: no article, no subtitle, "II" for 2."""
    found: set[str] = set()
    bare = words[1:] if words[0] in _ARTICLES and len(words) > 1 else words
    found.add(" ".join(bare))
    main = words_of(re.split(r":| [-\u2013\u2014] ", title, maxsplit=1)[0])
    if 1 < len(main) < len(words) or (len(main) == 1 and main[0] not in common_words() and len(main[0]) > 4):
        found.add(" ".join(main))
    for table in (_ROMAN, _SPELLED):
        swapped = [table.get(word, word) for word in bare]
        if len(bare) > 1 and swapped != bare:
            found.add(" ".join(swapped))
    return {key for key in found if key and key != " ".join(words)}
