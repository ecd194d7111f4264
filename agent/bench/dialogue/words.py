"""How a simulated customer talks: templates with paraphrases, English, for attributes of any catalogue.

Knows nothing of conversations: a wish goes in, words come out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

import numpy as np

from agent.bench.dialogue.needs import Wish
from agent.wording import in_minutes
from retrieval.shape import CatalogueShape
from retrieval.text import fold

T = TypeVar("T")

ActKind: TypeAlias = Literal[
    "opens", "repeats all", "changes", "insists", "adds", "answers", "reveals", "has no preference", "wants others"
]
"""What a customer does by a message. "reveals" is the answer with a wish that is never said unasked."""

OPENINGS: Final = ("I'm looking for {}.", "Do you have {}?", "I'd like {}, please.", "Can you recommend {}?", "{}")
ALSO: Final = ("Also {}, please.", "And {}.", "It has to be {}.", "{}, please.")
IDEALLY: Final = ("Ideally {}.", "Preferably {}.", "{} would be nice.")
INSTEAD: Final = (
    (", not ", "Sorry, I meant ", "."),
    (" instead of ", "Actually, ", "."),
    (", not ", "Make it ", "."),
)
"""What stands between the new wish and the old one, before them, after them."""
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


@dataclass(frozen=True, slots=True)
class Act:
    """One message of a customer. `keep`: what stands in it however it is put; empty: it is said as it stands."""

    kind: ActKind
    text: str
    keep: tuple[str, ...] = ()


class Words:
    """One customer's words; `random` picks among paraphrases."""

    def __init__(self, shape: CatalogueShape, random: np.random.Generator) -> None:
        self._shape = shape
        self._random = random

    def pick(self, templates: Sequence[T]) -> T:
        """One of them."""
        return templates[int(self._random.integers(len(templates)))]

    def opening(self, wishes: Sequence[Wish], kind: ActKind = "opens") -> Act:
        """A first message, or all wishes over again: the hard ones, which come first, then each soft one."""
        firm, soft = [one for one in wishes if one.hard], [one for one in wishes if not one.hard]
        thing = "" if firm[0].op == "eq" and firm[0].attribute not in _FIELDS else "something "
        said = tuple(self.phrase(one) for one in firm)
        first = _sentence(self.pick(OPENINGS).format(thing + " and ".join(said)))
        also = [self.more(one, kind) for one in soft]
        first += "." if also and first[-1] not in ".?" else ""
        keep = (*said, *(part for one in also for part in one.keep))
        return Act(kind, " ".join([first, *(one.text for one in also)]), keep)

    def more(self, wish: Wish, kind: ActKind = "adds") -> Act:
        """A further wish, as firm as it is."""
        return self._put(ALSO if wish.hard else IDEALLY, self.phrase(wish), kind)

    def instead(self, old: Wish, new: Wish) -> Act:
        """A change of mind; which is wished and which is not must not be turned round."""
        middle, before, after = self.pick(INSTEAD)
        swap = f"{self.phrase(new)}{middle}{self.phrase(old)}"
        return Act("changes", _sentence(f"{before}{swap}{after}"), (swap,))

    def again(self, wish: Wish) -> Act:
        """A wish that was not heeded."""
        return self._put(AGAIN, self.phrase(wish), "insists")

    def answer(self, wish: Wish, kind: ActKind) -> Act:
        """The wish and nothing else, after a question about it."""
        said = self.phrase(wish)
        return Act(kind, said, (said,))

    def _put(self, templates: Sequence[str], said: str, kind: ActKind) -> Act:
        return Act(kind, _sentence(self.pick(templates).format(said)), (said,))

    def phrase(self, wish: Wish) -> str:
        """The wish in a few words."""
        if isinstance(wish.value, str):
            return self._value(wish, wish.value)
        return self._bound(wish, f"{wish.value:.10g}")

    def _value(self, wish: Wish, value: str) -> str:
        if wish.attribute in _FIELDS:
            return self.pick(("no {}", "not {}") if wish.op == "ne" else _FIELDS[wish.attribute]).format(value)
        shapes = self._shape.attributes.values()
        shared = sum(any(fold(one) == fold(value) for one in shape.values or ()) for shape in shapes) > 1
        said = f"{_label(wish.attribute)} {value}" if shared or value in ("yes", "no") else value
        return self.pick(("no {}", "not {}")).format(said) if wish.op == "ne" else said

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
