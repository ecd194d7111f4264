"""The section of `chatalogue bench offpolicy`: who is liked more, drawn and in numbers, and whether estimates are true.

Knows nothing of how anything is measured.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from agent.bench.bandits.contest import REFERENCE, Arm, StreamReport
from agent.bench.bandits.measuring import BanditReport
from agent.bench.bandits.proof import ProofReport
from agent.rank.intervals import Interval
from ui.bench.curves import Curve, Panel, picture
from ui.bench.render_talk import escaped, table
from ui.bench.report import Report

SECTION = "offpolicy"
TITLE = "Language model or reinforcement learning"
PICTURE = "docs/regret.svg"
"""Beside the page."""
MIN_TOLD = 10
"""Logs that were not refused: errors over fewer say nothing, and those few are not like the others."""
NAMES: Mapping[Arm, str] = {
    "chance": "chance",
    "sorted": "sorted, nothing learned",
    "model": "the model's opinion",
    "linucb": "bandit, LinUCB",
    "bandit": "bandit, Thompson sampling",
    "bandit, model as a feature": "the same, opinion as a feature",
    "bandit, model as prior": "the same, opinion as its prior",
}


def offpolicy_lines(result: JsonValue) -> list[str]:
    """The picture, a table for each stream, then the estimates against the truth."""
    report = BanditReport.model_validate(result)
    lines = [
        "At each round a visitor is offered one of a few items by each system, the same few under the same luck. "
        "Regret: how much likelier the best of them would have been liked, added up. The model is asked once for each "
        "visit, before anything is chosen, for the likelihood of the items' titles after the visitor's words. Bandits "
        "learn over visitors from what was offered, and see what was liked before in the visit. Bands and brackets are "
        "95 % intervals: over seeds (orders, offers, luck) for curves and shares, over visitors for what is saved.",
        "",
        f"![Cumulative regret by round, one panel for each stream]({PICTURE})",
    ]
    for stream in report.streams:
        lines += ["", *_stream(stream)]
    if report.proof is not None:
        lines += ["", *_proof(report.proof)]
    return lines


def pictures(report: Report) -> dict[str, str]:
    """SVG files by the path beside the page; none where nothing was measured."""
    section = report.others.get(SECTION)
    if section is None:
        return {}
    streams = BanditReport.model_validate(section.result).streams
    return {PICTURE: picture([_panel(stream) for stream in streams])}


def _panel(stream: StreamReport) -> Panel:
    curves = tuple(
        Curve(
            NAMES[arm.arm],
            [0, *stream.points],
            [0.0, *(one.value for one in arm.regret)],
            [0.0, *(one.low for one in arm.regret)],
            [0.0, *(one.high for one in arm.regret)],
        )
        for arm in stream.arms
    )
    return Panel(stream.name, "rounds", curves)


def _stream(stream: StreamReport) -> list[str]:
    against = f"saved against {NAMES[REFERENCE]}, a visit"
    rows = [
        (NAMES[one.arm], _cell(one.liked), _cell(one.regret[-1], 1), _signed(one.saved), _signed(one.saved_early))
        for one in stream.arms
    ]
    return [
        f"**{escaped(stream.name)}**: {stream.visitors} visitors, {stream.rounds} rounds each, {stream.options} items "
        f"a round, {stream.seeds} seeds; somebody who knows them is liked in {stream.best:.3f}. "
        f"{escaped(stream.model)} puts the more liked of two items higher in {_cell(stream.opinion_auc)} (chance: .5).",
        "",
        *table(("who chooses", "liked", "regret at the end", against, "in the first quarter"), rows),
    ]


def _proof(proof: ProofReport) -> list[str]:
    rows = [
        (
            one.candidate,
            f"{one.lists:,}",
            f"{one.effective:.0f}",
            f"{one.refused} of {one.logs}",
            f"{one.truth:.3f}",
            est.estimator.replace("_", " "),
            f"{est.bias:+.3f}",
            f"{est.rmse:.3f}",
            f"{est.covered:.2f}",
        )
        for one in proof.candidates
        for est in (one.estimators if one.logs - one.refused >= MIN_TOLD else ())
    ]
    rows += [
        (one.candidate, f"{one.lists:,}", f"{one.effective:.0f}", f"{one.refused} of {one.logs}", f"{one.truth:.3f}")
        + ("nearly always refused", "-", "-", "-")
        for one in proof.candidates
        if one.logs - one.refused < MIN_TOLD
    ]
    header = ("candidate", "lists", "effective", "refused", "truth", "estimate", "mean error", "RMSE", "truth inside")
    replays = [
        (NAMES[one.arm], f"{one.kept:.0f}", _cell(one.replayed), _cell(one.played), _signed(one.difference))
        for one in proof.replays
    ]
    return [
        "Are the estimates right? Of real ratings every reward is known. Logs of visitors drawn again, chosen by what "
        "others liked with some chance; each candidate is estimated from the log alone:",
        "",
        *table(header, rows),
        "",
        "Replay of who learns (a log of uniform choices, only agreements count) against as many rounds really played:",
        "",
        *table(("who chooses", "rounds kept", "replayed", "played", "difference"), replays),
    ]


def _cell(one: Interval, digits: int = 3) -> str:
    return f"{one.value:.{digits}f} [{one.low:.{digits}f} – {one.high:.{digits}f}]"


def _signed(one: Interval) -> str:
    return f"{one.value:+.3f} [{one.low:+.3f} – {one.high:+.3f}]"
