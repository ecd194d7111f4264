"""Text normalisation that search, filters and the rules of understanding share.

Knows nothing of items, indexes or dialogues. Not covered: stemming, word segmentation beyond the
bigrams of Chinese and Japanese.
"""

from __future__ import annotations

import html
import re
import unicodedata

_ACCENTS = re.compile("[\u0300-\u036f]+")
"""Combining marks of Latin, Greek and Cyrillic; those of other scripts change the word and stay."""

_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]+"
)
"""Control, zero-width, bidi and tag characters, and lone surrogates; tab and line ends are not among them."""

_LETTERS_WITHOUT_DECOMPOSITION = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "’": "'", "‘": "'", "ʼ": "'"}
)
_TAG = re.compile(r"<(?:/?[a-zA-Z][^<>]{0,2000}|!--.*?--|![a-zA-Z][^<>]{0,2000})>", re.DOTALL)
_SCRIPT = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_MARKUP_SIGN = re.compile(r"[<&]")
_SPACES = re.compile(r"[ \t\r\f\v\u00a0\u2000-\u200a\u3000]+")
_POSSESSIVE = re.compile(r"(?<=\w)'(?:s\b)?")
_WORD = re.compile(r"[^\W_]+")
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CJK_OR_NOT = re.compile(f"[{_CJK}]+|[^{_CJK}]+")
_CJK_CHARACTER = re.compile(f"[{_CJK}]")


def visible(text: str) -> str:
    """`text` without control, zero-width, bidi and tag characters and lone surrogates."""
    if text.isascii() and text.isprintable():
        return text
    return _INVISIBLE.sub("", text)


def plain(text: str) -> str:
    """What a reader of the page would see: no markup, no entities, no invisible characters.

    Line ends stay, other runs of white space become one space. Text without `<` and `&` keeps all its words.
    """
    text = visible(text)
    if _MARKUP_SIGN.search(text):
        text = visible(html.unescape(_TAG.sub(" ", _SCRIPT.sub(" ", text))))
    return _SPACES.sub(" ", text).strip()


def fold(text: str) -> str:
    """The form in which two spellings compare equal: no case, accents, invisible characters, extra spaces."""
    if text.isascii():
        return " ".join(visible(text).lower().split())
    decomposed = unicodedata.normalize("NFKD", visible(text).casefold())
    # Twice, because NFKD makes new upper case letters out of signs such as U+2122.
    folded = _ACCENTS.sub("", decomposed).casefold().translate(_LETTERS_WITHOUT_DECOMPOSITION)
    return " ".join(unicodedata.normalize("NFC", folded).split())


def tokens(text: str) -> list[str]:
    """Folded words in order; a run of Chinese or Japanese becomes its character bigrams.

    "Ocean's Eleven" gives ocean, eleven; a single Chinese character gives itself.
    """
    words = _WORD.findall(_POSSESSIVE.sub("", fold(text)))
    if text.isascii():
        return words
    return [token for word in words for token in _pieces(word)]


def _pieces(word: str) -> list[str]:
    if not _CJK_CHARACTER.search(word):
        return [word]
    pieces: list[str] = []
    for run in _CJK_OR_NOT.findall(word):
        if len(run) == 1 or not _CJK_CHARACTER.match(run):
            pieces.append(run)
        else:
            pieces.extend(run[i : i + 2] for i in range(len(run) - 1))
    return pieces
