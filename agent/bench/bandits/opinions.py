"""What the language model thinks of each visitor's items: asked once for a visit, before anything is chosen, and kept.

Knows nothing of visitors' tastes and of who uses the opinions.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.bench.bandits.visitors import Stream, Visitor
from agent.llm.protocol import Engine
from agent.rank.llm import RankSkill, Way
from retrieval.errors import BadRequest

Array: TypeAlias = NDArray[np.float64]
Say: TypeAlias = Callable[[str], None]

WAY: Way = "titles"
"""Untuned, it put the right item first more often than the other ways (`chatalogue bench rank-skill`)."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """By the name of a visitor one number for each item, higher is better; standardised within the visit.

    `asked` counts the visits asked about in this run, `seconds` what they took; the others were kept.
    """

    by_visitor: Mapping[str, Array]
    asked: int
    seconds: float


class Kept:
    """Opinions in a file, one visit a line; without a file nothing is kept."""

    def __init__(self, file: Path | None) -> None:
        """Read what is there; a last line that was cut off is dropped.

        Raises:
            BadRequest: it cannot be read, or is no such file.
        """
        self._file = file
        self._known: dict[str, tuple[float, ...]] = {}
        if file is None or not file.exists():
            return
        try:
            *lines, cut_off = file.read_text(encoding="utf-8").split("\n")
            if cut_off:
                file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            for line in lines:
                row = json.loads(line)
                self._known[str(row["key"])] = tuple(map(float, row["scores"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadRequest(f"{str(file)!r} holds no opinions ({error}); name another file for --keep.") from None

    def find(self, key: str) -> tuple[float, ...] | None:
        """The numbers of that visit."""
        return self._known.get(key)

    def add(self, key: str, scores: Sequence[float]) -> None:
        """Write them down at once.

        Raises:
            BadRequest: the file cannot be written.
        """
        self._known[key] = tuple(scores)
        if self._file is None:
            return
        try:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "scores": [round(one, 5) for one in scores]}) + "\n")
        except OSError as error:
            raise BadRequest(f"{str(self._file)!r} cannot be written ({error.strerror}); name another.") from None


def asking(engine: Engine) -> RankSkill:
    """The skill for `opinions_of`; one for all streams: how likely a title is anyway is asked once."""
    return RankSkill(engine, way=WAY, seconds=None)


async def opinions_of(stream: Stream, skill: RankSkill, model: str, kept: Kept, until: float, say: Say) -> Opinions:
    """Ask about every visit that is not kept, as long as there is time.

    Args:
        stream: of visitors.
        skill: see `asking`.
        model: the engine's, with its adapter: opinions of another one are not these.
        kept: opinions of earlier runs; new ones are added.
        until: `time.monotonic()` after which nobody is asked any more.
        say: hears of the progress.
    """
    found: dict[str, Array] = {}
    asked, started = 0, time.monotonic()
    for visitor in stream.visitors:
        key = _key(model, visitor)
        scores = kept.find(key)
        if scores is None and time.monotonic() < until:
            scores = await skill.score(visitor.words, visitor.items)
            if scores is not None:
                kept.add(key, scores)
                asked += 1
                if asked % 25 == 0:
                    say(f"{stream.name}: {asked} visits asked about in {time.monotonic() - started:.0f} s")
        if scores is not None:
            found[visitor.name] = _standard(np.array(scores))
    return Opinions(found, asked, round(time.monotonic() - started, 1))


def _standard(scores: Array) -> Array:
    deviation = scores.std()
    standard: Array = (scores - scores.mean()) / (deviation if deviation > 0 else 1.0)
    return standard


def _key(model: str, visitor: Visitor) -> str:
    told = json.dumps([model, WAY, visitor.words, [[item.id, item.title] for item in visitor.items]])
    return hashlib.sha256(told.encode()).hexdigest()[:24]
