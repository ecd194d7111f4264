"""Shorter forms of a sentence by leaving words out: gold for the first sentence of a reply.

By rules over commas, joining words and small words, so some are stiff; none says anything else than the sentence,
as far as `agent.shortening` can tell. Knows nothing of items.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.shortening import is_shortened

MAX_LEFT_OUT = 6
"""Words in one piece between two commas that may go."""
MIN_WORDS = 5
"""A shorter result says too little."""
_CUT_BEFORE = frozenset(
    "who which where while when as because before until during in on at against amid after across inside during "
    "through around and".split()
)
"""Words before which a sentence may end."""
_DROPPED = frozenset(
    "very quite rather deeply quietly slowly suddenly finally gradually young elderly small little whole entire huge "
    "vast tiny own just also together soon strange lonely brilliant ambitious famous old new".split()
)
_DANGLING = frozenset(
    "a an the of to in on at with and or who which that where while when as by for from into his her their its is are "
    "was were be been has have had but so than if because after before until one two three very more most".split()
)
_ASIDE = frozenset("who which where a an the now then with taught played led".split())
"""Words that begin an aside."""
_END = ".!?…"


def shortenings(sentence: str) -> list[str]:
    """Every form that the rules find and the check accepts, the shortest first; without the sentence itself."""
    words = sentence.strip().rstrip(_END).split()
    found: dict[str, None] = {}
    for trimmed in _trimmed(words):
        for kept in (trimmed, *_cut(trimmed)):
            text = _finished(kept)
            if text and len(kept) < len(words) and is_shortened(text, sentence):
                found.setdefault(text)
    return sorted(found, key=len)


def _trimmed(words: list[str]) -> Iterator[list[str]]:
    """The words as they are, without small adjectives, and without each short piece between commas."""
    yield words
    lean = [word for n, word in enumerate(words) if n == 0 or word not in _DROPPED]  # "New York" keeps its "New"
    yield lean
    commas = [n for n, word in enumerate(lean) if word.endswith(",")]
    for first, last in zip(commas, commas[1:], strict=False):
        after = lean[last + 1].lower() if last + 1 < len(lean) else "and"
        if 0 < last - first <= MAX_LEFT_OUT and lean[first + 1].lower() in _ASIDE and after not in ("and", "or", "to"):
            yield [*lean[:first], lean[first].rstrip(","), *lean[last + 1 :]]


def _cut(words: list[str]) -> Iterator[list[str]]:
    for place in range(MIN_WORDS, len(words)):
        if words[place].lower().rstrip(",") in _CUT_BEFORE or words[place - 1].endswith((",", ";", ":")):
            yield words[:place]


def _finished(words: list[str]) -> str:
    """The words as a sentence; "" where it would end in the air."""
    text = re.sub(r"[,;:\s–—-]+$", "", " ".join(words))
    last = text.rsplit(" ", 1)[-1].lower()
    if (
        len(words) < MIN_WORDS
        or last in _DANGLING
        or text.count("“") != text.count("”")
        or text.count("(") != text.count(")")
    ):
        return ""
    return f"{text}."
