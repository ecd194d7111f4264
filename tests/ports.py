"""Ports for servers that a test starts, stops and starts again: none that the system itself would give to anybody."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

FIRST, EACH = 20_000, 1_500
"""Below those that Linux hands out (from 32768 on), where another program is given the port before the server has it.

Each process of a test run has so many of its own.
"""


def free_port() -> int:
    """A port of loopback that nobody listens on, another one each time."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError("no port is free")


def _own() -> Iterator[int]:
    first = FIRST + EACH * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8)
    begin = random.randrange(EACH)  # noqa: S311 - another run of tests may be beside this one
    while True:
        yield from range(first + begin, first + EACH)
        begin = 0


_ports = _own()
