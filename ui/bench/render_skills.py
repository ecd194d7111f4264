"""Each skill of the language model in one table: stand-in, base model, tuned model, and what is switched on.

Put together from the sections that measured them; one that was not measured has no row. Knows nothing of how anything
is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import JsonValue

from agent.bench.retrieval.llm_rank import LlmRankReport
from agent.bench.retrieval.recall import Interval
from agent.bench.understanding import ModelRun, SetScore
from agent.skills import verdicts
from ui.bench.render_talk import escaped, table
from ui.bench.report import Report

TITLE = "The skills of the language model"
HEADER = ("skill", "measured by", "stand-in", "base model", "tuned model", "tuned over stand-in", "on")
REPLIES = "replies"


def skills_section(report: Report) -> str:
    """The whole section; empty where nothing of it was measured."""
    rows = [*_understand(report), *_rank(report), *_reply(report)]
    if not rows:
        return ""
    return "\n".join(
        [
            f"## {TITLE}",
            "",
            "A skill is on where its tuned model beats the stand-in with the whole interval above zero "
            "(`agent/skills.toml` has the reasons). Brackets are 95 % bootstrap intervals; the sections "
            "below have n, commands and dates.",
            "",
            *table(HEADER, rows),
            "",
        ]
    )


def _understand(report: Report) -> Iterator[tuple[str, ...]]:
    """F1 of rules, and of each model's reading merged with them."""
    if report.understand is None:
        return
    runs = report.understand.result.runs
    tuned = next((run for run in runs if run.adapter), None)
    base = next((run for run in runs if not run.adapter), None)
    for one in tuned.sets if tuned else ():
        gain = _interval(one.difference, one.difference_low, one.difference_high, "+.3f")
        rules, merged = _f1(one, "rules"), _f1(one, "merged")
        yield "understand", f"F1, {escaped(one.name)}", rules, _beside(base, one.name), merged, gain, _on("understand")


def _f1(scores: SetScore, system: str) -> str:
    return next((f"{one.f1:.3f}" for one in scores.systems if one.system == system), "-")


def _beside(base: ModelRun | None, name: str) -> str:
    """What the base model reads alone, of fewer messages of the same set: merged it is given no say."""
    found = next((one for one in base.sets if one.name == name), None) if base else None
    return "-" if found is None else f"alone {_f1(found, 'model')} (n = {found.n})"


def _rank(report: Report) -> Iterator[tuple[str, ...]]:
    """The right item first: the ranker, and the model's own order by yes or no."""
    found = {bool(section.result.adapter): section.result for section in report.rank_skill.values()}
    tuned = found.get(True)
    if tuned is None:
        return
    way = next((one for one in tuned.ways if one.way == "verdicts"), None)
    if way is None:
        return
    gain = way.fused.gain.mrr
    yield (
        "rank", "R@1 alone, OpenDialKG valid; over the stand-in: MRR, weighed in",
        _recall(tuned.ranker.recall), _alone(found.get(False)),
        _recall(way.alone.scores.recall), _interval(gain.value, gain.low, gain.high, "+.3f"), _on("rank"),
    )  # fmt: skip


def _alone(report: LlmRankReport | None) -> str:
    """The best of the base model's ways, on its own lists."""
    if report is None or not report.ways:
        return "-"
    best = max(report.ways, key=lambda way: way.alone.scores.recall[1].value)
    return f"{_recall(best.alone.scores.recall)} ({best.way}; n = {report.rows})"


def _recall(recall: Mapping[int, Interval]) -> str:
    first = recall[1]
    return _interval(first.value, first.low, first.high, ".3f")


def _reply(report: Report) -> Iterator[tuple[str, ...]]:
    """Of the sentences that a model writes those that the check lets pass, and the words that a reply saves."""
    section = report.others.get(REPLIES)
    sides = section.result.get("sides") if section and isinstance(section.result, dict) else None
    if not isinstance(sides, list) or len(sides) < 3:
        return
    _, base, tuned = (side for side in sides if isinstance(side, dict))
    fewer, low, high = (_number(tuned[f"fewer_words{end}"]) for end in ("", "_low", "_high"))
    gain = f"fewer words: {_interval(fewer, low, high, '+.1f')}"
    yield "reply", "sentences that pass the check", "all (by code)", _passed(base), _passed(tuned), gain, _on("reply")


def _passed(side: Mapping[str, JsonValue]) -> str:
    passed, of, unsupported = (_number(side[name]) for name in ("passed", "sentences", "unsupported"))
    return f"{passed:.2f} of {of:.0f}, {unsupported:.0f} unsupported"


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _interval(value: float, low: float, high: float, form: str) -> str:
    return f"{value:{form}} [{low:{form}} – {high:{form}}]"


def _on(skill: str) -> str:
    return "yes" if verdicts()[skill] else "no"
