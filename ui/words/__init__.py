"""Words of the interface, from one catalogue a language (`en.toml`, `zh.toml`).

Only what stands on the page itself: the words of answers come from `agent.messages`. Knows nothing
of where a word is drawn.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

from agent.understand.types import Language


class Words:
    """The interface words of one language; an unknown key is a programming error (KeyError)."""

    def __init__(self, language: Language, table: Mapping[str, str]) -> None:
        self.language = language
        self._table = table

    def __call__(self, key: str, **fields: object) -> str:
        """The words at `key` ("section.name") with their fields filled in."""
        return self._table[key].format(**fields)

    def section(self, name: str) -> list[str]:
        """All words of a section in the order of the catalogue."""
        return [text for key, text in self._table.items() if key.startswith(f"{name}.")]

    def keys(self) -> frozenset[str]:
        """Every key: the same in each language (a test checks)."""
        return frozenset(self._table)


@cache
def words_in(language: Language) -> Words:
    """The catalogue of `language`, read once."""
    raw = tomllib.loads(files("ui.words").joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    return Words(
        language, {f"{section}.{name}": text for section, entries in raw.items() for name, text in entries.items()}
    )


def choose_language(setting: Literal["auto", "en", "zh"], accept_language: str) -> Language:
    """The interface language: the setting's, else the first we have of an Accept-Language header, else English."""
    if setting != "auto":
        return setting
    wanted: list[tuple[float, Language]] = []
    for part in accept_language.split(","):
        tag, _, weight = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        if primary == "en" or primary == "zh":
            wanted.append((_quality(weight), "zh" if primary == "zh" else "en"))
    # max keeps the first of equals, which is the order that the browser meant
    return max(wanted, key=lambda entry: entry[0], default=(0.0, "en"))[1]


def _quality(weight: str) -> float:
    try:
        return float(weight.strip().removeprefix("q="))
    except ValueError:
        return 1.0
