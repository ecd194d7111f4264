"""Drafts for speculative decoding: what followed the last time that the same few tokens were written.

A reply copies titles and facts out of its prompt, so the prompt itself guesses well (prompt lookup decoding; Saxena
2023). Knows nothing of models: token ids only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

CLUE_TOKENS: Final = 2
"""So many tokens must have been met before, in this order."""


class Drafts:
    """A text so far (prompt and answer) and where each run of `CLUE_TOKENS` in it ended last."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids: list[int] = []
        self._after: dict[tuple[int, ...], int] = {}
        for token in ids:
            self.add(token)

    def add(self, token: int) -> None:
        """The text goes on with `token`."""
        # Noted with a delay of one token, so that the text's own end is never its clue.
        if len(self._ids) >= CLUE_TOKENS:
            self._after[tuple(self._ids[-CLUE_TOKENS:])] = len(self._ids)
        self._ids.append(token)

    def guess(self, most: int) -> list[int]:
        """At most `most` tokens that may come next; none where there is no clue."""
        at = self._after.get(tuple(self._ids[-CLUE_TOKENS:]))
        return [] if at is None or most < 1 else self._ids[at : at + most]
