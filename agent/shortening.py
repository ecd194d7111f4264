"""Whether a sentence is a shortening of a text: the same words in the same order, with parts left out.

Words that are all backed can still be put together into something false ("stands up for humanity
against Clark Kent"). What only leaves words out of one sentence, keeps its beginning, cuts no name
and skips nothing that turns the meaning can hardly say anything else than the text does. Sentence
compression by deletion, see Knight and Marcu (2002), "Summarization beyond sentence extraction".
Not covered: a deleted condition ("when"), a noun that loses the one it belongs to ("police dog").
"""

from __future__ import annotations

import re
from collections.abc import Container
from itertools import pairwise

from agent.reply_prompt import END_OF_SENTENCE
from retrieval.text import fold

MAX_GAP = 6
"""Words of the text that may be left out at one place."""
MAX_START = 2
"""Words that may be left out before the first one kept: more would lose who it is about."""
MIN_KEPT = 0.5
"""Share of a sentence's words that must be kept: less is a fragment, "after years of lessons at home"."""
MIN_LED = 3
"""Words of its own that a beginning must keep."""
MIN_BEGINNING = 6
"""The same where nothing leads to it: so that it is likely to have its verb."""
_NO_SUBJECT = frozenset(
    "in on at as when while after before during with for from once by to if because since though although set".split()
)
"""First words of a sentence whose subject comes later."""
_ENDS_BEFORE = frozenset(
    "who which where while when because before until during in on at against amid after across inside during through "
    "around and that to for with from as".split()
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SMALL = frozenset("a an the and is are was were be has have it its this that to of in on with as".split())
"""Words that may be added or changed: they carry no claim of their own."""
_TURNS = frozenset("not no never nothing nobody none without neither nor only unless cannot but if".split())
"""Words that turn the meaning of what follows: never skipped, and not soon after the end."""
_UNREAL = frozenset(
    "fails failed refuses refused pretends pretending pretended supposedly supposed allegedly alleged former fake "
    "false almost nearly hardly barely".split()
)
"""Words without which what follows them would be so: never skipped."""
_OPENERS = frozenset(
    "a an the in on at as when while after before during two three four five his her their its it this these with for "
    "from once now here there by to of and or".split()
)
"""Words that begin a sentence with a capital and are no part of a name."""
_DANGLING = frozenset(
    "a an the and or of to with as by for from at that which who whose his her their its is are was were be been has "
    "have".split()
)
"""Words that no sentence ends with, unless the text does."""
_PARTICLES = frozenset("of the de del la le van von der den da di du al el bin".split())
"""Small words inside names: "Statue of Liberty", "Vincent van Gogh"."""
_SPACE = re.compile(r"\.?\s+")
_HYPHEN = re.compile(r"[-‐‑]")


def is_shortened(sentence: str, text: str, *, led: bool = False) -> bool:
    """Whether `sentence` keeps the words of one sentence of `text`, in order, and only leaves some out.

    A name of several words ("New York") and a compound ("one-armed") are kept or left out as a whole.

    Args:
        sentence: what is said.
        text: what it must be a shortening of.
        led: words such as "it follows" stand before it, so that a beginning is no fragment where it ends well.
    """
    said = _words(sentence)
    kept = [word for word in said if word not in _SMALL]
    return any(_shortens(kept, whole, led) and not _breaks_off(said, whole) for whole in END_OF_SENTENCE.split(text))


def _shortens(kept: list[str], text: str, led: bool) -> bool:
    whole = _words(text)
    if not whole or not kept or len(whole) != len(_WORD.findall(text)):  # signs that fold away would shift names
        return False
    places = _keeps(kept, whole, names_in(text))
    if not places:
        return False
    if len(kept) >= MIN_KEPT * _weight(whole):
        return True
    first = next((n for n, word in enumerate(whole) if word not in _SMALL), 0)
    begins = places[0] == first and whole[0] not in _NO_SUBJECT and len(kept) >= MIN_BEGINNING
    if begins and _precedes(places[-1], whole, _ENDS_BEFORE):
        return True
    return led and len(kept) >= MIN_LED and _may_end(places[-1], whole, text)


def _breaks_off(said: list[str], text: str) -> bool:
    """Whether a sentence ends with a word that something must follow, where the text goes on."""
    return said[-1] in _DANGLING and _words(text)[-1] != said[-1]


def _may_end(last: int, whole: list[str], text: str) -> bool:
    """Whether a sentence may end after the word `last`: so that no noun is left of a longer one ("car salesman")."""
    words = list(_WORD.finditer(text))
    if last + 1 == len(words) or not text[words[last].end() : words[last + 1].start()].isspace():
        return True
    return _precedes(last, whole, _ENDS_BEFORE)


def _precedes(last: int, whole: list[str], words: Container[str]) -> bool:
    """Whether one of `words` follows the word `last`."""
    return last + 1 < len(whole) and whole[last + 1] in words


def names_in(text: str) -> list[tuple[int, int]]:
    """Runs of words that belong together, as (first, one past the last) of the words of `text`: names and compounds."""
    words = list(_WORD.finditer(text))
    between = [text[one.end() : two.start()] for one, two in pairwise(words)]
    name = [one.group()[0].isupper() for one in words]
    if words and fold(words[0].group()) in _OPENERS:
        name[0] = False
    for n, word in enumerate(words):
        if word.group() in _PARTICLES and n and name[n - 1] and any(name[n + 1 : n + 3]):
            name[n] = name[n + 1] or words[n + 1].group() in _PARTICLES
    found, start = [], 0
    for n in range(1, len(words) + 1):
        if n < len(words):
            named = name[n - 1] and name[n] and _SPACE.fullmatch(between[n - 1]) is not None
            if named or _HYPHEN.fullmatch(between[n - 1]):
                continue
        if n - start > 1:
            found.append((start, n))
        start = n
    return found


def _keeps(kept: list[str], whole: list[str], names: list[tuple[int, int]]) -> list[int]:
    """The next place where each kept word stands, [] where one has none; gaps are counted in words of the text."""
    places: list[int] = []
    for word in kept:
        place = places[-1] if places else -1
        limit = place + 2 + (MAX_GAP if places else MAX_START)
        following = next((i for i in range(place + 1, min(limit, len(whole))) if whole[i] == word), None)
        if following is None or any(_turns(one) or one in _UNREAL for one in whole[place + 1 : following]):
            return []
        places.append(following)
    last = places[-1] if places else -1
    if any(_turns(skipped) for skipped in whole[last + 1 : last + 1 + MAX_GAP]):
        return []
    return [] if any(_cuts(set(places), range(*name), whole) for name in names) else places


def _cuts(places: Container[int], name: range, whole: list[str]) -> bool:
    """Whether some of a name's words are kept and others left out; small words do not count."""
    kept = {n in places for n in name if whole[n] not in _SMALL}
    return len(kept) > 1


def _weight(words: list[str]) -> int:
    return max(2, sum(word not in _SMALL for word in words))


def _turns(word: str) -> bool:
    return word in _TURNS or word.endswith(("n't", "n’t"))


def _words(text: str) -> list[str]:
    return _WORD.findall(fold(text))
