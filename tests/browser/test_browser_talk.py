"""Conversations as a shopper has them: what they say and press, what they see, what the shop has noted."""

from __future__ import annotations

import re
from decimal import Decimal

from playwright.sync_api import Route, expect

from tests.browser.browser_shop import Shop, wait_until
from tests.browser.browser_shopper import WAIT_MS, Shopper

STARTER = "Something funny for a rainy evening, under 12 euros"


def test_a_whole_conversation(shopper: Shopper) -> None:
    page = shopper.page
    expect(page).to_have_title("The Reel Shop")
    expect(shopper.log.get_by_text("What are you looking for?")).to_be_visible()
    shopper.press(shopper.log.get_by_role("button", name=STARTER))

    first = shopper.cards()
    assert len(first) == 5
    assert all(card.price is not None and card.price < 12 for card in first)
    assert all("Fits your wish" in card.text for card in first)
    assert shopper.wishes() == ["funny", '"rainy"', "under 12.00 EUR"]
    covers = shopper.panel.locator("img")
    assert covers.count() == 5
    widths = "images => Promise.all(images.map(image => image.decode().then(() => image.naturalWidth)))"
    assert all(width > 50 for width in covers.evaluate_all(widths))

    # A critique in words, and one with a card's button: the next list obeys both.
    shopper.say("only from before 1980, please")
    assert "before 1980" in shopper.wishes()
    old = shopper.cards()
    assert [card.title for card in old] != [card.title for card in first]
    assert all(int(year) < 1980 for card in old for year in re.findall(r"^(\d{4}) ·", card.text, re.MULTILINE))
    dearest = max(old, key=lambda card: card.price or Decimal(0))
    shopper.press(shopper.card(dearest.title).get_by_role("button", name="Cheaper"))
    expect(shopper.log.get_by_text(f"Something like “{dearest.title}” but cheaper").first).to_be_visible()
    cheaper = shopper.cards()
    assert cheaper
    assert all(card.price is not None and dearest.price is not None and card.price < dearest.price for card in cheaper)

    # A removed wish is said, and the list becomes what the wishes that are left give.
    shopper.drop_wish("before 1980")
    expect(shopper.log.get_by_text("I no longer look for: before 1980.")).to_be_visible()
    assert "before 1980" not in shopper.wishes()
    assert any(
        int(year) >= 1980 for card in shopper.cards() for year in re.findall(r"^(\d{4}) ·", card.text, re.MULTILINE)
    )

    top = shopper.titles()[0]
    shopper.say("why the first one?")
    assert f"{top}: Fits your wish" in shopper.log.inner_text()
    assert [turn["message"] for turn in shopper.stored()][0] == STARTER


def test_thumbs_with_reason_and_words_are_noted_and_taken_back(shopper: Shopper, shop: Shop) -> None:
    shopper.say("a funny film under 15 euros")
    up = shopper.page.get_by_role("button", name="Good answer")
    down = shopper.page.get_by_role("button", name="Bad answer")
    up.click()
    expect(up).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)
    assert shopper.reactions() == {(None, "thumb_up", None)}
    up.click()
    expect(up).to_have_attribute("aria-pressed", "false", timeout=WAIT_MS)
    assert shopper.reactions() == set()

    down.click()
    reason = shopper.log.get_by_role("button", name="The items do not fit")
    reason.click()
    expect(reason).to_have_attribute("aria-pressed", "true", timeout=WAIT_MS)
    words = shopper.log.get_by_role("textbox", name="In your own words (optional)")
    words.fill("I meant <b>black</b> humour")
    shopper.log.get_by_role("button", name="Send comment").click()
    expect(words).to_have_value("", timeout=WAIT_MS)
    expect(shopper.log.get_by_text("Thank you, noted.")).to_be_visible()
    turn_id = shopper.stored()[-1]["turn_id"]
    # The thanks may still be those for the reason.
    wait_until(lambda: shop.comments(turn_id) == {"I meant <b>black</b> humour"}, WAIT_MS / 1000, "the comment")
    assert shopper.reactions() == {(None, "thumb_down", "bad_items")}


