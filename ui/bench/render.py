"""The benchmark file as BENCHMARKS.md: every figure with its n and its range, and what was not measured.

Knows nothing of how anything is measured: it prints what stands in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from pydantic import JsonValue

from agent.bench.engine_load import EngineLoads
from agent.bench.spread import Spread
from agent.bench.transcripts import Transcript
from agent.bench.turn_times import SideTimes, TurnTimes
from ui.bench import (
    render_describe,
    render_injection,
    render_intents,
    render_learning,
    render_loop,
    render_offpolicy,
    render_privacy,
    render_shift,
    render_speed,
)
from ui.bench.ci import CITimes
from ui.bench.index import IndexCost, Quantiles
from ui.bench.render_dialogue import SECTION, TITLE, dialogue_lines, dialogue_title
from ui.bench.render_plain import plain_lines
from ui.bench.render_rank import rank_lines
from ui.bench.render_retrieval import ablation_lines, retrieval_lines
from ui.bench.render_skills import skills_section
from ui.bench.render_talk import table, talk_lines
from ui.bench.render_understand import understanding_lines
from ui.bench.report import Report, Section
from ui.bench.startup import Starts, StartTimes

T = TypeVar("T")

HEAD = """# Benchmarks

Rendered from {file} by `chatalogue bench render`; not edited by hand. A range in brackets runs from the least to the
greatest value, one marked 95 % is a bootstrap interval of the median. Times depend on the machine: read the ratios.
"""
REPRODUCE = """## How to reproduce

    make bench FILMS=movies.jsonl.gz DIALOGUES=sets RATINGS=movielens        all that takes minutes, then this page
    chatalogue bench all --films movies.jsonl.gz --dialogues sets --ratings movielens --out bench.json
    chatalogue bench render bench.json

A section is measured again by its own command, which stands below it and replaces that section of the file alone.
Settings are those of `chatalogue config show`, with exploration 0 so that runs repeat, and a data directory of the
benchmark's own. `movies.jsonl.gz` is the open movie set (JSON lines with `id`, `title`, `year`, `genres`, `cast`,
`director`, `overview`); `sets` a folder with one folder for each set of recommendation dialogues (`items.jsonl.gz`,
`train.jsonl.gz`, `valid.jsonl.gz`; figures are of valid, from which nothing is learned), `movielens` a folder with
`movies.csv` and `ratings.csv`. Leave the machine alone meanwhile: the load stands beside each section.
"""
FAULTS = """## Faults

What a customer sees when a part fails, what is lost and how fast it recovers: [docs/faults.md](docs/faults.md), each
row with the test that proves it.
"""
OTHERS = {
    "ratings": "Rating prediction",
    "personal": "Learning within a conversation, simulated",
    SECTION: TITLE,
    render_describe.SECTION: render_describe.TITLE,
    render_learning.SECTION: render_learning.TITLE,
    render_loop.SECTION: render_loop.TITLE,
    render_offpolicy.SECTION: render_offpolicy.TITLE,
    render_privacy.SECTION: render_privacy.TITLE,
    render_speed.SECTION: render_speed.TITLE,
    "replies": "What is said of the first item",
    "starters": "Starter adapters side by side: item texts first, layers dropped",
    "scale": "A query without the language model, by size of the catalogue",
}
"""Titles of the other sections; those of the simulated customers have a page of their own."""
ALWAYS_UNMEASURED = (
    "the first installation by `make serve` (it depends on the network)",
    "a GPU",
    "start-up with the files of the packages not yet in the operating system's memory",
)


def render(report: Report, file: str) -> str:
    """The whole page; `file` is the name under which the reader finds the figures."""
    parts = [
        HEAD.format(file=f"`{file}`"),
        "\n".join(_machine(report)) + "\n",
        REPRODUCE,
        _section("Start and stop", report.start, _start),
        _section("Index and search", report.index, _index),
        _section("Single turns", report.turns, _turns),
        _section("Engines under load", report.engines, _engines),
        skills_section(report),
        _section("Understanding", report.understand, understanding_lines),
        _section("Ten turns in the Reel Shop", report.talk_shop, _talk(report.talk_shop_rules)),
        _section("Ten turns over the films", report.talk_films, _talk(report.talk_films_rules)),
        *(
            _section(f"Recommendation dialogues: {name}", one, retrieval_lines)
            for name, one in report.retrieval.items()
        ),
        *(_section(f"What each part is worth: {name}", one, ablation_lines) for name, one in report.ablation.items()),
        *(
            _section(f"The language model over ranked lists: {name}", one, rank_lines)
            for name, one in report.rank_skill.items()
        ),
        *(_other(name, one) for name, one in report.others.items()),
        FAULTS,
        _section("Time of `.ci/run`", report.ci, _ci),
        "\n".join(_unmeasured(report)) + "\n",
    ]
    return "\n".join(part for part in parts if part)


def _section(title: str, section: Section[T] | None, lines: Callable[[T], list[str]]) -> str:
    if section is None:
        return ""
    when = section.at.strftime("%Y-%m-%d %H:%M UTC")
    how = (
        f"`{section.command}` · {when} · commit {section.commit} · {section.seconds:.0f} s · "
        f"load {section.load_1m:g} before"
    )
    return "\n".join([f"## {title}", "", *lines(section.result), "", how, ""])


_KINDS: dict[str, tuple[Callable[[str], str], Callable[[JsonValue], list[str]]]] = {
    SECTION: (dialogue_title, dialogue_lines),
    render_describe.SECTION: (render_describe.describe_title, render_describe.describe_lines),
    render_injection.SECTION: (render_injection.injection_title, render_injection.injection_lines),
    render_intents.FOLDS: (render_intents.folds_title, render_intents.folds_lines),
    render_intents.SECTION: (render_intents.intents_title, render_intents.intents_lines),
    render_learning.SECTION: (lambda _: render_learning.TITLE, render_learning.learning_lines),
    render_loop.SECTION: (lambda _: render_loop.TITLE, render_loop.loop_lines),
    render_offpolicy.SECTION: (lambda _: render_offpolicy.TITLE, render_offpolicy.offpolicy_lines),
    render_privacy.SECTION: (lambda _: render_privacy.TITLE, render_privacy.privacy_lines),
    render_shift.SECTION: (lambda _: render_shift.TITLE, render_shift.shift_lines),
    render_speed.SWITCH: (render_speed.switch_title, render_speed.switch_lines),
    render_speed.SECTION: (lambda _: render_speed.TITLE, render_speed.speed_lines),
}
"""For the first part of a section's name: what its heading is, by the whole name, and how its result is written."""


