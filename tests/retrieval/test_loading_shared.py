"""load_catalogue on real files as users have them; skipped where ../shared/data is missing."""

from __future__ import annotations

import gzip
import itertools
from decimal import Decimal
from pathlib import Path

import pytest

from retrieval.loading import load_catalogue, parse_mapping
from retrieval.shape import CatalogueShape

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = [pytest.mark.shared_data, pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/data")]


def test_the_first_films_of_movies_open(tmp_path: Path) -> None:
    path = tmp_path / "movies.jsonl"
    with gzip.open(DATA / "movies-open" / "movies.jsonl.gz", "rb") as file:
        path.write_bytes(b"".join(itertools.islice(file, 3_000)))
    loaded = load_catalogue(path, strict=True)
    shape = CatalogueShape.of(loaded.items)
    assert len(loaded.items) == 3_000
    kinds = {name: attribute.kind for name, attribute in shape.attributes.items()}
    assert {name: kinds[name] for name in ("year", "genres", "cast", "director")} == {
        "year": "number",
        "genres": "list",
        "cast": "list",
        "director": "text",
    }
    assert all(item.text for item in loaded.items)
    assert loaded.mapping.popularity in (None, "n_reviews")


def test_tmdb5000_a_csv_with_json_in_its_cells(tmp_path: Path) -> None:
    path = DATA / "tmdb5000" / "tmdb_5000_movies.csv.gz"
    loaded = load_catalogue(path)
    assert (len(loaded.items), loaded.rejected) == (4_803, ())
    avatar = loaded.items[0]
    assert (avatar.id, avatar.title, avatar.popularity) == ("19995", "Avatar", 150.437577)
    assert avatar.attributes["genres"] == ("Action", "Adventure", "Fantasy", "Science Fiction")
    assert avatar.attributes["spoken_languages"] == ("English", "Español")
    assert (avatar.attributes["year"], avatar.attributes["runtime"]) == (2009.0, 162.0)
    assert avatar.text.endswith("Enter the World of Pandora.")
    shape = CatalogueShape.of(loaded.items)
    assert {name: shape.attributes[name].kind for name in ("genres", "keywords", "runtime", "year")} == {
        "genres": "list",
        "keywords": "list",
        "runtime": "number",
        "year": "number",
    }
    assert not {"homepage", "original_title", "release_date", "id"} & shape.attributes.keys()
    assert not any("'keywords' has values" in note for note in loaded.notes)  # an empty list is no bad value
    again = load_catalogue(path, mapping=parse_mapping(loaded.mapping.to_toml()))
    assert again.items == loaded.items


def test_dummyjson_products() -> None:
    loaded = load_catalogue(DATA / "dummyjson" / "products.jsonl.gz", strict=True)
    assert len(loaded.items) == 194
    mascara = loaded.items[0]
    assert (mascara.id, mascara.price, mascara.currency, mascara.in_stock) == ("1", Decimal("9.99"), "USD", True)
    names = ("brand", "category", "tags", "rating", "dimensions_width", "discount_percentage")
    assert tuple(mascara.attributes[name] for name in names) == (
        "Essence",
        "beauty",
        ("beauty", "mascara"),
        2.56,
        15.14,
        10.48,
    )
    assert {item.in_stock for item in loaded.items} == {True, False}
    assert not {"sku", "stock", "reviews", "meta_barcode", "meta_created_at"} & mascara.attributes.keys()
    assert any("taken as USD" in note for note in loaded.notes)


@pytest.mark.parametrize(
    ("name", "n_items", "title", "attribute"),
    [
        ("eshopsupport/products.jsonl.gz", 200, "Adventure GPS Tracker", ("brand", "Escapesafe")),
        ("dummyjson/recipes.jsonl.gz", 50, "Classic Margherita Pizza", ("cuisine", "Italian")),
        ("bench/redial/items.jsonl.gz", 6_583, "Pari", ("genre", ("drama", "romance"))),
        ("bench/opendialkg/items.jsonl.gz", 3_672, "Slumdog Millionaire", ("year", 2008.0)),
        ("bench/recquest/items.jsonl.gz", 100, None, ("domain", ("laptop",))),
        ("movies-wikidata/movies.csv.gz", 17_470, "We Live in Public", ("director", ("Ondi Timoner",))),
    ],
)
def test_other_real_files_need_no_mapping(
    name: str, n_items: int, title: str | None, attribute: tuple[str, object]
) -> None:
    loaded = load_catalogue(DATA / name, keep_first=True)
    assert len(loaded.items) == n_items
    assert len(loaded.rejected) == (2 if "wikidata" in name else 0)  # that file has two ids twice
    assert title in (None, loaded.items[0].title)
    assert loaded.items[0].attributes[attribute[0]] == attribute[1]
