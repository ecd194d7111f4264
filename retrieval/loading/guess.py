"""A mapping from the names and values of columns, with a note for each choice that somebody may want to undo.

Knows nothing of rows; reads profiles only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from typing import Final

from retrieval.loading.mapping import RESERVED_NAMES, SINGLE_COLUMNS, AttributeRule, Mapping
from retrieval.loading.prices import parse_price
from retrieval.loading.profile import ColumnProfile, FileProfile
from retrieval.loading.values import to_stock, to_year

STOCK_NAMES: Final = tuple(
    "in_stock is_in_stock instock is_available available availability availability_status stock_status stock"
    " stock_quantity stock_level quantity_in_stock units_in_stock inventory quantity qty".split()
)
FIELD_NAMES: Final[MappingOf[str, tuple[str, ...]]] = {
    "id": tuple(
        "id item_id product_id sku asin isbn isbn13 isbn_13 imdb_id tmdb_id movie_id film_id book_id track_id recipe_id"
        " article_id listing_id uid uuid guid _id ean gtin upc handle slug code key".split()
    ),
    "title": tuple(
        "title name product_name product_title item_name item_title movie_title film_title book_title track_name"
        " display_name full_name label headline heading model model_name".split()
    ),
    "price": tuple(
        "price current_price sale_price selling_price unit_price final_price retail_price price_amount price_value"
        " price_usd price_eur price_gbp amount cost list_price msrp".split()
    ),
    "currency": ("currency", "currency_code", "price_currency", "currency_iso", "price_currency_code"),
    "in_stock": STOCK_NAMES,
    "popularity": tuple(
        "popularity n_reviews num_reviews number_of_reviews review_count reviews_count total_reviews vote_count"
        " num_votes votes rating_count ratings_count num_ratings ratings_total sales units_sold total_sales"
        " sold downloads views reviews".split()
    ),
    "url": ("url", "link", "product_url", "item_url", "page_url", "permalink", "product_link", "web_url"),
    "image_url": tuple(
        "image_url image thumbnail thumbnail_url img img_url image_link main_image picture picture_url photo photo_url"
        " poster poster_url cover cover_url cover_image images".split()
    ),
}
"""Normalised column names for each field, the surest first."""
TEXT_NAMES: Final = tuple(
    "description overview text plot synopsis summary body long_description full_description product_description"
    " abstract content about blurb details body_html instructions".split()
)
TEXT_ALSO: Final = ("tagline", "subtitle", "short_description")
"""Joined to the text where there is one."""
YEAR_NAMES: Final = ("year", "release_year", "publication_year", "published_year", "original_publication_year")
DATE_NAMES: Final = (
    "release_date released date_released published publication_date published_date date_published pub_date date"
).split()
ID_NAME: Final = re.compile(
    r"(?:.*_)?(?:id|ids|sku|asin|isbn|isbn_?1[03]|ean|upc|gtin|mpn|barcode|qr_code|uuid|guid|hash|slug|handle|homepage)"
)
CODE_PRICE: Final = {"price_usd": "USD", "price_eur": "EUR", "price_gbp": "GBP"}

LONG_TEXT_CHARS: Final = 80.0
"""Mean length from which texts are prose rather than values."""
LONG_VALUE_CHARS: Final = 40.0
"""The same for the values of a list."""
CODE_CELLS: Final = 50
"""Fewer texts than this may all differ and still be values that people ask for."""
CODE_SHARE: Final = 0.9
ITEM_FIELDS: Final = frozenset((*FIELD_NAMES, "text", "attributes"))
_MIN_TEXT_CHARS: Final = 40.0
_HALF: Final = 0.5


def snake_case(name: str) -> str:
    """`discountPercentage` and "Discount Percentage" as `discount_percentage`."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name.strip()))
    lead = "_" if name.startswith("_") else ""
    return lead + re.sub(r"[^\w]+|_+", "_", name).strip("_").lower()


def complete(given: Mapping, profile: FileProfile, attributes_column: str) -> tuple[Mapping, list[str]]:
    """The given mapping with everything filled in that it leaves open, and notes on what was chosen.

    Rules without a kind get that of their column, guessing or not.
    """
    guesser = _Guesser(given, profile)
    if given.guess:
        guesser.fields(attributes_column)
        guesser.attributes()
    return guesser.mapping(), guesser.notes


