"""Lists for the training of the rank skill: each moment's by a ranker that has not learned from its dialogue.

Knows nothing of language models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.bench.retrieval.dialogues import Ranked, Row
from agent.bench.retrieval.pipeline import Bundle, RetrievalSystem, fit
from agent.rank.crossfit import cross_fitted
from retrieval.encoder import Encoder
from retrieval.items import Item

FOLDS = 5
"""Each list is made by what four fifths of the dialogues teach."""


@dataclass(frozen=True, slots=True)
class _Entry:
    row: Row

    @property
    def group(self) -> str:
        return self.row.dialogue_id


def cross_fitted_lists(
    items: Sequence[Item],
    rows: Sequence[Row],
    encoder: Encoder,
    told: Callable[[int, int], None] = lambda done, of: None,
    *,
    n_folds: int = FOLDS,
    learned: bool = True,
) -> tuple[Ranked, ...]:
    """A list for each row, in their order, with the ranker as it would be served.

    What speakers said outside of the dialogues (likes) is not used: it would tell of the very dialogue.

    Args:
        items: the catalogue.
        rows: a train file.
        encoder: as for `fit`; it is asked for the same texts once for each fold.
        told: progress: rows done, of how many.
        n_folds: rankers that are fitted.
        learned: False: the unlearned order, which is made in a fraction of the time.
    """

    def fitted(entries: Sequence[_Entry]) -> RetrievalSystem:
        return fit(Bundle(tuple(items), tuple(entry.row for entry in entries)), encoder, learned=learned)

    entries = [_Entry(row) for row in rows]
    return tuple(
        cross_fitted(entries, fitted, lambda system, entry: system.rank(entry.row), n_folds=n_folds, progress=told)
    )
