"""Whether somebody asked a training to stop: Ctrl-C or SIGTERM. Knows nothing of what is trained."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

STOPPING = "stopping after this step, with the adapter of the best checkpoint so far; again to stop at once"


ENDS: Final[dict[signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers]] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""What stops at once."""


class AskedToStop(Exception):
    """Somebody asked to stop where there is no step to end first; what was done so far is on disk."""


@contextmanager
def asked_to_stop(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Whether a signal came, told once with `say`; the second time it does what it always does.

    Whoever begins a program in the background of a script may have it ignore Ctrl-C: even then the second one stops it.
    """
    asked: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDS}

    def note(number: int, frame: object) -> None:
        asked.append(number)
        say(STOPPING)
        for one, always in before.items():
            signal.signal(one, ENDS[one] if always in (signal.SIG_IGN, None) else always)

    for number in ENDS:
        signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for one, always in before.items():
            signal.signal(one, always)
