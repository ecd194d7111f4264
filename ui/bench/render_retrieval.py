"""Figures of recommendation dialogues as Markdown: for BENCHMARKS.md and for the terminal.

Knows nothing of how anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.bench.retrieval.exposure import Exposure
from agent.bench.retrieval.figures import (
    CEILING_K,
    SLATE,
    Ablation,
    ComparedFiles,
    Diversified,
    ModelOrder,
    RetrievalFigures,
)
from agent.bench.retrieval.recall import CUTOFFS, Comparison, Interval, Scores
from agent.bench.spread import Spread
from ui.bench.render_talk import escaped, table

_RECALL = tuple(f"R@{cutoff}" for cutoff in CUTOFFS)
_LABELS = {"novel": "novel", "all": "all labels"}


def retrieval_lines(figures: RetrievalFigures) -> list[str]:
    """One run: recall, ceilings, exposure, the price of diversity, times."""
    without = f", without {', '.join(figures.without)}" if figures.without else ""
    lines = [
        f"{figures.n_rows:,} rows over {figures.n_items:,} items, trained on {figures.n_train:,} rows in "
        f"{figures.fit_s:.0f} s{without}. Brackets are 95 % bootstrap intervals over dialogues.",
    ]
    scored = [one for one in (figures.novel, figures.everything) if one is not None]
    if figures.llm is not None:
        lines += ["", _by_model(figures.llm, figures.n_rows)]
    if scored:
        lines += ["", *table(("labels", "n", "dialogues", *_RECALL, "MRR"), map(_scores_row, scored))]
        lines += ["", _of_all(figures)]
    if figures.in_catalogue is not None and figures.ceilings:
        lines += ["", *_ceilings(figures, figures.in_catalogue)]
    lines += ["", *_exposure(figures.exposure)]
    if figures.diversity:
        lines += ["", *_diversity(figures.diversity)]
    if figures.importance:
        named = ", ".join(f"{escaped(name)} {share:.3f}" for name, share in figures.importance.items())
        lines += ["", f"The features by their share in what the trees gained: {named}."]
    lines += ["", *_times(figures.ms), *(f"- leak check: {escaped(one.sentence)}" for one in figures.leaks)]
    return lines


def comparison_lines(compared: ComparedFiles) -> list[str]:
    """Two prediction files, paired."""
    found = [one for one in (compared.novel, compared.everything) if one is not None]
    rows = [(_LABELS[one.labels], str(one.n), *_differences(one)) for one in found]
    lines = [
        f"{escaped(compared.second)} minus {escaped(compared.first)}, paired by label; brackets are 95 % bootstrap "
        "intervals over dialogues.",
        "",
        *table(("labels", "n", *_RECALL, "MRR"), rows),
    ]
    unanswered = zip((compared.first, compared.second), compared.missing, strict=True)
    said = [f"- {escaped(name)} has no list for {n} rows, which count as missed" for name, n in unanswered if n]
    return [*lines, *(["", *said] if said else [])]


def ablation_lines(ablation: Ablation) -> list[str]:
    """Each part left out, or added, against the full system."""
    rows = [("the full system", *(_interval(one) for one in (*ablation.full.recall.values(), ablation.full.mrr)))]
    for row in ablation.rows:
        words = "without" if row.change == "left out" else "with"
        rows.append((f"{words} {escaped(row.part)}", *_differences(row.difference)))
    return [
        f"Novel labels, n = {ablation.full.n}, {ablation.full.n_dialogues} dialogues, {ablation.n_train:,} rows to "
        "train on. The first row is recall, the others are differences to it, paired by label; brackets are 95 % "
        "bootstrap intervals over dialogues. Each row is a system trained anew.",
        "",
        *table(("", *_RECALL, "MRR"), rows),
    ]


def _by_model(order: ModelOrder, n_rows: int) -> str:
    tuned = f"with the adapter {order.adapter}" if order.adapter else "untuned"
    weighed = f"as it was trained to be (prior {order.prior:.2f})" if order.prior is not None else "by a small weight"
    return (
        f"The first {order.n} of each list are ordered by {escaped(order.model)}, {tuned}, too, weighed {weighed}; "
        f"{order.unanswered:,} of {n_rows:,} lists it did not answer."
    )


def _of_all(figures: RetrievalFigures) -> str:
    novel, everything = (one.n if one else 0 for one in (figures.novel, figures.everything))
    return (
        f"A label is novel when nobody had mentioned the item. Mentioned items are not in the lists, so of all labels "
        f"{novel / everything:.3f} is the most that can be found."
    )


def _scores_row(scores: Scores) -> tuple[str, ...]:
    values = (*scores.recall.values(), scores.mrr)
    return _LABELS[scores.labels], str(scores.n), str(scores.n_dialogues), *(_interval(one) for one in values)


def _ceilings(figures: RetrievalFigures, in_catalogue: Interval) -> Iterable[str]:
    rows = [("the whole catalogue", f"{figures.n_items:,}", _interval(in_catalogue))]
    rows += [(escaped(one.branch), f"{one.ids:,.0f}", _interval(one.recall)) for one in figures.ceilings]
    yield (
        f"What a perfect ranker could reach: share of the novel labels among the first {CEILING_K} of each branch "
        f"(n = {figures.ceilings[0].n})."
    )
    yield ""
    yield from table(("branch", "items, median", f"R@{CEILING_K}"), rows)


def _exposure(exposure: Exposure) -> Iterable[str]:
    yield (
        f"Exposure in the first {exposure.length} places of {exposure.n_lists:,} lists: {exposure.coverage:.1%} of the "
        f"catalogue is shown, Gini {exposure.gini:.3f} (0: all items equally often)."
    )
    if exposure.deciles:
        shares = [f"{share:.1%}" for share in exposure.deciles]
        header = ("tenth of the catalogue by popularity", *map(str, range(1, len(shares) + 1)))
        yield ""
        yield from table(header, [("share of the places", *shares)])
    if (provider := exposure.provider) is not None:
        named = "; ".join(f"{escaped(one.name)} {one.exposure:.1%}, {one.items:.1%}" for one in provider.largest)
        yield ""
        yield (
            f"By {escaped(provider.attribute)}: {provider.n:,} providers, Gini {provider.gini:.3f}, "
            f"{provider.nameless:.1%} of the places have none; the largest (of the places, of the catalogue): "
            f"{named}."
        )


def _diversity(rows: Iterable[Diversified]) -> Iterable[str]:
    yield (
        f"The price of variety: the first {SLATE} of each list given anew, what is like those above losing up to the "
        f"knob times what lies between a good and a poor candidate (likeness: maximal marginal relevance, which is "
        f"served as `chat.diversity`), or a list the more the less its genres are shared out like those of the items "
        f"spoken of (calibration). Within these {SLATE}: distance is the mean of 1 - cosine between two items, "
        f"apart the divergence from that taste in nats, with coverage, Gini and recall; novel labels."
    )
    yield ""
    cells = [
        (
            row.way if row.knob else "off",
            f"{row.knob:g}",
            f"{row.distance:.3f}",
            "" if row.miscalibration is None else f"{row.miscalibration:.3f}",
            f"{row.coverage:.1%}",
            f"{row.gini:.3f}",
            "" if row.in_slate is None else _interval(row.in_slate),
            *_scores_row(row.novel)[3:],
        )
        for row in rows
    ]
    header = ("way", "knob", "distance", "apart", "coverage", "Gini", f"R@{SLATE}", *_RECALL, "MRR")
    yield from table(header, cells)


def _times(ms: Spread | None) -> Iterable[str]:
    if ms is not None:
        yield (
            f"A row takes {ms.p50:.1f} ms at the median [{ms.p50_low:.1f} – {ms.p50_high:.1f}], {ms.p95:.1f} ms at the "
            f"95th percentile (n = {ms.n}), one at a time."
        )


def _differences(comparison: Comparison) -> tuple[str, ...]:
    return tuple(_difference(one) for one in (*comparison.recall.values(), comparison.mrr))


def _interval(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f} – {one.high:.3f}]"


def _difference(one: Interval) -> str:
    return f"{one.value:+.3f} [{one.low:+.3f} to {one.high:+.3f}]"
