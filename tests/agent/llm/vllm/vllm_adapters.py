"""Three adapters of SmolLM2 and what PEFT says of them; made once for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.llm.probe import Probe


@dataclass(frozen=True, slots=True)
class Versions:
    """By the letters a, b, c; "a" has no probe.json beside it, so that one is made when it is loaded."""

    folders: Mapping[str, Path]
    probes: Mapping[str, Probe]
