"""Ctrl-C: the first ends what is done soon, the second at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from finetune.stopping import STOPPING, asked_to_stop


@pytest.fixture(params=["as in a terminal", "as behind a script"])
def before(request: pytest.FixtureRequest) -> Iterator[object]:
    """What Ctrl-C does when a program begins; a shell lets those in its background ignore it."""
    was = signal.getsignal(signal.SIGINT)
    now = signal.default_int_handler if request.param == "as in a terminal" else signal.SIG_IGN
    signal.signal(signal.SIGINT, now)
    yield now
    signal.signal(signal.SIGINT, was)


def test_the_first_is_noted_and_the_second_stops_at_once(before: object) -> None:
    said: list[str] = []
    with asked_to_stop(said.append) as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        assert said == [STOPPING]
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
