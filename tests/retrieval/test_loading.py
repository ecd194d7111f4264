"""load_catalogue on files of every format, and on every kind of bad input; each file is written here."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.errors import CatalogueError
from retrieval.items import Item
from retrieval.loading import LoadedCatalogue, check_catalogue, load_catalogue, open_catalogue
from retrieval.loading.clean import MAX_TEXT_CHARS, MAX_TITLE_CHARS
from retrieval.loading.readers import CHUNK_CHARS, MAX_LINE_BYTES

Load = Callable[..., LoadedCatalogue]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write `content` (text, bytes, or rows for JSON lines) to a file and load it."""

    def write_and_load(content: str | bytes | list[object], name: str = "", **options: object) -> LoadedCatalogue:
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
            name = name or "catalogue.jsonl"
        path = tmp_path / (name or "catalogue.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load_catalogue(path, **options)  # type: ignore[arg-type]

    return write_and_load


ROWS: list[object] = [
    {"id": "a", "title": "Alpha", "year": 1999, "tags": ["x", "y"], "price": 9.5, "currency": "EUR", "in_stock": True},
    {"id": "b", "title": "Beta", "year": 2001, "tags": ["y"], "price": 12, "currency": "EUR", "in_stock": False},
]
CSV = "id,title,year,tags,price,currency,in_stock\na,Alpha,1999,x|y,9.5,EUR,true\nb,Beta,2001,y,12,EUR,false\n"
EXPECTED = (
    Item("a", "Alpha", "", {"year": 1999.0, "tags": ("x", "y")}, Decimal("9.5"), "EUR", True),
    Item("b", "Beta", "", {"year": 2001.0, "tags": ("y",)}, Decimal(12), "EUR", False),
)


def parquet(rows: list[object]) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue().to_pybytes())


FILES = {
    "lines.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS).encode(),
    "no-name": "\n\n".join(json.dumps(row) for row in ROWS).encode(),
    "array.json": json.dumps(ROWS, indent=2).encode(),
    "bom.json": b"\xef\xbb\xbf" + json.dumps(ROWS).encode(),
    "bom.jsonl": b"\xef\xbb\xbf" + "".join(json.dumps(row) + "\r\n" for row in ROWS).encode(),
    "rows.parquet": parquet(ROWS),
}


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", FILES)
def test_every_format_gives_the_same_items(name: str, zipped: bool, load: Load) -> None:
    # The name of the gzipped file does not say so: content decides.
    loaded = load(gzip.compress(FILES[name]) if zipped else FILES[name], name)
    assert loaded.items == EXPECTED
    assert loaded.rejected == ()


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [("c.csv", ","), ("c.csv", ";"), ("c.tsv", "\t"), ("c", ","), ("c.csv.gz", ","), ("c.txt", "\t")],
)
def test_csv_of_every_kind_gives_the_same_items(name: str, delimiter: str, load: Load) -> None:
    for text in (CSV, "\ufeff" + CSV, CSV.replace("\n", "\r\n")):
        content = text.replace(",", delimiter).encode()
        loaded = load(
            gzip.compress(content) if name.endswith(".gz") else content,
            name,
            mapping=None,
        )
        # Two rows do not show clearly that "|" parts a list.
        assert [item.attributes for item in loaded.items] == [
            {"year": 1999.0, "tags": "x|y"},
            {"year": 2001.0, "tags": "y"},
        ]
        assert [item.price for item in loaded.items] == [Decimal("9.5"), Decimal(12)]
        assert [item.in_stock for item in loaded.items] == [True, False]


def test_a_streamed_catalogue_gives_rows_one_by_one_and_its_mapping_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"id": "a", "title": "Alpha"}\n[]\n', encoding="utf-8")
    file = open_catalogue(path)
    assert file.mapping.title == "title"
    kinds = [type(row).__name__ for row in file.rows()]
    assert kinds == ["Item", "RejectedRow"]


# Rows and lines


def test_a_checked_catalogue_is_read_again_for_its_items(tmp_path: Path) -> None:
    path = tmp_path / "items.jsonl"
    rows = [{"id": "1", "title": "One", "text": "a" * (MAX_TEXT_CHARS + 1)}, {"title": ""}, {"id": "2", "title": "Two"}]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    loaded, checked = load_catalogue(path), check_catalogue(path)
    assert len(checked) == 2
    assert tuple(checked) == tuple(checked) == loaded.items
    assert checked.rejected == loaded.rejected
    assert checked.notes == loaded.notes == checked.file.notes  # counted once, however often it is read
    with pytest.raises(CatalogueError, match="1 of 3 rows cannot be used"):
        check_catalogue(path, strict=True)
    path.write_text("\n".join(map(json.dumps, [rows[0], rows[2], rows[0]])), encoding="utf-8")
    with pytest.raises(CatalogueError, match="line 1 and in line 3"):
        check_catalogue(path)
    assert len(check_catalogue(path, keep_first=True)) == 2


