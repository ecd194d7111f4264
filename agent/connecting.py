"""Which value an item of a list shares with an item that the customer spoke of, where that brought it up.

Knows nothing of the words that say it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from agent.ranking import Shared, Slate
from agent.understand.roles import PERSON_ROLES, role_of
from retrieval.branches.metapath import PREFIX, MetapathBranch
from retrieval.items import Item
from retrieval.query import BranchHit, Candidate, Query
from retrieval.search import Retriever
from retrieval.table import ItemTable
from retrieval.text import fold

TELLING = math.log1p(8.0)
"""The weight from which a shared value is worth saying: one that an eighth of the items has, or fewer."""
LIKED = 4
"""Items spoken of with liking that are looked at, those of the largest weight."""


def connected(slate: Slate, found: Sequence[Candidate], query: Query, retriever: Retriever) -> Slate:
    """The slate, its entries with what they share with an item that the customer liked or named."""
    further = retriever.further
    paths = next((branch for branch in further.branches if isinstance(branch, MetapathBranch)), None)
    if paths is None:
        return slate
    lifted = {one.item_id for one in found if _is_lifted(one.branches)}
    entries = [entry for entry in slate.entries if entry.item.id in lifted]
    if not entries:
        return slate
    seeds = sorted(further.read(query).seeds.items(), key=lambda seed: -seed[1])
    liked = [row for row, weight in seeds[:LIKED] if weight > 0]
    shared = {one.item.id: _shared(one.item, paths, liked, retriever.table) for one in entries}
    return replace(slate, entries=tuple(replace(one, shared=shared.get(one.item.id)) for one in slate.entries))


def _is_lifted(hits: Mapping[str, BranchHit]) -> bool:
    """Whether a list of items that share something has the item in as good a place as any other list."""
    walks = [hit.rank for name, hit in hits.items() if name.startswith(PREFIX)]
    others = [hit.rank for name, hit in hits.items() if not name.startswith(PREFIX)]
    return bool(walks) and min(walks) <= min(others, default=math.inf)


def _shared(item: Item, paths: MetapathBranch, liked: Sequence[int], table: ItemTable) -> Shared | None:
    """The value that says most and stands in a field of the item: words of titles and decades do not.

    Of several people the one in most items of the catalogue, whom the customer knows likeliest.
    """
    found = [
        Shared(path.attribute, value, path.seed_id)
        for path in paths.explain(liked, table.row_of(item.id))
        if path.weight >= TELLING and (value := _own(item, path.attribute, path.value))
    ]
    if not found or role_of(found[0].attribute, number=False) not in PERSON_ROLES:
        return found[0] if found else None
    known = table.shape.attributes[found[0].attribute].values or {}
    return max((one for one in found if one.attribute == found[0].attribute), key=lambda one: known.get(one.value, 0))


def _own(item: Item, attribute: str, folded: str) -> str:
    """The item's own field in its own spelling; "" where it has no such text (a decade)."""
    value = item.attributes.get(attribute)
    texts = value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()
    return next((text for text in texts if fold(text) == folded), "")
