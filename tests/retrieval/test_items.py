"""Item: its document, its hash, and its JSON line, which our own loader reads back as the same item."""

from __future__ import annotations

import dataclasses
import hashlib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.items import MAX_DOCUMENT_CHARS, Item
from retrieval.loading import load_catalogue

FULL = Item(
    id="reel-001",
    title="Heat",
    text="A thief and a detective circle each other.",
    attributes={
        "year": 1995.0,
        "rating": 8.25,
        "director": "Michael Mann",
        "cast": ("Al Pacino", "Val Kilmer"),
        "box": 237e6,
    },
    price=Decimal("12.90"),
    currency="EUR",
    in_stock=True,
    url="https://shop.example/heat",
    image_url="/covers/reel-001.svg",
    popularity=812.0,
)


def test_the_document_holds_title_text_and_attributes_in_words() -> None:
    assert FULL.document() == (
        "Heat\nA thief and a detective circle each other.\n"
        "year: 1995; rating: 8.25; director: Michael Mann; cast: Al Pacino, Val Kilmer; box: 237000000"
    )


def test_the_document_of_a_bare_item_is_its_title() -> None:
    assert Item(id="1", title="Heat").document() == "Heat"


def test_underscores_of_attribute_names_are_spaces_in_the_document() -> None:
    assert Item(id="1", title="T", attributes={"runtime_min": 90.0}).document() == "T\nruntime min: 90"


def test_the_document_is_bounded() -> None:
    assert len(Item(id="1", title="T", text="word " * 5_000).document()) == MAX_DOCUMENT_CHARS


def test_the_hash_changes_with_the_document_and_with_nothing_else() -> None:
    price_and_stock = dataclasses.replace(
        FULL, price=Decimal(1), currency="USD", in_stock=False, popularity=0.0, url=None
    )
    assert price_and_stock.content_hash() == FULL.content_hash()
    assert dataclasses.replace(FULL, title="Heat 2").content_hash() != FULL.content_hash()
    assert dataclasses.replace(FULL, attributes={}).content_hash() != FULL.content_hash()


def test_the_hash_is_the_same_in_every_process_and_release() -> None:
    # Stored beside each vector: another hash would embed every catalogue anew.
    assert Item(id="1", title="Heat", text="Crime").content_hash() == hashlib.sha256(b"Heat\nCrime").hexdigest()


@pytest.mark.parametrize("item", [FULL, Item(id="bare", title="Bare")], ids=lambda item: item.id)
def test_a_json_line_is_read_back_as_the_same_item(item: Item, tmp_path: Path) -> None:
    path = tmp_path / "catalogue.jsonl"
    path.write_text(item.to_json() + "\n", encoding="utf-8")
    loaded = load_catalogue(path)
    assert loaded.items == (item,)
    assert loaded.rejected == ()


def test_whole_numbers_are_written_without_a_fraction() -> None:
    assert '"year": 1995,' in FULL.to_json()
    assert '"rating": 8.25' in FULL.to_json()


MISSING = frozenset({"NULL", "null", "nan", "NaN"})
"""Words that say that there is no value."""
words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12).filter(lambda word: word not in MISSING)


@given(
    title=words,
    text=words,
    attributes=st.dictionaries(
        words,
        st.floats(allow_nan=False, allow_infinity=False) | words | st.lists(words, min_size=1, unique=True).map(tuple),
    ),
    price=st.none() | st.decimals(0, 100_000, places=2),
)
def test_any_item_survives_the_round_trip(
    title: str,
    text: str,
    attributes: dict[str, float | str | tuple[str, ...]],
    price: Decimal | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    item = Item("1", title, text, attributes, price, None if price is None else "EUR")
    path = tmp_path_factory.mktemp("round") / "catalogue.jsonl"
    path.write_text(item.to_json(), encoding="utf-8")
    loaded = load_catalogue(path).items[0]
    for name, value in attributes.items():
        assert loaded.attributes[name] == value
    assert dataclasses.replace(loaded, attributes=attributes) == item
