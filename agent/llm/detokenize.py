"""Ids in, text out as it comes: never half a character, never part of a stop string.

Knows nothing of models; `decode` is any function from ids to text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"
"""What decoders put where bytes do not make a character (yet)."""


class TextFlow:
    """Turns a growing list of ids into pieces of text that add up to the final text."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        self._decode = decode
        self._stop = tuple(text for text in stop if text)
        self._ids: list[int] = []
        # Text before `_read` has left `_pending`; ids from `_context` on are decoded again because some
        # tokenizers write a token differently at the beginning of a text.
        self._context = 0
        self._read = 0
        self._held = ""
        self.stopped = False
        """A stop string was met; everything from it on is dropped."""

    def push(self, token: int) -> str:
        """The text that is certain after `token`; "" while a character or a stop string may be under way."""
        self._ids.append(token)
        return self._release(self._decoded())

    def finish(self) -> str:
        """What was held back, without a half character; call once, at the end."""
        before = self._decode(self._ids[self._context : self._read])
        rest = self._decode(self._ids[self._context :])[len(before) :].rstrip(REPLACEMENT)
        text = "" if self.stopped else self._release(rest) + self._held
        self._held = ""
        return text

    def _decoded(self) -> str:
        before = self._decode(self._ids[self._context : self._read])
        now = self._decode(self._ids[self._context :])
        if len(now) <= len(before) or now.endswith(REPLACEMENT):
            return ""
        self._context, self._read = self._read, len(self._ids)
        return now[len(before) :]

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        self._held += text
        cuts = [at for at in (self._held.find(stop) for stop in self._stop) if at >= 0]
        if cuts:
            self.stopped = True
            certain, self._held = self._held[: min(cuts)], ""
            return certain
        keep = max((_overlap(self._held, stop) for stop in self._stop), default=0)
        certain, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return certain


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-size:]):
            return size
    return 0
