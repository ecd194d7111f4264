"""Which skills of the language model are on: the verdicts of `skills.toml`, with their numbers.

The rule of the house: a learned step is on only where it beats its deterministic stand-in on a
fixed set, by a stated effect, within a latency budget. Knows nothing of how a skill works.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Skills:
    """`understand`: the model confirms and adds facts. `reply`: the model writes about the first item."""

    understand: bool
    reply: bool


@cache
def verdicts() -> Skills:
    """The verdicts for the default model, read once."""
    table = tomllib.loads(files("agent").joinpath("skills.toml").read_text(encoding="utf-8"))
    return Skills(understand=table["understand"]["on"], reply=table["reply"]["on"])
