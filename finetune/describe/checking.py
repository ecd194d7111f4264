"""Two checks of what was written: the one that replies go through, and an independent one of numbers and names.

The first takes sentences out. The second shares no code with it, takes out what the first let through, and says how
often that was. Knows nothing of who wrote and whether the text is any good.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from agent.grounding import Grounding
from finetune.describe.types import Refused, Task
from retrieval.items import Item
from retrieval.shape import CatalogueShape

MIN_CHARS = 20
"""A shorter rest is no description."""

_ABBREVIATIONS = "".join(rf"(?<!\b{word}\.)" for word in "Mr Mrs Ms Dr St Jr Sr vs Prof Lt Col Gen Capt Sgt No".split())
_BETWEEN = re.compile(rf"(?<=[.!?])(?<!\b[A-Z]\.){_ABBREVIATIONS}\s+(?=[\"“(]?[A-Z0-9])")
_END = re.compile(r"[.!?][\"”)]?$")
_NUMBER = re.compile(r"\d(?:[\d.,:/]*\d)?")
_TOKEN = re.compile(r"[^\W_]+(?:[-'’.][^\W_]+)*")
_ORDINARY = frozenset(
    "a an the this that these those it its he she they his her their in on at by with for from to as and but or if "
    "when while after before during about both each every some many one two here there what who where how no "
    "not".split()
)
_VERB = re.compile(
    r"\b(?!(?:its|this|his|hers|as|us|series|across|various|previous)\b)(?:is|are|was|were|has|have|had|[a-z]+[^\Ws]s|"
    r"[a-z]+ed)\b"
)
"""A word that may be a verb; what has none is a heap of words that only a search is pleased with."""
_NUMBERED = re.compile(r"\b(\d[\d.,]*\d|\d)[\s-]+([^\W\d_]+)")
_STARS_WHAT = re.compile(r"\bstars? (?:an?|the) ")
STEM = 5
"""Words agree when their first five letters do, as in `Grounding`."""
SLIPPED = "independent check"
"""How the reason of what only the second check found begins."""


@dataclass(frozen=True, slots=True)
class Claims:
    """The numbers and names of a text, and those of them that stand in no field of the item."""

    n: int
    unbacked: tuple[str, ...]


def backed(text: str, task: Task, shape: CatalogueShape) -> tuple[str, tuple[Refused, ...]]:
    """What of `text` may be kept, and the sentences that may not; "" and all of them where nothing much is left.

    Names and numbers must be the item's own: a review may give words, but what a customer says a thing costs or who
    made it is no fact. A sentence must say something that those before it do not, or a text would be found by being
    repeated.
    """
    grounding = Grounding(task.source, shape)
    kept: list[str] = []
    refused: list[Refused] = []
    said: set[str] = set()
    for sentence in sentences(text):
        words = {_stem(word) for word in _parts(sentence)} - _ORDINARY
        if reason := _objection(sentence, grounding, task.item):
            refused.append(Refused(sentence, reason))
        elif words <= said:
            refused.append(Refused(sentence, "it was said before"))
        else:
            kept.append(sentence)
            said |= words
    joined = " ".join(kept)
    if len(joined) < MIN_CHARS:
        return "", tuple(refused)
    return joined, tuple(refused)


def sentences(text: str) -> list[str]:
    """The sentences of a text; one that ends nowhere was cut off and is said as it is."""
    return [sentence.strip() for sentence in _BETWEEN.split(text.strip()) if sentence.strip()]


def claims(text: str, item: Item) -> Claims:
    """Numbers and names of `text` against the item's title, text and attributes; shares no code with `Grounding`.

    A number must also stand before the word that it stands before in the item, where the item numbers that word.
    """
    document = item.document()
    numbers = {_number(one) for one in _NUMBER.findall(document)}
    words = {word.casefold() for word in _parts(document)}
    said_numbers = _NUMBER.findall(text)
    unbacked = [one for one in said_numbers if _number(one) not in numbers]
    names = [name for sentence in sentences(text) for name in _names(sentence, words)]
    unbacked += [name for name in names if name.casefold() not in words]
    unbacked += _swapped(text, document)
    return Claims(len(said_numbers) + len(names), tuple(unbacked))


def _objection(sentence: str, grounding: Grounding, item: Item) -> str | None:
    if not _END.search(sentence):
        return "it was cut off"
    if not _VERB.search(sentence):
        return "it has no verb"
    if (match := _STARS_WHAT.search(sentence)) and match.group(0) not in item.text:
        return "it names nobody who stars"
    if reason := grounding.objection(sentence):
        return reason
    if unbacked := claims(sentence, item).unbacked:
        return f"{SLIPPED}: {', '.join(unbacked)} in no field"
    return None


def _names(sentence: str, known: Container[str]) -> list[str]:
    """Capitalised words; the first of a sentence only where another one follows, or where no field has it."""
    found = []
    tokens = _TOKEN.findall(sentence)
    for place, token in enumerate(tokens):
        if not token[0].isupper():
            continue
        alone = place + 1 >= len(tokens) or not tokens[place + 1][0].isupper()
        ordinary = token.casefold() in _ORDINARY or (alone and all(part.casefold() in known for part in _parts(token)))
        if place > 0 or not ordinary:
            found += _parts(token)
    return found


def _swapped(text: str, document: str) -> list[str]:
    """Numbers before a word that another number stands before in the item: "a 2017 graphic novel" for one of 2012."""
    own: dict[str, set[str]] = {}
    for number, word in _NUMBERED.findall(document):
        own.setdefault(_stem(word), set()).add(_number(number))
    said = [(number, word) for number, word in _NUMBERED.findall(text) if _stem(word) in own]
    return [f"{number} {word}" for number, word in said if _number(number) not in own[_stem(word)]]


def _stem(word: str) -> str:
    return word.casefold()[:STEM]


def _parts(text: str) -> list[str]:
    """Words, those of "Spider-Man's" each."""
    return [part for part in re.split(r"[\W_]+", re.sub(r"['’]s\b", "", text)) if part]


def _number(said: str) -> str:
    return said.replace(",", "").rstrip(".")
