"""What descriptions are worth to search: the same queries over original, generated and both texts.

The queries are of dialogues that nothing was chosen by. All described items carry their new texts at the same time, so
what one gains another may lose. Knows nothing of how the texts came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from agent.bench.retrieval.dialogues import Row
from agent.rank.intervals import Interval, intervals
from finetune.describe.finding import Finder, rivals_of
from finetune.describe.queries import query_text
from finetune.describe.reporting import ItemScores, RoundReport
from finetune.describe.rounds import Told
from finetune.describe.types import extended
from retrieval.encoder import Encoder
from retrieval.errors import BadRequest
from retrieval.items import Item
from retrieval.text import tokens

Text: TypeAlias = Literal["original", "generated", "both"]
TEXTS: tuple[Text, ...] = ("original", "generated", "both")
BRANCHES = ("dense", "lexical", "fused")
CUTOFF = 10
SCORES = {
    "passed": "drafts that the claim check takes nothing out of",
    "refused": "sentences refused",
    "real": "drafts that the discriminator holds for real",
    "kept": "items with a new text",
    "gain": "gain on training queries",
}
"""What is compared of `ItemScores`, in words."""
YEARS_APART = 1
"""Between two catalogues' years of one film."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A query, the item that was accepted after it, and the dialogue that both are of."""

    text: str
    item_id: str
    dialogue_id: str


class Found(BaseModel):
    """How well one branch finds the described items by one text: recall at 10, mean reciprocal place.

    `more_recall`, `more_mrr`: by how much better than by the original text, paired by query.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Text
    branch: str
    recall_10: Interval
    mrr: Interval
    more_recall: Interval
    more_mrr: Interval


class Compared(BaseModel):
    """One figure of the writer before and after it was tuned, and the difference on the same items or queries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: str
    n: int
    before: Interval
    after: Interval
    more: Interval


class DescribeFigures(BaseModel):
    """One catalogue. `n_items` were described, `n_queries` of `n_dialogues` look for them among `n_ranked` items.

    `n_queries_kept` look for an item that has a new text: the others find the same by each text, but for what the new
    ones take from them. `evaluation_only`: texts were chosen by made queries alone, and nothing was learned. `tuned`:
    what a tuned writer does to the same items that the untuned one does not; () for the untuned one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    catalogue: str
    evaluation_only: bool
    n_items: int
    n_kept: int
    n_ranked: int
    n_queries: int
    n_queries_kept: int
    n_dialogues: int
    found: tuple[Found, ...]
    round: RoundReport
    tuned: tuple[Compared, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranked:
    """The places of the wanted items by each text, (queries, branches); of `n` items.

    `dialogues`: the number of each query's dialogue, (queries,).
    """

    places: Mapping[Text, NDArray[np.float64]]
    dialogues: NDArray[np.int64]
    n: int


def rank_texts(
    items: Sequence[Item],
    kept: Mapping[str, str],
    wanted: Sequence[Wanted],
    encoder: Encoder,
    told: Told = lambda stage, done, of: None,
) -> Ranked:
    """Rank for each query by each text.

    Args:
        items: the catalogue.
        kept: new text by item id, of wanted items; those without one keep their own under every heading.
        wanted: held-out queries for described items.
        encoder: asked for the same texts again and again: a remembering one spares time.
        told: progress.

    Raises:
        BadRequest: there is no query.
    """
    if not wanted:
        raise BadRequest("No held-out dialogue leads to a described item; describe more items, or give more dialogues.")
    ranked = _ranked(items, {one.item_id for one in wanted} | set(kept))
    places: dict[Text, NDArray[np.float64]] = {}
    for number, text in enumerate(TEXTS):
        told("measuring", number, len(TEXTS))
        finder = Finder([_with(item, kept.get(item.id), text) for item in ranked], encoder)
        asked = finder.ask([one.text for one in wanted])
        found = [finder.places(query, one.item_id) for query, one in zip(asked, wanted, strict=True)]
        places[text] = np.array([[getattr(one, branch) for branch in BRANCHES] for one in found])
    told("measuring", len(TEXTS), len(TEXTS))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(one.dialogue_id for one in wanted))}
    dialogues = np.array([numbers[one.dialogue_id] for one in wanted], dtype=np.int64)
    return Ranked(places, dialogues, len(ranked))


def found_by(ranked: Ranked) -> tuple[Found, ...]:
    """The figures of each branch and text."""
    return tuple(_found(text, branch, ranked) for branch in range(len(BRANCHES)) for text in TEXTS)


def compared_items(before: Sequence[ItemScores], after: Sequence[ItemScores]) -> tuple[Compared, ...]:
    """Two writers' drafts of the same items, item by item; judged by one discriminator."""
    known = {one.item_id: one for one in before}
    pairs = [(known[one.item_id], one) for one in after if one.item_id in known]
    if not pairs:
        return ()
    scores = {name: np.array([[getattr(one, name) for one in pair] for pair in pairs]) for name in SCORES}
    return tuple(_compared(words, scores[name][:, 0], scores[name][:, 1]) for name, words in SCORES.items())


