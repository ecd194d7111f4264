"""How much of a question's words a text has, rare words counting more: what a sentence vector blurs.

Knows English endings only; words of other languages compare as they are. Nothing here is shown to anyone.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable

from retrieval.lexical import terms

_ASKING = frozenset(
    "could did get got if may might no not only out please shall should tell us when where which who why "
    "hello hi thank thanks still yet just now also".split()
)
"""Words of a question that say nothing of its subject, beside the stopwords of the search."""
_ENDINGS = ("ies", "ing", "ed", "es", "s", "e", "y")
_MIN_STEM = 3
"""Letters that an ending leaves at least."""


def stem(word: str) -> str:
    """`word` without English endings, for comparing only: delivery, deliver and delivered give "deliver"."""
    for _ in range(2):  # "shippings", "addressed": one ending behind another
        ending = next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= _MIN_STEM), None)
        if ending is None or word.endswith("ss"):
            return word
        word = word[: -len(ending)]
        if len(word) > _MIN_STEM + 1 and word[-1] == word[-2] != "s":
            word = word[:-1]  # shipped, cancelled
    return word


def subject_words(text: str) -> frozenset[str]:
    """The stems of the words of `text` that carry its subject."""
    return frozenset(stem(term) for term in terms(text) if term not in _ASKING)


class WordWeights:
    """Weights of words by their rarity in a collection of texts (each a set of stems)."""

    def __init__(self, texts: Collection[Iterable[str]]) -> None:
        self._counts = Counter(word for text in texts for word in set(text))
        self._texts = len(texts)

    def share(self, asked: frozenset[str], text: frozenset[str]) -> float:
        """The part, 0..1, of the weight of `asked` that `text` has; 0 when nothing is asked."""
        total = sum(map(self._weight, asked))
        return sum(map(self._weight, asked & text)) / total if total else 0.0

    def _weight(self, word: str) -> float:
        return math.log(1 + self._texts / (self._counts[word] + 0.5))
