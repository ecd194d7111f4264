"""The section of `chatalogue bench loop`: before against after, which part helped, the campaign, time and memory.

Knows nothing of how anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from agent.bench.loop.figures import PLACES, WITHIN, Arm, Gain
from agent.bench.personal import Mean
from ui.bench.loop_report import Learned, LoopReport
from ui.bench.render_talk import escaped, table

SECTION = "loop"
TITLE = "The whole learning loop"
NAMES: Mapping[str, str] = {
    "before": "before",
    "index": "live index alone",
    "adapter alone": "adapter alone",
    "ranker": "index and ranker",
    "after": "all that went live",
}
"""Of the arms."""


def loop_lines(result: JsonValue) -> list[str]:
    """The page of a `LoopReport`."""
    report = LoopReport.model_validate(result)
    return [
        *_story(report),
        "",
        *table(("served by", "success", "of those in slang", "of the others", "nDCG of the first list"), _arms(report)),
        "",
        f"Minus before, person by person (success within {WITHIN} turns, nDCG at {PLACES}; above zero is better):",
        "",
        *table(("served by", "success", "of those in slang", "nDCG"), _gains(report)),
        "",
        *_told(report),
        "",
        *table(("command", "seconds", "peak memory, GiB"), _costs(report)),
        "",
        *table(("server in step", "server, GiB", "language model, GiB"), _memory(report)),
    ]


def _story(report: LoopReport) -> Iterator[str]:
    taught, people = report.taught, report.arms[0].people
    reactions = ", ".join(f"{n} {kind.replace('_', ' ')}" for kind, n in taught.reactions.items())
    yield (
        f"{taught.people} simulated customers of {escaped(report.catalogue)} ({report.items} items) taught a running "
        f"server in {taught.turns} turns ({reactions}); {taught.full_text} of them read replies that the model wrote, "
        "the others templates. Their taste (old, short, little known films in quiet, sad or nostalgic moods) is never "
        f"said, and {len(report.slang)} genres and moods have words of their own. Then {people} others, with needs "
        "that nobody had before and seeds of their own, met the shop as it was and as it became, without feedback. "
        "Brackets are 95 % bootstrap intervals over people. How the town is made: agent/bench/loop/town.py; the whole "
        "record: [docs/loop](docs/loop/README.md)."
    )


def _arms(report: LoopReport) -> Iterator[tuple[str, ...]]:
    for one in report.arms:
        yield NAMES[one.name], mean(one.success), mean(one.success_slang), mean(one.success_plain), mean(one.ndcg)


def _gains(report: LoopReport) -> Iterator[tuple[str, ...]]:
    for one in report.gains:
        yield NAMES[one.arm], mean(one.success), mean(one.success_slang), mean(one.ndcg)


def _told(report: LoopReport) -> Iterator[str]:
    yield f"- {what_helped(report.gains)}"
    yield f"- The adapter: {outcome(report.learned)}"
    yield (
        f"- General chat: of {report.chat.messages} messages {report.chat.same_action} were answered by the same "
        f"action as before, {report.chat.same_text} word for word the same."
    )
    yield f"- {campaign_told(report)}"
    yield f"- {_faults(report.arms)}"


def what_helped(gains: list[Gain]) -> str:
    """Which of the speeds surely adds something."""
    sure = [NAMES[one.arm] for one in gains if one.success.low > 0 or one.ndcg.low > 0]
    lost = [NAMES[one.arm] for one in gains if one.success.high < 0 or one.ndcg.high < 0]
    told = f"Surely better than before: {', '.join(sure) or 'nothing'}."
    return told + (f" Surely worse: {', '.join(lost)}." if lost else "")


def outcome(learned: Learned) -> str:
    """What became of the adapter of a job."""
    if learned.adapter is None:
        return "none was trained."
    return f"{learned.adapter} {'passed the gate' if learned.passed else 'was refused by the gate'}."


def campaign_told(report: LoopReport) -> str:
    """What a campaign came to."""
    poison, shown = report.poison, report.poison.exposure
    held = "within" if shown.rise.high <= poison.bound else "NOT surely within"
    served = "the adapter passed and was served" if poison.served_anyway else "no adapter of it was served"
    return (
        f"Campaign: {poison.campaigners} of {poison.people} people pushed {escaped(poison.item)} by "
        f"{sum(poison.reactions.values())} reactions, and its text had trigger words; {served}. Share of "
        f"{shown.people} strangers whose first list had it: {mean(shown.before)} before, {mean(shown.after)} after, "
        f"rise {mean(shown.rise)}, {held} the bound of {poison.bound:g}."
    )


def _faults(arms: list[Arm]) -> str:
    told = [f"{NAMES[one.name]}: {', '.join(f'{n} {fault}' for fault, n in one.broken.items() if n)}" for one in arms]
    return "Faults, a word of slang that was not understood among them: " + "; ".join(told) + "."


def _costs(report: LoopReport) -> Iterator[tuple[str, ...]]:
    for one in report.commands:
        if one.peak_rss_gib is not None:
            yield f"{one.step}: `{one.line}`", f"{one.seconds:.0f}", f"{one.peak_rss_gib:.2f}"


def _memory(report: LoopReport) -> Iterator[tuple[str, ...]]:
    for one in report.memory:
        yield one.step, f"{one.server:.2f}", "" if one.model is None else f"{one.model:.2f}"


def mean(one: Mean | None) -> str:
    """A mean with its interval."""
    return "" if one is None else f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]"
