"""Sets a title into a box without asking a font: estimated widths, wrapping, sizes; and makes text safe for XML.

Widths are estimates for bold letters of common fonts, on the wide side. East Asian characters count as squares and may
break anywhere.
"""

from __future__ import annotations

import html
import unicodedata

CLEAR = "'Helvetica Neue',Helvetica,Arial,'Noto Sans CJK SC','PingFang SC','Microsoft YaHei',sans-serif"
"""Font stack without serifs; names only, nothing is fetched."""

SIZES_AND_LINES = ((54, 2), (48, 3), (42, 4), (36, 4), (31, 5), (27, 6), (23, 7))
"""Title sizes from large to small, each with the most lines that leave room for the drawing."""

MAX_TITLE_CHARS = 300

_NARROW = frozenset("iljtfrI.,:;'!|()[]- ")
_WIDE = frozenset("mwMW@%&—")


def clean(text: str) -> str:
    """One line that XML 1.0 may hold: no control, surrogate or non-character, white space runs become one blank."""
    kept = (
        " " if char.isspace() else char
        for char in text[:MAX_TITLE_CHARS]
        if char.isspace() or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Cn", "Co")
    )
    return " ".join("".join(kept).split())


def svg_text(text: str) -> str:
    """Escaped for element content and for attributes."""
    return html.escape(text, quote=True)


def text_width(text: str, size: float, *, spacing: float = 0.0) -> float:
    """Estimated width in the units of `size`."""
    return sum(_em(char) * size + spacing for char in text)


def fit_title(title: str, width: float) -> tuple[list[str], int]:
    """Lines and the largest size at which they fit; the last line of a title without end gets an ellipsis."""
    for size, most in SIZES_AND_LINES:
        if any(text_width(word, size) > width for word in _words(title)) and size > SIZES_AND_LINES[-1][0]:
            continue
        lines = wrap(title, size, width)
        if len(lines) <= most:
            return _balanced(title, lines, size, width), size
    size, most = SIZES_AND_LINES[-1]
    lines = wrap(title, size, width)[:most]
    lines[-1] = shorten(lines[-1] + " …", MAX_TITLE_CHARS, size, width=width)
    return lines, size


def wrap(text: str, size: float, width: float) -> list[str]:
    """Greedy lines; a word wider than a line is cut."""
    lines: list[str] = []
    line = ""
    for word in _words(text):
        joined = line + word if not line or _is_square(word[0]) or _is_square(line[-1]) else f"{line} {word}"
        if text_width(joined, size) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        line = word
        while text_width(line, size) > width:
            cut = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or text_width(line[:n], size) <= width)
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line] if line else lines


def shorten(text: str, most: int, size: float, *, spacing: float = 0.0, width: float) -> str:
    """The text, or its beginning with an ellipsis: at most `most` characters and `width` units."""
    if len(text) <= most and text_width(text, size, spacing=spacing) <= width:
        return text
    kept = text[: most - 1]
    while kept and text_width(kept + "…", size, spacing=spacing) > width:
        kept = kept[:-1]
    return kept.rstrip(" …") + "…"


def _balanced(title: str, lines: list[str], size: float, width: float) -> list[str]:
    """The narrowest setting with as many lines: no single short word is left alone at the end."""
    best = lines
    narrower = width
    while len(lines) > 1 and narrower > width * 0.55:
        narrower -= width * 0.04
        tried = wrap(title, size, narrower)
        if len(tried) != len(lines) or any(text_width(line, size) > narrower for line in tried):
            break
        if "".join(tried).replace(" ", "") != title.replace(" ", "") or _cuts_words(title, tried):
            break
        best = tried
    return best


def _cuts_words(title: str, lines: list[str]) -> bool:
    words = set(_words(title))
    return any(word not in words for line in lines for word in _words(line))


def _words(text: str) -> list[str]:
    """Words to wrap by; every East Asian character is a word."""
    words: list[str] = []
    for chunk in text.split():
        run = ""
        for char in chunk:
            if _is_square(char):
                words += [run] if run else []
                words.append(char)
                run = ""
            else:
                run += char
        words += [run] if run else []
    return words


def _is_square(char: str) -> bool:
    return unicodedata.east_asian_width(char) in ("W", "F")


def _em(char: str) -> float:
    if _is_square(char):
        return 1.0
    if unicodedata.combining(char):
        return 0.0
    if char in _NARROW:
        return 0.34
    if char in _WIDE:
        return 0.92
    return 0.74 if char.isupper() else 0.58
