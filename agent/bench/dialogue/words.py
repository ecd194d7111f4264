"""How a simulated customer talks: templates with paraphrases, English, for attributes of any catalogue.

Knows nothing of conversations: a wish goes in, words come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from agent.bench.dialogue.needs import Wish
from agent.wording import in_minutes
from retrieval.shape import CatalogueShape

OPENINGS: Final = ("I'm looking for {}.", "Do you have {}?", "I'd like {}, please.", "Can you recommend {}?", "{}")
ALSO: Final = ("Also {}, please.", "And {}.", "It has to be {}.", "{}, please.")
IDEALLY: Final = ("Ideally {}.", "Preferably {}.", "{} would be nice.")
INSTEAD: Final = ("Sorry, I meant {new}, not {old}.", "Actually, {new} instead of {old}.", "Make it {new}, not {old}.")
AGAIN: Final = ("I said {}.", "Please, {}.", "I need {}.")
ELSE: Final = ("Something else, please.", "Show me more.", "None of these. What else do you have?", "More options?")
ANY: Final = ("I don't mind.", "No preference.", "Any is fine.")
_FIELDS: Final = {
    "director": ("directed by {}",),
    "cast": ("with {}", "starring {}"),
    "author": ("by {}", "written by {}"),
    "country": ("from {}", "made in {}"),
    "language": ("in {}",),
}
"""Of attributes that people do not name by their value alone; others are: "comedy"."""


class Words:
    """One customer's words; `random` picks among paraphrases."""

    def __init__(self, shape: CatalogueShape, random: np.random.Generator) -> None:
        self._shape = shape
        self._random = random

    def pick(self, templates: Sequence[str]) -> str:
        """One of them."""
        return templates[int(self._random.integers(len(templates)))]

    def opening(self, wishes: Sequence[Wish]) -> str:
        """A first message, or all wishes over again."""
        first = wishes[0]
        thing = "" if first.op == "eq" and first.attribute not in _FIELDS else "something "
        return _sentence(self.pick(OPENINGS).format(thing + " and ".join(map(self.phrase, wishes))))

    def more(self, wish: Wish) -> str:
        """A further wish, as firm as it is."""
        return _sentence(self.pick(ALSO if wish.hard else IDEALLY).format(self.phrase(wish)))

    def instead(self, old: Wish, new: Wish) -> str:
        """A change of mind."""
        return _sentence(self.pick(INSTEAD).format(old=self.phrase(old), new=self.phrase(new)))

    def again(self, wish: Wish) -> str:
        """A wish that was not heeded."""
        return _sentence(self.pick(AGAIN).format(self.phrase(wish)))

    def phrase(self, wish: Wish) -> str:
        """The wish in a few words."""
        if isinstance(wish.value, str):
            return self._value(wish, wish.value)
        return self._bound(wish, f"{wish.value:.10g}")

    def _value(self, wish: Wish, value: str) -> str:
        if wish.op == "ne":
            return self.pick(("no {}", "not {}")).format(value)
        if wish.attribute in _FIELDS:
            return self.pick(_FIELDS[wish.attribute]).format(value)
        shapes = self._shape.attributes.values()
        shared = sum(value in (shape.values or {}) for shape in shapes) > 1
        return f"{_label(wish.attribute)} {value}" if shared or value in ("yes", "no") else value

    def _bound(self, wish: Wish, number: str) -> str:
        most = wish.op == "le"
        if wish.attribute == "price":
            unit = self._shape.currency or ""
            return self.pick(("{} at most", "no more than {}", "up to {}")).format(f"{number} {unit}".strip())
        if wish.attribute.endswith("year"):
            templates = ("from {} or earlier", "no later than {}") if most else ("from {} or later", "since {}")
            return self.pick(templates).format(number)
        if in_minutes(wish.attribute):
            return f"{'at most' if most else 'at least'} {number} minutes long"
        return f"{_label(wish.attribute)} {'at most' if most else 'at least'} {number}"


def _label(attribute: str) -> str:
    return attribute.replace("_", " ")


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
