"""A real Chromium before a real server. One browser and one demo shop serve all tests of this folder.

Playwright's synchronous calls run an event loop of their own in this thread for as long as the browser lives; its
scope is this folder, so that other folders' async tests have the thread to themselves.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.browser_shop import Shop
from tests.browser.browser_shopper import WAIT_MS, OpenBrowser, Shopper
from tests.parts import need

FLAGS = (
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # The browser's own calls home would be no fault of the page.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESK = {"width": 1280, "height": 860}

_SHOPPERS = pytest.StashKey[list[Shopper]]()


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = need("chromium")
    expect.set_options(timeout=WAIT_MS)  # its own 5 s are few for a machine that pauses
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def demo(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shop, Path]]:
    """The demo shop without a language model, and a copy of its data from before the first chat."""
    folder = tmp_path_factory.mktemp("demo-shop")
    shop = Shop(folder, CHATALOGUE_LLM__ENGINE="off")
    shop.start()
    try:
        # Nobody writes yet, so plain files are a consistent copy.
        shutil.copytree(shop.data, folder / "unused", ignore=shutil.ignore_patterns("server.lock"))
        yield shop, folder / "unused"
    finally:
        shop.stop()


@pytest.fixture
def shop(demo: tuple[Shop, Path]) -> Shop:
    return demo[0]


@pytest.fixture(scope="package")
def thinking_shop(demo: tuple[Shop, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The demo shop with the embedded language model, ready to answer."""
    # Long, because other tests may want the machine: what ends a reply here is the test and not the clock.
    settings = {"CHATALOGUE_LLM__ENGINE": "embedded", "CHATALOGUE_LLM__REPLY_TIMEOUT_S": "100"}
    shop = Shop(tmp_path_factory.mktemp("thinking-shop"), **settings)
    shutil.copytree(demo[1], shop.data)
    shop.start()
    try:
        shop.wait_for_engine()
        yield shop
    finally:
        shop.stop()


@pytest.fixture
def open_browser(request: pytest.FixtureRequest, browser: Browser) -> Iterator[OpenBrowser]:
    """Opens browsers that know nothing of each other. At the end none of them may have seen what must not happen."""
    shoppers = request.node.stash.setdefault(_SHOPPERS, [])

    def opened(shop: Shop, **settings: Any) -> Shopper:  # noqa: ANN401 - the options of `Browser.new_context`
        context = browser.new_context(**{"viewport": DESK, "locale": "en-GB", **settings})
        shopper = Shopper(context, shop)
        shoppers.append(shopper)
        shopper.visit()
        return shopper

    try:
        yield opened
    finally:
        for shopper in shoppers:
            shopper.context.close()
    for shopper in shoppers:
        assert shopper.watch.verdict() == []


@pytest.fixture
def shopper(open_browser: OpenBrowser, shop: Shop) -> Shopper:
    """A new visitor of the demo shop."""
    return open_browser(shop)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails names pictures of its pages and the server's log."""
    report = yield
    shoppers = item.stash.get(_SHOPPERS, [])
    if report.failed and report.when == "call" and shoppers:
        lines = []
        for shopper in shoppers:
            lines += [str(file) for file in shopper.take_pictures(shopper.shop.folder)]
            lines += [str(shopper.shop.log_file), *shopper.watch.verdict()]
        report.sections.append(("browser: pictures and server logs", "\n".join(lines)))
    return report
