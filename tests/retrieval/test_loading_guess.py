"""What is guessed of columns, and how mappings say otherwise."""

from __future__ import annotations

import dataclasses
import datetime
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import retrieval.loading
from retrieval.errors import CatalogueError
from retrieval.items import Item
from retrieval.loading import AttributeRule, LoadedCatalogue, Mapping, load_catalogue, parse_mapping, read_mapping


def load_rows(
    tmp_path: Path, rows: list[dict[str, object]], mapping: Mapping | None = None, **options: str
) -> LoadedCatalogue:
    path = tmp_path / "catalogue.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return load_catalogue(path, mapping=mapping, currency=options.get("currency"))


def load_csv(tmp_path: Path, text: str, mapping: Mapping | None = None) -> LoadedCatalogue:
    path = tmp_path / "catalogue.csv"
    path.write_text(text, encoding="utf-8")
    return load_catalogue(path, mapping=mapping)


def column(tmp_path: Path, values: list[object], name: str = "thing") -> list[object]:
    """The attribute that a column of JSON lines becomes, None where an item lacks it."""
    rows: list[dict[str, object]] = [{"id": n, "title": f"T{n}", name: value} for n, value in enumerate(values)]
    return [item.attributes.get(name) for item in load_rows(tmp_path, rows).items]


def csv_column(tmp_path: Path, cells: list[str]) -> list[object]:
    lines = [f'{n},T{n},"{cell}"' for n, cell in enumerate(cells)]
    loaded = load_csv(tmp_path, "\n".join(["id,title,thing", *lines]))
    return [item.attributes.get("thing") for item in loaded.items]


def test_public_names_exist() -> None:
    assert all(hasattr(retrieval.loading, name) for name in retrieval.loading.__all__)


# Attributes and their types


def test_our_own_format_keeps_names_and_types(tmp_path: Path) -> None:
    attributes: dict[str, object] = {
        "Sleeve Length": "long",
        "sku": "A-1",
        "year": 1999,
        "cast": ["A", "B"],
        "note": "[not a list]",
        "code": "007",
        "link": "https://a.example",
    }
    loaded = load_rows(tmp_path, [{"id": "1", "title": "T", "text": "x", "attributes": attributes}])
    assert loaded.items[0].attributes == {**attributes, "year": 1999.0, "cast": ("A", "B")}
    assert loaded.notes == ()
    assert loaded.mapping.attributes_column == "attributes"


