"""What people do to words when they type: slips, no capitals, chat spelling. Knows nothing of meanings.

Every function maps a piece of text to a piece of text, so that the words that say a fact stay known.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

T = TypeVar("T")
MIN_TYPO_CHARS = 6
"""Shorter words become other words too easily."""
_WORD = re.compile(r"[A-Za-z]+")
_CHAT = {
    "you": "u", "please": "pls", "something": "smth", "are": "r", "your": "ur", "thanks": "thx", "because": "cuz",
    "anything": "anythin", "looking": "lookin", "okay": "k", "want": "wanna have", "people": "ppl", "about": "abt",
}  # fmt: skip
_BEFORE = ("hi, ", "hey ", "um, ", "so ", "hello! ", "well, ", "ok so ", "hmm ")
_AFTER = (" thanks", " :)", " ty", " lol", "...", " cheers", "!!")


@dataclass(frozen=True, slots=True)
class Noise:
    """How often a message suffers: shares of messages, `typo` of long words."""

    typo: float = 0.02
    lower: float = 0.35
    bare: float = 0.35
    chat: float = 0.12
    filler: float = 0.2


CLEAN = Noise(0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class Dice:
    """A seeded source of choices."""

    seed: Sequence[int]
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(list(self.seed))

    def pick(self, choices: Sequence[T]) -> T:
        """One of `choices`, each as likely; there must be one."""
        return choices[int(self.random.integers(len(choices)))]

    def chance(self, share: float) -> bool:
        """True in `share` of the cases."""
        return bool(self.random.random() < share)


def disturb(pieces: Sequence[str], noise: Noise, dice: Dice) -> list[str]:
    """The pieces of one message as typed; as many as before, a filler belongs to the first or the last."""
    done = [_slips(piece, noise.typo, dice) for piece in pieces]
    if dice.chance(noise.chat):
        done = [_WORD.sub(lambda word: _CHAT.get(word.group().lower(), word.group()), piece) for piece in done]
    if dice.chance(noise.lower):
        done = [piece.lower() for piece in done]
    if dice.chance(noise.bare):
        done = [re.sub(r"(?<=\w)['’](?=\w)|[!?](?=\s|$)|\.(?=\s*$)", "", piece) for piece in done]
    if dice.chance(noise.filler):
        if dice.chance(0.6):
            done[0] = dice.pick(_BEFORE) + done[0]
        else:
            done[-1] += dice.pick(_AFTER)
    return done


def _slips(text: str, share: float, dice: Dice) -> str:
    def slip(found: re.Match[str]) -> str:
        word = found.group()
        if len(word) < MIN_TYPO_CHARS or not dice.chance(share):
            return word
        at = 1 + int(dice.random.integers(len(word) - 2))  # first letters are seldom wrong
        swapped = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        return dice.pick((swapped, word[:at] + word[at + 1 :], word[:at] + word[at] + word[at:]))

    return _WORD.sub(slip, text)