class _Guesser:
    """Holds the mapping while it grows; each column is used once."""

    def __init__(self, given: Mapping, profile: FileProfile) -> None:
        self.notes: list[str] = []
        self._given = given
        self._columns = profile.columns
        self._n_rows = profile.n_rows
        self._chosen: dict[str, str | None] = {name: getattr(given, name) for name in SINGLE_COLUMNS}
        self._text = given.text
        self._code = given.currency_code
        self._rules: dict[str, AttributeRule] = {}
        for name, rule in given.attributes.items():
            told = self._columns[rule.column].rule()
            self._rules[name] = rule if rule.kind else dataclasses.replace(told, column=rule.column)
        self._taken = {*given.columns(), *given.drop}
        self._own = frozenset(profile.own)
        self._snake = {name: snake_case(name) for name in self._columns}

    def mapping(self) -> Mapping:
        # Everything is said now: reading it back must not guess anew.
        return Mapping(
            **self._chosen, text=self._text, currency_code=self._code, attributes=self._rules, drop=(), guess=False
        )

    def fields(self, attributes_column: str) -> None:
        own = self._columns.get(attributes_column)
        if own is not None and own.nameless and self._chosen["attributes_column"] is None:
            self._take("attributes_column", attributes_column)
        for field, names in FIELD_NAMES.items():
            if self._chosen[field] is None:
                column = next((name for name in self._named(names) if self._suits(field, self._columns[name])), None)
                if column is not None:
                    self._take(field, column)
        if not self._text:
            self._guess_text()
        price = self._chosen["price"]
        if self._code is None and price and self._snake[price] in CODE_PRICE:
            self._code = CODE_PRICE[self._snake[price]]

    def _named(self, names: Iterable[str]) -> list[str]:
        return [c for wanted in names for c, snake in self._snake.items() if snake == wanted and c not in self._taken]

    def _take(self, field: str, column: str) -> None:
        self._chosen[field] = column
        self._taken.add(column)
        if snake_case(column) != field and field != "attributes_column":
            self.notes.append(f"{field} is column {column!r}")

    def _suits(self, field: str, column: ColumnProfile) -> bool:
        plain = column.count and not column.nameless
        if field == "id":
            return bool(plain and not column.lists and column.count >= _HALF * self._n_rows)
        if field in ("url", "image_url"):
            return bool(column.count and (column.urls or column.lists or any(c[:1] == "/" for c in column.sample)))
        if field == "popularity":
            lists = column.lists + column.nameless if snake_case(column.name) == "reviews" else 0
            return column.count > 0 and column.count in (column.numbers, lists)
        if field == "price":
            return bool(plain and not column.lists and _mostly_prices(column))
        if field == "in_stock":
            known = sum(1 for cell in column.sample if to_stock(cell) is not None)
            return bool(plain and not column.lists and known >= _HALF * len(column.sample))
        return bool(plain and not column.lists)

    def _guess_text(self) -> None:
        readable = [c for c in self._named(TEXT_NAMES) if self._columns[c].texts or self._columns[c].lists]
        if not readable:  # no telling name: prose shows itself
            prose = [c for c in self._columns.values() if c.name not in self._taken and c.texts == c.count]
            prose = [c for c in prose if c.mean_chars >= _MIN_TEXT_CHARS and c.distinct_share > _HALF]
            prose = [c for c in prose if c.rule().kind == "text"]  # a cast is long too
            readable = [max(prose, key=lambda c: c.mean_chars).name] if prose else []
        if readable:
            also = [name for name in self._named(TEXT_ALSO) if self._columns[name].texts]
            self._text = (readable[0], *(name for name in also if name != readable[0]))
            self._taken.update(self._text)
            if snake_case(self._text[0]) != "text" or also:
                self.notes.append("text is column " + " and ".join(repr(name) for name in self._text))

    def attributes(self) -> None:
        for name in self._given.drop:
            self.notes.append(f"column {name!r} is dropped: the mapping says so")
        dates = [] if self._has_year() else [c for c in self._named(DATE_NAMES) if self._columns[c].dates]
        for column in self._columns.values():
            if column.name in self._taken:
                continue
            if column.name in dates[:1]:
                self._rules["year"] = AttributeRule(column.name, "year")
                self.notes.append(f"column {column.name!r} gives the attribute 'year' and nothing else")
                continue
            reason = self._useless(column)
            if reason and (column.count or self._snake[column.name] not in ITEM_FIELDS):
                self.notes.append(f"column {column.name!r} is dropped: {reason}")
            elif not reason:
                self._add_attribute(column)

    def _has_year(self) -> bool:
        return "year" in self._rules or "year" in self._own or bool(self._named(YEAR_NAMES))

    def _add_attribute(self, column: ColumnProfile) -> None:
        snake = self._snake[column.name] or "column"
        name = f"{snake}_value" if snake in RESERVED_NAMES else snake
        position = 2
        while name in self._rules:
            name, position = f"{snake}_{position}", position + 1
        if name in self._own:
            self.notes.append(f"column {column.name!r} is dropped: the attributes hold {name!r} already")
            return
        rule = column.rule()
        if snake in YEAR_NAMES and rule.kind == "text" and all(to_year(cell) for cell in column.sample):
            rule = AttributeRule(column.name, "year")
        self._rules[name] = rule
        if name != column.name:
            self.notes.append(f"attribute {name!r} is column {column.name!r}")

    def _useless(self, column: ColumnProfile) -> str | None:
        """Why a column is no attribute; None where it is one."""
        snake = self._snake[column.name]
        if not column.count:
            return "it is empty"
        if column.nameless >= _HALF * column.count:
            return "its lists or objects cannot be said in a word"
        if column.urls >= _HALF * column.count:
            return "it holds links"
        if column.dates >= _HALF * column.count:
            return "it holds dates"
        if self._chosen["in_stock"] and snake in STOCK_NAMES:
            return "stock is told by in_stock, and counts change too often"
        if ID_NAME.fullmatch(snake):
            return "it holds ids"
        if column.rule().separator:
            return None
        if column.mean_chars > (LONG_VALUE_CHARS if column.lists else LONG_TEXT_CHARS):
            return "its texts are long"
        codes = column.texts > CODE_CELLS and column.distinct_share > CODE_SHARE
        return "nearly all of its texts differ" if codes and not column.lists else None


def _mostly_prices(column: ColumnProfile) -> bool:
    """Whether half of a column's cells can be read as prices: the rest are bad rows, not another meaning."""
    if column.numbers >= _HALF * column.count:
        return True
    readable = 0
    for cell in column.sample:
        with contextlib.suppress(ValueError):
            parse_price(cell, decimal_comma=column.decimal_comma)
            readable += 1
    return readable >= _HALF * len(column.sample)
