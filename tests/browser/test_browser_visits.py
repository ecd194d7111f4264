"""What stays when the page is loaded again or the server restarted, and what no other browser ever sees."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.browser_shop import Shop
from tests.browser.browser_shopper import WAIT_MS, OpenBrowser, Shopper


def assert_all_is_there(shopper: Shopper, titles: list[str], wishes: list[str], rejected: str) -> None:
    """Words, wishes, cards and reactions of `talk_and_react`."""
    expect(shopper.log.get_by_text("a funny film under 15 euros")).to_be_visible()
    assert shopper.titles() == titles
    assert shopper.wishes() == wishes
    up = shopper.page.get_by_role("button", name="Good answer").first
    expect(up).to_have_attribute("aria-pressed", "true")
    expect(shopper.card(rejected).get_by_text("Noted: not this one.")).to_be_visible()


def talk_and_react(shopper: Shopper) -> tuple[list[str], list[str], str]:
    """A turn, a thumb and a rejected item; gives titles, wishes, and the rejected title."""
    shopper.say("a funny film under 15 euros")
    titles = shopper.titles()
    shopper.card(titles[1]).get_by_role("button", name="Not this").click()
    expect(shopper.card(titles[1]).get_by_text("Noted: not this one.")).to_be_visible(timeout=WAIT_MS)
    up = shopper.page.get_by_role("button", name="Good answer")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)
    return titles, shopper.wishes(), titles[1]


def test_a_chat_survives_a_reload_and_waits_among_the_earlier_ones(shopper: Shopper) -> None:
    before = talk_and_react(shopper)
    shopper.reload()
    assert_all_is_there(shopper, *before)
    shopper.say("only from before 1980, please")
    assert shopper.wishes() == [*before[1], "before 1980"]

    shopper.page.get_by_role("button", name="New chat").click()
    expect(shopper.log.get_by_text("What are you looking for?")).to_be_visible(timeout=WAIT_MS)
    assert (shopper.titles(), shopper.wishes()) == ([], [])
    shopper.say("how long does delivery take?")
    shopper.page.get_by_text("Earlier chats").click()
    shopper.page.get_by_role("button", name="Open the chat “a funny film under 15 euros”").click()
    expect(shopper.log.get_by_text("only from before 1980, please")).to_be_visible(timeout=WAIT_MS)
    assert shopper.wishes() == [*before[1], "before 1980"]


def test_a_restart_of_the_server_loses_nothing(shopper: Shopper, shop: Shop) -> None:
    before = talk_and_react(shopper)
    # While the server is away the page cannot reach it, and the browser says so on its console.
    shopper.watch.forgiven += [rf"console error: .*(net::ERR_|Connection|connection).*{shop.address}"]
    shop.stop()
    shop.start()
    # The page that stayed open goes on where it was; nobody loads it again.
    shopper.say("only from before 1980, please")
    assert shopper.wishes() == [*before[1], "before 1980"]
    assert len(shopper.stored()) == 2
    assert before[2] not in shopper.titles()
    expect(shopper.log.get_by_text("a funny film under 15 euros")).to_be_visible()
    after = shopper.titles()
    shopper.reload()
    assert shopper.titles() == after
    up = shopper.page.get_by_role("button", name="Good answer").first
    expect(up).to_have_attribute("aria-pressed", "true")
    shopper.say("what do you suggest now?")
    assert len(shopper.stored()) == 3


def test_two_browsers_see_nothing_of_each_other(open_browser: OpenBrowser, shop: Shop) -> None:
    one, other = open_browser(shop), open_browser(shop)
    one.say("a funny film under 15 euros")
    other.say("a horror film from before 1990")
    one.say("something newer")
    assert one.session_id() != other.session_id()
    for browser, own, foreign in (
        (one, "a funny film under 15 euros", "a horror film from before 1990"),
        (other, "a horror film from before 1990", "a funny film under 15 euros"),
    ):
        browser.reload()
        browser.page.get_by_text("Earlier chats").click()
        words = browser.all_words() + browser.page.content()
        assert own in words
        assert foreign not in words
    assert not set(one.wishes()) & set(other.wishes())
    # Knowing the id of a chat does not open it.
    thief = open_browser(shop)
    thief.page.evaluate("id => sessionStorage.setItem('chatalogue.chat', id)", one.session_id())
    thief.reload()
    expect(thief.log.get_by_text("What are you looking for?")).to_be_visible()
    assert "a funny film" not in thief.all_words()


def test_two_tabs_of_one_browser_are_two_chats(shopper: Shopper) -> None:
    shopper.say("a funny film under 15 euros")
    second = shopper.another_tab()
    second.visit()
    second.page.get_by_role("button", name="New chat").click()
    expect(second.log.get_by_text("What are you looking for?")).to_be_visible(timeout=WAIT_MS)
    second.say("a horror film from before 1990")
    shopper.say("something newer")
    assert "a horror film" not in shopper.log.inner_text()
    assert "before 1990" not in shopper.wishes()
    shopper.page.get_by_text("Earlier chats").click()
    expect(shopper.page.get_by_role("button", name="Open the chat “a horror film from before 1990”")).to_be_visible()
