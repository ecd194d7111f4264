"""Figures of recommendation dialogues as Markdown: for BENCHMARKS.md and for the terminal.

Knows nothing of how anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.bench.retrieval.exposure import Exposure
from agent.bench.retrieval.figures import CEILING_K, Ablation, ComparedFiles, Diversified, RetrievalFigures
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
        "The price of diversity: the same lists of 50, reordered by maximal marginal relevance (0 is the ranker's "
        "order); distance is the mean of 1 - cosine between two of the first ten; novel labels."
    )
    yield ""
    cells = [
        (f"{row.knob:g}", f"{row.distance:.3f}", f"{row.coverage:.1%}", f"{row.gini:.3f}", *_scores_row(row.novel)[3:])
        for row in rows
    ]
    yield from table(("knob", "distance", "coverage", "Gini", *_RECALL, "MRR"), cells)


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
