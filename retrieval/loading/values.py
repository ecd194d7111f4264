"""One cell of a catalogue file to one typed value: numbers, texts, lists, years, stock, links.

Each function answers None where the cell does not say. Knows nothing of columns, rows or items. Prices: prices.py.
"""

from __future__ import annotations

import ast
import json
import math
import re
from decimal import Decimal
from typing import Final

from retrieval.loading.clean import clean_line

MAX_CELL_CHARS: Final = 200_000
"""A cell that looks like a list is parsed up to this length; beyond it is a text."""
MAX_URL_CHARS: Final = 2_000
MAX_EXACT_DIGITS: Final = 15
"""Longer runs of digits are codes (a barcode), and a float would not keep them."""

NAME_KEYS: Final = ("name", "title", "label", "value", "text")
"""Where an object inside a list says what it is called: `[{"id": 28, "name": "Action"}]`."""

MISSING_WORDS: Final = frozenset(("nan", "NaN", "NULL", "null", "N/A", "n/a", "#N/A", "<NA>", "[]", "{}"))
YES_WORDS: Final = frozenset(("true", "yes", "y"))
NO_WORDS: Final = frozenset(("false", "no", "n"))

_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_YEAR = re.compile(r"\d{4}")
_DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}(?:[-/.]\d{1,2})?(?:[T ]\d{1,2}:\d{2}.{0,20})?"
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}"
    r"|(?:\d{1,2}\.? )?[A-Z][a-z]{2,8}\.?(?: \d{1,2})?,? \d{4}"
)
_URL = re.compile(r"https?://[^\s/]+\S*", re.IGNORECASE)
_OUT_OF_STOCK = re.compile(
    r"\b(?:out[\s_-]*of[\s_-]*stock|outofstock|sold[\s_-]*out|unavailable|not[\s_-]+(?:available|in[\s_-]*stock)"
    r"|discontinued|no[\s_-]+stock)\b|缺货|售罄|无货"
)
_IN_STOCK = re.compile(
    r"\b(?:in[\s_-]*stock|instock|low[\s_-]*stock|limited[\s_-]*(?:stock|availability)|available|only \d+ left"
    r"|few left)\b|有货|现货"
)


def is_missing(value: object) -> bool:
    """Whether the cell holds nothing: null, NaN, blank, an empty list or object, or a word for "nothing"."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value in MISSING_WORDS or value.isspace()
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, Decimal):
        return value.is_nan()
    return isinstance(value, list | tuple | dict) and not value


def to_number(value: object, *, decimal_comma: bool = False) -> float | None:
    """A finite float; None for anything else, booleans and codes such as "007" too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float | Decimal):
        try:
            number = float(value)
        except OverflowError:
            return None
        return number if math.isfinite(number) else None
    if isinstance(value, str):
        return _number_of_text(value.strip(), decimal_comma=decimal_comma)
    return None


def _number_of_text(text: str, *, decimal_comma: bool) -> float | None:
    if _LEADING_ZERO.match(text):
        return None
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif not decimal_comma and _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    elif not _NUMBER.fullmatch(text) or (text.isdigit() and len(text) > MAX_EXACT_DIGITS):
        return None
    number = float(text)
    return number if math.isfinite(number) else None


def to_text(value: object) -> str | None:
    """The cell in words: booleans "yes" / "no", whole numbers without ".0", lists joined by ", "."""
    if is_missing(value):
        return None
    if isinstance(value, str):
        return clean_line(value) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | Decimal):
        number = to_number(value)
        return None if number is None else (str(int(number)) if number.is_integer() else f"{number:.12g}")
    if isinstance(value, list | tuple):
        return ", ".join(to_list(value) or ()) or None
    return None


def to_yes_no(value: object) -> str | None:
    """A boolean or one of its words as "yes" or "no"; None for anything else."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in YES_WORDS:
        return "yes"
    return "no" if word in NO_WORDS else None


def parse_cell(text: str) -> list[object] | dict[str, object] | None:
    """What a cell holds that was written as JSON or as a Python literal; None where it is plain text."""
    if not text or text[0] not in "[{" or text[-1] not in "]}" or len(text) > MAX_CELL_CHARS:
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue  # not this notation; the next one, or plain text
        if isinstance(value, list | dict):
            return value
    return None


def to_list(value: object, separator: str | None = None) -> tuple[str, ...] | None:
    """A list of texts without repeats, in order; a lone value is a list of one.

    Args:
        value: a list (its objects give their name), a cell that holds a list in JSON or Python notation, or a text.
        separator: parts a text that is not such a list; None keeps it whole.
    """
    if isinstance(value, str):
        parsed = parse_cell(value.strip())
        parts: list[object] = (
            parsed if isinstance(parsed, list) else list(value.split(separator) if separator else [value])
        )
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        parts = [value]
    texts = (to_text(_name_of(part)) for part in parts)
    return tuple(dict.fromkeys(text for text in texts if text)) or None


def _name_of(part: object) -> object:
    if isinstance(part, dict):
        return next((part[key] for key in NAME_KEYS if isinstance(part.get(key), str)), None)
    return part if isinstance(part, str | bool | int | float | Decimal) else None


def has_names(part: object) -> bool:
    """Whether an element of a list can be said in a word: a plain value, or an object with a name."""
    return _name_of(part) is not None


def is_date(text: str) -> bool:
    """Whether the text is a calendar date ("2009-12-10", "12/31/1999", "May 4, 1977")."""
    return len(text) < 50 and _DATE.fullmatch(text) is not None


def to_year(value: object) -> float | None:
    """The year of a date or a year itself, 1000 to 2999."""
    if isinstance(value, str):
        found = [int(year) for year in _YEAR.findall(value[:50])]
        return next((float(year) for year in found if 1000 <= year < 3000), None)
    number = to_number(value)
    return number if number is not None and number.is_integer() and 1000 <= number < 3000 else None


def to_stock(value: object) -> bool | None:
    """Whether the item can be had: a flag, a quantity, or words such as "Low Stock" and "Sold out"."""
    if isinstance(value, bool):
        return value
    number = to_number(value)
    if number is not None:
        return number > 0
    if not isinstance(value, str):
        return None
    text = value.strip().lower().rsplit("/", 1)[-1]  # "https://schema.org/InStock"
    yes_no = to_yes_no(text)
    if yes_no is not None:
        return yes_no == "yes"
    if _OUT_OF_STOCK.search(text):
        return False
    return True if _IN_STOCK.search(text) else None


def is_url(text: str) -> bool:
    """Whether the text is a link of the web, and nothing else."""
    return _URL.fullmatch(text) is not None


def to_url(value: object) -> str | None:
    """A web link or a path on the shop's own site; None for `javascript:` and all that a page must not follow."""
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    own_path = text.startswith("/") and not text.startswith(("//", "/\\")) and " " not in text
    fits = len(text) <= MAX_URL_CHARS and clean_line(text) == text
    return text if fits and (own_path or is_url(text)) else None
