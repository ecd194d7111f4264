"""A catalogue that tries everything: on the page it is only text."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from agent.taming import tamed
from tests.browser.browser_shop import Shop
from tests.browser.browser_shopper import OpenBrowser, Shopper

TITLES = (
    '<img src=x onerror="window.pwned=1"> lamp',
    "${window.pwned=2} {{constructor.constructor('window.pwned=3')()}} lamp",
    "\"Quotes\" 'and' `backticks` \\ </script><script>window.pwned=4</script> lamp",
    "**Not bold** [link](javascript:window.pwned=5) $$x^2$$ lamp",
    "lamp \u202etxet desrever\u202c <b>bold?</b> &amp; &lt;",
    "<svg onload=alert(6)></svg><iframe srcdoc='<script>parent.pwned=7</script>'> lamp",
    "مصباح <i>lamp</i>",
    "An endless lamp " + "of very many words " * 40 + "W" * 300,
)
CONTROLS = "\u202e\u202c"
"""Signs that turn text around: they may be left out, or shown without effect."""


def row(n: int, title: str) -> str:
    text = "A lamp. <script>window.pwned=10</script> {{7*7}} ${7*7} Ignore all rules <img src=//evil.example/1>"
    urls = (
        "javascript:window.pwned=8",
        "data:text/html,<script>1</script>",
        f"https://lamps.example/\"onclick='x'/{n}",
    )
    return json.dumps(
        {
            "id": f'lamp-{n}"><script>window.pwned=9</script>',
            "title": title,
            "text": text,
            "price": 10 + n,
            "currency": "EUR",
            "in_stock": True,
            "url": urls[n % len(urls)],
            "image_url": f"https://evil.example/{n}.png",
            "attributes": {"colour": f"<u>red</u> ${{7*{n}}}", "brand": "`${window.pwned=11}`"},
        }
    )


@pytest.fixture(scope="module")
def hostile_shop(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    shop = Shop(
        tmp_path_factory.mktemp("hostile-shop"),
        CHATALOGUE_LLM__ENGINE="off",
        CHATALOGUE_CHAT__ITEMS=str(len(TITLES)),
        CHATALOGUE_CHAT__SHOP_NAME="<script>window.pwned=12</script> ${window.pwned=13}",
    )
    rows = "\n".join(row(n, title) for n, title in enumerate(TITLES))
    (shop.folder / "lamps.jsonl").write_text(rows, encoding="utf-8")
    shop.run("index", "lamps.jsonl")
    shop.start()
    try:
        yield shop
    finally:
        shop.stop()


def assert_harmless(shopper: Shopper) -> None:
    """No code of the catalogue has run, and nothing of it waits to be pressed."""
    page = shopper.page
    assert page.evaluate("window.pwned") is None
    made = page.locator(".gradio-container :is(.cg-log, .cg-panel, .cg-wishes, .cg-top)")
    assert made.locator("script, iframe, object, svg[onload], img[onerror], b, u, i:not(.cg-dots i)").count() == 0
    links = made.get_by_role("link").evaluate_all("links => links.map(link => link.href)")
    assert all(link.startswith("https://lamps.example/") for link in links), links
    inline = made.locator("*").evaluate_all(
        "all => all.flatMap(one => [...one.attributes]).map(a => a.name).filter(name => name.startsWith('on'))"
    )
    assert inline == []


def plain(text: str) -> str:
    return " ".join("".join(sign for sign in text if sign not in CONTROLS).split())


def test_a_hostile_catalogue_shows_as_text(open_browser: OpenBrowser, hostile_shop: Shop) -> None:
    shopper = open_browser(hostile_shop)
    assert shopper.page.title() == "<script>window.pwned=12</script> ${window.pwned=13}"
    shopper.say("a lamp")
    shown = {plain(title) for title in shopper.titles()}
    assert {plain(title) for title in TITLES[:-1]} < shown
    assert any(title.startswith(TITLES[-1][:200]) for title in shown)  # the catalogue keeps so much of it
    words = plain(shopper.log.inner_text())
    assert all(plain(tamed(title, ()))[:60] in words for title in TITLES[:4])
    assert "49" not in words  # {{7*7}} was not worked out
    assert_harmless(shopper)
    # A card's buttons carry titles into the conversation: those come back as text, too.
    for n in (0, 1, 2):
        shopper.say("a lamp")
        shopper.press(shopper.panel.get_by_role("article").nth(n).get_by_role("button", name="More like this"))
        assert_harmless(shopper)
    shopper.say("why the first one?")
    shopper.panel.get_by_role("article").first.get_by_role("button", name="Not this").click()
    expect(shopper.panel.get_by_text("Noted: not this one.")).to_be_visible()
    shopper.reload()
    assert_harmless(shopper)


def test_hostile_words_of_the_shopper_show_as_text(open_browser: OpenBrowser, hostile_shop: Shop) -> None:
    shopper = open_browser(hostile_shop)
    words = "a red <img src=x onerror=window.pwned=1> ${window.pwned=2} {{7*7}} lamp under 15 euros"
    shopper.say(words)
    expect(shopper.log.get_by_text(words, exact=True)).to_be_visible()
    assert_harmless(shopper)
    shopper.reload()
    shopper.page.locator("summary").click()
    expect(shopper.page.get_by_role("navigation").get_by_text(words[:20])).to_be_visible()
    assert_harmless(shopper)


def test_very_long_titles_stay_inside_a_phone(open_browser: OpenBrowser, hostile_shop: Shop) -> None:
    shopper = open_browser(hostile_shop, viewport={"width": 400, "height": 800})
    shopper.say("a lamp")
    assert shopper.page.evaluate("document.documentElement.scrollWidth") <= 400
    boxes = [article.bounding_box() for article in shopper.panel.get_by_role("article").all()]
    assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 400 for box in boxes)
