"""Which skills of the language model are on: the verdicts of `skills.toml`, with their numbers.

The rule of the house: a learned step is on only where it beats its deterministic stand-in on a
fixed set, by a stated effect, within a latency budget. Knows nothing of how a skill works.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from agent.settings import Skill

SkillName: TypeAlias = Literal["understand", "rank", "reply"]


def is_on(name: SkillName, setting: Skill, switched_on: Collection[SkillName] | None = None) -> bool:
    """Whether a skill runs: the setting where it is not "auto", else the gate's verdict on the adapter that answers.

    `switched_on`: its skills; None where it has no such verdict: then that for the default model counts.
    """
    allowed = verdicts()[name] if switched_on is None else name in switched_on
    return setting == "on" or (setting == "auto" and allowed)


@cache
def verdicts() -> dict[str, bool]:
    """The verdict on each skill, read once."""
    table = tomllib.loads(files("agent").joinpath("skills.toml").read_text(encoding="utf-8"))
    return {name: entry["on"] for name, entry in table.items()}
