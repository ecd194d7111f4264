from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest
from page_doubles import HOSTILE, cards, item

from agent.answer import Alternative, Answer, ShownItem, shown_item
from ui.cards import Mark, draw_cards, safe_link
from ui.templates import as_text, linked
from ui.words import words_in

WORDS = words_in("en")


class Page(HTMLParser):
    """What a browser would make of the markup: its tags, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def answer(items: list[ShownItem], near: list[Alternative] | None = None) -> Answer:
    return Answer(
        session_id="s", turn_id="t1", action="recommend", items=items, alternatives=near or [], model="scripted"
    )


def draw(items: list[ShownItem], marks: dict[tuple[str, str | None], Mark] | None = None) -> Page:
    return Page(draw_cards(answer(items), marks or {}, WORDS, lambda _: None))


def says(page: Page) -> list[str | None]:
    return [button["data-say"] for button in page.all("button") if "data-say" in button]


class TestHostileCatalogue:
    def test_titles_are_text(self) -> None:
        page = draw(cards(HOSTILE))
        for title in HOSTILE:
            assert title in page.text
        assert {name for name, _ in page.tags} <= set(
            "section h2 span div article img h3 p ul li a strong button".split()
        )
        assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]

    def test_a_template_engine_behind_us_finds_nothing_to_run(self) -> None:
        html = draw_cards(answer(cards(HOSTILE)), {}, WORDS, lambda _: None)
        assert not set("{}$`") & set(html)

    def test_posted_words_hold_the_title_as_it_is(self) -> None:
        page = draw(cards((HOSTILE[2],)))
        assert WORDS("say.cheaper", title=HOSTILE[2]) in says(page)

    def test_the_drawn_cover_holds_no_markup_of_the_title(self) -> None:
        page = draw(cards((HOSTILE[0],)))
        svg = base64.b64decode(str(page.all("img")[0]["src"]).partition(",")[2]).decode()
        assert "<img" not in svg
        assert "onerror=" not in re.sub(r">[^<]*<", "><", svg)

    def test_the_catalogues_picture_is_never_fetched(self) -> None:
        html = draw_cards(answer(cards(("Alien",))), {}, WORDS, lambda _: None)
        assert "elsewhere.example" not in html
        assert all(str(image["src"]).startswith("data:image/svg+xml") for image in Page(html).all("img"))

    @pytest.mark.parametrize(
        "url", ["javascript:alert(1)", "//other.example/x", "data:text/html,x", "", None, "http://[", " JAVASCRIPT:x"]
    )
    def test_only_http_links(self, url: str | None) -> None:
        assert safe_link(url) is None
        assert not draw([shown_item(item(1, "Alien", url=url), 1)]).all("a")

    def test_links_open_apart_from_the_page(self) -> None:
        (link,) = draw(cards(("Alien",))).all("a")
        assert (link["href"], link["target"]) == ("https://shop.example/film/1", "_blank")
        assert "noopener" in str(link["rel"])


class TestCard:
    def test_says_what_the_shop_knows(self) -> None:
        page = draw(cards(("Alien", "Playtime")))
        for said in ("Alien", "13.90 EUR", "In stock", "A light comedy", "genre: comedy", "The longest of this list."):
            assert said in page.text
        assert [(a["data-item-id"], a["data-turn-id"]) for a in page.all("article")] == [
            ("film-1", "t1"),
            ("film-2", "t1"),
        ]

    def test_nothing_is_offered_that_the_item_has_not(self) -> None:
        bare = shown_item(item(1, "Bare", price=None, currency=None, in_stock=None, url=None, attributes={}), 1)
        page = draw([bare])
        assert "Price on request" in page.text
        assert "stock" not in page.text
        assert not any("cheaper" in str(said) for said in says(page))

    def test_every_button_and_card_has_a_name(self) -> None:
        page = draw(cards(("Alien",)))
        assert all(button.get("aria-label") and button["type"] == "button" for button in page.all("button"))
        assert [card["aria-label"] for card in page.all("article")] == ["Alien"]

    def test_rejected_card_asks_why_until_it_is_told(self) -> None:
        key = ("t1", "film-1")
        asking = draw(cards(("Alien",)), {key: Mark("reject")})
        assert [b["data-reason"] for b in asking.all("button") if "data-reason" in b] == [
            "known", "too_expensive", "taste", "too_long", "other",
        ]  # fmt: skip
        told = draw(cards(("Alien",)), {key: Mark("reject", "taste")})
        assert not [b for b in told.all("button") if "data-reason" in b]
        assert "Not my taste" in told.text
        assert [b["data-action"] for b in told.all("button")] == ["unmark"]

    def test_a_mark_of_another_turn_is_not_shown(self) -> None:
        assert "Noted" not in draw(cards(("Alien",)), {("t0", "film-1"): Mark("reject")}).text

    def test_near_misses_say_what_they_break(self) -> None:
        near = [Alternative(item=cards(("Near",))[0], breaks=["p1", "gone"])]
        html = draw_cards(answer([], near), {}, WORDS, {"p1": "under <b>5</b>"}.get)
        assert "Not: under <b>5</b>" in Page(html).text
        assert "Near misses" in html

    def test_no_answer_draws_the_empty_panel(self) -> None:
        assert WORDS("items.none") in draw_cards(None, {}, WORDS, lambda _: None)

    def test_live_region(self) -> None:
        assert 'aria-live="polite"' in draw_cards(None, {}, WORDS, lambda _: None)


class TestText:
    @pytest.mark.parametrize(
        ("text", "href"),
        [
            ("see https://a.example/b).", "https://a.example/b"),
            ('x"https://a.example/?q="><b>', "https://a.example/?q="),
            ("网址https://a.example/c。", "https://a.example/c"),
        ],
    )
    def test_addresses_become_links(self, text: str, href: str) -> None:
        page = Page(str(linked(text)))
        assert [link["href"] for link in page.all("a")] == [href]
        assert page.text == text
        assert len(page.tags) == 1

    def test_a_long_address_is_shown_short(self) -> None:
        url = "https://a.example/" + "x" * 200
        page = Page(str(linked(url)))
        assert page.all("a")[0]["href"] == url
        assert len(page.text) < 70

    @pytest.mark.parametrize("text", ["javascript:alert(1)", "http://", "https:// x"])
    def test_nothing_else_does(self, text: str) -> None:
        assert linked(text) == as_text(text)
