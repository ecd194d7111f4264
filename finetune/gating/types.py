"""What the gate is told, what it finds, and the verdict that it writes down. Does nothing itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from agent.adapters.manifest import GateVerdict, Measured
from agent.settings import Settings
from finetune.training.lessons import Lesson
from retrieval.items import Item

RuleName: TypeAlias = Literal[
    "file", "base", "new", "strength",
    "fresh", "readings", "latency", "forgetting", "drift", "grounding", "safety", "exposure", "providers", "languages",
    "counterfactual", "customers",
]  # fmt: skip
RULES: tuple[RuleName, ...] = get_args(RuleName)
"""In the order in which they are asked: the first four look at files alone, and nothing is loaded where one refuses."""
FILE_RULES: tuple[RuleName, ...] = RULES[:4]

State: TypeAlias = Literal["passed", "refused", "not run"]
Bound: TypeAlias = Literal["at most", "at least", "above"]
Side: TypeAlias = Literal["value", "low", "high"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An adapter that wants to serve, and what it is held against.

    Attributes:
        adapter: folder with the weights, PEFT's config, and the trainer's record or the registry's manifest.
        base: folder of the base model (agent.llm.weights.resolve_model).
        champion: folder of the adapter that serves now; None: the base alone does.
        name: what the page calls it, such as ada-000017.
        champion_name: the same of the champion.
        held_out: rows of this cycle that it did not learn from.
        learned: rows that it did learn from: the items in them are looked at first for being pushed.
        anchors: sets that must not be forgotten, by name; none of them learned from in this cycle.
        known: SHA-256 (hex) of the weights of every other adapter of the registry, by id.
        items: the shop's catalogue; none: the demo shop's.
        settings: of the shop: its encoder, and how its conversation works.
    """

    adapter: Path
    base: Path
    champion: Path | None
    name: str = "the candidate"
    champion_name: str = "the champion"
    held_out: Sequence[Lesson] = ()
    learned: Sequence[Lesson] = ()
    anchors: Mapping[str, Sequence[Lesson]] = field(default_factory=dict)
    known: Mapping[str, str] = field(default_factory=dict)
    items: Sequence[Item] = ()
    settings: Settings = field(default_factory=Settings)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that a rule holds against a threshold.

    Attributes:
        name: in words, with its unit.
        value: where the candidate is compared, candidate minus champion.
        low: lower end of the 95 % interval; the value itself where there is none.
        high: upper end.
        n: rows that it is over.
        bound: how it must stand to the threshold.
        threshold: of gate.toml.
        on: which of the three must stand so.
        candidate: the candidate's own number; None where there is only the comparison.
        champion: the champion's.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    bound: Bound
    threshold: float
    on: Side = "value"
    candidate: float | None = None
    champion: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it keeps to the threshold; what is no number never does."""
        seen = {"value": self.value, "low": self.low, "high": self.high}[self.on]
        if not math.isfinite(seen):
            return False
        if self.bound == "at most":
            return seen <= self.threshold
        return seen > self.threshold if self.bound == "above" else seen >= self.threshold


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What one rule came to.

    Attributes:
        rule: its name.
        state: `not run` where a rule before it refused the files, so nothing was loaded.
        why: one sentence for a person.
        figures: what was measured.
        compared: what was compared with what.
        seconds: it took.
    """

    rule: RuleName
    state: State
    why: str
    figures: tuple[Figure, ...] = ()
    compared: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether it lets the candidate through."""
        return self.state == "passed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a candidate may go on to the canary, rule by rule, in the order of `RULES`.

    Attributes:
        candidate: its name.
        champion: name of what it was held against.
        rules: one result for each rule.
        weights: SHA-256 (hex) of the weights that were looked at; "" where they cannot be read.
        made: UTC in ISO 8601.
        seconds: all of it.
    """

    candidate: str
    champion: str
    rules: tuple[RuleResult, ...]
    weights: str
    made: str
    seconds: float

    @property
    def passed(self) -> bool:
        """Every rule was asked and passed; no rules is no pass."""
        return {one.rule for one in self.rules} == set(RULES) and all(one.passed for one in self.rules)

    @property
    def refused_by(self) -> tuple[RuleName, ...]:
        """The rules that refused it."""
        return tuple(one.rule for one in self.rules if one.state == "refused")

    @property
    def reason(self) -> str:
        """One line: passed, or refused and by which rules."""
        if self.passed:
            return f"Passed: {self.candidate} kept all {len(self.rules)} rules against {self.champion}."
        return f"Refused: {self.candidate}, by {', '.join(self.refused_by) or 'a rule that was not run'}."

    def for_manifest(self) -> GateVerdict:
        """As the adapter's manifest keeps it."""
        thresholds = {f"{one.rule}: {figure.name}": figure.threshold for one in self.rules for figure in one.figures}
        return GateVerdict(self.passed, self.reason, thresholds)

    def metrics(self) -> dict[str, Measured]:
        """Every number that has one, for the adapter's manifest."""
        return {
            f"{one.rule}: {figure.name}": Measured(figure.value, figure.low, figure.high, figure.n)
            for one in self.rules
            for figure in one.figures
            if all(map(math.isfinite, (figure.value, figure.low, figure.high)))
        }

    def write(self, folder: Path) -> None:
        """Write gate.json and the readable page gate.md into `folder`.

        Raises:
            BadRequest: they cannot be written.
        """
        from finetune.gating.page import write_verdict

        write_verdict(self, folder)
