"""Words shown to people, from one catalogue a language (`en.toml`, `zh.toml`).

Knows nothing of when a message is said.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from agent.understand.types import Language


class Messages:
    """The messages of one language; unknown keys are a programming error (KeyError)."""

    def __init__(self, language: Language, table: Mapping[str, str]) -> None:
        self.language = language
        self._table = table

    def text(self, key: str, **fields: object) -> str:
        """The message `key` ("section.name") with its fields filled in."""
        return self._table[key].format(**fields)

    def has(self, key: str) -> bool:
        """Whether the catalogue has `key`: used where a domain may lack its own word."""
        return key in self._table

    def label(self, attribute: str) -> str:
        """The name of a catalogue attribute for people; its own name in words where we have none."""
        return self._table.get(f"label.{attribute}", attribute.replace("_", " "))

    def language_name(self, code: str) -> str:
        """The name of a language ("de") for people; the code where we have none."""
        return self._table.get(f"language.{code}", code)


@cache
def messages(language: Language) -> Messages:
    """The catalogue of `language`, read once."""
    raw = tomllib.loads(files("agent.messages").joinpath(f"{language}.toml").read_text(encoding="utf-8"))
    table = {f"{section}.{name}": text for section, entries in raw.items() for name, text in entries.items()}
    return Messages(language, table)