def compared_places(before: Ranked, after: Ranked) -> tuple[Compared, ...]:
    """Two writers' texts, query by query, in both branches fused."""
    fused = BRANCHES.index("fused")
    texts: tuple[Text, ...] = ("generated", "both")
    found: list[Compared] = []
    for text in texts:
        first, second = (_columns(one.places[text][:, fused]) for one in (before, after))
        for column, figure in enumerate(("recall at 10", "mean reciprocal place")):
            words = f"held-out {figure}, {text}"
            found.append(_compared(words, first[:, column], second[:, column], after.dialogues))
    return tuple(found)


def wanted_items(rows: Iterable[Row], names: Mapping[str, str]) -> tuple[Wanted, ...]:
    """The novel targets of held-out rows that are items of ours; `names`: of the rows' item ids to ours."""
    return tuple(
        Wanted(text, names[target], row.dialogue_id)
        for row in rows
        if (text := query_text(row)).strip()
        for target in row.novel
        if target in names
    )


def joined(theirs: Iterable[Item], ours: Iterable[Item]) -> dict[str, str]:
    """Which items of another catalogue are ours: the same title, years at most one apart; the nearest year wins."""
    by_title: dict[str, list[tuple[float, str]]] = {}
    for item in ours:
        year = _year(item)
        if year is not None:
            by_title.setdefault(_key(item.title), []).append((year, item.id))
    found: dict[str, str] = {}
    for item in theirs:
        year = _year(item)
        near = [] if year is None else [(abs(year - other), own) for other, own in by_title.get(_key(item.title), [])]
        near = sorted(one for one in near if one[0] <= YEARS_APART)
        if near and (len(near) == 1 or near[0][0] < near[1][0]):
            found[item.id] = near[0][1]
    return found


def _found(text: Text, branch: int, ranked: Ranked) -> Found:
    here, before = (_columns(ranked.places[one][:, branch]) for one in (text, TEXTS[0]))
    recall, mrr = intervals(here, ranked.dialogues)
    more_recall, more_mrr = intervals(here - before, ranked.dialogues)
    return Found(
        text=text, branch=BRANCHES[branch], recall_10=recall, mrr=mrr, more_recall=more_recall, more_mrr=more_mrr
    )


def _compared(
    figure: str, before: NDArray[np.float64], after: NDArray[np.float64], groups: NDArray[np.int64] | None = None
) -> Compared:
    """`groups`: what hangs together; None: each value stands alone."""
    columns = np.stack([before, after, after - before], axis=1)
    owners = np.arange(len(columns)) if groups is None else groups
    first, second, more = intervals(columns, owners)
    return Compared(figure=figure, n=len(columns), before=first, after=second, more=more)


def _columns(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Hit and reciprocal place: (queries, 2)."""
    return np.stack([(places <= CUTOFF).astype(np.float64), 1 / places], axis=1)


def _with(item: Item, kept: str | None, text: Text) -> Item:
    if kept is None or text == "original":
        return item
    return extended(item, kept) if text == "both" else replace(item, text=kept)


def _ranked(items: Sequence[Item], described: set[str]) -> list[Item]:
    """The described items, and the rivals that texts were chosen against."""
    chosen = [item for item in items if item.id in described]
    return chosen + [item for item in rivals_of(items) if item.id not in described]


def _key(title: str) -> str:
    return " ".join(tokens(title))


def _year(item: Item) -> float | None:
    """The year, or that of a release date."""
    for name, value in item.attributes.items():
        if "year" in name or "date" in name:
            text = value[0] if isinstance(value, tuple) and value else value
            if isinstance(text, int | float):
                return float(text)
            if isinstance(text, str) and text[:4].isdigit():
                return float(text[:4])
    return None
