"""Simulated customers as Markdown: a table with a row for each figure and a column for each bot.

Knows nothing of how they talk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from agent.bench.dialogue.figures import MUST_BE_NONE, DialogueReport, Figures
from agent.bench.personal import Mean
from ui.bench.render_talk import escaped, table

SECTION = "dialogue"
"""Of the benchmark file; that of a further catalogue or bot is "dialogue, NAME"."""
TITLE = "Simulated customers who pursue a need"
TEMPLATES = "templates"
"""The customers' words where no language model chose others."""


def dialogue_title(section: str) -> str:
    """The heading of a section of this name."""
    about = section.removeprefix(SECTION).lstrip(", ")
    return f"{TITLE}: {about}" if about else TITLE


def dialogue_lines(result: JsonValue) -> list[str]:
    """The page of a `DialogueReport`."""
    report = DialogueReport.model_validate(result)
    lines = [
        f"{report.needs} needs drawn from {escaped(report.catalogue)} ({report.items:,} items, seed {report.seed}), "
        f"each pursued {report.runs} times in other words; brackets are 95 % bootstrap intervals over needs. A "
        "customer succeeds when an item that meets every wish is offered, and leaves when their patience ends. "
        f"Words: {escaped(report.customer)}.",
        "",
        _drawn(report),
        "",
        *_figures([(cell.cell, cell.figures) for cell in report.cells], report.customer),
    ]
    full = [(cell.cell, cell.full_text) for cell in report.cells if cell.full_text is not None]
    if full:
        lines += ["", "The same bots with every reply written in full, one conversation a need:", ""]
        lines += _figures(full, report.customer)
    if report.differences:
        lines += ["", f"Minus {report.cells[0].cell}, need by need (above zero is better):", "", *_differences(report)]
    lines += ["", *(f"- {cell.cell}: {escaped(cell.bot)}" for cell in report.cells)]
    return lines + [f"- not sure of {cell.cell}: {escaped(one)}" for cell in report.cells for one in cell.unknown]


def _drawn(report: DialogueReport) -> str:
    drawn = report.drawn
    return (
        f"Of the needs, {drawn.hard_wishes} have a second hard wish, {drawn.soft_wishes} a soft one, "
        f"{drawn.unwanted_values} something unwanted, {drawn.bounds} a bound on a number, {drawn.said_later} a wish "
        f"that is said later and {drawn.never_said_unasked} one that is said only when asked for; "
        f"{drawn.changes_of_mind} begin with a mistake that is put right, {drawn.impatient} leave before the tenth "
        f"turn. {drawn.targets.p50:g} items would do (median; {drawn.targets.low:g} to {drawn.targets.high:g})."
    )


def _figures(cells: Sequence[tuple[str, Figures]], customer: str) -> list[str]:
    many = [figures for _, figures in cells]
    rows = list(_rows(many))
    if customer != TEMPLATES:
        rows.append(("messages with values that kept the model's words", *(_phrased(each) for each in many)))
    return table(("", *(cell for cell, _ in cells)), rows)


def _rows(many: Sequence[Figures]) -> Iterator[tuple[str, ...]]:
    first = many[0]
    for number, one in enumerate(first.success):
        yield f"success within {one.within_turns}", *(_mean(each.success[number].success) for each in many)
    yield (
        f"success in all runs (pass^{first.runs})",
        *(_mean(each.passed_all_runs) for each in many),
    )
    yield "turns to success", *(_mean(each.turns_to_success) for each in many)
    for number, fault in enumerate(first.faults):
        name = f"{fault.fault} (must be 0)" if fault.fault in MUST_BE_NONE else fault.fault
        yield name, *(_times(each, number) for each in many)
    yield "customers who left", *(f"{each.left}" for each in many)
    yield "a turn, ms: p50 [95 %] / p95", *(_milliseconds(each) for each in many)
    yield "conversations, turns", *(f"{each.needs * each.runs}, {each.turns}" for each in many)
    acts = dict.fromkeys(act for each in many for act in each.acts)
    for act in acts:
        yield f"customer {act}", *(f"{each.acts.get(act, 0)}" for each in many)


def _phrased(figures: Figures) -> str:
    return f"{figures.phrased} of {figures.phrasable}"


def _times(figures: Figures, number: int) -> str:
    fault = figures.faults[number]
    return f"{fault.times} in {_mean(fault.needs)} of needs" if fault.times else "0"


def _milliseconds(figures: Figures) -> str:
    spread = figures.turn_ms
    return (
        "-" if spread is None else f"{spread.p50:.0f} [{spread.p50_low:.0f} – {spread.p50_high:.0f}] / {spread.p95:.0f}"
    )


def _differences(report: DialogueReport) -> list[str]:
    many = report.differences
    rows = [
        (f"success within {one.within_turns}", *(_mean(each.success[number].success) for each in many))
        for number, one in enumerate(many[0].success)
    ]
    rows.append((f"success in all runs (pass^{report.runs})", *(_mean(each.passed_all_runs) for each in many)))
    return table(("", *(each.cell for each in many)), rows)


def _mean(mean: Mean | None) -> str:
    return "-" if mean is None else f"{mean.value:.3g} [{mean.low:.3g} – {mean.high:.3g}]"
