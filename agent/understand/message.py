"""One message as the rules see it: words with places, quotes of the original, and what is already read.

Every pattern runs on `low`, which has one character for each character of `text`, so a match there
quotes the customer's exact words. Knows nothing of catalogues and intents.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from agent.understand.types import Language
from retrieval.text import fold
from retrieval.words import common_words

MAX_READ_CHARS = 1_000
"""What is read of a message; the longest customer turn of three public dialogue sets has 955 characters."""

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"\d+|[{_CJK}]|&|[^\W\d_{_CJK}]+(?:['\u2019\u02bc][^\W\d_{_CJK}]+)*")
_CJK_CHARACTER = re.compile(f"[{_CJK}]")
_KANA = re.compile("[\u3040-\u30ff]")
_LATIN_WORD = re.compile(r"[a-z]+")
_SENTENCE_END = re.compile(r"[.!?;\n。](?!\d)")
_CLAUSE_END = re.compile(
    r"[.!?;\n。](?!\d)|,?\s\b(?:but|however|although|though|yet|except that|otherwise|instead)\b\s"
    r"|\s[-\u2013\u2014]{1,2}\s"
    r"|但是|不过|可是|然而|但"
)
_PART = re.compile(
    r",?\s*\b(?:and|but|also|plus)\s+(?=(?:can|could|do|does|how|what|when|where|is|will|i|if|may)\b)"
    r"|,\s*(?=(?:how|can|what|do|does|is|when)\b)|,(?=[^\x00-\x7f])"
)
"""Where another part of a sentence begins."""
_SAME_LENGTH: dict[int, int | str] = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4`"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d\u300e\u300f\u300a\u300b"), '"'),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2212"), "-"),
    **dict.fromkeys(map(ord, "\u00a0\u2009\u202f\u3000\t\r"), " "),
    ord("、"): ",",
}


_NO_PLURALS = frozenset({"news", "lens", "gas", "always", "perhaps", "series", "besides", "sometimes"})


@dataclass(frozen=True, slots=True)
class Token:
    """One word: where it stands, folded, without a possessive s, stemmed, whether it has a capital, its number."""

    start: int
    end: int
    norm: str
    base: str
    stem: str
    capital: bool
    place: int


@lru_cache(maxsize=4_096)
def stem(word: str) -> str:
    """`word` without a plural ending; rough, but the same for catalogue and customer."""
    if len(word) <= 3 or not word.endswith("s") or word.endswith(("ss", "us", "is")) or word in _NO_PLURALS:
        return word
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    return word[:-1]


def words_of(text: str) -> list[str]:
    """The folded words of a catalogue text, split as messages are split."""
    return ["and" if word == "&" else word.replace("'", "") for word in _WORD.findall(fold(text))]


def is_cjk(word: str) -> bool:
    """Whether the word is one Chinese character."""
    return bool(_CJK_CHARACTER.fullmatch(word))


class Message:
    """A message being read: readings `take` their characters, later readings find them gone."""

    def __init__(self, text: str) -> None:
        self.text = text[:MAX_READ_CHARS]
        self.low = _lower(self.text)
        self.tokens = [_token(self.text, n, match) for n, match in enumerate(_WORD.finditer(self.text))]
        self.cased = _capitals_tell(self.tokens)
        self.language = _language(self.low)
        self._taken = bytearray(len(self.text))
        self._clauses = _spans(_CLAUSE_END, self.low)
        self._sentences = _spans(_SENTENCE_END, self.low)

    def free(self, start: int, end: int) -> bool:
        """Whether no reading has used a character of the span."""
        return 1 not in self._taken[start:end]

    def take(self, start: int, end: int) -> None:
        """Mark the span as read."""
        self._taken[start:end] = b"\1" * (max(start, end) - start)

    def unread(self, start: int, end: int) -> str:
        """Lower-case text of the span, with spaces for what a reading has used."""
        return "".join(" " if self._taken[place] else self.low[place] for place in range(start, end))

    def quote(self, start: int, end: int) -> str:
        """The customer's own words, without the spaces around them."""
        return self.text[start:end].strip()

    def left(self, start: int, width: int = 60) -> str:
        """Lower-case text before `start`, at most `width` characters, inside the sentence."""
        return self.low[max(self.sentence(start)[0], start - width) : start]

    def right(self, end: int, width: int = 60) -> str:
        """Lower-case text after `end`, at most `width` characters."""
        return self.low[end : end + width]

    def clause(self, position: int) -> tuple[int, int]:
        """The stretch around `position` up to a sentence end or a "but"."""
        return _around(self._clauses, position)

    def sentence(self, position: int) -> tuple[int, int]:
        """The sentence around `position`."""
        return _around(self._sentences, position)

    def starts_sentence(self, position: int) -> bool:
        """Whether nothing but spaces and quotes stands before `position` in its sentence."""
        return not self.low[self.sentence(position)[0] : position].strip(" \"'*([")

    def tokens_in(self, start: int, end: int) -> list[Token]:
        """The words that lie wholly in the span."""
        return [token for token in self.tokens if token.start >= start and token.end <= end]


def _lower(text: str) -> str:
    if text.isascii():
        return text.lower().translate(_SAME_LENGTH)
    lowered = (char.lower() for char in text.translate(_SAME_LENGTH))
    return "".join(low if len(low) == 1 else char for low, char in zip(lowered, text, strict=True))


def _token(text: str, place: int, match: re.Match[str]) -> Token:
    raw = match.group()
    norm = "and" if raw == "&" else fold(raw).replace("'", "")
    base = norm
    if len(raw) > 2 and raw[-2] in "'\u2019\u02bc" and raw[-1] in "sS":
        base = norm[:-1]
    return Token(match.start(), match.end(), norm, base, stem(norm), raw[:1].isupper(), place)


def _capitals_tell(tokens: list[Token]) -> bool:
    """Whether capitals mean something here: not where everything is shouted or in title case."""
    letters = [token for token in tokens if token.norm.isalpha() and token.norm != "i"]
    common = [token for token in letters if token.norm in common_words()]
    if not any(token.capital for token in letters):
        return False
    return len(common) <= 3 or sum(token.capital for token in common) <= 0.7 * len(common)


def _language(low: str) -> Language:
    chinese = len(_CJK_CHARACTER.findall(low))
    if not chinese or _KANA.search(low):
        return "en"
    return "zh" if chinese >= len(_LATIN_WORD.findall(low)) else "en"


def _spans(boundary: re.Pattern[str], low: str) -> list[tuple[int, int]]:
    spans, start = [], 0
    for match in boundary.finditer(low):
        spans.append((start, match.start()))
        start = match.end()
    spans.append((start, len(low)))
    return spans


def _around(spans: list[tuple[int, int]], position: int) -> tuple[int, int]:
    for start, end in spans:
        if position < end or (position == end and start <= position):
            return min(start, position), end
    return spans[-1]


def part_around(message: Message, position: int) -> tuple[int, int]:
    """The part of a sentence around `position`: "..., and can I return it?" is a part of its own."""
    start, end = message.sentence(position)
    # Over the whole message: what begins at `position` itself is looked at, too.
    before = [match.end() for match in _PART.finditer(message.low, start) if match.end() <= position]
    if before:
        start = before[-1]
    while start < position and message.low[start] in " ,":
        start += 1
    if end < len(message.low) and message.low[end] in "?!.":
        end += 1
    return start, end


def unaccented(text: str) -> str:
    """Letters only, for comparing identifiers: no case, no accents, no signs."""
    return "".join(char for char in unicodedata.normalize("NFKD", text).casefold() if char.isalnum())
