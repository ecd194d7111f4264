"""Simulated customers from needs to figures, for any bot over any catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.bench.dialogue.bots import Bot
from agent.bench.dialogue.figures import DialogueReport, figures_of
from agent.bench.dialogue.needs import draw_needs
from agent.bench.dialogue.reading import Reader
from agent.bench.dialogue.runner import hold_all
from retrieval.table import ItemTable


@dataclass(frozen=True, slots=True)
class Plan:
    """How many needs, how many conversations about each, from which seed; `catalogue` is its name for the report."""

    needs: int
    runs: int
    seed: int
    catalogue: str


async def measure_dialogues(
    bot: Bot, name: str, table: ItemTable, plan: Plan, say: Callable[[str], None]
) -> DialogueReport:
    """Let customers who want items of `table` talk to the bot; `say` hears how far it is and every fault.

    Raises:
        BadRequest: no needs can be drawn from the catalogue, or the bot cannot be reached.
    """
    needs = draw_needs(table, plan.needs, plan.seed)
    say(f"{len(needs)} needs, {plan.runs} conversations each, with {name}")
    dialogues = await hold_all(bot, needs, plan.runs, plan.seed, Reader(table), say)
    return figures_of(dialogues, bot=name, catalogue=plan.catalogue, items=len(table), runs=plan.runs, seed=plan.seed)
