"""Which of a question's words the articles do not have: "can you *repair* a disc" where they only replace them.

A sentence vector says that a question and a passage are about the same; not that the passage lacks the one word that
was the question. Knows nothing of vectors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.support.knowledge.languages import COMMON
from agent.support.knowledge.light_words import light_characters, light_words, same_words
from agent.support.overlap import stem
from retrieval.text import fold

_WORD = re.compile(r"[^\W\d_]{2,}")
_IDEOGRAPH = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
READ = frozenset(COMMON) | {"zh"}
"""The languages of which we know which words carry no content."""
_COMPOUNDING = frozenset({"de", "nl"})
"""Languages that write words together: "Abendkurse" has the word of "Kurs"."""
_PART = 4
"""Letters that a word has at least to be found within another one."""
_LONGEST = 40
"""Letters of a word in which others are looked for."""
_PREFIX = 5
"""Letters that two forms of a word share at least, if they end differently by no more than `_ENDING`."""
_ENDING = 3


@dataclass(frozen=True, slots=True)
class Lacking:
    """`words` of a question (Chinese: characters) that stand in no article, of `asked` that say what it is about."""

    words: tuple[str, ...]
    asked: int


class Coverage:
    """The words of all articles, found again in other forms."""

    def __init__(self, texts: Iterable[str]) -> None:
        texts = list(texts)
        words = {word for text in texts for word in _WORD.findall(fold(text))}
        self._characters = frozenset(_IDEOGRAPH.findall("".join(texts)))
        self._stems = {stem(word) for word in words} | words
        self._starts: dict[str, list[str]] = {}
        for word in words:
            self._starts.setdefault(word[:_PART], []).append(word)
        self._joined = "\n".join(words)

    def lacking(self, question: str, language: str, beside: str = "") -> Lacking:
        """What of `question` no article has; `beside` are words that none need have, such as an item's title."""
        if language == "zh":
            asked = [one for one in dict.fromkeys(_IDEOGRAPH.findall(question)) if one not in light_characters()]
            return Lacking(tuple(one for one in asked if one not in self._characters and one not in beside), len(asked))
        asked = content_words(question, language, beside)
        return Lacking(tuple(word for word in asked if not self._has_any(word, language)), len(asked))

    def _has_any(self, word: str, language: str) -> bool:
        """Whether `word` is there, in another form or as another word for it."""
        forms = same_words().get(word) or same_words().get(stem(word)) or frozenset()
        return any(self._has(one, language) for one in {word, *forms})

    def _has(self, word: str, language: str) -> bool:
        if word in self._stems or stem(word) in self._stems:
            return True
        if any(_akin(word, other) for other in self._starts.get(word[:_PART], ())):
            return True
        return language in _COMPOUNDING and (
            (len(word) >= _PART and word in self._joined) or any(part in self._stems for part in _parts(word))
        )


def content_words(text: str, language: str, beside: str = "") -> list[str]:
    """The folded words of `text` that say what it is about, each once."""
    dropped = light_words(language) | frozenset(_WORD.findall(fold(beside)))
    return [word for word in dict.fromkeys(_WORD.findall(fold(text))) if word not in dropped]


def without(text: str, word: str) -> str:
    """The words of `text` but the folded `word`."""
    return " ".join(one for one in _WORD.findall(text) if fold(one) != word)


def _akin(one: str, other: str) -> bool:
    """Whether one is a form of the other: "advertisers" and "advertising"."""
    shorter = min(len(one), len(other))
    if one.startswith(other) or other.startswith(one):
        return True
    same = max(_PREFIX, shorter - _ENDING)
    return shorter >= _PREFIX and one[:same] == other[:same]


def _parts(word: str) -> Iterable[str]:
    word = word[:_LONGEST]
    return (word[i:j] for i in range(len(word)) for j in range(i + _PART + 1, len(word) + 1))
