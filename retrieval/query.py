"""What goes into retrieval and what comes out. Retrieval sees nothing else of a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

FilterOperator: TypeAlias = Literal["eq", "ne", "lt", "le", "gt", "ge"]
BranchName: TypeAlias = str
"""Who found an item: "dense", "lexical", "seeds", "popular", or a signal of a further branch, "metapath.director"."""


@dataclass(frozen=True, slots=True)
class Filter:
    """One exact condition; an item must meet every filter of a query.

    `attribute` is a name of the catalogue, or one of the item's own fields `price`, `in_stock`,
    `popularity`, `title`, `id`. `eq` on a list attribute means that the list contains the value; several
    values mean any of them. `ne` is the exact complement of `eq` (an item without the attribute
    passes `ne` and fails everything else). Text compares without case and accents.
    `key` names who asked (a preference id), so that "which wish empties the set" can be answered.
    """

    attribute: str
    op: FilterOperator
    values: tuple[str | float, ...]
    key: str = ""


@dataclass(frozen=True, slots=True)
class WeightedText:
    """A text to search by; `weight` > 0 scales its branches in the fusion."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SeedItem:
    """An item spoken of, with the attitude towards it: -2 (hated) .. 2 (loved)."""

    item_id: str
    attitude: float


@dataclass(frozen=True, slots=True)
class Query:
    """Everything that retrieval knows of a wish.

    No texts, turns and seeds means "anything that passes the filters", by popularity. `turns` is what was said, oldest
    first, for the branches that learned from what was said; `texts` what is searched for by words and vectors.
    `exclude` holds item ids that must not come back (already shown, rejected).

    Names are read from `own`, what of the turns the customer said and meant as a wish; where nobody knows (None), from
    all turns. `unwanted` are the words for what was spoken against or taken back: what they name does not count,
    wherever it is said.
    """

    texts: tuple[WeightedText, ...] = ()
    turns: tuple[str, ...] = ()
    own: tuple[str, ...] | None = None
    unwanted: tuple[str, ...] = ()
    seeds: tuple[SeedItem, ...] = ()
    filters: tuple[Filter, ...] = ()
    exclude: frozenset[str] = frozenset()
    k: int = 200


@dataclass(frozen=True, slots=True)
class BranchHit:
    """Where one branch put an item: `rank` starts at 1; `score` compares only inside the branch."""

    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One retrieved item with its fused score and where each branch put it that found it."""

    item_id: str
    score: float
    branches: Mapping[BranchName, BranchHit] = field(default_factory=dict)
