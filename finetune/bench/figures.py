"""What the benchmark of learning came to: the cells as they are kept, and the arithmetic of forgetting over them.

Accuracies are shares, differences are in the same unit (0.01 is a point). Backward transfer and average accuracy as by
Lopez-Paz and Ranzato 2017 (GEM, arXiv 1706.08840). Knows no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from agent.rank.intervals import Interval, intervals

NOTHING = "none"
"""The method that learns nothing."""
RECORDED = "dialogues"
"""The stream of recorded dialogues: seeds draw from the same ones, while other streams are made anew for each seed."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cell(_Frozen):
    """What was known after a block.

    Attributes:
        stream: its name.
        method: how was learned; `NOTHING` has one cell, of block 0.
        seed: of the stream and of the training.
        block: after which, from 1; 0: before the first.
        right: by the number of the block asked about: 1 or 0 for each question.
        anchors: the same of the anchor questions; () where they were not asked.
        chat: loss of each answer of general chat, nats a token.
        kl: from the champion of the block before, nats a token of general chat.
        drift: the same from the first champion.
        tokens: computed in training.
        seconds: of the training's steps.
        steps: of the training.
    """

    stream: str
    method: str
    seed: int
    block: int
    right: dict[int, list[int]]
    anchors: list[int] = []
    chat: list[float] = []
    kl: float = 0.0
    drift: float = 0.0
    tokens: int = 0
    seconds: float = 0.0
    steps: int = 0


class Crossing(_Frozen):
    """What is known of `asked` changed so much while `learned` was learned."""

    asked: str
    learned: str
    change: Interval


class MethodFigures(_Frozen):
    """Of one method on one stream.

    Attributes:
        method: its name.
        seeds: how many of them are finished.
        matrix: accuracy on block j after block i, (blocks + 1) rows from "before the first"; None: not asked.
        average: accuracy over all blocks after the last one.
        backward: what blocks but the last lost (below 0) or gained since they were learned.
        next_gain: accuracy on the block to come, against no learning.
        own_gain: accuracy on the block just learned, against no learning.
        anchors: change of what the first champion could do.
        chat: change of the loss of general chat, nats a token.
        kl: mean of a block.
        drift: after the last block.
        crossings: from domain to domain; () where there is one.
        tokens: of training, mean of a seed.
        seconds: the same.
    """

    method: str
    seeds: int
    matrix: list[list[float | None]]
    average: Interval
    backward: Interval | None = None
    next_gain: Interval | None = None
    own_gain: Interval | None = None
    anchors: Interval | None = None
    chat: Interval | None = None
    kl: float = 0.0
    drift: float = 0.0
    crossings: list[Crossing] = []
    tokens: float = 0.0
    seconds: float = 0.0


class StreamFigures(_Frozen):
    """One stream: `domains` of its blocks in their order, questions of a block and of the anchors, and the methods."""

    name: str
    domains: list[str]
    learn: int
    test: int
    anchors: int
    before: float
    methods: list[MethodFigures]


class Pace(_Frozen):
    """Rows a second of one way to train on the same rows, and of a second of processor time."""

    name: str
    rows_per_s: float
    rows_per_cpu_s: float
    tokens_per_s: float


class LearningReport(_Frozen):
    """All of it; `missing` names cells that were asked for and not measured yet."""

    model: str
    recipe: dict[str, float]
    streams: list[StreamFigures]
    missing: list[str] = []
    paces: list[Pace] = []
    pace_rows: int = 0


class Outcome:
    """The finished cells of one method and seed on one stream, with those of no learning beside them.

    Args:
        cells: of the method, by block, complete.
        nothing: the cell of no learning on the same questions.
        groups: for each block asked about, the group of each of its questions.
    """

    def __init__(self, cells: Mapping[int, Cell], nothing: Cell, groups: Mapping[int, Sequence[str]]) -> None:
        self.cells, self.nothing, self.groups = cells, nothing, groups
        self.last = max(groups)

    def right(self, after: int, asked: int) -> list[int] | None:
        """On block `asked` after block `after`; 0: before the first. None: not asked."""
        if after == 0 or not self.cells:
            return self.nothing.right.get(asked)
        return self.cells[after].right.get(asked)

    def difference(self, asked: int, after: int, before: int | None) -> list[tuple[float, str]]:
        """Of each question about a block, with its group: after `after` less after `before`; None: less nothing."""
        first = [0] * len(self.groups[asked]) if before is None else self.right(before, asked)
        second = self.right(after, asked)
        if first is None or second is None:
            return []
        made_for = "" if self.nothing.stream == RECORDED else f"{self.nothing.seed} "
        return [
            (float(late - early), f"{made_for}{group}")
            for early, late, group in zip(first, second, self.groups[asked], strict=True)
        ]


