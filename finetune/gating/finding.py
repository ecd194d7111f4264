"""What a rule hands back: its figures and what it compared, or the reason why it refuses without any."""

from __future__ import annotations

from dataclasses import dataclass

from finetune.gating.intervals import Interval
from finetune.gating.types import Bound, Figure, Side


class Refused(Exception):
    """A rule refuses, and the reason is no number; the text goes on after "because"."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule measured. `note` says what a person should know besides, "" for nothing."""

    figures: tuple[Figure, ...]
    compared: str
    note: str = ""


def figure(
    name: str,
    found: Interval,
    bound: Bound,
    threshold: float,
    on: Side = "value",
    candidate: float | None = None,
    champion: float | None = None,
) -> Figure:
    """`found` against a threshold."""
    return Figure(name, found.value, found.low, found.high, found.n, bound, threshold, on, candidate, champion)
