"""The catalogue asked directly: exact filters, one item, what there is to filter by. No conversation, no learning.

Knows nothing of protocols.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictStr

from agent.answer import ShownItem, shown_item
from agent.preferences import Preference
from agent.querying import build_query
from agent.ranking import RankingOptions, rank
from agent.shop import Shop
from retrieval.errors import BadRequest
from retrieval.shape import AttributeShape, CatalogueShape

MAX_FOUND: Final = 20
MAX_FILTERS: Final = 20
MAX_QUERY_CHARS: Final = 2_000
MAX_VALUES: Final = 20
"""Values of an attribute that are listed, the most frequent ones."""

_OWN: Final = {"in_stock": "text", "title": "text", "id": "text", "popularity": "number"}
"""Fields of every item that can be filtered by, besides the catalogue's attributes (price is among those)."""

Operator: TypeAlias = Literal["eq", "ne", "lt", "le", "gt", "ge"]
Value: TypeAlias = Annotated[StrictFloat, Field(allow_inf_nan=False)] | Annotated[StrictStr, Field(max_length=500)]


class Condition(BaseModel):
    """One exact condition; several values of `eq` mean any of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attribute: str = Field(description="a name from the tool `catalogue`, or 'price', 'in_stock', 'title', 'id'")
    op: Operator = "eq"
    value: Value | Annotated[list[Value], Field(min_length=1, max_length=MAX_FILTERS)]

    @property
    def values(self) -> tuple[str | float, ...]:
        """The value, or the alternatives."""
        return tuple(self.value) if isinstance(self.value, list) else (self.value,)


class Found(BaseModel):
    """`matching` counts every item that meets the filters; `items` are the best of them, best first."""

    matching: int
    items: list[ShownItem]


class ItemFound(BaseModel):
    """One item as a card, with its whole text."""

    item: ShownItem
    text: str


class Attribute(BaseModel):
    """What can be filtered by: numbers have a range, texts and lists their most frequent values."""

    name: str
    kind: Literal["number", "text", "list"]
    items: int = Field(description="how many items have it")
    minimum: float | None = None
    maximum: float | None = None
    values: list[str] = Field(default_factory=list)
    more_values: int = Field(0, description="values that are not listed")


class Catalogue(BaseModel):
    """What the shop carries, attribute by attribute."""

    shop: str
    items: int
    currency: str | None
    attributes: list[Attribute]


def search(shop: Shop, query: str, conditions: Sequence[Condition], limit: int, candidates: int) -> Found:
    """The items that meet every condition, those that fit `query` best first; by popularity where it is empty.

    Raises:
        BadRequest: a condition names an attribute that the catalogue does not have, or compares what is no number.
    """
    shape = shop.table.shape
    wishes = [_wish(n, one, shape) for n, one in enumerate(conditions, 1)]
    if query.strip():
        wishes.append(Preference("query", "soft", None, "about", (query,), "positive", query, turn=1))
    asked = build_query(wishes, k=candidates)
    slate = rank(shop.retriever.search(asked).candidates, wishes, shop.table, RankingOptions(size=limit))
    items = [shown_item(entry.item, n) for n, entry in enumerate(slate.entries, 1)]
    return Found(matching=int(shop.table.mask(asked.filters).sum()), items=items)


def _wish(n: int, one: Condition, shape: CatalogueShape) -> Preference:
    kind = _kind_of(one.attribute, shape)
    numbers = all(isinstance(value, float | int) for value in one.values)
    if one.op in ("lt", "le", "gt", "ge") and (kind != "number" or not numbers or len(one.values) > 1):
        raise BadRequest(f"The operator {one.op!r} compares a number attribute with one number; use 'eq' or 'ne'.")
    if (kind == "number") is not numbers:
        wanted = "numbers" if kind == "number" else "texts"
        raise BadRequest(f"The attribute {one.attribute!r} holds {wanted}; compare it with {wanted}.")
    op, polarity = ("eq", "negative") if one.op == "ne" else (one.op, "positive")
    return Preference(f"f{n}", "hard", one.attribute, op, one.values, polarity, "", turn=1)  # type: ignore[arg-type]


def _kind_of(name: str, shape: CatalogueShape) -> str:
    known = shape.attributes.get(name)
    kind = known.kind if known else _OWN.get(name)
    if kind is None:
        names = ", ".join(sorted({*shape.attributes, *_OWN}))
        raise BadRequest(f"The catalogue has no attribute {name!r}; it has {names}.")
    return kind


def one_item(shop: Shop, item_id: str) -> ItemFound:
    """The item of this id; slips that models make in copying one (brackets, quotes) are forgiven.

    Raises:
        NotFound: there is none.
    """
    item = shop.table.get(item_id if item_id in shop.table else re.sub(r"^[\s\[\"'`(<]+|[\s\]\"'`)>]+$", "", item_id))
    return ItemFound(item=shown_item(item, 1), text=item.text)


def described(shop: Shop, name: str) -> Catalogue:
    """What there is to filter by."""
    shape = shop.table.shape
    attributes = [_attribute(one) for one in shape.attributes.values()]
    return Catalogue(shop=name, items=shape.n_items, currency=shape.currency, attributes=attributes)


def _attribute(shape: AttributeShape) -> Attribute:
    values = shape.values or {}
    return Attribute(
        name=shape.name,
        kind=shape.kind,
        items=shape.count,
        minimum=shape.minimum,
        maximum=shape.maximum,
        values=list(islice(values, MAX_VALUES)),
        more_values=max(len(values) - MAX_VALUES, 0),
    )
