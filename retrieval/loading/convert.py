"""One row and a mapping to one item, or the reason why not.

Knows nothing of files. What is wrong with a row's id, title or price rejects the row: a wrong price is worse than a
missing item. What is wrong with anything else costs that value alone, and is counted.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, TypeAlias, TypeVar

from retrieval.items import AttributeValue, Item
from retrieval.loading.clean import (
    MAX_TEXT_CHARS,
    MAX_TITLE_CHARS,
    clean_description,
    clean_line,
    has_hidden,
    truncate,
)
from retrieval.loading.mapping import AttributeRule, AttributeRuleKind, Mapping
from retrieval.loading.prices import agree, currency_of, parse_price
from retrieval.loading.profile import flatten
from retrieval.loading.readers import RawRow
from retrieval.loading.values import (
    is_missing,
    parse_cell,
    to_list,
    to_number,
    to_stock,
    to_text,
    to_url,
    to_year,
    to_yes_no,
)

T = TypeVar("T")
OptionalField: TypeAlias = Literal["in_stock", "url", "image_url", "popularity"]

MAX_ID_CHARS: Final = 200
MAX_VALUE_CHARS: Final = 1_000
MAX_LIST_VALUES: Final = 200
TITLE_FROM_TEXT_CHARS: Final = 80
DEFAULT_CURRENCY: Final = "USD"


class BadRow(Exception):
    """The row gives no item; the message is the reason, for the list of rejected rows."""


@dataclass(slots=True)
class Converter:
    """Makes items of rows, and counts in `lost` what it had to leave out of them."""

    mapping: Mapping
    own_kinds: MappingOf[str, AttributeRuleKind]
    decimal_comma: bool = False
    lost: Counter[str] = field(default_factory=Counter)
    _examples: dict[str, str] = field(default_factory=dict)

    def item(self, row: RawRow) -> Item:
        """Convert a row.

        Raises:
            BadRow: the row has a problem, no id, neither title nor text, or a price that cannot be read.
        """
        if row.problem:
            raise BadRow(row.problem)
        cells = dict(flatten(row.fields, self.mapping.attributes_column or "attributes"))
        item_id = self._given_id(cells)
        title, text = self._words(cells)
        attributes = self._attributes(cells)
        price, currency = self._price(cells)
        return Item(
            id=item_id or slug(title, attributes.get("year")),
            title=title,
            text=text,
            attributes=attributes,
            price=price,
            currency=currency,
            in_stock=self._optional("in_stock", cells, to_stock),
            url=self._optional("url", cells, to_url),
            image_url=self._optional("image_url", cells, to_url),
            popularity=self._optional("popularity", cells, self._popularity) or 0.0,
        )

    def _given_id(self, cells: MappingOf[str, object]) -> str | None:
        if self.mapping.id is None:
            return None
        value = cells.get(self.mapping.id)
        if value is None or value == "" or isinstance(value, float) and is_missing(value):
            raise BadRow("no id")
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise BadRow(f"id is {type(value).__name__}, expected a text or a whole number")
        item_id = value.strip() if isinstance(value, str) else to_text(value)
        if not item_id:
            raise BadRow("no id")
        if has_hidden(item_id):
            raise BadRow("id holds control or invisible characters")
        if len(item_id) > MAX_ID_CHARS:
            raise BadRow(f"id is too long: {len(item_id)} characters, at most {MAX_ID_CHARS}")
        return item_id

    def _words(self, cells: MappingOf[str, object]) -> tuple[str, str]:
        # Not to_text: a film may be called "null", and titles keep what looks like markup.
        title = clean_line(_plain(cells.get(self.mapping.title or "")))
        texts = [clean_description(_plain(cells.get(column))) for column in self.mapping.text]
        text = " ".join(part for part in texts if part)
        if not title and not text:
            raise BadRow("no title and no text")
        if not title:
            title = truncate(text, TITLE_FROM_TEXT_CHARS)
            self.lost["items without a title are called by the first words of their text"] += 1
        if len(title) > MAX_TITLE_CHARS:
            self.lost[f"titles are cut to {MAX_TITLE_CHARS} characters"] += 1
        if len(text) > MAX_TEXT_CHARS:
            self.lost[f"texts are cut to {MAX_TEXT_CHARS:,} characters"] += 1
        return truncate(title, MAX_TITLE_CHARS), truncate(text, MAX_TEXT_CHARS)

    def _price(self, cells: MappingOf[str, object]) -> tuple[Decimal | None, str | None]:
        value = cells.get(self.mapping.price or "")
        if is_missing(value):
            return None, None
        try:
            price = parse_price(value, decimal_comma=self.decimal_comma)
        except ValueError as error:
            raise BadRow(str(error)) from None
        said = to_text(cells.get(self.mapping.currency or ""))
        code = currency_of(said) if said else self.mapping.currency_code
        if said and code is None:
            raise BadRow(f"currency {said[:40]!r} is not a code of ISO 4217")
        if price.mark and code and not agree(price.mark, code):
            if said:
                raise BadRow(f"price {str(value)[:40]!r} and currency {code!r} contradict each other")
            code = currency_of(price.mark)  # the default is for rows that name none
        code = code or currency_of(price.mark)
        if code is None and price.mark:
            raise BadRow(f"price {str(value)[:40]!r} has a currency of several countries: name one with currency_code")
        if code is None:
            self.lost[f"prices without a currency are taken as {DEFAULT_CURRENCY}: set currency_code to change it"] += 1
        return price.amount, code or DEFAULT_CURRENCY

    def _popularity(self, value: object) -> float | None:
        value = parse_cell(value) or value if isinstance(value, str) else value
        if isinstance(value, list | tuple):  # a list of reviews: how many there are
            return float(len(value))
        return to_number(value, decimal_comma=self.decimal_comma)

    def _optional(
        self, name: OptionalField, cells: MappingOf[str, object], read: Callable[[object], T | None]
    ) -> T | None:
        value = cells.get(getattr(self.mapping, name) or "")
        if is_missing(value):
            return None
        result = read(value)
        if result is None:
            example = self._examples.setdefault(name, str(value)[:40])
            self.lost[f"{name} has values that are not understood and are left out, such as {example!r}"] += 1
        return result

    def _attributes(self, cells: MappingOf[str, object]) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {}
        own = cells.get(self.mapping.attributes_column or "")
        if isinstance(own, dict):
            for name, value in own.items():
                kind = self.own_kinds.get(name)
                # A text of our own format that looks like a list is a text all the same.
                entry = [value] if kind == "list" and isinstance(value, str) else value
                self._put(found, clean_line(name), entry, AttributeRule(name, kind))
        elif not is_missing(own):
            self.lost[f"{self.mapping.attributes_column!r} is not an object and is left out"] += 1
        for name, rule in self.mapping.attributes.items():
            self._put(found, name, cells.get(rule.column), rule)
        return found

    def _put(self, found: dict[str, AttributeValue], name: str, cell: object, rule: AttributeRule) -> None:
        if is_missing(cell):
            return
        value = self._value(cell, rule)
        if value is None:
            self.lost[f"attribute {name!r} has values that are not of its kind and are left out"] += 1
        else:
            found[name] = self._bounded(name, value)

    def _value(self, cell: object, rule: AttributeRule) -> AttributeValue | None:
        match rule.kind:
            case "number":
                return to_number(cell, decimal_comma=self.decimal_comma)
            case "list":
                return to_list(cell, rule.separator)
            case "year":
                return to_year(cell)
            case "yes_no":
                return to_yes_no(cell)
            case _:
                return to_text(cell)

    def _bounded(self, name: str, value: AttributeValue) -> AttributeValue:
        if isinstance(value, tuple):
            if len(value) > MAX_LIST_VALUES:
                self.lost[f"attribute {name!r} has lists that are cut to {MAX_LIST_VALUES} values"] += 1
            return tuple(truncate(part, MAX_VALUE_CHARS) for part in value[:MAX_LIST_VALUES])
        if isinstance(value, str) and len(value) > MAX_VALUE_CHARS:
            self.lost[f"attribute {name!r} has texts that are cut to {MAX_VALUE_CHARS:,} characters"] += 1
            return truncate(value, MAX_VALUE_CHARS)
        return value


def slug(title: str, year: AttributeValue | None = None) -> str:
    """An id made of a title and, where there is one, a year: "Heat" and 1995 as "heat-1995"."""
    words = re.sub(r"[\W_]+", "-", title.casefold()).strip("-")[: MAX_ID_CHARS - 20]
    if not words:  # a title of signs alone
        words = hashlib.sha256(title.encode()).hexdigest()[:12]
    return f"{words}-{int(year)}" if isinstance(year, float) else words


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return to_text(value) or ""
