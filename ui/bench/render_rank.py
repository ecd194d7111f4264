"""What the language model adds to a ranker's order, as Markdown: for BENCHMARKS.md and for the terminal.

Knows nothing of how anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.bench.retrieval.llm_rank import (
    MAX_MS,
    MIN_GAIN,
    TUNED_WAY,
    LlmRankReport,
    OrderReport,
    PositionBias,
    WayReport,
)
from agent.bench.retrieval.recall import CUTOFFS, Interval, Scores
from agent.rank.blend import UNTUNED_WEIGHT
from agent.rank.llm import SHUFFLES
from ui.bench.render_talk import escaped, table

_SHOWN = (1, 10)
"""Cutoffs of the table: a new order of the first places does not change what stands among the first fifty."""
POSITIONS = 5
"""Labels that are named by themselves; the rest is one number."""


def rank_lines(report: LlmRankReport) -> list[str]:
    """Each way alone and weighed in, its time, the verdict, and how the liking for places is dealt with."""
    tuned = f"with the adapter {report.adapter}" if report.adapter else "untuned"
    rows = [
        ("the ranker's order", *_scores(report.ranker), "", "", ""),
        ("the same shuffled", *_scores(report.chance), "", "", ""),
        ("the best order of the same", *_scores(report.ceiling), "", "", ""),
        *(row for way in report.ways for row in _way(way)),
    ]
    header = ("order", *(f"R@{cutoff}" for cutoff in _SHOWN), "MRR", "MRR against the ranker", "p50 ms", "p95 ms")
    lines = [
        f"The first {report.n} of each list, ordered anew by {escaped(report.model)}, {tuned}: {report.rows:,} rows, "
        f"{report.ranker.n:,} novel labels of {report.ranker.n_dialogues:,} dialogues. Brackets are 95 % bootstrap "
        "intervals over dialogues, differences are paired by label; times are of one list, one at a time.",
        "",
        *table(header, rows),
        "",
        "Alone: the model's order. Weighed in: its number, on one scale list by list, against the log of the ranker's "
        "place, with a weight for each fifth of the dialogues chosen on the others. "
        + (
            f"As trained: number - {report.prior:.2f} x ln(place), learned with the adapter and not chosen here. "
            if report.prior is not None
            else ""
        )
        + "The place in a list cannot matter to yes or no and to titles, which each candidate gets by itself; labels "
        f"are asked in {SHUFFLES} orders, and what a label gets whatever stands behind it is taken off.",
        "",
        f"Kept is a way from +{MIN_GAIN:g} MRR on, with the interval above zero, that takes at most {MAX_MS:.0f} ms at "
        "the 95th percentile; it counts as trained where there is that row, else weighed in.",
        "",
        *(f"- {_verdict(way)}" for way in report.ways),
    ]
    for way in report.ways:
        if way.bias is not None:
            lines += ["", *_bias(way.bias)]
    return lines


def _way(way: WayReport) -> Iterable[tuple[str, ...]]:
    ms = (f"{way.ms_p50:.0f}", f"{way.ms_p95:.0f}")
    yield f"{way.way} alone", *_order(way.alone), *ms
    yield f"{way.way} weighed in", *_order(way.fused), *ms
    if way.trained is not None:
        yield f"{way.way} as trained", *_order(way.trained), *ms


def _order(order: OrderReport) -> tuple[str, ...]:
    return (*_scores(order.scores), _difference(order.gain.mrr))


def _verdict(way: WayReport) -> str:
    weights = ", ".join(f"{weight:g}" for weight in way.weights)
    failed = f"; {way.unanswered} lists were not answered and stay as they came" if way.unanswered else ""
    first = (way.trained or way.fused).gain.recall[CUTOFFS[0]]
    untuned = way.way == TUNED_WAY and way.trained is None
    rule = f" (judged with the weight {UNTUNED_WEIGHT:g}, as an untuned model serves)" if untuned else ""
    return f"{way.way}: {'kept' if way.kept else 'off'}{rule}; R@1 {_difference(first)}; weights {weights}{failed}"


def _bias(bias: PositionBias) -> Iterable[str]:
    """A label whose share is far from even is liked for itself."""
    named = min(POSITIONS, len(bias.before))
    header = ("first choices of labels", *map(str, range(1, named + 1)), "the others together")
    even = (1 / len(bias.before),) * len(bias.before)
    rows = [
        (name, *(f"{share:.3f}" for share in shares[:named]), f"{sum(shares[named:]):.3f}")
        for name, shares in (("as read", bias.before), ("corrected", bias.after), ("even", even))
    ]
    yield f"Which place of a shuffled list came first, by the share of {bias.readings:,} readings:"
    yield ""
    yield from table(header, rows)


def _scores(scores: Scores) -> tuple[str, ...]:
    return tuple(_interval(one) for one in (*(scores.recall[cutoff] for cutoff in _SHOWN), scores.mrr))


def _interval(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f} – {one.high:.3f}]"


def _difference(one: Interval) -> str:
    return f"{one.value:+.3f} [{one.low:+.3f} to {one.high:+.3f}]"
