"""The catalogue's unit: an item with a description, typed attributes and shop facts.

Knows nothing of files, indexes or dialogues.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeAlias

AttributeValue: TypeAlias = float | str | tuple[str, ...]
"""A number, a string, or a list of strings (as a tuple); booleans are stored as "yes" / "no"."""

MAX_DOCUMENT_CHARS = 4_000
"""What the encoder and BM25 read of one item; MiniLM stops at 256 word pieces anyway."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that can be recommended.

    `price` is exact and always has a `currency` (ISO 4217) beside it. `in_stock` is None where the
    catalogue does not say. `popularity` is any number that grows with demand (reviews, sales);
    0 where unknown. Attribute names and types are the catalogue's own.
    """

    id: str
    title: str
    text: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    price: Decimal | None = None
    currency: str | None = None
    in_stock: bool | None = None
    url: str | None = None
    image_url: str | None = None
    popularity: float = 0.0

    def document(self) -> str:
        """The text that is embedded and indexed: title, description, then attributes in words."""
        facts = "; ".join(f"{name.replace('_', ' ')}: {_in_words(value)}" for name, value in self.attributes.items())
        return "\n".join(part for part in (self.title, self.text, facts) if part)[:MAX_DOCUMENT_CHARS]

    def content_hash(self) -> str:
        """SHA-256 (hex) of the document: the same hash means that no new embedding is needed."""
        return hashlib.sha256(self.document().encode()).hexdigest()

    def to_json(self) -> str:
        """One JSON line in the catalogue format of `chatalogue index` (needs no mapping)."""
        fields = {
            "id": self.id,
            "title": self.title,
            "text": self.text,
            "price": None if self.price is None else str(self.price),
            "currency": self.currency,
            "in_stock": self.in_stock,
            "url": self.url,
            "image_url": self.image_url,
            "popularity": self.popularity,
            "attributes": {name: _in_json(value) for name, value in self.attributes.items()},
        }
        return json.dumps({k: v for k, v in fields.items() if v is not None}, ensure_ascii=False)


def _in_words(value: AttributeValue) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    if isinstance(value, int | float):  # not :g, which writes 237000000 as 2.37e+08
        return str(int(value)) if float(value).is_integer() else f"{value:.10g}"
    return value


def _in_json(value: AttributeValue) -> float | str | list[str]:
    if isinstance(value, tuple):
        return list(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
