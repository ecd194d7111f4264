"""docs/loop: the record of one run of the loop for a reader, with every command and the page of the gate.

Knows nothing of how anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from retrieval.errors import BadRequest
from ui.bench.loop_report import Command, LoopReport
from ui.bench.render_loop import campaign_told, loop_lines, outcome
from ui.bench.report import write_whole

PAGE, GATE, GATE_POISONED, JOB = "README.md", "gate.md", "gate-campaign.md", "learned.md"
MAX_LINES, MAX_LINE_CHARS = 30, 200
"""Of what one command printed."""

LIMITS: Final = (
    "The town's taste is partly of years, popularity and lengths, which are features of the ranker: the run shows that "
    "the loop works, not how much it would find of any taste.",
    "A reading of a message counts only where its words bear it out (agent/understand/reading_evidence.py), so no "
    "adapter can learn what a word of the town means; the index can, from what was taken after it.",
    "Replies are templates but for the people named above, and ranking by the language model is off "
    "(agent/skills.toml), so of an adapter those who measure meet the reading of messages alone.",
    "Those who measure do not react, so what one conversation learns by itself is not in the figures.",
)

STEPS: Mapping[str, str] = {
    "before": "The shop as it is on a fresh machine, met by the people who measure",
    "teach": "The town teaches: chats, then reactions through `POST /v1/feedback`",
    "index": "Before any job: the live index follows by itself",
    "learn": "One job: what was learned, judged by the gate",
    "canary": "The adapter on trial",
    "after": "Promotion, and the people who measure again",
    "adapter alone": "The adapter on a shop that learned nothing else",
    "poison": "The campaign, on a copy of the shop",
    "rollback": "Adapter and ranker are taken back under the running server",
}


def write_page(report: LoopReport, folder: Path) -> None:
    """README.md, and the pages of the gate and of the job beside it.

    Raises:
        BadRequest: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadRequest(f"The folder {str(folder)!r} cannot be made ({error.strerror}); name another.") from None
    pages = {JOB: report.learned.report, GATE: report.learned.gate, GATE_POISONED: report.poison.learned.gate}
    for name, text in pages.items():
        if text:
            write_whole(folder / name, text)
    write_whole(folder / PAGE, "\n".join(page_lines(report)) + "\n")


def page_lines(report: LoopReport) -> list[str]:
    """The page."""
    links = {JOB: report.learned.report, GATE: report.learned.gate, GATE_POISONED: report.poison.learned.gate}
    beside = ", ".join(f"[{name}]({name})" for name, text in links.items() if text)
    return [
        "# One run of the learning loop",
        "",
        "Written by `chatalogue bench loop`; not edited by hand. Folders of the run stand for data directories "
        "(`CHATALOGUE_DATA_DIR`).",
        *([f"Beside it: {beside}."] if beside else []),
        "",
        "## What came out",
        "",
        *loop_lines(report.model_dump(mode="json")),
        "",
        f"Words of the town: {', '.join(f'{word} is {value}' for value, word in report.slang.items())}. Seeds: "
        f"{', '.join(f'{name} {seed}' for name, seed in report.seeds.items())}.",
        "",
        "What the run does not show:",
        "",
        *(f"- {one}" for one in LIMITS),
        "",
        *_steps(report),
    ]


def _steps(report: LoopReport) -> Iterator[str]:
    for step, title in STEPS.items():
        commands = [one for one in report.commands if one.step == step]
        if commands:
            yield from (f"## {title}", "", *_came_to(report, step))
            yield from ("```", *(line for one in commands for line in _printed(one)), "```", "")


def _came_to(report: LoopReport, step: str) -> Iterator[str]:
    back = report.rollback
    told = {
        "learn": f"{outcome(report.learned)} Parts: {_pairs(report.learned.parts)}.",
        "poison": f"{campaign_told(report)} {outcome(report.poison.learned)} "
        f"Parts: {_pairs(report.poison.learned.parts)}.",
        "canary": "" if report.trial is None else (
            f"{report.trial.people} people, {report.trial.share:.0%} for the canary; answers: "
            f"{_pairs(report.trial.answers)}; every conversation kept to one adapter: {_yes(report.trial.sticky)}."
        ),
        "rollback": (
            f"Answers before: {_pairs(back.before_adapters)}; lists by {_pairs(back.before_rankers)}. "
            f"After: {_pairs(back.after_adapters)}; lists by {_pairs(back.after_rankers)}; after the "
            f"ranker's rollback: {_pairs(back.linear_rankers)}."
        ),
    }  # fmt: skip
    if told.get(step):
        yield from (told[step], "")


def _printed(command: Command) -> Iterator[str]:
    memory = "" if command.peak_rss_gib is None else f", {command.peak_rss_gib:.2f} GiB"
    yield f"$ {command.line}    # {command.seconds:.0f} s{memory}"
    lines = command.stdout.splitlines()
    yield from (line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]} ..." for line in lines[:MAX_LINES])
    if len(lines) > MAX_LINES:
        yield f"... ({len(lines) - MAX_LINES} lines more)"


def _pairs(values: Mapping[str, int | str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