def test_lines_are_those_of_the_file_even_with_line_breaks_in_quotes(load: Load) -> None:
    text = 'id,title,text\n1,One,"a\nb\nc"\n\n2,Two\n3,,\n4,Four,ok,,\n5,"Fi"ve,ok\n'
    loaded = load(text)
    assert [(row.line, row.reason.split(":")[0]) for row in loaded.rejected] == [
        (6, "has 2 cells, the header has 3"),
        (7, "no title and no text"),
        (9, "not valid CSV"),
    ]
    assert [(item.id, item.text) for item in loaded.items] == [("1", "a b c"), ("4", "ok")]


def test_lines_of_a_json_array_are_where_its_values_start(load: Load) -> None:
    loaded = load('[\n  {"id": 1, "title": "One",\n   "x": "y"},\n  7,\n\n  {"id": 2}, null]', "a.json")
    assert [(row.line, row.reason) for row in loaded.rejected] == [
        (4, "not an object: the row is a number or flag"),
        (6, "no title and no text"),
        (6, "not an object: the row is null"),
    ]


def test_a_json_array_longer_than_a_chunk(load: Load) -> None:
    rows = [{"id": number, "title": f"T{number}", "text": "ab " * 50_000} for number in range(30)]
    content = json.dumps(rows, indent=1)
    assert len(content) > 3 * CHUNK_CHARS
    loaded = load(content, "a.json")
    assert [item.id for item in loaded.items] == [str(number) for number in range(30)]


def test_bad_rows_are_listed_with_line_and_reason(load: Load) -> None:
    good = '{"id": 1, "title": "One"}'
    bad = {
        "{broken": "not valid JSON",
        '["a"]': "not an object: the row is a list",
        '{"title": "No id"}': "no id",
        '{"id": "", "title": "x"}': "no id",
        '{"id": true, "title": "x"}': "id is bool",
        '{"id": {"$oid": 1}, "title": "x"}': "no id",
        '{"id": "a\\u0000b", "title": "x"}': "id holds control",
        json.dumps({"id": "x" * 201, "title": "x"}): "id is too long: 201 characters, at most 200",
        '{"id": 2}': "no title and no text",
        '{"id": 3, "title": "\\u200b ", "text": "  "}': "no title and no text",
        '{"id": 4, "title": "x", "price": "call us"}': "price 'call us' is not a price",
        '{"id": 5, "title": "x", "price": -1}': "price '-1' is negative",
        '{"id": 6, "title": "x", "price": Infinity}': "price 'inf' is not a number",
        '{"id": 7, "title": "x", "price": 5, "currency": "XQX"}': "currency 'XQX' is not a code",
        '{"id": 8, "title": "x", "price": "€5", "currency": "USD"}': "price '€5' and currency 'USD' contradict",
        '{"id": 9, "title": "x", "n": ' + "9" * 5_000 + "}": "not valid JSON",
        '{"id": 10, "title": "x", "n": ' + "[" * 200_000 + "}": "not valid JSON: nested too deeply",
    }
    loaded = load("\n".join([good, *bad]), "bad.jsonl")
    assert [item.id for item in loaded.items] == ["1"]
    assert [row.line for row in loaded.rejected] == list(range(2, len(bad) + 2))
    for row, reason in zip(loaded.rejected, bad.values(), strict=True):
        assert row.reason.startswith(reason)


def test_strict_refuses_bad_rows_and_names_the_first_and_the_count(load: Load) -> None:
    rows = [{"id": 1, "title": "One"}, *({"id": number} for number in range(2, 7))]
    with pytest.raises(
        CatalogueError, match=r"5 of 6 rows cannot be used \(line 2: no title and no text; line 3: .*; line 4"
    ):
        load(rows, strict=True)
    assert len(load(rows).rejected) == 5


def test_a_file_of_bad_rows_alone_is_an_error_and_not_an_empty_catalogue(load: Load) -> None:
    with pytest.raises(CatalogueError, match="2 of 2 rows cannot be used"):
        load("{broken}\n{broken}\n", "bad.jsonl")


