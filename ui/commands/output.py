"""Results go to stdout, one way."""

from __future__ import annotations

import sys


def print_result(text: str) -> None:
    """Write `text` and a line end to stdout."""
    sys.stdout.write(text + "\n")
