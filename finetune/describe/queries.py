"""Training queries of items: what was said before an item was accepted, else wishes made of its attributes.

Only training data belongs here: what decides which text is kept must not be what it is measured on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from agent.bench.retrieval.dialogues import Row
from finetune.dialogues.noise import Dice
from finetune.dialogues.sayings import Sayer
from finetune.dialogues.words import Phrases, speakable
from retrieval.items import Item
from retrieval.shape import CatalogueShape

LAST_TURNS = 4
"""Of a dialogue: what is wanted now was said lately."""
MAX_QUERIES = 8
"""Of one item; popular ones have hundreds, and these tell as much."""
MADE = 3
"""Queries made for an item that no dialogue led to."""
WISHES = 2
"""Wishes in one made query."""


def query_text(row: Row) -> str:
    """What is searched for after these turns."""
    return " ".join(turn.text for turn in row.turns[-LAST_TURNS:])


def queries_by_item(rows: Iterable[Row]) -> dict[str, tuple[str, ...]]:
    """By item the first queries after which it was accepted, not spoken of before."""
    found: dict[str, list[str]] = {}
    for row in rows:
        text = query_text(row)
        for target in row.novel:
            if text.strip() and len(told := found.setdefault(target, [])) < MAX_QUERIES:
                told.append(text)
    return {item_id: tuple(texts) for item_id, texts in found.items()}


class MadeQueries:
    """Wishes that an item fulfils, in the training phrases of the grammar of dialogues.

    Args:
        sample: items that tell how attributes are spoken of.
        shape: of the whole catalogue.
    """

    def __init__(self, sample: Sequence[Item], shape: CatalogueShape) -> None:
        self._sayer = Sayer(speakable(sample, shape), Phrases("train"), shape.currency, "item", "items")

    def of(self, item: Item) -> tuple[str, ...]:
        """A few queries, the same each time; () where nothing can be said of the item."""
        made = (self._query(item, number) for number in range(MADE))
        return tuple(dict.fromkeys(text for text in made if text))

    def _query(self, item: Item, number: int) -> str:
        seed = int.from_bytes(hashlib.sha256(item.id.encode()).digest()[:4], "big")
        dice = Dice((seed, number))
        said: dict[str, str] = {}
        for _ in range(WISHES):
            saying = self._sayer.wanted(item, dice, frozenset(said))
            if saying is not None and saying.meant[0].attribute:
                said[saying.meant[0].attribute] = saying.text
        return ", ".join(said.values())


def renamed(queries: Mapping[str, Sequence[str]], names: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Queries of another catalogue's items under the ids of ours; those of items that we do not have are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for item_id, texts in queries.items():
        if own := names.get(item_id):
            found[own] = (*found.get(own, ()), *texts)[:MAX_QUERIES]
    return found
