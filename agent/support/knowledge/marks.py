"""What an article says of itself, as files have it: date, language, whether its words are to be used as they are."""

from __future__ import annotations

import re

from retrieval.text import visible

MAX_DATE_CHARS = 40
_YES = frozenset({"true", "yes", "1", "x", "exact"})
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}(?=[T ])")
_LANGUAGE = re.compile(r"([a-zA-Z]{2,3})(?:[-_][\w-]+)?")


def said_yes(value: str) -> bool:
    """Whether a mark is set."""
    return value.strip().lower() in _YES


def date_of(value: str) -> str:
    """A date as it is shown: the day of a time, else what was written."""
    value = " ".join(visible(value).split()).strip("\"'")
    day = _DAY.match(value)
    return day[0] if day else value[:MAX_DATE_CHARS]


def language_code(value: str) -> str:
    """The code of a language tag ("en-US", "zh_CN"); "" for anything else."""
    match = _LANGUAGE.fullmatch(value.strip())
    return match[1].lower() if match else ""
