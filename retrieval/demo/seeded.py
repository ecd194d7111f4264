"""Numbers that look random and never change: a hash of a key and a purpose, no generator state."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def share_of(key: str, purpose: str) -> float:
    """A number in [0, 1) that depends on `key` and `purpose` alone."""
    digest = hashlib.sha256(f"{purpose}\n{key}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def pick(key: str, purpose: str, options: Sequence[T]) -> T:
    """One of `options`, each as likely as the others over many keys."""
    return options[int(share_of(key, purpose) * len(options))]


def between(key: str, purpose: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`, both included."""
    return low + int(share_of(key, purpose) * (high - low + 1))