def test_a_line_too_long_costs_only_itself(load: Load) -> None:
    long = b'{"id": 2, "title": "' + b"x" * MAX_LINE_BYTES + b'"}\n'
    loaded = load(b'{"id": 1, "title": "One"}\n' + long + b'{"id": 3, "title": "Three"}\n', "long.jsonl")
    assert [item.id for item in loaded.items] == ["1", "3"]
    assert [(row.line, row.reason) for row in loaded.rejected] == [(2, "the line is longer than 16 MiB")]


def test_csv_cells_longer_than_the_default_limit(load: Load) -> None:
    loaded = load(f"id,title,text\n1,One,{'word ' * 60_000}\n")
    assert MAX_TEXT_CHARS - 10 < len(loaded.items[0].text) <= MAX_TEXT_CHARS


# Ids


def test_repeated_ids_are_an_error_that_names_both_lines(load: Load) -> None:
    text = "id,title\na,One\nb,Two\na,Three\n a,Four\nb,Five\n"
    with pytest.raises(CatalogueError, match="id 'a' stands in line 2 and in line 4, and 2 more rows repeat an id"):
        load(text)


def test_the_first_of_repeated_ids_is_kept_when_asked_and_the_others_are_listed(load: Load) -> None:
    loaded = load("id,title\na,One\nb,Two\na,Three\n", keep_first=True)
    assert [item.title for item in loaded.items] == ["One", "Two"]
    assert [(row.line, row.reason) for row in loaded.rejected] == [(4, "id 'a' stands in line 2 already")]


def test_ids_are_told_by_many_names_and_written_as_texts(load: Load) -> None:
    assert [item.id for item in load([{"_id": 7, "title": "x"}]).items] == ["7"]
    assert [item.id for item in load([{"imdbID": "tt1", "title": "x"}]).items] == ["tt1"]
    assert [item.id for item in load([{"SKU": "007", "Product Name": "x"}]).items] == ["007"]
    assert [item.id for item in load("id,title\n007,x\n").items] == ["007"]
    assert [item.id for item in load(parquet([{"id": 1.0, "title": "x"}, {"id": 2.0, "title": "y"}]), "c").items] == [
        "1",
        "2",
    ]


def test_without_an_id_column_unique_titles_make_ids_and_a_note_says_so(load: Load) -> None:
    loaded = load("title,year\nHeat,1995\nHeat,1986\n")
    assert [item.id for item in loaded.items] == ["heat-1995", "heat-1986"]
    assert "ids are made from the titles" in loaded.notes[0]
    with pytest.raises(
        CatalogueError, match="no id column, and the titles in lines 2 and 4 give the same id 'heat-1995'"
    ):
        load("title,year\nHeat,1995\nUp,2009\nheat!,1995\n")


def test_a_missing_column_is_an_error_that_lists_the_columns(load: Load) -> None:
    with pytest.raises(
        CatalogueError, match=r"no column that looks like an id: .*\[fields\] id.*it has 'description', 'n'"
    ):
        load([{"description": "words", "n": 1}])
    with pytest.raises(CatalogueError, match="no column that looks like a title or a description: .* it has 'id', 'n'"):
        load([{"id": 1, "n": 1}, {"id": 2, "n": 5}])


# Files that are no catalogue


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "c.jsonl", "c.jsonl is empty"),
        (b" \n\n", "c.csv", "c.csv is empty"),
        (gzip.compress(b"", mtime=0), "c.csv.gz", "is empty"),
        (b"\xef\xbb\xbf", "c.csv", "is empty"),
        (b"PK\x03\x04 zip", "c.xlsx", "is a zip or Excel file: expected JSON lines"),
        ("id,title\n1,é".encode("utf-16"), "c.csv", "is UTF-16 text: .* UTF-8"),
        (b"\x00\x01\x02\x03", "c.bin", "is a binary file"),
        (b"just some words\nof prose\n", "c.md", "unknown format: expected JSON lines"),
        (b"just some words", "c.json", "unknown format"),
        (
            "id,title\n1,caf\u00e9\n".encode("latin-1"),
            "c.csv",
            r"line 2 is not UTF-8 \(byte 0xe9\): save the file as UTF-8",
        ),
        ('{"id": 1, "title": "caf\u00e9"}'.encode("latin-1"), "c.jsonl", "line 1 is not UTF-8"),
        ('[{"id": 1, "title": "caf\u00e9"}]'.encode("latin-1"), "c.json", "is not UTF-8"),
        (b'[{"id": 1, "title": "x"},\n {"id": 2,', "c.json", "breaks in the value that starts in line 2"),
        (b'[{"id": 1, "title": "x"}', "c.json", "expected ','"),
        (b'{\n "products": []\n}', "c.json", "holds one JSON object: expected one object for each line"),
        (gzip.compress(CSV.encode() * 100, mtime=0)[:60], "c.csv.gz", "damaged or cut off gzip file"),
        (b"PAR1 and no more", "c.parquet", "is not a whole Parquet file"),
        (b'id,title\n1,"never closed\n2,x\n', "c.csv", "row that starts in line 2 cannot be read .* check the quotes"),
    ],
)
def test_files_that_cannot_be_read_give_one_sentence(content: bytes, name: str, message: str, load: Load) -> None:
    with pytest.raises(CatalogueError, match=message) as caught:
        load(content, name)
    assert "\n" not in str(caught.value)