def _other(name: str, section: Section[JsonValue]) -> str:
    if kind := _KINDS.get(name.partition(",")[0]):
        title, lines = kind
        return _section(title(name), section, lines)
    return _section(OTHERS.get(name, name), section, plain_lines)


def _talk(rules: Section[Transcript] | None) -> Callable[[Transcript], list[str]]:
    return partial(talk_lines, rules=rules.result if rules else None)


def _machine(report: Report) -> list[str]:
    machine = report.machine
    packages = ", ".join(f"{name} {number}" for name, number in sorted(machine.packages.items()))
    rows = [
        ("processor", machine.cpu),
        ("cores", str(machine.cores)),
        ("memory", f"{machine.memory_gib:g} GiB"),
        ("system", machine.os),
        ("Python", machine.python),
        ("packages", packages),
    ]
    return table(("machine", ""), rows)


def _start(times: StartTimes) -> list[str]:
    rows = [
        ("n", *(str(len(kind.exit_codes)) for kind in (times.cold, times.warm))),
        *(
            (label, *(_seconds(getattr(kind, name)) for kind in (times.cold, times.warm)))
            for name, label in (
                ("healthz", "`/healthz` answers"),
                ("ready", "`/readyz` says ok, language model included"),
                ("first_answer", "first chat answer has come over HTTP"),
                ("stop", "SIGTERM to the end of the process"),
            )
        ),
        ("exit codes", *(_codes(kind) for kind in (times.cold, times.warm))),
    ]
    return [
        "Seconds from the start of `chatalogue serve` on the demo shop, median [range]. Cold: an empty data directory, "
        "so the shop is indexed and the weights are converted first. Warm: the same directory again.",
        "",
        *table(("", "cold", "warm"), rows),
    ]


def _codes(starts: Starts) -> str:
    return ", ".join(map(str, starts.exit_codes)) or "-"


def _index(cost: IndexCost) -> list[str]:
    queries = cost.queries
    builds = [
        (label, f"{one.seconds:.1f}", f"{one.cpu_seconds:.1f}", f"{one.peak_rss_gib:.2f}", "1")
        for label, one in (("from nothing", cost.first), ("the same file again", cost.again))
    ]
    searches = [
        ("embedding the query alone", *_quantiles(queries.encode_ms), str(queries.n_queries)),
        ("no filter", *_quantiles(queries.unfiltered_ms), str(queries.n_queries)),
        *(
            (f"filter that leaves {share}", *_quantiles(times), str(queries.n_queries))
            for share, times in queries.filtered_ms.items()
        ),
        *(
            (label, *_quantiles(times), str(queries.n_queries))
            for label, times in (
                ("no filter, with names and shared values, as shops search", queries.first_day_ms),
                ("the same, naming an item", queries.first_day_named_ms),
            )
            if times is not None
        ),
    ]
    return [
        f"`chatalogue index {cost.catalogue} --keep-first`: {cost.n_items:,} items, {cost.n_rejected:,} rows left out.",
        "",
        *table(("index", "s", "processor s", "peak memory GiB", "n"), builds),
        "",
        "One query at a time (embed, retrieve 200, fuse, filter), milliseconds:",
        "",
        *table(("query", "p50", "p95", "n"), searches),
        "",
        f"HNSW finds {queries.hnsw_recall_at_200:.1%} of the exact 200 nearest; with a filter search is exact. "
        f"Peak memory of searching, in the process that wrote the index: {queries.serving_peak_rss_gib:.2f} GiB.",
    ]


