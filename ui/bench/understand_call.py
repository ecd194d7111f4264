"""What `chatalogue bench understand` is asked to read. Light: the command line imports it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class UnderstandCall:
    """At most `n` messages of each set; a set whose file is None is left out.

    `redial` and `recquest` are the sets' valid files (items, train and likes beside them), `films` is the catalogue
    over which INSPIRED is read (None: the demo shop). `fit` is the file that takes the table of who wins
    (agent/understand/merging.toml), counted anew on generated dialogues before anything is scored.
    """

    n: int = 400
    adapter: Path | None = None
    redial: Path | None = None
    recquest: Path | None = None
    inspired: Path | None = None
    films: Path | None = None
    fit: Path | None = None

    def options(self) -> str:
        """As typed after the command."""
        given = [(one.name, getattr(self, one.name)) for one in fields(self)]
        return "".join(f" --{name} {value}" for name, value in given if value is not None)
