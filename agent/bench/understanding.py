"""How well messages are read: rules alone, the model alone, both together, by kind of fact.

The verdict on the `understand` skill (agent/skills.toml) rests on this: the model is on only where both together beat
the rules, with the whole interval of the paired difference above zero. Knows no set of messages: a task brings what is
wanted and how a reading is compared with it (`understanding_sets.py`, `understanding_labels.py`,
finetune/dialogues/scored.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.understand.model import ModelUnderstanding
from agent.understand.rules import Rules
from agent.understand.types import DialogueContext, Understanding

Keys: TypeAlias = Mapping[tuple[object, ...], str]
"""What was said or is wanted, each with the kind under which it counts."""
SYSTEMS = ("rules", "model", "merged")
RESAMPLES = 5_000


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KindScore(_Frozen):
    """One kind of fact, micro-averaged over all messages."""

    kind: str
    precision: float
    recall: float
    f1: float
    said: int
    wanted: int


class SystemScore(_Frozen):
    """One way of reading; `exact` is the share of messages without any mistake."""

    system: str
    precision: float
    recall: float
    f1: float
    exact: float
    kinds: tuple[KindScore, ...]


class SetScore(_Frozen):
    """One set; `difference` is F1 of both together minus F1 of the rules, with its 95 % paired bootstrap interval."""

    name: str
    what: str
    n: int
    systems: tuple[SystemScore, ...]
    difference: float
    difference_low: float
    difference_high: float


class AttitudeScore(_Frozen):
    """Who likes which item, read from conversations: `known` got an attitude, `right` one of the right sign."""

    system: str
    wanted: int
    known: int
    right: int
    disliked: int
    disliked_right: int


class ModelRun(_Frozen):
    """All sets with one model; `adapter` "" is the base model. `ms` are of the model's calls."""

    model: str
    adapter: str
    sets: tuple[SetScore, ...]
    attitudes: tuple[AttitudeScore, ...]
    asked: int
    ms_p50: float
    ms_p95: float


class Agreement(_Frozen):
    """Two readers of the same turns, following written rules: kappa of the intent, F1 of the facts."""

    name: str
    n: int
    kappa: float
    facts_f1: float


class UnderstandingScores(_Frozen):
    """Everything that one run of `chatalogue bench understand` measured."""

    runs: tuple[ModelRun, ...]
    agreement: tuple[Agreement, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """One message; `keys` gives what a reading of it says, in the terms of `wanted`; `group` is its dialogue."""

    text: str
    context: DialogueContext
    wanted: Keys
    keys: Callable[[Understanding], Keys]
    group: str = ""


@dataclass(frozen=True, slots=True)
class Readings:
    """One message read in three ways; `ms` is what the model took."""

    rules: Understanding
    model: Understanding
    merged: Understanding
    ms: float

    def of(self, system: str) -> Understanding:
        """The reading of one of `SYSTEMS`."""
        return {"rules": self.rules, "model": self.model, "merged": self.merged}[system]


async def read_three_ways(text: str, context: DialogueContext, rules: Rules, model: ModelUnderstanding) -> Readings:
    """Read one message by rules, by the model, by both.

    Raises:
        EngineError: the language model failed.
    """
    understood = rules.understand(text, context)
    started = time.perf_counter()
    reading = await model.ask(text, context)
    ms = (time.perf_counter() - started) * 1e3
    alone = Understanding(
        understood.intent, facts=reading.facts, item_ids=reading.item_ids, attribute=reading.attribute
    )
    both = model.merge(understood, reading, context) if model.reads(understood) else understood
    return Readings(understood, alone, both, ms)


async def read_all(
    tasks: Sequence[Task], rules: Rules, model: ModelUnderstanding, progress: Callable[[str], None]
) -> list[Readings]:
    """Read every task; a line of progress for each fiftieth.

    Raises:
        EngineError: the language model failed.
    """
    found = []
    for number, task in enumerate(tasks, start=1):
        found.append(await read_three_ways(task.text, task.context, rules, model))
        if number % 50 == 0 or number == len(tasks):
            progress(f"{number} of {len(tasks)} messages read")
    return found


def score(name: str, what: str, tasks: Sequence[Task], readings: Sequence[Readings]) -> SetScore:
    """Compare readings with what was wanted."""
    tables = {system: _Table(tasks, [one.of(system) for one in readings]) for system in SYSTEMS}
    low, high = _interval(tables["merged"].groups, tables["rules"].groups)
    return SetScore(
        name=name,
        what=what,
        n=len(tasks),
        systems=tuple(table.score(system) for system, table in tables.items()),
        difference=round(f1(tables["merged"].total) - f1(tables["rules"].total), 3),
        difference_low=low,
        difference_high=high,
    )


class _Table:
    """Counts (right, said, wanted) of one way of reading, by kind and by dialogue."""

    def __init__(self, tasks: Sequence[Task], readings: Sequence[Understanding]) -> None:
        self.kinds: dict[str, list[int]] = {}
        groups: dict[str, list[int]] = {}
        self.exact = 0
        for number, (task, reading) in enumerate(zip(tasks, readings, strict=True)):
            said = task.keys(reading)
            self.exact += said.keys() == task.wanted.keys()
            counts = groups.setdefault(task.group or str(number), [0, 0, 0])
            for key in {*said, *task.wanted}:
                kind = task.wanted.get(key) or said[key]
                for at, hit in enumerate((key in said and key in task.wanted, key in said, key in task.wanted)):
                    self.kinds.setdefault(kind, [0, 0, 0])[at] += hit
                    counts[at] += hit
        self.groups = np.array(list(groups.values()), dtype=np.int64).reshape(-1, 3)
        self.total = self.groups.sum(axis=0)
        self.n = len(tasks)

    def score(self, system: str) -> SystemScore:
        """The scores, kinds in the order of their names."""
        kinds = []
        for kind in sorted(self.kinds):
            right, said, wanted = self.kinds[kind]
            precision, recall, value = _rates(np.array([right, said, wanted]))
            kinds.append(KindScore(kind=kind, precision=precision, recall=recall, f1=value, said=said, wanted=wanted))
        precision, recall, value = _rates(self.total)
        exact = round(self.exact / max(self.n, 1), 3)
        return SystemScore(system=system, precision=precision, recall=recall, f1=value, exact=exact, kinds=tuple(kinds))


def f1(counts: NDArray[np.int64]) -> float:
    """F1 of (right, said, wanted); 0 where there is nothing."""
    right, said, wanted = counts
    return float(2 * right / max(said + wanted, 1))


def _rates(counts: NDArray[np.int64]) -> tuple[float, float, float]:
    right, said, wanted = counts
    return round(float(right / max(said, 1)), 3), round(float(right / max(wanted, 1)), 3), round(f1(counts), 3)


def _interval(one: NDArray[np.int64], other: NDArray[np.int64]) -> tuple[float, float]:
    """95 % of the difference in F1 when dialogues are drawn again, the same ones for both."""
    if not len(one):
        return 0.0, 0.0
    random = np.random.default_rng(0)
    draws = random.integers(0, len(one), (RESAMPLES, len(one)))
    differences = [f1(one[rows].sum(axis=0)) - f1(other[rows].sum(axis=0)) for rows in draws]
    low, high = np.quantile(differences, [0.025, 0.975])
    return round(float(low), 3), round(float(high), 3)
