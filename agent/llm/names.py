"""What an adapter may be called; the one rule of both engines. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Collection

from retrieval.errors import EngineError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_name(name: str, taken: Collection[str] = ()) -> None:
    """Refuse a name that is malformed or was given before: caches are keyed by it.

    Raises:
        EngineError: one sentence.
    """
    if not _NAME.fullmatch(name):
        raise EngineError(f"{name!r} is no adapter name: use up to 64 of a-z, 0-9, '.', '_' and '-'.")
    if name in taken:
        raise EngineError(f"The adapter name {name!r} was used before; names are never used again, choose a new one.")