def test_feedback_on_items_is_noted_and_the_next_list_obeys(shopper: Shopper) -> None:
    shopper.say("a funny film under 15 euros")
    unwanted, wanted = shopper.titles()[:2]
    unwanted_id, wanted_id = shopper.item_id(unwanted), shopper.item_id(wanted)
    card = shopper.card(unwanted)
    card.get_by_role("button", name="Not this").click()
    card.get_by_role("button", name="Seen it").click()
    expect(card.get_by_text("Noted: not this one. Seen it.")).to_be_visible(timeout=WAIT_MS)
    assert shopper.reactions() == {(unwanted_id, "reject", "known")}
    shopper.press(shopper.card(wanted).get_by_role("button", name="I'll take it"))
    expect(shopper.card(wanted).get_by_text("Noted: your choice.")).to_be_visible()
    expect(shopper.log.get_by_text(f"Good choice: {wanted}.")).to_be_visible()
    assert shopper.reactions() == {(unwanted_id, "reject", "known"), (wanted_id, "accept", None)}
    shopper.say("what do you suggest now?")
    assert shopper.cards()
    assert unwanted not in shopper.titles()

    # Every reaction can be taken back.
    other = shopper.titles()[0]
    shopper.card(other).get_by_role("button", name="Not this").click()
    shopper.card(other).get_by_role("button", name="Undo").click()
    expect(shopper.card(other).get_by_role("button", name="Not this")).to_be_visible(timeout=WAIT_MS)
    assert shopper.reactions() == {(unwanted_id, "reject", "known"), (wanted_id, "accept", None)}


def test_an_item_opens_at_the_shop_and_the_click_is_noted(shopper: Shopper) -> None:
    shopper.say("a funny film under 15 euros")
    title = shopper.titles()[0]
    asked: list[dict[str, str]] = []

    def film(route: Route) -> None:
        asked.append(route.request.headers)
        route.fulfill(body="a film")

    shopper.context.route("https://reelshop.example/**", film)
    shopper.watch.forgiven += [r"^foreign request: https://reelshop\.example/films/"]  # it was the shopper who asked
    with shopper.context.expect_page() as opened:
        shopper.card(title).get_by_role("link").click()
    expect(opened.value.get_by_text("a film")).to_be_visible()
    assert opened.value.evaluate("window.opener") is None
    assert "referer" not in asked[0]
    expect(shopper.card(title)).to_be_visible()
    shopper.page.wait_for_function("document.querySelector('.cg-live[aria-busy=false]')")
    assert (shopper.item_id(title), "click", None) in shopper.reactions()


def test_a_help_question_is_answered_from_an_article(shopper: Shopper) -> None:
    shopper.say("how long do I have to return a disc?")
    expect(shopper.log.get_by_text("within 30 days of delivery").first).to_be_visible()
    expect(shopper.log.get_by_text("From our help pages")).to_be_visible()
    source = shopper.log.get_by_role("listitem").get_by_role("link", name="Returns: 30 days")
    assert source.get_attribute("href") == "https://reelshop.example/help/returns"
    assert shopper.titles() == []


def test_when_nothing_fits_there_is_a_way_out(shopper: Shopper) -> None:
    shopper.say("a comedy from before 1920")
    expect(shopper.log.get_by_text("Nothing fits all of your wishes: Comedy and before 1920.")).to_be_visible()
    expect(shopper.panel.get_by_role("heading", name="Near misses")).to_be_visible()
    assert all("Not: before 1920" in card.text for card in shopper.cards())
    shopper.press(shopper.log.get_by_role("button", name=re.compile("^Without “before 1920”")))
    assert shopper.wishes() == ["Comedy"]
    assert len(shopper.cards()) == 5
    assert all("genre: Comedy" in card.text for card in shopper.cards())
    # The way out is offered once only: what was tapped stays said, old buttons go.
    expect(shopper.log.get_by_role("button", name=re.compile("^Without"))).to_have_count(0)


def test_a_chinese_message_is_answered_in_chinese(shopper: Shopper) -> None:
    shopper.say("我想看一部喜剧片，15欧元以下")
    expect(shopper.log.get_by_text("件商品符合您的要求")).to_be_visible()
    cards = shopper.cards()
    assert len(cards) == 5
    assert all(card.price is not None and card.price <= 15 for card in cards)


def test_empty_and_overlong_messages(shopper: Shopper) -> None:
    shopper.box.fill("   ")
    shopper.box.press("Enter")
    shopper.page.get_by_role("button", name="Send").click()
    # The next turn is the first: nothing was sent before it.
    long_one = "a comedy " * 1000
    shopper.say(long_one)
    expect(shopper.log.get_by_text("That message has 9000 characters and I read at most 8000.")).to_be_visible()
    assert len(shopper.stored()) == 1
    shopper.say("a comedy")
    assert len(shopper.cards()) == 5
