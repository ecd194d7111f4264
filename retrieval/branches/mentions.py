"""Words of a turn as a reader sees them, and how sure it is that some of them are a name.

"heat" is a title only when it is quoted, dated, or has a capital inside a sentence; "Blade Runner" always. Knows
nothing of which names there are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from retrieval.text import tokens
from retrieval.words import common_words, function_words

NameKind: TypeAlias = Literal["title", "name", "category"]
"""`name`: a value that few items have, a person or a brand; `category`: one of a few words that many items have."""

SURE, LIKELY, DOUBTFUL = 1.0, 0.7, 0.5
MIN_LETTERS = 4
"""A single word in small letters is no name below this."""
MAX_CAPITALS = 0.75
"""Where more of the words inside sentences have capitals, capitals say nothing."""

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?:;\n]")
_QUOTES = "\"'*_`“”‘’«»「」『』《》"
_YEAR = re.compile(r"(?:18|19|20)\d\d")


@dataclass(frozen=True, slots=True)
class Word:
    """One folded token.

    `capital` is False where capitals say nothing; `opens`, `closes`: a quotation mark stands before, after it.
    """

    norm: str
    capital: bool
    starts_sentence: bool
    opens: bool
    closes: bool


def read_words(turn: str) -> list[Word]:
    """The words of a turn, in order."""
    read: list[Word] = []
    end = 0
    for match in _WORD.finditer(turn):
        gap = turn[end : match.start()]
        starts = end == 0 or _SENTENCE_END.search(gap) is not None
        raw, end = match.group(), match.end()
        pieces = [raw.lower()] if raw.isascii() and raw.isalnum() else tokens(raw)
        opens = match.start() > 0 and turn[match.start() - 1] in _QUOTES
        closes = end < len(turn) and turn[end] in _QUOTES
        last = len(pieces) - 1
        for place, norm in enumerate(pieces):
            read.append(
                Word(norm, raw[0].isupper(), starts and place == 0, opens and place == 0, closes and place == last)
            )
    inside = [word.capital for word in read if not word.starts_sentence]
    if sum(inside) <= MAX_CAPITALS * len(inside):
        return read
    return [Word(word.norm, False, word.starts_sentence, word.opens, word.closes) for word in read]


def year_after(words: Sequence[Word], end: int) -> float | None:
    """The year that stands right after a span: "Heat (1995)", "Heat 1995"."""
    return float(words[end].norm) if end < len(words) and _YEAR.fullmatch(words[end].norm) else None


def certainty(words: Sequence[Word], start: int, end: int, kind: NameKind) -> float:
    """How sure it is that words[start:end], which are a name, are said as one: 0 .. 1."""
    span = words[start:end]
    if span[0].opens and span[-1].closes:
        return SURE
    content = [word for word in span if word.norm not in function_words() and not word.norm.isdigit()]
    if kind == "category":
        return SURE if content else 0.0
    uncommon = any(word.norm not in common_words() for word in content)
    capital = all(word.capital for word in content or span)
    if len(content) < 2 and not (uncommon and len(span) > 1):
        inside = capital and not span[0].starts_sentence
        return _one_word(content, uncommon=uncommon, capital=inside, alone=len(words) == len(span))
    if uncommon or capital:
        return SURE
    return LIKELY if kind == "name" else DOUBTFUL


def _one_word(content: Sequence[Word], *, uncommon: bool, capital: bool, alone: bool) -> float:
    if not content:  # "Up", "It": a capital alone says little
        return DOUBTFUL if capital else 0.0
    if uncommon:
        return SURE if capital or len(content[0].norm) > MIN_LETTERS else DOUBTFUL
    if capital:
        return LIKELY
    return DOUBTFUL if alone else 0.0