def test_a_column_beside_our_own_attributes_is_an_attribute_too(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": "1", "title": "T", "year": 2008, "attributes": {"genre": ["Drama"]}}]
    assert load_rows(tmp_path, rows).items[0].attributes == {"genre": ("Drama",), "year": 2008.0}


def test_mixed_types_become_one_for_the_whole_column(tmp_path: Path) -> None:
    assert column(tmp_path, [12, "large", 1.5, True]) == ["12", "large", "1.5", "yes"]
    assert column(tmp_path, [["a"], "b", 3]) == [("a",), ("b",), ("3",)]
    assert csv_column(tmp_path, ["12", "large", "1.50"]) == ["12", "large", "1.50"]
    own = [{"id": n, "title": "T", "attributes": {"size": size}} for n, size in enumerate((38, "XL"))]
    assert [item.attributes["size"] for item in load_rows(tmp_path, own).items] == ["38", "XL"]


def test_booleans_are_yes_and_no(tmp_path: Path) -> None:
    assert column(tmp_path, [True, False, None]) == ["yes", "no", None]
    assert csv_column(tmp_path, ["True", "false", ""]) == ["yes", "no", None]


def test_numbers(tmp_path: Path) -> None:
    assert column(tmp_path, [1, 2.5, float("nan"), None]) == [1.0, 2.5, None, None]
    assert csv_column(tmp_path, ["1", "2.5", "nan", ""]) == [1.0, 2.5, None, None]
    assert csv_column(tmp_path, ["007", "12"]) == ["007", "12"]
    assert column(tmp_path, ["1", "2"]) == ["1", "2"]  # JSON says what is a number


def test_lists_in_json_and_python_notation(tmp_path: Path) -> None:
    assert csv_column(tmp_path, ['[{""id"": 28, ""name"": ""Action""}]', "[]"]) == [("Action",), None]
    assert csv_column(tmp_path, ["['a', 'b']", "c"]) == [("a", "b"), ("c",)]


def test_separators_only_where_the_whole_column_shows_lists(tmp_path: Path) -> None:
    genres = ["Drama", "Crime", "Drama, Crime", "Crime, Drama", "War", "Drama, War", "War, Crime", "Crime, War"] * 3
    assert column(tmp_path, [*genres])[2] == ("Drama", "Crime")
    assert column(tmp_path, ["a|b", "c", "b|c", "a|c", "c|a", "d|a"])[0] == ("a", "b")
    towns = ["Portland, OR", "Austin, TX", "Salem, OR", "Dallas, TX", "Reno, NV", "Elko, NV"] * 3
    assert column(tmp_path, [*towns])[0] == "Portland, OR"
    firms = ["Acme, Inc.", "Acme", "Bolt, Inc.", "Bolt", "Cog", "Cog, Inc.", "Dyn, Inc.", "Dyn", "Eon, Inc."] * 3
    assert column(tmp_path, [*firms])[0] == "Acme, Inc."
    casts = [", ".join(f"Actor {(n * k) % 7}" for k in range(2 + n % 4)) + ", Star" for n in range(30)]
    assert isinstance(column(tmp_path, [*casts])[0], tuple)
    advice = ["Wash cold; do not bleach; and dry it flat in the shade of a tree if you can.", "Dry; clean only."] * 10
    assert isinstance(column(tmp_path, [*advice])[0], str)


def test_a_list_of_sentences_is_a_text_by_name_and_no_attribute(tmp_path: Path) -> None:
    steps = ["Chop the onions and fry them in olive oil.", "Season with salt and pepper to your own taste."]
    loaded = load_rows(tmp_path, [{"id": 1, "title": "Soup", "instructions": steps, "hints": steps}])
    assert loaded.items[0] == Item("1", "Soup", ", ".join(steps))
    assert "column 'hints' is dropped: its texts are long" in loaded.notes


def test_languages_that_never_stand_alone_are_values_all_the_same(tmp_path: Path) -> None:
    languages = ["English"] * 20 + ["English, Spanish", "English, French", "English, German"] * 3
    assert column(tmp_path, [*languages])[-1] == ("English", "German")


def test_what_is_no_attribute_is_dropped_with_a_note(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {
            "id": n,
            "title": f"T{n}",
            "description": "Short.",
            "manual": "prose " * 40,
            "homepage": f"https://a.example/{n}",
            "barcode": f"{n:013}",
            "reviews": [{"rating": 3, "comment": "x"}],
            "codename": f"name {n}",
            "category_id": n,
            "box": {"width": n, "deep": {"er": 1}},
            "empty": None,
            "createdAt": "2025-04-30T09:41:02.053Z",
            "color": "red",
        }
        for n in range(60)
    ]
    loaded = load_rows(tmp_path, rows)
    assert loaded.items[5].attributes == {"box_width": 5.0, "color": "red"}
    assert loaded.items[5].popularity == 1.0  # one review
    for name in ("manual", "homepage", "barcode", "codename", "category_id", "box.deep", "empty", "createdAt"):
        assert any(note.startswith(f"column {name!r} is dropped: ") for note in loaded.notes), name
    assert "attribute 'box_width' is column 'box.width'" in loaded.notes


def test_the_year_comes_from_a_date_where_there_is_no_year(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": 1, "title": "T", "release_date": "2009-12-10"}]
    assert load_rows(tmp_path, rows).items[0].attributes == {"year": 2009.0}
    rows = [{"id": 1, "title": "T", "release_date": "2009-12-10", "year": 1999}]
    assert load_rows(tmp_path, rows).items[0].attributes == {"year": 1999.0}
    assert load_rows(tmp_path, [{"id": 1, "title": "T", "Year": "1999"}]).items[0].attributes == {"year": 1999.0}


def test_names_in_snake_case_never_collide(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": 1, "title": "T", "mainColor": "red", "main_color": "blue", "sale_price": 3, "Price": 4}
    ]
    loaded = load_rows(tmp_path, rows)
    assert loaded.items[0].attributes == {"main_color": "red", "main_color_2": "blue", "sale_price": 3.0}
    assert loaded.items[0].price == 4


# Shop fields


def test_prices_and_their_currency(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": n, "title": f"T{n}", "price": p} for n, p in enumerate(["$12.99", "12,90 €", "", None, "£5"])
    ]
    loaded = load_rows(tmp_path, rows)
    assert [(item.price, item.currency) for item in loaded.items] == [
        (Decimal("12.99"), "USD"),
        (Decimal("12.90"), "EUR"),
        (None, None),
        (None, None),
        (Decimal(5), "GBP"),
    ]
    assert load_rows(tmp_path, rows, currency="CAD").items[0].currency == "CAD"  # "$" may be Canadian
    assert load_rows(tmp_path, rows, currency="CAD").items[1].currency == "EUR"


def test_prices_without_any_currency_are_dollars_with_a_note(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": 1, "title": "T", "price": 3}]
    loaded = load_rows(tmp_path, rows)
    assert loaded.items[0].currency == "USD"
    assert any("prices without a currency are taken as USD" in note for note in loaded.notes)
    assert load_rows(tmp_path, rows, currency="€").items[0].currency == "EUR"
    with pytest.raises(CatalogueError, match="currency is 'dollars': expected a code of ISO 4217"):
        load_rows(tmp_path, rows, currency="dollars")


def test_a_price_object_and_a_semicolon_file(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"id": 1, "title": "T", "price": {"amount": "12.90", "currency": "EUR"}}]
    assert load_rows(tmp_path, rows).items[0] == Item("1", "T", price=Decimal("12.90"), currency="EUR")
    item = load_csv(tmp_path, "id;title;price;weight\n1;T;1.299,50 €;2,5\n").items[0]
    assert (item.price, item.attributes) == (Decimal("1299.50"), {"weight": 2.5})


def test_stock_words_win_over_counts_and_unknown_words_are_unknown(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": n, "title": f"T{n}", "stock": 5, "availability": word}
        for n, word in enumerate(["In Stock", "Low Stock", "Out of Stock", "perhaps"])
    ]
    loaded = load_rows(tmp_path, rows)
    assert [item.in_stock for item in loaded.items] == [True, True, False, None]
    assert all(not item.attributes for item in loaded.items)
    assert "in_stock has values that are not understood and are left out, such as 'perhaps' (1 times)" in loaded.notes


def test_links_pictures_and_popularity(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"id": 1, "title": "T", "link": "https://a.example/1", "images": ["https://a.example/1.png"], "vote_count": 7},
        {"id": 2, "title": "U", "link": "javascript:alert(1)", "images": [], "vote_count": None},
    ]
    first, second = load_rows(tmp_path, rows).items
    assert (first.url, first.image_url, first.popularity) == ("https://a.example/1", "https://a.example/1.png", 7.0)
    assert (second.url, second.image_url, second.popularity) == (None, None, 0.0)


def test_parquet_with_lists_nulls_dates_and_structs(tmp_path: Path) -> None:
    rows = [
        {
            "id": 1,
            "title": "T",
            "tags": ["a", None, "b"],
            "n": None,
            "released": datetime.date(1999, 5, 1),
            "price": Decimal("3.50"),
            "size": {"w": 2},
            "raw": b"x",
            "attributes": {"k": "v", "m": None},
        },
        {
            "id": 2,
            "title": "U",
            "tags": None,
            "n": 4,
            "released": None,
            "price": None,
            "size": None,
            "raw": b"y",
            "attributes": None,
        },
    ]
    path = tmp_path / "c.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    loaded = load_catalogue(path)
    assert loaded.items == (
        Item("1", "T", "", {"k": "v", "tags": ("a", "b"), "year": 1999.0, "size_w": 2.0}, Decimal("3.50"), "USD"),
        Item("2", "U", "", {"n": 4.0}),
    )


# Mappings

FILMS: list[dict[str, object]] = [
    {
        "imdb": "tt1",
        "name": "Heat",
        "overview": "A heist.",
        "tagline": "Boom",
        "genres": ["Crime"],
        "who": "Mann|Neill",
        "cost": "9",
        "note": "x",
    },
    {
        "imdb": "tt2",
        "name": "Up",
        "overview": "A house.",
        "tagline": None,
        "genres": ["Family"],
        "who": "Docter",
        "cost": "",
        "note": "y",
    },
]
TOML = """
[fields]
id = "imdb"
title = "name"
text = ["tagline", "overview"]
price = "cost"
currency_code = "eur"
[attributes]
genre = "genres"
director = { column = "who", kind = "list", separator = "|" }
drop = ["note"]
"""


def test_a_mapping_names_columns_and_constants(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(TOML, encoding="utf-8")
    loaded = load_rows(tmp_path, FILMS, read_mapping(path))
    assert loaded.items[0] == Item(
        "tt1", "Heat", "Boom A heist.", {"genre": ("Crime",), "director": ("Mann", "Neill")}, Decimal(9), "EUR"
    )
    (tmp_path / "films.jsonl").write_text("".join(json.dumps(row) + "\n" for row in FILMS), encoding="utf-8")
    assert load_catalogue(tmp_path / "films.jsonl", mapping=path) == loaded


def test_what_a_mapping_leaves_open_is_guessed_unless_it_says_otherwise(tmp_path: Path) -> None:
    guessed = load_rows(tmp_path, FILMS, Mapping(id="imdb"))
    assert guessed.mapping.title == "name"
    assert guessed.items[0].attributes["note"] == "x"
    exact = load_rows(tmp_path, FILMS, Mapping(id="imdb", title="name", guess=False))
    assert exact.items[0] == Item("tt1", "Heat")


def test_the_effective_mapping_as_toml_loads_the_same_items(tmp_path: Path) -> None:
    for given in (None, parse_mapping(TOML)):
        loaded = load_rows(tmp_path, FILMS, given or Mapping(id="imdb"))
        again = parse_mapping(loaded.mapping.to_toml())
        assert again == loaded.mapping
        assert load_rows(tmp_path, FILMS, again).items == loaded.items


def test_toml_escapes_whatever_a_column_is_called() -> None:
    odd = Mapping(
        id='q"uo\\te',
        text=("电影", "tab\t\x7f"),
        drop=("#",),
        attributes={"Größe (cm)": AttributeRule("a.b", "list", " | ")},
        guess=True,
    )
    assert parse_mapping(odd.to_toml()) == odd


def test_every_field_of_a_mapping_can_be_written_in_toml() -> None:
    full = Mapping(
        **{
            field.name: "EUR"
            for field in dataclasses.fields(Mapping)
            if field.name not in ("text", "attributes", "drop", "guess")
        }
    )
    assert parse_mapping(full.to_toml()) == full


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[fields]\nname = 'x'", r"\[fields\] has unknown keys \['name'\]: allowed are id, title, text"),
        ("[columns]\nid = 'x'", r"unknown keys \['columns'\]: allowed are fields, attributes, drop, guess"),
        ("[fields]\nid = 3", "id is 3, expected the name of a column"),
        ("[fields]\ntext = [1]", "text is .*, expected a list of columns"),
        ("[fields]\ncurrency_code = 'XQX'", "currency_code is 'XQX'"),
        ("guess = 'maybe'", "guess is 'maybe', expected true or false"),
        ("fields = 3", r"expected tables \[fields\]"),
        ("[attributes]\nprice = 'p'", "attribute 'price': .* are fields of an item"),
        (
            "[attributes]\na = { column = 'x', type = 'list' }",
            r"unknown keys \['type'\]: allowed are column, kind, separator",
        ),
        ("[attributes]\na = { column = 'x', kind = 'date' }", "kind is 'date', expected one of number, text, list"),
        ("[attributes]\na = { column = 'x', kind = 'text', separator = '|' }", "separator is"),
        ("[attributes]\na = { kind = 'text' }", "expected a column"),
        ("[fields", "is not valid TOML"),
    ],
)
def test_mappings_that_cannot_be_right_are_refused(text: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        parse_mapping(text)


def test_a_mapping_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"mapping .*none\.toml' cannot be read"):
        read_mapping(tmp_path / "none.toml")


def test_a_column_that_the_file_lacks_is_named_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="lacks: 'sku', 'gone'; it has 'imdb', 'name', 'overview'"):
        load_rows(tmp_path, FILMS, Mapping(id="sku", drop=("gone",)))


def test_a_value_that_is_not_of_the_kind_asked_for_costs_only_itself(tmp_path: Path) -> None:
    mapping = Mapping(attributes={"pages": AttributeRule("pages", "number")})
    rows: list[dict[str, object]] = [{"id": 1, "title": "T", "pages": "many"}, {"id": 2, "title": "U", "pages": "90"}]
    loaded = load_rows(tmp_path, rows, mapping)
    assert [item.attributes for item in loaded.items] == [{}, {"pages": 90.0}]
    assert "attribute 'pages' has values that are not of its kind and are left out (1 times)" in loaded.notes