def test_missing_files_folders_and_rights(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="there is no file"):
        load_catalogue(tmp_path / "none.csv")
    with pytest.raises(CatalogueError, match="is not a file"):
        load_catalogue(tmp_path)
    secret = tmp_path / "secret.csv"
    secret.write_text(CSV, encoding="utf-8")
    secret.chmod(0)
    if not os.access(secret, os.R_OK):  # root reads everything
        with pytest.raises(CatalogueError, match="cannot be read"):
            load_catalogue(secret)


@pytest.mark.parametrize(
    ("content", "name"), [("[]", "c.json"), ("id,title\n", "c.csv"), (parquet([])[:], "c.parquet")]
)
def test_a_catalogue_of_no_items_is_empty_and_says_so(content: str | bytes, name: str, load: Load) -> None:
    loaded = load(content, name)
    assert loaded.items == ()
    assert "the catalogue is empty" in loaded.notes[-1]


def test_a_catalogue_of_one_item(load: Load) -> None:
    assert load([{"id": 1, "title": "One"}]).items == (Item("1", "One"),)


# Texts


def test_titles_keep_markup_as_text_and_descriptions_lose_it(load: Load) -> None:
    hostile = '<img src=x onerror=alert(1)> ${process.env} `x` "q" \u202eevil'
    item = load(
        [{"id": 1, "title": hostile, "description": "<p>Fine &amp; <b>bold</b><script>bad()</script></p>"}]
    ).items[0]
    assert item.title == '<img src=x onerror=alert(1)> ${process.env} `x` "q" evil'
    assert item.text == "Fine & bold"


def test_emoji_chinese_and_right_to_left_text_stay(load: Load) -> None:
    item = load([{"id": "电影-1", "title": "千与千寻 🎬", "text": "فيلم رسوم متحركة. סרט"}]).items[0]
    assert (item.id, item.title, item.text) == ("电影-1", "千与千寻 🎬", "فيلم رسوم متحركة. סרט")


def test_lone_surrogates_do_not_reach_an_item(load: Load) -> None:
    loaded = load(
        '{"id": 1, "title": "a\\ud800b", "text": "\\udfff", "attributes": {"k": "v\\ud800"}}\n'
        '{"id": "\\ud800", "title": "x"}',
        "c.jsonl",
    )
    assert loaded.items[0].content_hash()
    assert loaded.items[0].attributes == {"k": "v"}
    assert loaded.rejected[0].line == 2


def test_long_texts_and_titles_are_cut_with_a_note(load: Load) -> None:
    loaded = load([{"id": 1, "title": "T" * 1_000, "text": "wonderful " * 5_000}, {"id": 2, "title": "x", "text": "y"}])
    assert len(loaded.items[0].title) == MAX_TITLE_CHARS
    assert MAX_TEXT_CHARS - 60 < len(loaded.items[0].text) <= MAX_TEXT_CHARS
    assert "texts are cut to 20,000 characters (1 times)" in loaded.notes
    assert "titles are cut to 300 characters (1 times)" in loaded.notes


def test_items_with_no_text_or_no_title(load: Load) -> None:
    loaded = load([{"id": 1, "title": "Only a title"}, {"id": 2, "text": "Only a text, which goes on. " * 9}])
    assert loaded.items[0].text == ""
    assert loaded.items[1].title.startswith("Only a text, which goes on.")
    assert len(loaded.items[1].title) <= 80
    assert load([{"id": 1, "title": "a"}, {"id": 2, "title": "b"}]).items[1].text == ""


def test_a_film_may_be_called_null(load: Load) -> None:
    assert [item.title for item in load("id,title\n1,null\n2,NaN\n3,Up\n").items] == ["null", "NaN", "Up"]
