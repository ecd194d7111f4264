"""A shopper at a browser: what they see and press, by roles and words, and everything that must never happen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Locator, Page, Request, WebError, expect

from tests.browser.browser_shop import Shop

WAIT_MS = 120_000
"""For everything that the page shows in the end: the machine may be busy. So long waits `expect` unless it is told."""

UNHEARD = {
    # Chromium on Gradio's `autofocus`; no fault, and nothing that a shopper sees.
    "Autofocus processing was blocked because a document already has a focused element.",
}


@dataclass(frozen=True, slots=True)
class Card:
    """What one card says. `price` is in euros, None without one; `text` is everything on it."""

    title: str
    price: Decimal | None
    text: str


@dataclass
class Watch:
    """Collects what must never happen in a browser. `forgiven` are patterns of what a test brings about on purpose."""

    home: str
    seen: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)

    def over(self, context: BrowserContext) -> None:
        context.on("request", self._request)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("dialog", self._dialog)

    def verdict(self) -> list[str]:
        """What happened and was not forgiven."""
        return [what for what in self.seen if not any(re.search(pattern, what) for pattern in self.forgiven)]

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.home}/", "data:", "blob:")):
            self.seen.append(f"foreign request: {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") or (message.type != "log" and message.text not in UNHEARD):
            self.seen.append(f"console {message.type}: {message.text} ({message.location.get('url')})")

    def _error(self, error: WebError) -> None:
        self.seen.append(f"page error: {error.error}")

    def _dialog(self, dialog: Dialog) -> None:
        self.seen.append(f"dialog: {dialog.message}")
        dialog.dismiss()


class Shopper:
    """One browser (a context of its own) with one page."""

    def __init__(self, context: BrowserContext, shop: Shop, watch: Watch | None = None) -> None:
        self.shop = shop
        self.context = context
        context.set_default_timeout(WAIT_MS)
        if watch is None:
            watch = Watch(shop.address)
            watch.over(context)
        self.watch = watch
        self.page: Page = context.new_page()

    def another_tab(self) -> Shopper:
        """The same browser with one more page."""
        return Shopper(self.context, self.shop, self.watch)

    # --- what the shopper does ---

    def visit(self) -> None:
        """Open the page, or load it again, and wait until it shows the chat or its greeting."""
        self.page.goto(self.shop.address)
        self.wait_for_chat()

    def reload(self) -> None:
        self.page.reload()
        self.wait_for_chat()

    def wait_for_chat(self) -> None:
        greeting = self.log.get_by_role("button").first
        expect(greeting.or_(self.log.get_by_text("The shop answered").first).first).to_be_visible(timeout=WAIT_MS)

    def write(self, text: str) -> None:
        """Type and press Enter; the answer is not awaited."""
        self.box.fill(text)
        self.box.press("Enter")

    def say(self, text: str) -> None:
        with self.answer():
            self.write(text)

    def press(self, button: Locator) -> None:
        """Press a button whose words are said to the shop, and wait for the answer."""
        with self.answer():
            button.click()

    @contextmanager
    def answer(self) -> Iterator[None]:
        """Wait until what is done inside has been answered to the end."""
        count = self.thumbs.count()
        yield
        expect(self.thumbs).to_have_count(count + 1, timeout=WAIT_MS)

    # --- what the shopper sees ---

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log")

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("textbox", name=re.compile("^(Your message|您的消息)"))

    @property
    def thumbs(self) -> Locator:
        """One for each finished answer."""
        return self.page.get_by_role("button", name=re.compile("^(Good answer|回答得好)"))

    @property
    def panel(self) -> Locator:
        return self.page.get_by_role("region", name=re.compile("^(Items|商品)"))

    def card(self, title: str) -> Locator:
        return self.panel.get_by_role("article", name=title, exact=True)

    def cards(self) -> list[Card]:
        found = []
        for article in self.panel.get_by_role("article").all():
            text = article.inner_text()
            title = str(article.get_by_role("heading").text_content()).partition(": ")[2]
            price = re.search(r"([\d.]+) EUR", text)
            found.append(Card(title, Decimal(price[1]) if price else None, text))
        return found

    def titles(self) -> list[str]:
        return [card.title for card in self.cards()]

    def wishes(self) -> list[str]:
        buttons = self.page.get_by_role("button", name=re.compile("^Remove the wish: ")).all()
        return [str(button.get_attribute("aria-label")).removeprefix("Remove the wish: ") for button in buttons]

    def drop_wish(self, wish: str) -> None:
        chip = self.page.get_by_role("button", name=f"Remove the wish: {wish}", exact=True)
        self.press(chip)
        expect(chip).to_have_count(0, timeout=WAIT_MS)

    def all_words(self) -> str:
        return self.page.locator("body").inner_text()

    # --- what the shop has noted ---

    def session_id(self) -> str:
        found = self.page.evaluate("sessionStorage.getItem('chatalogue.chat')")
        assert isinstance(found, str)
        return found

    def stored(self) -> list[dict[str, Any]]:
        """The turns of this chat as the API tells them, oldest first."""
        turns: list[dict[str, Any]] = self.shop.get(f"/v1/sessions/{self.session_id()}")["turns"]
        return turns

    def reactions(self) -> set[tuple[str | None, str, str | None]]:
        """(item, kind, reason) of the reactions in force on any turn."""
        return {(r["item_id"], r["kind"], r["reason"]) for turn in self.stored() for r in turn["reactions"]}

    def item_id(self, title: str) -> str:
        return str(self.card(title).get_attribute("data-item-id"))

    def take_pictures(self, folder: Path) -> list[Path]:
        """A screenshot of each open page."""
        files = []
        for n, page in enumerate(self.context.pages):
            files.append(folder / f"browser-{id(self) % 10_000}-page-{n}.png")
            page.screenshot(path=files[-1], timeout=10_000)
        return files


OpenBrowser: TypeAlias = Callable[..., Shopper]
"""Opens a new browser at a shop: (shop, **options of `Browser.new_context`)."""
