"""Cleaning of text, and one cell to one value: prices, numbers, lists, stock, years, links."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.loading.clean import clean_description, clean_line, truncate
from retrieval.loading.convert import slug
from retrieval.loading.guess import snake_case
from retrieval.loading.prices import agree, currency_of, parse_price
from retrieval.loading.values import to_list, to_number, to_stock, to_text, to_url, to_year


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("  a \t b\n\nc ", "a b c"),
        ("pay\u200bpal \u202egnp.exe\u202c", "paypal gnp.exe"),
        ("nul\x00 bell\x07 esc\x1b[31m", "nul bell esc[31m"),
        ("hidden\U000e0041\U000e0042 words", "hidden words"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("\ufeffשלום עולם 🎬 电影", "שלום עולם 🎬 电影"),
        ("<img onerror=alert(1)> ${x} `a` < b", "<img onerror=alert(1)> ${x} `a` < b"),
    ],
)
def test_lines_lose_what_cannot_be_seen_and_nothing_else(written: str, clean: str) -> None:
    assert clean_line(written) == clean


@pytest.mark.parametrize(
    ("written", "clean"),
    [
        ("<p>Salt &amp; pepper.</p><ul><li>Black</li><li>White</li></ul>", "Salt & pepper. Black White"),
        ("A <b>bo</b>ld word<br/>and a line", "A bold word and a line"),
        ("<div>seen<script>alert('x')</script><style>p{}</style></div>", "seen"),
        ("<p>open <script>never closed", "open"),
        ("if a < b and c > d then", "if a < b and c > d then"),
        ("AT&amp;T without a tag", "AT&amp;T without a tag"),
        ("I <3 you <grin>", "I <3 you <grin>"),
        ("<P CLASS='x'>Upper</P>", "Upper"),
        ("before <!-- hidden --><p>after</p>", "before after"),
    ],
)
def test_descriptions_lose_html_only_where_there_is_html(written: str, clean: str) -> None:
    assert clean_description(written) == clean


@given(st.text(st.sampled_from("<>/ apscritdvbl&;!-=\"'"), max_size=200))
def test_no_markup_breaks_the_cleaner(text: str) -> None:
    assert clean_line(clean_description(text)) == clean_description(text)


@given(st.text(max_size=400), st.integers(2, 300))
def test_truncated_text_is_never_longer(text: str, limit: int) -> None:
    short = truncate(text, limit)
    assert len(short) <= limit
    assert short == text or short.endswith("…")


@pytest.mark.parametrize(
    ("written", "amount", "mark"),
    [
        (9.99, "9.99", ""),
        (19.990000000000002, "19.99", ""),
        (12, "12", ""),
        (Decimal("12.90"), "12.90", ""),
        ("12.90", "12.90", ""),
        ("$12.99", "12.99", "$"),
        ("US$ 1,299.00", "1299.00", "US$"),
        ("12,90 €", "12.90", "€"),
        ("1.299,00 €", "1299.00", "€"),
        ("1.299 €", "1299", "€"),
        ("$1,299", "1299", "$"),
        ("1,234,567", "1234567", ""),
        ("EUR 12.90", "12.90", "EUR"),
        ("12.90 usd", "12.90", "usd"),
        ("1 299,00 kr", "1299.00", "kr"),
        ("CHF 1'299.50", "1299.50", "CHF"),
        ("0.999", "0.999", ""),
        ("1.250 KWD", "1.250", "KWD"),
        ("￥1200", "1200", "￥"),
        ("0", "0", ""),
    ],
)
def test_prices_are_read_exactly(written: object, amount: str, mark: str) -> None:
    price = parse_price(written)
    assert (price.amount, price.mark) == (Decimal(amount), mark)


def test_a_file_that_writes_decimal_commas_reads_points_as_thousands() -> None:
    assert parse_price("1.299", decimal_comma=True).amount == 1299
    assert parse_price("1,299", decimal_comma=True).amount == Decimal("1.299")
    assert parse_price("1.299").amount == Decimal("1.299")
    assert parse_price("1,299").amount == 1299


@pytest.mark.parametrize(
    "written",
    [
        "call us",
        "10-20",
        "-5",
        "from $5",
        "$5 or €4",
        "1.2.3",
        "12,34,5",
        "5 apples",
        True,
        ["5"],
        float("inf"),
        "1e400",
        "9" * 30,
        "",
    ],
)
def test_prices_that_can_be_misread_are_refused(written: object) -> None:
    with pytest.raises(ValueError, match="price"):
        parse_price(written)


@given(st.text(max_size=30) | st.floats() | st.integers())
def test_a_price_is_a_sane_amount_or_refused(value: object) -> None:
    try:
        amount = parse_price(value).amount
    except ValueError:
        return
    assert amount.is_finite()
    assert amount >= 0


def test_currencies() -> None:
    assert [currency_of(mark) for mark in ("$", "€", "eur", "zł", "kr", "XQX")] == [
        "USD",
        "EUR",
        "EUR",
        "PLN",
        None,
        None,
    ]
    assert agree("$", "CAD")
    assert agree("kr", "SEK")
    assert not agree("€", "USD")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0),
        ("4.5", 4.5),
        (" -2 ", -2.0),
        ("1,234.5", 1234.5),
        ("1e3", 1000.0),
        ("007", None),
        ("0.5", 0.5),
        ("45%", None),
        (True, None),
        (float("nan"), None),
        (10**400, None),
        ("1e999", None),
        ("5784719087687123", None),
        ("1,5", None),
        ("", None),
    ],
)
def test_numbers(value: object, number: float | None) -> None:
    assert to_number(value) == number


def test_numbers_with_a_decimal_comma() -> None:
    assert [to_number(text, decimal_comma=True) for text in ("1,5", "1.234,5", "7")] == [1.5, 1234.5, 7.0]


@pytest.mark.parametrize(
    ("value", "separator", "parts"),
    [
        ('[{"id": 28, "name": "Action"}, {"id": 12, "name": "War"}]', None, ("Action", "War")),
        ("['a', \"it's\"]", None, ("a", "it's")),
        ("a | b|a", "|", ("a", "b")),
        ("a, b", None, ("a, b",)),
        ([38, 39.5, None, ""], None, ("38", "39.5")),
        ("[Remastered]", None, ("[Remastered]",)),
        ("[]", None, None),
        ([{"rating": 3}], None, None),
        ("[" * 3_000 + "]" * 3_000, None, ("[" * 3_000 + "]" * 3_000,)),
    ],
)
def test_lists(value: object, separator: str | None, parts: tuple[str, ...] | None) -> None:
    assert to_list(value, separator) == parts


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ("In Stock", True),
        ("Low Stock", True),
        ("Out of Stock", False),
        ("out_of_stock", False),
        ("Sold out", False),
        (0, False),
        (3, True),
        ("0", False),
        ("12", True),
        (False, False),
        ("yes", True),
        ("N", False),
        ("https://schema.org/InStock", True),
        ("https://schema.org/OutOfStock", False),
        ("Currently unavailable", False),
        ("not available", False),
        ("Only 2 left", True),
        ("有货", True),
        ("售罄", False),
        ("ask us", None),
        (None, None),
    ],
)
def test_stock(value: object, known: bool | None) -> None:
    assert to_stock(value) is known


@pytest.mark.parametrize(
    ("value", "year"),
    [
        ("2009-12-10", 2009.0),
        ("12/31/1999", 1999.0),
        ("May 4, 1977", 1977.0),
        (1984, 1984.0),
        ("soon", None),
        (45, None),
        ("0001-01-01", None),
    ],
)
def test_years(value: object, year: float | None) -> None:
    assert to_year(value) == year


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("/covers/1.svg", "/covers/1.svg"),
        (["http://a.example/1"], "http://a.example/1"),
        ("javascript:alert(1)", None),
        ("//evil.example", None),
        ("data:text/html,x", None),
        ("https://a.example/ b", None),
        ("x" * 3_000, None),
    ],
)
def test_links_that_a_page_must_not_follow_are_left_out(value: object, url: str | None) -> None:
    assert to_url(value) == url


def test_text_of_other_types() -> None:
    assert [to_text(value) for value in (True, False, 3.0, 2.5, ["a", "b"], "N/A", {"a": 1})] == [
        "yes",
        "no",
        "3",
        "2.5",
        "a, b",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("discountPercentage", "discount_percentage"),
        ("imdbID", "imdb_id"),
        ("Discount  Percentage", "discount_percentage"),
        ("_id", "_id"),
        ("dimensions.width", "dimensions_width"),
        ("HTMLBody", "html_body"),
        ("颜色", "颜色"),
        ("Price ($)", "price"),
    ],
)
def test_snake_case(name: str, snake: str) -> None:
    assert snake_case(name) == snake


def test_slugs() -> None:
    assert slug("Heat!", 1995.0) == "heat-1995"
    assert slug("电影") == "电影"
    assert slug("???") != slug("!!!")
