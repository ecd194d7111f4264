"""For everyone: keyboard alone, names for screen readers, a phone's width, the dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.browser_shop import Shop
from tests.browser.browser_shopper import WAIT_MS, OpenBrowser, Shopper

PHONE: dict[str, Any] = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
MIN_CONTRAST = 4.5
"""WCAG AA for text of ordinary size."""

TEXTS = (
    ".cg-top h1", ".cg-brand p", ".cg-new", ".cg-earlier summary", ".cg-user .cg-text", ".cg-bot .cg-text", ".cg-bot a",
    ".cg-wish span[dir]", ".cg-kind", ".cg-wishes-title", ".cg-title", ".cg-facts", ".cg-price",
    ".cg-stock-in", ".cg-why", ".cg-matched li", ".cg-trade", ".cg-primary", ".cg-card .cg-button:not(.cg-primary)",
    ".cg-view", ".cg-why-label", ".cg-chipbutton", "#cg-send", "#cg-box textarea", ".cg-thanks",
)  # fmt: skip

CONTRAST = """
(selectors) => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * (top[3] ?? 1) + below[i] * (1 - (top[3] ?? 1)));
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    if (!element) return [255, 255, 255];
    const own = channels(getComputedStyle(element).backgroundColor);
    return own[3] === 0 ? background(element.parentElement) : over(own, background(element.parentElement));
  };
  return selectors.map((selector) => {
    const element = document.querySelector(`.gradio-container ${selector}`);
    if (!element) return [selector, null];
    const behind = background(element);
    const [a, b] = [light(over(channels(getComputedStyle(element).color), behind)), light(behind)];
    return [selector, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
  });
}
"""


def test_the_keyboard_is_enough(shopper: Shopper) -> None:
    page = shopper.page
    expect(shopper.box).to_be_focused()
    with shopper.answer():
        page.keyboard.type("a funny film under 15 euros")
        page.keyboard.press("Enter")
    rejected = shopper.titles()[0]
    tab_to(page, f"Not this: {rejected}")
    page.keyboard.press("Enter")
    expect(shopper.card(rejected).get_by_text("Noted: not this one.")).to_be_visible(timeout=WAIT_MS)
    # The card was drawn again; the keyboard's place is still in it.
    expect(shopper.card(rejected).get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Space")
    expect(shopper.card(rejected).get_by_role("button", name="Not this")).to_be_focused(timeout=WAIT_MS)
    wish = shopper.wishes()[-1]
    tab_to(page, f"Remove the wish: {wish}", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(shopper.box).to_be_focused(timeout=WAIT_MS)
    expect(page.get_by_role("button", name=f"Remove the wish: {wish}", exact=True)).to_have_count(0)


def tab_to(page: Page, name: str, key: str = "Tab") -> None:
    for _ in range(80):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == name:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            return
    raise AssertionError(f"the key {key} never came to {name!r}")


def test_everything_has_a_name(shopper: Shopper) -> None:
    shopper.say("a funny film under 15 euros")
    shopper.page.get_by_role("button", name="Bad answer").click()
    expect(shopper.log.get_by_text("What was wrong?")).to_be_visible()
    tree = shopper.page.locator("body").aria_snapshot()
    nameless = [line for line in tree.splitlines() if line.strip().rstrip(":") in ("- button", "- link", "- textbox")]
    assert nameless == []
    # Covers repeat the title beside them: an empty alternative text, but never none.
    assert shopper.page.locator("img:not([alt])").count() == 0
    assert shopper.page.locator("html").get_attribute("lang") == "en"
    assert shopper.page.get_by_role("heading", level=1).count() == 1
    duplicates = shopper.page.evaluate(
        "() => { const ids = [...document.querySelectorAll('[id]')].map(e => e.id);"
        " return ids.filter((id, i) => ids.indexOf(id) !== i); }"
    )
    assert duplicates == []


def test_a_phone_needs_no_scrolling_sideways(open_browser: OpenBrowser, shop: Shop) -> None:
    shopper = open_browser(shop, **PHONE)
    assert shopper.page.evaluate("document.documentElement.scrollWidth") <= 400
    shopper.say("a funny film under 15 euros")
    shopper.page.get_by_role("button", name="Bad answer").click()
    expect(shopper.log.get_by_text("What was wrong?")).to_be_visible()
    shopper.page.get_by_role("button", name="See the 5 items").click()
    expect(shopper.panel.get_by_role("article").first).to_be_in_viewport(timeout=WAIT_MS)
    assert shopper.page.evaluate("document.documentElement.scrollWidth") <= 400
    small = shopper.panel.get_by_role("button").evaluate_all(
        "all => all.filter(b => b.getBoundingClientRect().height < 24).map(b => b.textContent)"
    )
    assert small == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(open_browser: OpenBrowser, shop: Shop, scheme: str) -> None:
    shopper = open_browser(shop, color_scheme=scheme)
    shopper.say("a funny film under 15 euros")
    shopper.page.get_by_role("button", name="Bad answer").click()
    expect(shopper.log.get_by_text("What was wrong?")).to_be_visible()
    behind = shopper.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert behind == {"light": "rgb(250, 249, 247)", "dark": "rgb(22, 21, 19)"}[scheme]
    found = dict(shopper.page.evaluate(CONTRAST, list(TEXTS)))
    missing = [selector for selector, contrast in found.items() if contrast is None]
    assert missing == []
    assert {selector: round(contrast, 2) for selector, contrast in found.items() if contrast < MIN_CONTRAST} == {}
