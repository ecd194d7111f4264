"""What a shop can do on its first day: branches that need nobody's past, and whom its listings are for.

Measured without any training data on three sets of dialogues (`agent.bench.retrieval.untrained`): other weights than 1
gained nothing that held on all of them. Knows nothing of what may be learned later.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from retrieval.audience import Audiences
from retrieval.branches.base import Cues, Scores
from retrieval.branches.cues import named_by, read_cues, without
from retrieval.branches.linker import EntityLinker
from retrieval.branches.mentions import LIKELY
from retrieval.branches.metapath import MetapathBranch
from retrieval.branches.names import NamesBranch
from retrieval.branches.values import read_values
from retrieval.search import Further
from retrieval.table import ItemTable

ASKED = "asked.title"
ASKED_WEIGHT = 8.0
"""More than the attributes that walks go over: what shares most with an item that is asked for comes after it."""
_AROUND = " \t\n.,;:!?…。！？\"'“”"


class AskedBranch:
    """Signal `ASKED`: the items that the customer's latest words name beyond doubt; whoever says "Heat" alone means it.

    Only where a query tells the customer's own words: in a dialogue of two people the other one may have named them.
    """

    def __init__(self, linker: EntityLinker) -> None:
        self._linker = linker

    def scores(self, cues: Cues) -> Mapping[str, Scores]:
        """See `Branch.scores`; a title that is all that is said is no everyday word."""
        if not cues.query.own:
            return {}
        now = named_by(cues.query.own[-1].strip(_AROUND), self._linker)
        items = without(now, cues.query.unwanted, self._linker).items
        sure = {row: weight for row, weight in items.items() if weight >= LIKELY}
        if not sure:
            return {}
        return {ASKED: Scores(np.array([*sure], dtype=np.int32), np.array([*sure.values()], dtype=np.float32))}


def unlearned(table: ItemTable) -> Further:
    """Names said in the dialogue, and items that share a value with items spoken of; for `Retriever.further`.

    Takes 2 s and 50 MB for 34,375 films.
    """
    lists = read_values(table)
    linker = EntityLinker(table)
    return Further(
        (NamesBranch(table, lists), MetapathBranch(table, {}, lists), AskedBranch(linker)),
        lambda query: read_cues(query, linker, table),
        weights={ASKED: ASKED_WEIGHT},
        with_vector=False,
        against=Audiences(table).against,
    )
