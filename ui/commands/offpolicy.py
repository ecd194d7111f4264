"""`chatalogue offpolicy`: what the ranking that is live now would have earned on lists that were shown under chance."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.offpolicy.estimators import OffPolicyReport, evaluate
from agent.offpolicy.logged import ExploredTurn, explored_turns, live_candidate, sample_of
from agent.offpolicy.slates import Pool
from agent.rank.intervals import Interval
from agent.settings import Settings, load_settings
from ui.commands.output import print_result
from ui.commands.replay import live_parts, start_of
from ui.logs import configure_logs
from ui.progress import index_progress


@dataclass(frozen=True, slots=True)
class OffPolicyCall:
    """The options as typed; `exploration` None: as each list was shown."""

    since: str = "30d"
    places: int = 1
    exploration: float | None = None
    as_json: bool = False
    config: Path | None = None


def run(call: OffPolicyCall) -> None:
    """Estimate and print; nothing is stored.

    Raises:
        ChatalogueError: the span cannot be read, or there is no index or log.
    """
    since = start_of(call.since)
    settings = load_settings(call.config).settings
    configure_logs(logging.WARNING)
    report = asyncio.run(_evaluated(_silent(settings), call, since))
    print_result(report.model_dump_json() if call.as_json else "\n".join(report_lines(report)))


def _silent(settings: Settings) -> Settings:
    """The model may understand and rank; what it would write changes no list."""
    return settings.model_copy(update={"llm": settings.llm.model_copy(update={"reply": "off"})})


async def _evaluated(settings: Settings, call: OffPolicyCall, since: datetime) -> OffPolicyReport:
    async with live_parts(settings, None, since) as live:
        parts = live.parts
        turns = explored_turns(parts.log, settings.tenant, live.ids, settings.learning.consent)
        shop = parts.shops.current(settings.tenant)
        candidate = live_candidate(parts.conversations, shop, settings.chat.diversity, call.exploration)
        done = itertools.count(1)
        with index_progress("Lists") as progress:

            async def told(turn: ExploredTurn) -> Pool:
                progress("shown again", next(done), len(turns))
                return await candidate(turn)

            sample = await sample_of(turns, told, call.places)
        return await asyncio.to_thread(evaluate, sample)


def report_lines(report: OffPolicyReport) -> list[str]:
    """For a person."""
    lines = [f"{report.lists} explored lists of {report.customers} customers, the first {report.places} places."]
    if report.logged is not None and report.mean_weight is not None:
        lines += [
            f"As shown: {_cell(report.logged)} items taken a list. The log is worth {report.effective:.0f} lists of "
            f"the candidate's own; weights average {_cell(report.mean_weight)}, at most {report.max_weight:g}, "
            f"{report.clipped:.1%} above {report.clip:g}."
        ]
    if report.refusal is not None:
        return [*lines, report.refusal]
    lines += [
        f"{one.name.replace('_', ' '):>13}: {_cell(one.value)}, {_cell(one.more, sign=True)} than shown"
        for one in report.estimates
    ]
    return lines


def _cell(one: Interval, *, sign: bool = False) -> str:
    form = "+.3f" if sign else ".3f"
    return f"{one.value:{form}} [{one.low:{form}}, {one.high:{form}}]"
