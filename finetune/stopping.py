"""Whether somebody asked a training to stop: Ctrl-C or SIGTERM. Knows nothing of what is trained."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STOPPING = "stopping after this step, with the adapter of the best checkpoint so far; again to stop at once"


@contextmanager
def asked_to_stop(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Whether a signal came, told once with `say`; the second time it does what it always does."""
    asked: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def note(number: int, frame: object) -> None:
        asked.append(number)
        say(STOPPING)
        for one in numbers:
            signal.signal(one, before[one])

    for number in numbers:
        signal.signal(number, note)
    try:
        yield lambda: bool(asked)
    finally:
        for number in numbers:
            signal.signal(number, before[number])
