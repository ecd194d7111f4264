"""Item descriptions as Markdown: what became of the drafts, and what each text is worth to search.

Knows nothing of how anything was measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import JsonValue

from agent.rank.intervals import Interval
from finetune.describe.measuring import CUTOFF, DescribeFigures
from finetune.describe.reporting import RoundReport
from ui.bench.render_talk import escaped, table

SECTION = "describe"
"""Of the benchmark file, with the catalogue behind it: "describe, NAME"."""
TITLE = "Item descriptions that the model writes"


def describe_title(section: str) -> str:
    """The heading of a section of this name."""
    about = section.removeprefix(SECTION).lstrip(", ")
    return f"{TITLE}: {about}" if about else TITLE


def describe_lines(result: JsonValue) -> list[str]:
    """The page of `DescribeFigures`."""
    figures = DescribeFigures.model_validate(result)
    lines = [*_chosen(figures), "", *table(("drafts and texts", ""), _round(figures.round)), "", *_worth(figures)]
    if figures.tuned:
        lines += ["", *_tuned(figures)]
    return lines


def _chosen(figures: DescribeFigures) -> list[str]:
    by = (
        "queries made of the items' attributes, since nothing may be learned from this catalogue"
        if figures.evaluation_only
        else "queries of training dialogues, made ones where no dialogue led to the item"
    )
    return [
        f"{figures.n_items} items of {escaped(figures.catalogue)} that held-out dialogues led to; of an item's drafts "
        f"the one is kept that passes both claim checks and adds most to the item's place for {by}. Brackets are 95 % "
        "bootstrap intervals, over items here and over dialogues, paired by query, below."
    ]


def _round(report: RoundReport) -> Iterator[tuple[str, str]]:
    yield "writer", escaped(f"{report.model}, {report.adapter}" if report.adapter else f"{report.model}, untuned")
    yield "drafts", f"{report.drafts:,}"
    yield "drafts that the claim check takes nothing out of", _share(report.passed)
    yield "sentences refused", f"{_share(report.refused_share)}; {report.refused:,} of {report.sentences:,}"
    yield "refused by the independent check alone", f"{report.slipped:,}"
    yield "drafts that the discriminator holds for real", _share(report.held_real)
    yield "texts that the discriminator tells apart (chance 50 %)", _share(report.discriminator)
    yield "items with a new text", f"{_share(report.share_kept)}; {report.kept:,} of {report.items:,}"
    yield "unsupported claims in new texts (must be 0)", f"{report.unbacked:,} of {report.claims:,}"
    yield "sentences of new texts that stand in the old one", f"{report.copied:.1%}"
    yield "gain on the queries that chose", _signed(report.gain)


def _worth(figures: DescribeFigures) -> list[str]:
    rows = [
        (
            one.branch,
            one.text,
            _plain(one.recall_10),
            "" if one.text == "original" else _signed(one.more_recall),
            _plain(one.mrr),
            "" if one.text == "original" else _signed(one.more_mrr),
        )
        for one in figures.found
    ]
    header = ("branch", "text", f"recall at {CUTOFF}", "more than original", "mean reciprocal place", "more")
    return [
        f"{figures.n_queries} held-out queries of {figures.n_dialogues} dialogues look among {figures.n_ranked:,} "
        f"items, {figures.n_queries_kept} of them for one with a new text:",
        "",
        *table(header, rows),
    ]


def _tuned(figures: DescribeFigures) -> list[str]:
    rows = [(one.figure, str(one.n), _plain(one.before), _plain(one.after), _signed(one.more)) for one in figures.tuned]
    return [
        "The same items by the same model before it was tuned; one discriminator for both:",
        "",
        *table(("", "n", "untuned", "tuned", "difference"), rows),
    ]


def _share(one: Interval | None) -> str:
    return "-" if one is None else f"{one.value:.1%} [{one.low:.1%} – {one.high:.1%}]"


def _plain(one: Interval) -> str:
    return f"{one.value:.3f} [{one.low:.3f} – {one.high:.3f}]"


def _signed(one: Interval | None) -> str:
    return "-" if one is None else f"{one.value:+.4f} [{one.low:+.4f} – {one.high:+.4f}]"