def method_figures(method: str, outcomes: Sequence[Outcome], domains: Sequence[str]) -> MethodFigures:
    """Over the seeds of a method, at least one.

    Args:
        method: its name.
        outcomes: of each seed.
        domains: of the blocks, in their order.
    """
    learned = method != NOTHING
    blocks = range(1, outcomes[0].last + 1)
    last = blocks[-1] if learned else 0

    def over(places: Iterable[tuple[int, int, int | None]]) -> Interval | None:
        return _interval([pair for one in outcomes for place in places for pair in one.difference(*place)])

    average = over([(asked, last, None) for asked in blocks])
    assert average is not None  # noqa: S101 -- every block is asked about after the last one
    if not learned:
        return MethodFigures(method=method, seeds=len(outcomes), matrix=_matrix(outcomes, [0]), average=average)
    cells = [cell for one in outcomes for cell in one.cells.values()]
    final = [one.cells[last] for one in outcomes]
    return MethodFigures(
        method=method,
        seeds=len(outcomes),
        matrix=_matrix(outcomes, [0, *blocks]),
        average=average,
        backward=over([(asked, last, asked) for asked in blocks[:-1]]),
        next_gain=over([(after + 1, after, 0) for after in blocks[:-1]]),
        own_gain=over([(after, after, 0) for after in blocks]),
        anchors=_since([(one.cells[last].anchors, one.nothing.anchors, one.nothing.seed) for one in outcomes]),
        chat=_since([(one.cells[last].chat, one.nothing.chat, 0) for one in outcomes]),
        kl=float(np.mean([cell.kl for cell in cells])),
        drift=float(np.mean([cell.drift for cell in final])),
        crossings=_crossings(outcomes, domains),
        tokens=sum(cell.tokens for cell in cells) / len(outcomes),
        seconds=sum(cell.seconds for cell in cells) / len(outcomes),
    )


def _matrix(outcomes: Sequence[Outcome], rows: Sequence[int]) -> list[list[float | None]]:
    found: list[list[float | None]] = []
    for after in rows:
        row: list[float | None] = []
        for asked in sorted(outcomes[0].groups):
            told = [right for one in outcomes if (right := one.right(after, asked)) is not None]
            row.append(round(float(np.mean([np.mean(one) for one in told])), 4) if told else None)
        found.append(row)
    return found


def _crossings(outcomes: Sequence[Outcome], domains: Sequence[str]) -> list[Crossing]:
    """For each ordered pair of domains, over every block of the one, the other one's blocks known by then or next."""
    found: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for one in outcomes:
        for after, learned in enumerate(domains, 1):
            for asked, domain in enumerate(domains, 1):
                if domain != learned and asked <= after + 1:
                    found.setdefault((domain, learned), []).extend(one.difference(asked, after, after - 1))
    return [
        Crossing(asked=asked, learned=learned, change=change)
        for (asked, learned), pairs in found.items()
        if (change := _interval(pairs)) is not None
    ]


def _since(pairs: Sequence[tuple[Sequence[float], Sequence[float], int]]) -> Interval | None:
    """What changed since the beginning, question by question; a question is a group, whichever the seed."""
    changes = [
        (late - early, str(at))
        for now, before, _ in pairs
        for at, (late, early) in enumerate(zip(now, before, strict=True))
    ]
    return _interval(changes)


def _interval(pairs: Sequence[tuple[float, str]]) -> Interval | None:
    if not pairs:
        return None
    names = {name: at for at, name in enumerate(dict.fromkeys(group for _, group in pairs))}
    values = np.array([[value] for value, _ in pairs])
    return intervals(values, np.array([names[group] for _, group in pairs]))[0]