def _turns(times: TurnTimes) -> list[str]:
    marks = (
        ("cards", "cards on screen"),
        ("first_word", "first word"),
        ("sentence", "first sentence after the list, where the model was asked"),
        ("total", "whole turn"),
    )
    header = ("ms", *(f"model {side.side}: {what}" for side in times.sides for what in ("p50 [95 %]", "p95", "n")))
    rows = [
        (label, *(cell for side in times.sides for cell in _milliseconds(getattr(side, name)))) for name, label in marks
    ]
    return [
        f"First messages to the demo shop ({times.n_items} items), the same to both sides in turns, one at a time, in "
        f"one process. The model is {times.model}.",
        "",
        *table(header, rows),
        "",
        *(f"- model {side.side}: {_counts(side)}" for side in times.sides),
    ]


def _engines(loads: EngineLoads) -> list[str]:
    marks = (
        ("first_token", "first token, ms", 0),
        ("tokens_per_s", "tokens/s of all chats", 1),
        ("turn", "whole turn, ms", 0),
    )
    rows = [
        (
            str(levels[0].chats),
            label,
            *(cell for one in levels for cell in _load_cells(getattr(one, name), digits)),
        )
        for levels in zip(*(engine.levels for engine in loads.engines), strict=True)
        for name, label, digits in marks
    ]
    header = ("chats", "", *(f"{one.engine}: {what}" for one in loads.engines for what in ("p50 [95 %]", "p95", "n")))
    unasked = ", ".join(
        f"{one.engine} {sum(level.turns_without_model for level in one.levels)}" for one in loads.engines
    )
    prompts = f"{loads.prompt_tokens.p50:.0f}" if loads.prompt_tokens else "-"
    return [
        f"So many chats at once, the same prompts (median {prompts} tokens) and messages to both engines by turns, "
        f"greedy, at most {loads.tokens} tokens an answer; the model is {loads.model}, no adapter. Waiting in the "
        "queue is part of the first token. Both engines are in memory all the time and share the cores with the app.",
        "",
        *table(header, rows),
        "",
        f"Turns in which the model was not asked, or failed: {unasked}.",
    ]


def _load_cells(spread: Spread | None, digits: int) -> tuple[str, str, str]:
    if spread is None:
        return "-", "-", "0"
    middle = f"{spread.p50:.{digits}f} [{spread.p50_low:.{digits}f} – {spread.p50_high:.{digits}f}]"
    return middle, f"{spread.p95:.{digits}f}", str(spread.n)


def _ci(times: CITimes) -> list[str]:
    rows = [(part.name, f"{part.seconds:.0f}") for part in times.parts]
    return ["One run on a clean checkout, nothing skipped.", "", *table(("part", "s"), rows)]


def _counts(side: SideTimes) -> str:
    return (
        f"asked in {side.model_asked} of {side.n} turns; a sentence of it refused by the grounding check in "
        f"{side.refused}; degraded in {side.degraded}"
    )


def _unmeasured(report: Report) -> Iterable[str]:
    kinds = {name.partition(",")[0] for name in report.others}
    sections = (
        (report.start, "start and stop"),
        (report.index, "index and search"),
        (report.turns, "single turns"),
        (report.engines, "the engines under load"),
        (report.understand, "understanding"),
        (report.talk_shop, "the conversation in the Reel Shop"),
        (report.talk_films, "the conversation over the films"),
        (report.retrieval or None, "the quality of recommendations"),
        (report.ablation or None, "what each part of the ranking is worth"),
        (report.rank_skill or None, "the language model over ranked lists"),
        *((name in kinds or None, title.lower()) for name, title in OTHERS.items()),
    )
    yield "## What was not measured"
    yield ""
    for section, name in sections:
        if section is None:
            yield f"- {name}: not in this file"
    yield from (f"- {name}" for name in ALWAYS_UNMEASURED)


def _seconds(spread: Spread | None) -> str:
    return f"{spread.p50:.1f} [{spread.low:.1f} – {spread.high:.1f}]" if spread else "-"


def _milliseconds(spread: Spread | None) -> tuple[str, str, str]:
    if spread is None:
        return "-", "-", "0"
    return f"{spread.p50:.0f} [{spread.p50_low:.0f} – {spread.p50_high:.0f}]", f"{spread.p95:.0f}", str(spread.n)


def _quantiles(times: Quantiles) -> tuple[str, str]:
    return f"{times.p50:g}", f"{times.p95:g}"
