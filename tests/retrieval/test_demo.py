"""The Reel Shop: counts, arithmetic, facts, articles that agree with the code, and covers that hold any title."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from retrieval.demo import SHOP_NAME, demo_articles_dir, demo_films_path, demo_orders_path
from retrieval.demo.covers import PALETTES, TITLE_WIDTH, cover_svg
from retrieval.demo.delivery import ZONES
from retrieval.demo.lettering import fit_title, text_width
from retrieval.demo.motifs import Palette
from retrieval.demo.tools import build, check_facts
from retrieval.demo.tools.orders import PRICE_RANGE_EUR, add_working_days, make_orders
from retrieval.items import Item
from retrieval.shape import CatalogueShape

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
WIKIDATA = DATA / "movies-wikidata" / "movies.csv.gz"
OPEN_LIST = DATA / "movies-open" / "movies.jsonl.gz"

needs_data = pytest.mark.skipif(not (WIKIDATA.exists() and OPEN_LIST.exists()), reason="needs ../shared/data")

STANDARD_COST = {
    **dict.fromkeys(("DE",), "3.90"),
    **dict.fromkeys(("AT", "BE", "DK", "FR", "LU", "NL"), "5.90"),
    **dict.fromkeys(("ES", "FI", "IE", "IT", "PL", "SE"), "7.90"),
    **dict.fromkeys(("CH", "GB", "NO"), "11.90"),
}
"""As the help article says, written down a second time on purpose."""

FRONT_MATTER = re.compile(
    r"\A---\nid: (help-[a-z0-9-]+)\nurl: https://reelshop\.example/help/([a-z0-9-]+)\n"
    r"updated: (2026-\d\d-\d\d)\n---\n\n# \S"
)


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def films() -> list[dict[str, Any]]:
    return jsonl(demo_films_path())


@pytest.fixture(scope="module")
def orders() -> list[dict[str, Any]]:
    return jsonl(demo_orders_path())


@pytest.fixture(scope="module")
def articles() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(demo_articles_dir().glob("*.md"))}


def item_of(row: Mapping[str, Any]) -> Item:
    attributes = {
        name: tuple(value) if isinstance(value, list) else float(value) if isinstance(value, int) else value
        for name, value in row["attributes"].items()
    }
    return Item(**{**row, "price": Decimal(row["price"]), "attributes": attributes})


class TestFilms:
    def test_enough_and_unique(self, films: list[dict[str, Any]]) -> None:
        assert len(films) >= 500
        assert len({film["id"] for film in films}) == len(films)
        assert SHOP_NAME == "The Reel Shop"

    def test_every_film_is_an_item_that_survives_a_round_trip(self, films: list[dict[str, Any]]) -> None:
        for film in films:
            assert json.loads(item_of(film).to_json()) == film

    def test_attributes_have_the_types_of_the_contract(self, films: list[dict[str, Any]]) -> None:
        shape = CatalogueShape.of(item_of(film) for film in films)
        kinds = {name: attribute.kind for name, attribute in shape.attributes.items()}
        lists = dict.fromkeys(("director", "cast", "country", "language", "genre", "mood", "theme"), "list")
        numbers = dict.fromkeys(("price", "year", "runtime_min"), "number")
        assert kinds == {**lists, **numbers, "format": "text"}
        assert shape.currency == "EUR"
        assert all(attribute.count == len(films) for attribute in shape.attributes.values())

    def test_lists_are_never_empty_or_repetitive(self, films: list[dict[str, Any]]) -> None:
        for film in films:
            for name, value in film["attributes"].items():
                if isinstance(value, list):
                    assert value, (film["id"], name)
                    assert len(set(value)) == len(value), (film["id"], name)
            assert len(film["attributes"]["cast"]) <= build.MAX_CAST

    def test_shop_data_is_plausible(self, films: list[dict[str, Any]]) -> None:
        for film in films:
            low, high = PRICE_RANGE_EUR[film["attributes"]["format"]]
            assert low <= Decimal(film["price"]) <= high, film["id"]
            assert film["id"] in film["url"]
            assert film["id"] in film["image_url"]
        in_stock = sum(film["in_stock"] for film in films) / len(films)
        assert 0.85 <= in_stock <= 0.95

    def test_a_shopper_who_asks_for_english_gets_every_kind_of_english(self, films: list[dict[str, Any]]) -> None:
        languages = {language for film in films for language in film["attributes"]["language"]}
        assert not [language for language in languages if language.endswith((" English", " language"))]

    def test_slug_is_plain_ascii(self) -> None:
        assert build.slug("Brüno & Sons: Don't Look") == "bruno-and-sons-dont-look"

    @needs_data
    @pytest.mark.shared_data
    def test_built_from_the_data_files_byte_for_byte(
        self, films: list[dict[str, Any]], orders: list[dict[str, Any]]
    ) -> None:
        built = build.build_films(WIKIDATA, OPEN_LIST)
        assert built == films
        assert make_orders([build._offer(film) for film in built]) == orders


class TestFacts:
    @needs_data
    @pytest.mark.shared_data
    def test_every_fact_agrees_with_the_data(self, capsys: pytest.CaptureFixture[str]) -> None:
        code = check_facts.main(["--wikidata", str(WIKIDATA), "--open", str(OPEN_LIST)])
        report = capsys.readouterr().out
        assert code == 0, report
        assert "(100.0 %)" in report

    @needs_data
    @pytest.mark.shared_data
    def test_each_kind_of_error_is_found(self, films: list[dict[str, Any]], tmp_path: Path) -> None:
        broken = json.loads(json.dumps(films[:6]))
        broken[0]["attributes"]["runtime_min"] += 1
        broken[1]["attributes"]["cast"].append("Nobody At All")
        broken[2]["attributes"]["director"] = ["Nobody At All"]
        broken[3]["attributes"]["genre"].pop()
        broken[4]["attributes"]["year"] += 1
        broken[5]["text"] = "Only one sentence."
        path = tmp_path / "films.jsonl"
        path.write_text("".join(json.dumps(film) + "\n" for film in broken), encoding="utf-8")
        report = check_facts.check(path, WIKIDATA, OPEN_LIST)
        assert not report.ok
        wrong = {name for name, tally in report.fields.items() if tally.complaints}
        assert wrong == {"runtime_min", "cast", "title", "genre", "year"}
        assert any("two sentences" in fault for fault in report.lint)


class TestOrders:
    def test_sixty_in_order_of_time(self, orders: list[dict[str, Any]]) -> None:
        assert [order["id"] for order in orders] == [f"RS-{number}" for number in range(10_001, 10_061)]
        assert [order["ordered"] for order in orders] == sorted(order["ordered"] for order in orders)
        statuses = {"placed", "packed", "shipped", "delivered", "cancelled", "returned"}
        assert {order["status"] for order in orders} == statuses

    def test_nobody_is_named(self, orders: list[dict[str, Any]]) -> None:
        known = {"id", "email", "status", "country", "delivery", "items", "subtotal", "shipping", "total", "currency"}
        known |= {"payment", "ordered", "shipped", "delivered", "cancelled", "returned"}
        for order in orders:
            assert set(order) == known
            assert re.fullmatch(r"[a-z]+\d\d@example\.com", order["email"])

    def test_items_exist_in_the_catalogue(self, films: list[dict[str, Any]], orders: list[dict[str, Any]]) -> None:
        formats = {film["id"]: film["attributes"]["format"] for film in films}
        for order in orders:
            assert order["items"]
            for item in order["items"]:
                low, high = PRICE_RANGE_EUR[item["format"]]
                assert formats[item["id"]] == item["format"]
                assert low <= Decimal(item["price"]) <= high
                assert item["quantity"] >= 1

    def test_totals_follow_the_delivery_article(self, orders: list[dict[str, Any]]) -> None:
        for order in orders:
            subtotal = sum(Decimal(item["price"]) * item["quantity"] for item in order["items"])
            if order["delivery"] == "express":
                assert order["country"] == "DE"
                shipping = Decimal("9.90")
            elif subtotal >= 40 and order["country"] not in ("CH", "GB", "NO"):
                shipping = Decimal("0.00")
            else:
                shipping = Decimal(STANDARD_COST[order["country"]])
            amounts = (order["subtotal"], order["shipping"], order["total"])
            assert amounts == (str(subtotal), str(shipping), str(subtotal + shipping)), order["id"]

    def test_dates_fit_the_status(self, orders: list[dict[str, Any]]) -> None:
        past = {"shipped": ["shipped"], "delivered": ["shipped", "delivered"], "cancelled": ["cancelled"]}
        past["returned"] = ["shipped", "delivered", "returned"]
        for order in orders:
            happened = [name for name in ("shipped", "delivered", "cancelled", "returned") if order[name]]
            assert happened == past.get(order["status"], []), order["id"]
            dates = [order["ordered"], *(order[name] for name in happened)]
            assert dates == sorted(dates), order["id"]
            assert "2026-01-01" <= dates[0] <= dates[-1] < "2026-11-15"
            if order["returned"]:
                kept = date.fromisoformat(order["returned"]) - date.fromisoformat(order["delivered"])
                assert kept.days <= 30

    @pytest.mark.parametrize(
        ("start", "count", "end"),
        [("2026-11-13", 1, "2026-11-16"), ("2026-11-14", 0, "2026-11-16"), ("2026-11-09", 3, "2026-11-12")],
    )
    def test_working_days_skip_the_weekend(self, start: str, count: int, end: str) -> None:
        assert add_working_days(date.fromisoformat(start), count) == date.fromisoformat(end)


class TestArticles:
    def test_enough_with_front_matter_and_sections(self, articles: dict[str, str]) -> None:
        assert len(articles) >= 34
        ids = set()
        for name, text in articles.items():
            match = FRONT_MATTER.match(text)
            assert match, name
            assert match[2] == name
            ids.add(match[1])
            assert text.count("\n## ") >= 2, name
        assert len(ids) == len(articles)

    def test_length(self, articles: dict[str, str]) -> None:
        for name, text in articles.items():
            body = re.sub(r"^#.*$", "", text.split("---\n", 2)[2], flags=re.MULTILINE)
            assert 120 <= len(body.split()) <= 250, name

    def test_delivery_article_states_the_costs_that_orders_are_charged(self, articles: dict[str, str]) -> None:
        text = articles["delivery-times-and-costs"]
        for zone in ZONES:
            assert f"costs {zone.cost} EUR. It takes {zone.days[0]} to {zone.days[1]} working days." in text
            assert {STANDARD_COST[country] for country in zone.countries} == {str(zone.cost)}
        assert f"{sum(len(zone.countries) for zone in ZONES)} countries" in text

    def test_formats_article_states_the_prices_of_the_catalogue(self, articles: dict[str, str]) -> None:
        for low, high in PRICE_RANGE_EUR.values():
            assert f"{low} to {high} EUR" in articles["disc-formats"]

    @pytest.mark.parametrize(
        ("words", "allowed"),
        [
            (r"free from (\d+) EUR|costs? (\d+) EUR or more", {"40"}),
            (r"within (\d+) days of delivery", {"30"}),
            (r"Express delivery (?:always )?costs (\S+) EUR", {"9.90"}),
            (r"Gift wrap costs (\S+) EUR", {"2.50"}),
            (r"[Vv]alid for (\d+) years", {"3"}),
        ],
    )
    def test_numbers_agree_across_articles(self, articles: dict[str, str], words: str, allowed: set[str]) -> None:
        found = {
            number for text in articles.values() for match in re.finditer(words, text) for number in match.groups()
        }
        assert found - {None} == allowed

    def test_contact_points_to_nobody_real(self, articles: dict[str, str]) -> None:
        for name, text in articles.items():
            assert set(re.findall(r"@([\w.-]+\w)", text)) <= {"reelshop.example"}, name
            assert set(re.findall(r"https?://([\w.-]+)", text)) == {"reelshop.example"}, name


HOSTILE = [
    "<script>alert(1)</script>",
    '" onload="x" & \' ]]> <!-- ${x} `y`',
    "红楼梦的一个非常非常长的中文电影标题与它的续集和前传以及导演剪辑版",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen",
    "control \x00\x08 and \ud800 and \ufffe and \u202e end",
    "word " * 400,
    "",
    "é" * 60,
    "مرحبا بالعالم",
]


class TestCovers:
    @pytest.mark.parametrize("title", HOSTILE)
    @pytest.mark.parametrize("genres", [[], ["Drama"], ["<b>&", "Jackets"]], ids=["none", "drama", "hostile"])
    def test_any_title_gives_well_formed_closed_svg(self, title: str, genres: list[str]) -> None:
        svg = cover_svg(title, title, "seed", genres)
        root = ET.fromstring(svg.encode("utf-8"))  # noqa: S314 - our own output
        assert root.get("viewBox") == "0 0 400 600"
        tags = {element.tag.rpartition("}")[2] for element in root.iter()}
        allowed = "svg title defs clipPath linearGradient stop g rect circle ellipse path polygon text tspan"
        assert tags <= set(allowed.split())
        names = {name for element in root.iter() for name in element.attrib}
        assert not [name for name in names if name.startswith("on") or "href" in name or name == "style"]
        assert set(re.findall(r"url\((.)", svg)) == {"#"}

    def test_the_title_is_there_in_full(self) -> None:
        title = "Sweeney Todd: The Demon Barber of Fleet Street & <Co>"
        root = ET.fromstring(cover_svg(title, "1979", "seed", ["Musical"]))  # noqa: S314 - our own output
        spans = [element.text or "" for element in root.iter() if element.tag.endswith("tspan")]
        assert " ".join(spans) == title

    def test_every_title_of_the_shop_fits(self, films: list[dict[str, Any]]) -> None:
        for film in films:
            lines, size = fit_title(film["title"], TITLE_WIDTH)
            assert "".join(lines).replace(" ", "") == film["title"].replace(" ", "")
            assert all(text_width(line, size) <= TITLE_WIDTH for line in lines), film["title"]
            assert size * 1.12 * len(lines) <= 200, film["title"]

    def test_same_item_same_cover_other_item_other_cover(self) -> None:
        first = cover_svg("Alien", "1979", "film-alien-1979", ["Horror", "Sci-Fi"])
        assert first == cover_svg("Alien", "1979", "film-alien-1979", ["Horror", "Sci-Fi"])
        assert first != cover_svg("Alien", "1979", "film-alien-1980", ["Horror", "Sci-Fi"])

    def test_gradients_of_two_covers_do_not_clash_in_one_page(self) -> None:
        ids = [set(re.findall(r' id="([^"]+)"', cover_svg(title, "", title, ["Drama"]))) for title in ("A", "B")]
        assert ids[0]
        assert not ids[0] & ids[1]

    def test_one_unknown_category_looks_alike(self) -> None:
        svgs = [cover_svg(f"Tent {number}", "", f"item {number}", ["Tents"]) for number in range(12)]
        colours = {colour for svg in svgs for colour in re.findall(r'="(#[0-9a-f]{6})"', svg)}
        families = [{c for palette in variants for c in vars_of(palette)} for variants in PALETTES.values()]
        assert any(colours <= family for family in families)

    def test_letters_stand_out(self) -> None:
        for name, variants in PALETTES.items():
            for palette in variants:
                assert contrast(palette.ink, palette.deep) >= 7, name


def vars_of(palette: Palette) -> set[str]:
    return {palette.deep, palette.mid, palette.main, palette.bright, palette.ink}


def contrast(one: str, other: str) -> float:
    """WCAG contrast ratio of two #rrggbb colours."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
