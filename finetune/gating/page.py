"""The verdict as two files: gate.json for programs, gate.md for the person who is called at night."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from finetune.gating.types import Figure, RuleName, RuleResult, Verdict
from retrieval.errors import BadRequest

FORMAT = 1
PAGE, DATA = "gate.md", "gate.json"

QUESTIONS: dict[RuleName, str] = {
    "file": "Can servers load its files?",
    "base": "Was it trained on the model that serves?",
    "new": "Are its weights new?",
    "strength": "Does it change the model by a sane amount?",
    "fresh": "Is it better on what customers said since?",
    "readings": "Does it still understand messages?",
    "latency": "Is it as fast?",
    "forgetting": "Does it remember what it knew?",
    "drift": "Does it still say what the champion would?",
    "grounding": "Does it keep to the facts about items?",
    "safety": "Does it withstand misuse?",
    "exposure": "Does it treat items fairly?",
    "providers": "Does it treat providers fairly?",
    "languages": "Does it treat languages alike?",
    "counterfactual": "Does it treat customers alike?",
    "customers": "Do simulated customers get what they want?",
}


def write_verdict(verdict: Verdict, folder: Path) -> None:
    """Both files, each complete or not there.

    Raises:
        BadRequest: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((PAGE, page(verdict)), (DATA, f"{json.dumps(as_json(verdict), indent=1)}\n")):
            part = folder / f".{name}.{os.getpid()}"
            part.write_text(text, encoding="utf-8")
            os.replace(part, folder / name)
    except OSError as error:
        raise BadRequest(f"The verdict cannot be written to {str(folder)!r} ({error}); name another folder.") from None


def as_json(verdict: Verdict) -> dict[str, Any]:
    """All of it; numbers that are none become null."""
    return {
        "format": FORMAT,
        "passed": verdict.passed,
        "reason": verdict.reason,
        "refused_by": list(verdict.refused_by),
        **_plain(asdict(verdict)),
    }


def page(verdict: Verdict) -> str:
    """Markdown; the first line says all that must be known at once."""
    lines = [f"# {verdict.reason}", "", *_what_now(verdict), ""]
    if refusals := [one for one in verdict.rules if one.state == "refused"]:
        lines += ["## Why", *(f"- **{one.rule}**: {one.why}" for one in refusals), ""]
    lines += ["## All rules", "| | rule | question | answer |", "|---|---|---|---|"]
    lines += [f"| {_mark(one)} | {one.rule} | {QUESTIONS[one.rule]} | {_cell(one.why)} |" for one in verdict.rules]
    lines += ["", "## All numbers", *_numbers(verdict.rules), ""]
    lines += ["## What was compared", *(f"- {one.rule}: {one.compared}." for one in verdict.rules if one.compared), ""]
    lines += [
        f"Weights {verdict.weights or 'unreadable'}, judged {verdict.made[:19]} in {verdict.seconds:.0f} s.",
        f"Differences are {verdict.candidate} minus {verdict.champion}, intervals 95 % (paired bootstrap).",
        "The thresholds stand in finetune/gating/gate.toml.",
        "",
    ]
    return "\n".join(lines)


def sentence(figure: Figure) -> str:
    """One number in words."""
    name = figure.name
    return f"{name} {_number(figure.value)}{_interval(figure)} (must be {_wanted(figure)})"


def _what_now(verdict: Verdict) -> list[str]:
    if verdict.passed:
        return ["Nothing needs to be done. It may go on trial with a share of the conversations (canary)."]
    return [
        f"Nothing needs to be done tonight: {verdict.champion} goes on serving, customers have seen nothing of "
        f"{verdict.candidate}. It can not be promoted."
    ]


def _mark(one: RuleResult) -> str:
    return {"passed": "ok", "refused": "**REFUSED**", "not run": "not run"}[one.state]


def _numbers(rules: Sequence[RuleResult]) -> list[str]:
    lines = [
        "| rule | number | candidate | champion | difference or value | 95 % | n | must be |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rule in rules:
        for one in rule.figures:
            own, other = (("" if side is None else _number(side)) for side in (one.candidate, one.champion))
            interval = _interval(one).strip() or "exact"
            wanted = _wanted(one) if one.holds else f"**{_wanted(one)}**"
            cells = (rule.rule, _cell(one.name), own, other, _number(one.value), interval, str(one.n), wanted)
            lines.append(f"| {' | '.join(cells)} |")
    return lines if len(lines) > 2 else ["None were measured."]


def _wanted(figure: Figure) -> str:
    end = {"value": "", "low": "lower end ", "high": "upper end "}[figure.on]
    return f"{end}{figure.bound} {figure.threshold:g}"


def _interval(figure: Figure) -> str:
    return "" if figure.low == figure.high else f" [{_number(figure.low)}, {_number(figure.high)}]"


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "no number"


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _plain(value: Any) -> Any:  # noqa: ANN401 -- anything that json knows
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
