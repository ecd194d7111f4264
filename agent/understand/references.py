"""What points at items on screen: "the second one", "number 3", "the Blu-ray one", "it", an id, words of a title.

Knows the shown lists and the items; not what the customer wants of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from agent.understand.lexicon import MAX_PHRASE_WORDS, Entry, Lexicon
from agent.understand.message import Message, Token, stem, unaccented, words_of
from agent.understand.types import DialogueContext
from retrieval.items import Item
from retrieval.words import common_words, function_words

ItemOf = Callable[[str], Item | None]

MAX_LISTS_BACK = 4
"""Older lists are not searched for "the black one"."""

_ORDINALS = {
    word: place
    for place, words in enumerate(
        (
            "first|1st|一",
            "second|2nd|二|两",
            "third|3rd|三",
            "fourth|4th|四",
            "fifth|5th|五",
            "sixth|6th|六",
            "seventh|7th|七",
            "eighth|8th|八",
            "ninth|9th|九",
            "tenth|10th|十",
        ),
        start=1,
    )
    for word in words.split("|")
}
_COUNTS = {
    "two": 2,
    "three": 3,
    "four": 4,
    "couple": 2,
    "2": 2,
    "3": 3,
    "4": 4,
    "两": 2,
    "三": 3,
    "四": 4,
    "一": 1,
    "one": 1,
}
_NOUN = (
    r"(?:ones?|films?|movies?|items?|options?|choices?|suggestions?|recommendations?|products?|titles?"
    r"|results?|picks?|cards?|books?"
    r"|of (?:those|these|them)|on (?:the|that|your) list)"
)
_ENGLISH_ORDINAL = "|".join(word for word in _ORDINALS if word.isascii())
_ORDINAL = re.compile(
    rf"\b(?:the\s+)?(?P<ordinal>{_ENGLISH_ORDINAL})\s+{_NOUN}\b(?!\s+(?:i|we|you|that i|by|of|from|in the)\b)"
    rf"|\bthe\s+(?P<bare>{_ENGLISH_ORDINAL})(?=\s*(?:$|[,.!?;]|(?:and|or|is|was|about|looks?|sounds?|please|thanks|thx|ty|lol)\b))"
    rf"|(?<=\band )(?P<joined>{_ENGLISH_ORDINAL})(?=\s*(?:$|[,.!?;]))"
)
_LAST = re.compile(
    rf"\b(?:the\s+)?(?:very\s+)?(?:last|final|bottom)\s+{_NOUN}\b(?!\s+(?:i|we|you|that|was|by|of|from"
    r"|in)\b)|最后一?(?:个|部|款|件|本)"
)
_FIRST_FEW = re.compile(
    r"\b(?:the\s+)?(?P<side>first|top|last)\s+(?P<n>two|three|four|couple|[234])\b|前(?P<han>[两三四])(?:个|部"
    r"|款|件|本)"
)
_NUMBER = re.compile(
    r"(?:\b(?:number|no\.|nr\.?|option|item|film|movie)\s*#?\s*|#)(?P<n>\d{1,2}|one|two|three|four"
    r"|five)\b(?!\s*(?:euros?|dollars?|min|gb|%|stars?))"
)
_HAN_ORDINAL = re.compile(r"第(?P<n>[一二两三四五六七八九十]|\d{1,2})(?:个|部|款|件|本|条|张|双)?")
_LISTED = re.compile(
    r"\b(?:compare|of|between|versus|vs\.?|numbers?|options?)\s+(?P<list>#?\d{1,2}(?:\s*(?:,|and|or|with"
    r"|to|vs\.?|&)\s*#?\d{1,2})+)(?!\s*(?:euros?|dollars?|min|hours?|gb|%|€|\$)|\d)"
)
_ALONE = re.compile(r"\s*#?(?P<n>\d{1,2})\s*[.!)]?\s*(?:please)?\s*")
_PRONOUN = re.compile(
    r"\b(?:that|this)\s+(?:one|film|movie|item|product|book|phone|thing)\b|\bit\b(?!'?s? (?:a|an|is|be"
    r"|should|must|has to|can be|could be|to be)\b|\s+(?:true|possible|correct|right|ok|okay)\b)"
    r"|\b(?:that|this)\b(?=\s*(?:[.!?]|$|please|about|sounds?|looks?|is too|seems?))|它|(?:这|那)(?:个|部|款|件|本)"
)
_MANY = re.compile(
    r"\b(?:both|these|those|them|all of (?:these|those|them)|none of (?:these|those|them)|neither)\b|这些"
    r"|那些|这两(?:个|部)|它们"
)
_DESCRIBED = re.compile(
    r"\bthe\s+(?P<words>(?!first|second|third|fourth|fifth|last|next|other|same|only|right|best|cheap"
    r"|short|long|new|old|more|less|most)"
    r"[^,.;!?]{1,40}?)\s+(?:one|film|movie|version|edition|disc)\b(?!\s+(?:about|with|where|that|by|from))"
    r"|\bthe one (?:with|by|from|starring|directed by|in)\s+(?:the\s+)?(?P<rest>[^,.;!?]{2,40})"
    r"|(?P<han>[^,.;!?的]{1,8})的?那(?:个|部|款|件)"
)
_MARKED_ID = re.compile(r"[`\"'\[(<{“‘]+\s*(?P<id>[^`\"'\[\]()<>{}\s“”‘’]{1,80})\s*[`\"'\])>}”’]+")


@dataclass(frozen=True, slots=True)
class Reference:
    """Items pointed at by a span of the message; `pronoun` for "it" and "these", which also mean other things."""

    start: int
    end: int
    item_ids: tuple[str, ...]
    pronoun: bool = False


_ASKED_LIKE = re.compile(
    r"(?:^\W*|[,.;!?]\s*|\b(?:something|anything|more|others?|ones?|films?|movies?|items?|stuff|things?|just|bit|lot"
    r"|similar|close|closer)\s+)(?:(?:exactly|just|much|a bit|kind of)\s+)?"
    r"(?:like|to|similar to)\s+(?:the\s+)?[\"“”'‘`]*$"
    r"|\b(?:along the lines of|in the (?:vein|style|spirit) of|similar to|comparable to|close to|akin to"
    r"|(?:the )?same (?:kind|sort|type|style|vein) as)\s+(?:the\s+)?[\"“”'‘`]*$"
    r"|(?:类似于?|像)[\"“《「]?$"
)
"""What stands before an item that is the measure of a wish: "something like ...", "similar to ..."."""


def asked_like(message: Message, reference: Reference) -> int | None:
    """Where the words begin that ask for something like what is referred to: "more | like the second one"."""
    left = message.left(reference.start)
    found = _ASKED_LIKE.search(left) if reference.item_ids else None
    return reference.start - len(left) + found.start() if found else None


class References:
    """Resolves the references of one message against what was shown."""

    def __init__(self, message: Message, context: DialogueContext, lexicon: Lexicon, item_of: ItemOf) -> None:
        self._message = message
        self._context = context
        self._lexicon = lexicon
        self._item_of = item_of
        self.missed = ""
        """A place on a list that no list has: "the ninth one"."""
        self.shown: tuple[str, ...] = next((ids for ids in reversed(context.shown) if ids), ())

    def all(self) -> list[Reference]:
        """References in the order of the words; pronouns only where nothing else is said."""
        found = self._ids()
        for step in (self._places, self._described, self._title_words):
            for reference in step():
                if all(reference.end <= other.start or reference.start >= other.end for other in found):
                    found.append(reference)
        found.sort(key=lambda reference: reference.start)
        return found or self._pronouns()

    def _places(self) -> list[Reference]:
        if not self.shown:
            return []
        low = self._message.low
        if alone := _ALONE.fullmatch(low):
            return self._at(alone.start("n"), alone.end("n"), int(alone["n"]))
        found: list[Reference] = []
        for match in _FIRST_FEW.finditer(low):
            n = _COUNTS[match["n"] or match["han"]]
            ids = self.shown[-n:] if match["side"] == "last" else self.shown[:n]
            found.append(Reference(match.start(), match.end(), ids))
        for match in _LISTED.finditer(low):
            numbers = [int(n) for n in re.findall(r"\d+", match["list"])]
            ids = tuple(self.shown[n - 1] for n in numbers if 1 <= n <= len(self.shown))
            if len(ids) == len(numbers):
                found.append(Reference(match.start("list"), match.end("list"), ids))
        for pattern in (_ORDINAL, _NUMBER, _HAN_ORDINAL):
            for match in pattern.finditer(low):
                groups = match.groupdict()
                word = groups.get("ordinal") or groups.get("bare") or groups.get("joined") or groups["n"]
                found += self._at(match.start(), match.end(), _place(word))
        found += [Reference(m.start(), m.end(), self.shown[-1:]) for m in _LAST.finditer(low)]
        return _without_overlaps(found)

    def _at(self, start: int, end: int, place: int) -> list[Reference]:
        for ids in reversed(self._context.shown[-MAX_LISTS_BACK:]):
            if 1 <= place <= len(ids):  # "the second one" after a list of one: the second of the list before
                return [Reference(start, end, (ids[place - 1],))]
        self.missed = self._message.quote(start, end)
        return []

    def _ids(self) -> list[Reference]:
        """Ids in brackets, quotes or backticks, or bare where an item of that id is on screen."""
        found = []
        for match in _MARKED_ID.finditer(self._message.text):
            if match["id"] in self._lexicon.ids:
                found.append(Reference(match.start(), match.end(), (match["id"],)))
        for item_id in {item_id for ids in self._context.shown for item_id in ids}:
            if len(item_id) < 3 or item_id.isalpha() or item_id.isdigit():
                continue
            place = self._message.text.find(item_id)
            if place >= 0 and all(place >= other.end or place + len(item_id) <= other.start for other in found):
                found.append(Reference(place, place + len(item_id), (item_id,)))
        return found

    def _described(self) -> list[Reference]:
        found = []
        for match in _DESCRIBED.finditer(self._message.low):
            name = next(name for name in ("words", "rest", "han") if match[name])
            words = [token.norm for token in self._message.tokens_in(*match.span(name))]
            words = [word for word in words if word not in function_words()]
            for ids in reversed(self._context.shown[-MAX_LISTS_BACK:]):
                fitting = tuple(item_id for item_id in ids if self._fits(item_id, words))
                if words and 0 < len(fitting) <= max(1, len(ids) - 1):
                    found.append(Reference(match.start(), match.end(), fitting))
                    break
        return found

    def _fits(self, item_id: str, words: list[str]) -> bool:
        item = self._item_of(item_id)
        if item is None:
            return False
        wanted = {stem(word) for word in words}
        if wanted <= {stem(word) for word in words_of(item.title)}:
            return True
        entries = [*self._lexicon.find(words, [stem(word) for word in words])]
        return any(entry.kind != "title" and has_value(item, entry) for entry in entries)

    def _title_words(self) -> list[Reference]:
        """Shown items called by their title, or by a rare word of it."""
        spoken = dict.fromkeys(item_id for ids in reversed(self._context.shown[-MAX_LISTS_BACK:]) for item_id in ids)
        found: list[Reference] = []
        for item_id in [*self._context.focus, *spoken]:
            item = self._item_of(item_id)
            if item is not None and (span := self._title_span(item)):
                if all(span[1] <= other.start or span[0] >= other.end for other in found):
                    found.append(Reference(*span, (item_id,)))
        return found

    def _title_span(self, item: Item) -> tuple[int, int] | None:
        words = [word for word in words_of(item.title) if word not in ("the", "a", "an")] or words_of(item.title)
        tokens = self._message.tokens
        for first in range(len(tokens) - len(words) + 1):
            window = tokens[first : first + len(words)]
            if words and all(word in (token.norm, token.base) for word, token in zip(words, window, strict=True)):
                if self._meant(window):
                    start = first - 1 if first and tokens[first - 1].norm in ("the", "a") else first
                    return tokens[start].start, window[-1].end
        rare = {word for word in words if len(word) >= 4 and word not in common_words() and not word.isdigit()}
        for token in tokens:
            known = self._lexicon.find([token.base], [token.stem])
            if token.base in rare and len(words) > 1 and not known and not self._of_another(token, item):
                return token.start, token.end
        return None

    def _of_another(self, token: Token, item: Item) -> bool:
        """Whether the word belongs to the whole title of another item, or to a value of several words."""
        tokens = self._message.tokens
        for first in range(max(0, token.place - MAX_PHRASE_WORDS + 1), token.place + 1):
            for last in range(max(token.place, first + 1), min(len(tokens), first + MAX_PHRASE_WORDS)):
                norms = [one.norm for one in tokens[first : last + 1]]
                entries = self._lexicon.phrases.get(" ".join(norms), ())
                if any(entry.kind == "title" and entry.values[0] != item.id for entry in entries):
                    return True
                if last > first and self._lexicon.values_like(norms):
                    return True
        return False

    def _meant(self, window: list[Token]) -> bool:
        content = [token for token in window if token.norm not in function_words()]
        if len(content) > 1 or any(token.norm not in common_words() for token in content):
            return True
        capital = self._message.cased and all(token.capital for token in window)
        start, end = window[0].start, window[-1].end
        marked = self._message.low[max(0, start - 1) : start] in ('"', "'", "*") and start > 0
        inside = not self._message.starts_sentence(start)
        after = re.match(r"\s*(?:is|was|looks|sounds|please|$|[,?])", self._message.low[end:])
        return marked or (capital and (inside or bool(after))) or len(self._message.tokens) <= len(window) + 1

    def _pronouns(self) -> list[Reference]:
        found = []
        single = self._context.focus[:1] or (self.shown if len(self.shown) == 1 else ())
        for match in _PRONOUN.finditer(self._message.low):
            if single:
                found.append(Reference(match.start(), match.end(), single, pronoun=True))
        for match in _MANY.finditer(self._message.low):
            if self.shown:
                two = match.group() in ("both", "neither", "这两个", "这两部")
                ids = (
                    (self._context.focus[:2] if len(self._context.focus) >= 2 else self.shown[:2])
                    if two
                    else self.shown
                )
                found.append(Reference(match.start(), match.end(), ids, pronoun=True))
        return found


def has_value(item: Item, entry: Entry) -> bool:
    """Whether the item has one of the values that the entry stands for."""
    own = item.attributes.get(entry.attribute)
    if own is None:
        return False
    values = {unaccented(value) for value in (own if isinstance(own, tuple) else (str(own),))}
    return any(unaccented(value) in values for value in entry.values)


def _place(word: str) -> int:
    if word.isdigit():
        return int(word)
    return _ORDINALS.get(word) or _COUNTS.get(word) or {"five": 5}.get(word, 0)


def _without_overlaps(found: list[Reference]) -> list[Reference]:
    kept: list[Reference] = []
    for reference in sorted(found, key=lambda reference: (-(reference.end - reference.start), reference.start)):
        if all(reference.end <= other.start or reference.start >= other.end for other in kept):
            kept.append(reference)
    return kept
