"""Whether a sentence is a shortening of a text: the same words in the same order, with parts left out.

Words that are all backed can still be put together into something false ("stands up for humanity
against Clark Kent"). What only leaves words out of one sentence, keeps its beginning and skips no
negation can hardly say anything else than the text does. Sentence compression by deletion, see Knight
and Marcu (2002), "Summarization beyond sentence extraction". Not covered: a deleted condition ("if").
"""

from __future__ import annotations

import re

from retrieval.text import fold

MAX_GAP = 6
"""Words of the text that may be left out at one place."""
MAX_START = 2
"""Words that may be left out before the first one kept: more would lose who it is about."""
MIN_KEPT = 0.5
"""Share of a sentence's words that must be kept: less is a fragment, "after years of lessons at home"."""
_SENTENCES = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SMALL = frozenset("a an the and is are was were be has have it its this that to of in on with as".split())
"""Words that may be added or changed: they carry no claim of their own."""
_TURNS = frozenset("not no never nothing nobody none without neither nor only unless cannot but if".split())
"""Words that turn the meaning of what follows: never skipped."""


def is_shortened(sentence: str, text: str) -> bool:
    """Whether `sentence` keeps the words of one sentence of `text`, in order, and only leaves some out."""
    kept = [word for word in _words(sentence) if word not in _SMALL]
    wholes = [_words(whole) for whole in _SENTENCES.split(text)]
    return any(len(kept) >= MIN_KEPT * _weight(whole) and _keeps(kept, whole) for whole in wholes if whole)


def _keeps(kept: list[str], whole: list[str]) -> bool:
    """Match each kept word to the next place where it stands; gaps are counted in words of the text."""
    place = -1
    for number, word in enumerate(kept):
        limit = place + 2 + (MAX_START if number == 0 else MAX_GAP)
        following = next((i for i in range(place + 1, min(limit, len(whole))) if whole[i] == word), None)
        if following is None or any(_turns(skipped) for skipped in whole[place + 1 : following]):
            return False
        place = following
    return not any(_turns(skipped) for skipped in whole[place + 1 : place + 1 + MAX_GAP])


def _weight(words: list[str]) -> int:
    return max(2, sum(word not in _SMALL for word in words))


def _turns(word: str) -> bool:
    return word in _TURNS or word.endswith(("n't", "n’t"))


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(text))
