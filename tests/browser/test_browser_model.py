"""The page with the embedded language model: slow, stopped, killed, and back again."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.browser_shop import START_SECONDS, Shop, wait_until
from tests.browser.browser_shopper import WAIT_MS, OpenBrowser, Shopper

NOTICE = "A plainer answer than usual: a part of the system is not available."


def begin(shopper: Shopper, text: str) -> None:
    """Send words that the (frozen) model has to think about, and wait until the cards are there."""
    shopper.write(text)
    expect(shopper.page.get_by_role("button", name="Stop")).to_be_visible(timeout=WAIT_MS)
    expect(shopper.panel.get_by_role("article")).to_have_count(5, timeout=WAIT_MS)


def test_stop_ends_a_reply_and_the_chat_goes_on(open_browser: OpenBrowser, thinking_shop: Shop) -> None:
    shopper = open_browser(thinking_shop)
    thinking_shop.freeze_worker()
    try:
        begin(shopper, "a funny film under 15 euros")
        with shopper.answer():
            shopper.page.get_by_role("button", name="Stop").click()
        expect(shopper.log.get_by_text("Stopped.")).to_be_visible()
        expect(shopper.page.get_by_role("button", name="Send")).to_be_visible()
        expect(shopper.page.get_by_role("button", name="Stop")).to_be_hidden()
        assert len(shopper.cards()) == 5
    finally:
        thinking_shop.thaw_worker()
    # What was said so far is kept, and the next turn is answered by the model again.
    assert "1. " in shopper.stored()[0]["reply"]
    shopper.say("only from before 1980, please")
    assert not shopper.stored()[1]["answer"]["degraded"]
    assert NOTICE not in shopper.log.inner_text()


def test_a_second_message_waits_in_the_box(open_browser: OpenBrowser, thinking_shop: Shop) -> None:
    shopper = open_browser(thinking_shop)
    thinking_shop.freeze_worker()
    try:
        begin(shopper, "a funny film under 15 euros")
        shopper.write("only from before 1980, please")
        expect(shopper.page.get_by_text("One moment: I am still answering.")).to_be_visible()
        shopper.panel.get_by_role("button", name="More like this").first.click()
        expect(shopper.box).to_have_value("only from before 1980, please")
    finally:
        with shopper.answer():
            thinking_shop.thaw_worker()
    expect(shopper.page.get_by_text("One moment: I am still answering.")).to_be_hidden()
    expect(shopper.box).to_have_value("only from before 1980, please")
    with shopper.answer():
        shopper.box.press("Enter")
    expect(shopper.box).to_have_value("")
    assert [turn["message"] for turn in shopper.stored()] == [
        "a funny film under 15 euros",
        "only from before 1980, please",
    ]


def test_a_killed_model_is_said_and_comes_back(open_browser: OpenBrowser, thinking_shop: Shop) -> None:
    shopper = open_browser(thinking_shop)
    thinking_shop.freeze_worker()
    begin(shopper, "a funny film under 15 euros")
    with shopper.answer():
        thinking_shop.kill_worker()
    # The frozen model holds the call that reads the message. Has it one place only (its kernel is not compiled yet),
    # then the reply still waits for that place, and the next worker writes it; else it is finished without the model.
    degraded = shopper.stored()[0]["answer"]["degraded"]
    expect(shopper.log.get_by_text(NOTICE)).to_have_count(int(degraded))
    assert len(shopper.cards()) == 5
    wait_until(lambda: thinking_shop.engine_state() == "ok", START_SECONDS, "the model's return")
    shopper.say("only from before 1980, please")
    assert not shopper.stored()[1]["answer"]["degraded"]
    expect(shopper.log.get_by_text(NOTICE)).to_have_count(int(degraded))


def test_a_model_that_is_still_gone_is_said(open_browser: OpenBrowser, thinking_shop: Shop) -> None:
    shopper = open_browser(thinking_shop)
    with thinking_shop.without_worker():
        wait_until(lambda: thinking_shop.engine_state() != "ok", START_SECONDS, "the news of the model's end")
        shopper.say("a funny film under 15 euros")
    expect(shopper.log.get_by_text(NOTICE)).to_be_visible()
    assert len(shopper.cards()) == 5
    thinking_shop.wait_for_engine()
