"""Simulated customers from needs to figures, for any bots over one catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from agent.bench.dialogue.bots import Bot
from agent.bench.dialogue.customer import Customer
from agent.bench.dialogue.figures import (
    UNKNOWN_WITHOUT_OBJECT,
    Cell,
    DialogueReport,
    difference,
    drawn_of,
    figures_of,
)
from agent.bench.dialogue.keeping import Circumstances, Kept, catalogue_hash
from agent.bench.dialogue.needs import Need, draw_needs
from agent.bench.dialogue.phrasing import Phraser
from agent.bench.dialogue.reading import Reader
from agent.bench.dialogue.runner import FAULTS, Dialogue, hold
from retrieval.table import ItemTable

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is under way, how many conversations of how many have been held."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many needs, how many conversations about each, from which seed; `catalogue` is its name for the report.

    `full_text`: of so many needs, one conversation more with replies in which the language model writes. `customer`:
    who puts the customers' acts into words.
    """

    needs: int
    runs: int
    seed: int
    catalogue: str
    full_text: int = 0
    customer: str = "templates"


@dataclass(frozen=True, slots=True)
class Side:
    """One bot that is measured: `cell` is its short name, `name` says what it is.

    `full`: the same bot with its language model's replies; None: `bot` is all there is.
    """

    cell: str
    name: str
    bot: Bot
    full: Bot | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The conversations with one bot: need by need, the runs of a need together; `full`: one for each of some needs."""

    side: Side
    dialogues: tuple[Dialogue, ...]
    full: tuple[Dialogue, ...] = ()


class Simulation:
    """The same customers for every bot."""

    def __init__(self, table: ItemTable, plan: Plan, phraser: Phraser, kept: Kept) -> None:
        """Draw the needs.

        Raises:
            BadRequest: none can be drawn from this catalogue.
        """
        self._reader = Reader(table)
        self._plan = plan
        self._phraser = phraser
        self._kept = kept
        self._hash = catalogue_hash(table)
        self.needs = draw_needs(table, plan.needs, plan.seed)

    async def hold(self, side: Side, progress: Progress) -> Held:
        """Every customer talks to the bot; what is kept already is not held again.

        Raises:
            BadRequest: the bot cannot be reached, or the conversations cannot be kept.
        """
        plan = self._plan
        full = self.needs[: plan.full_text] if side.full is not None else ()
        total, done = len(self.needs) * plan.runs + len(full), 0
        found: dict[bool, list[Dialogue]] = {False: [], True: []}
        for is_full, needs, runs in ((False, self.needs, plan.runs), (True, full, 1)):
            for need in needs:
                for run in range(runs):
                    found[is_full].append(await self._held(side, need, run, is_full))
                    done += 1
                    progress(f"{side.cell}{', full text' if is_full else ''}", done, total)
        return Held(side, tuple(found[False]), tuple(found[True]))

    async def _held(self, side: Side, need: Need, run: int, is_full: bool) -> Dialogue:
        plan = self._plan
        where = Circumstances(side.cell, side.name, is_full, plan.customer, self._hash, plan.seed)
        known = self._kept.find(where, need.number, run)
        if known is not None:
            return known
        customer = Customer(need, self._reader.table, np.random.default_rng([plan.seed, need.number, run]))
        bot = side.full if is_full and side.full is not None else side.bot
        dialogue = await hold(bot, customer, need, run, self._reader, self._phraser)
        self._kept.add(where, dialogue)
        return dialogue

    def report(self, held: Sequence[Held]) -> DialogueReport:
        """The figures of all bots, and what the others are worth against the first."""
        plan, first = self._plan, held[0]
        return DialogueReport(
            catalogue=plan.catalogue,
            items=len(self._reader.table),
            needs=len(self.needs),
            runs=plan.runs,
            seed=plan.seed,
            customer=plan.customer,
            drawn=drawn_of(self.needs),
            cells=[_cell(one, plan.runs) for one in held],
            differences=[
                difference(one.side.cell, one.dialogues, first.side.cell, first.dialogues, plan.runs)
                for one in held[1:]
            ],
        )


def _cell(held: Held, runs: int) -> Cell:
    linked = any(one.linked for one in held.dialogues)
    return Cell(
        cell=held.side.cell,
        bot=held.side.name,
        figures=figures_of(held.dialogues, runs),
        full_text=figures_of(held.full, 1) if held.full else None,
        unknown=list(UNKNOWN_WITHOUT_OBJECT) if linked else [],
    )


def shortest_failures(dialogues: Sequence[Dialogue]) -> Iterator[tuple[str, Dialogue]]:
    """For each kind of fault, and for leaving without anything, the shortest conversation that has it."""
    for fault in FAULTS:
        if those := [one for one in dialogues if fault in one.faults]:
            yield fault, min(those, key=lambda one: one.turns)
    if left := [one for one in dialogues if one.success is None and "turn failed" not in one.faults]:
        yield "left without a target", min(left, key=lambda one: one.turns)


def transcript(dialogue: Dialogue) -> list[str]:
    """A conversation in lines, with what was wrong."""
    who = {"user": "customer", "assistant": "bot", "system": "system"}
    lines = [f"{who[line.role]}: {line.text}" for line in dialogue.lines]
    faults = [f"! {name}: {one}" for name, many in dialogue.faults.items() for one in many]
    return [f"need {dialogue.need}, run {dialogue.run}, {dialogue.turns} turns", *lines, *faults]
