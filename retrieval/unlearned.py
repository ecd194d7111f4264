"""What a shop can do on its first day: branches that need nobody's past, all with the same weight.

Measured without any training data on three sets of dialogues (`agent.bench.retrieval.untrained`): other weights than 1
gained nothing that held on all of them. Knows nothing of what may be learned later.
"""

from __future__ import annotations

from retrieval.branches.cues import read_cues
from retrieval.branches.linker import EntityLinker
from retrieval.branches.metapath import MetapathBranch
from retrieval.branches.names import NamesBranch
from retrieval.branches.values import read_values
from retrieval.search import Further
from retrieval.table import ItemTable


def unlearned(table: ItemTable) -> Further:
    """Names said in the dialogue, and items that share a value with items spoken of; for `Retriever.further`."""
    lists = read_values(table)
    linker = EntityLinker(table)
    return Further(
        (NamesBranch(table, lists), MetapathBranch(table, {}, lists)),
        lambda query: read_cues(query, linker, table),
        with_vector=False,
    )
