"""Other words for what a simulated customer says, by a language model: what is said is fixed, code checks it.

So wording is not ours alone, and yet no value is lost, added or turned round: a phrasing in which one is gives way to
the template's. Knows nothing of conversations.
"""

from __future__ import annotations

import re
import zlib
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from agent.bench.dialogue.words import Act
from agent.llm.protocol import Engine, Limits, Message, Prompt
from retrieval.errors import EngineError
from retrieval.table import ItemTable
from retrieval.text import fold

_SYSTEM = Message(
    "system",
    "You are a customer who writes to a shop. Say the message in other words, in one or two short sentences. "
    "Keep the parts in brackets letter by letter. Add no wish. Write nothing but the message.",
)
EXAMPLES = (
    ("I'd like jazz, please. [jazz]", "Hi there, do you happen to have some jazz?"),
    ("And no more than 20 EUR. [no more than 20 EUR]", "Oh, and it should cost no more than 20 EUR."),
    ("Preferably cosy. [cosy]", "Preferably something cosy."),
)
LIMITS = Limits(max_tokens=48, seconds=30.0, temperature=0.7, stop=("\n",))
MAX_WORDS_MORE = 14
"""A phrasing that is longer than the template by more words tells stories."""

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NO = frozenset("no not never none nothing nobody without except neither nor instead but cannot".split())
_SOFT = frozenset("ideally preferably prefer nice maybe perhaps possible possibly rather might".split())
_SELLER = frozenset("help assist assistant offer offers we our you'd glad happy welcome".split())
"""A small model forgets who it is."""
MAX_VALUE_WORDS = 6
"""Longer values of attributes are not looked for."""


class Phraser(Protocol):
    """Puts an act into words."""

    async def phrase(self, act: Act) -> str:
        """The message that is sent."""
        ...


class AsWritten:
    """The template's words."""

    async def phrase(self, act: Act) -> str:
        """See `Phraser.phrase`."""
        return act.text


class ByModel:
    """The language model's words where they keep the act, else the template's; the same for the same message."""

    def __init__(self, engine: Engine, table: ItemTable) -> None:
        self._engine = engine
        self._values = {
            fold(value)
            for shape in table.shape.attributes.values()
            for value in shape.values or {}
            if len(value.split()) <= MAX_VALUE_WORDS
        }
        self._known: dict[Act, str] = {}

    async def phrase(self, act: Act) -> str:
        """See `Phraser.phrase`.

        An act without values ("show me more") is said as it stands: code could not tell whether other words mean it.
        """
        if not act.keep:
            return act.text
        if act not in self._known:
            said = await self._asked(act)
            self._known[act] = said if keeps(said, act, self._values) else act.text
        return self._known[act]

    async def _asked(self, act: Act) -> str:
        """What the model makes of it; nothing where it fails or does not come to an end."""
        request = Message("user", f"{act.text} [{', '.join(act.keep)}]")
        shown = [one for given, put in EXAMPLES for one in (Message("user", given), Message("assistant", put))]
        limits = replace(LIMITS, seed=zlib.crc32(act.text.encode()))
        said = ""
        try:
            async with aclosing(self._engine.stream(Prompt((_SYSTEM, *shown, request)), limits)) as chunks:
                async for chunk in chunks:
                    said += chunk.text
                    if chunk.finish in ("length", "timeout"):
                        return ""
        except EngineError:
            return ""
        return said.strip().strip('"')


def keeps(said: str, act: Act, values: set[str]) -> bool:
    """Whether other words say what the act says.

    Every part that must stand does; there is no number, no value of the catalogue, no denial and no softening that the
    template has not; and it is a customer's message, not a story.
    """
    new, old = fold(said), fold(act.text)
    new_words, old_words = _WORD.findall(new), _WORD.findall(old)
    if not new_words or len(new_words) > len(old_words) + MAX_WORDS_MORE or any(char in said for char in "[]<>{}"):
        return False
    if not all(_stands(fold(part), new) for part in act.keep):
        return False
    if set(_NUMBER.findall(new)) != set(_NUMBER.findall(old)):
        return False
    if any(_counts(new_words, which) != _counts(old_words, which) for which in (_NO, _SOFT, _SELLER)):
        return False
    return not any(value not in old for value in _values_in(new_words, values))


def _stands(part: str, text: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", text) is not None


def _counts(words: list[str], which: frozenset[str]) -> list[str]:
    return sorted(word for word in words if word in which or (which is _NO and word.endswith(("n't", "n’t"))))


def _values_in(words: list[str], values: set[str]) -> set[str]:
    runs = (words[start : start + n] for n in range(1, MAX_VALUE_WORDS + 1) for start in range(len(words) - n + 1))
    return {" ".join(run) for run in runs} & values
