"""What messages ask for about orders, in English and Chinese, and what they do not."""

from __future__ import annotations

import re

import pytest

from agent.support.actions.addresses import country_in, whole_address
from agent.support.actions.policy import REEL_SHOP
from agent.support.actions.reading import hear, plain_answer
from agent.support.actions.state import AskKind

NUMBER = re.compile(r"(?<!\w)RS-\d{5}(?!\w)", re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("cancel my order", "cancel"),
        ("Could you please cancel order rs-10056?", "cancel"),
        ("don't send my order", "cancel"),
        ("I want my order cancelled", "cancel"),
        ("cancel it", "cancel"),
        ("我想取消订单 RS-10056", "cancel"),
        ("I want to return Shutter Island", "return"),
        ("please send this back", "return"),
        ("I'd like a refund", "return"),
        ("我要退货", "return"),
        ("change the delivery address", "address"),
        ("The address is wrong", "address"),
        ("ship it to Musterweg 3, 10115 Berlin instead", "address"),
        ("把地址改成 巴黎和平街5号，法国", "address"),
        ("where is my order?", "status"),
        ("has my parcel been sent", "status"),
        ("my order was cancelled", "status"),
        ("我的订单到哪了", "status"),
        ("undo that", "undo"),
        ("cancel the return", "undo"),
        ("please withdraw the return", "undo"),
        ("change the address back", "undo"),
        ("I want my order after all", "undo"),
        ("取消退货", "undo"),
        ("Don't cancel my order", None),
        ("I never asked you to cancel the order", None),
        ("please do not return it", None),
        ("不要取消订单", None),
        ("how can I change my email address?", None),
        ("a comedy from the nineties", None),
        ("undo the price limit", None),
        ("show me a film told in reverse order of time", None),
        ("a heist told in reverse", None),
        ("restore my faith in humanity", None),
        ("keep it funny after all, I want it to be a comedy", None),
        ("undo my order change", "undo"),
        ("I want to return to Oz", None),
        ("return to me", None),
        ("I want to return to my childhood, something nostalgic", None),
        ("I need to return home movies", None),
        ("return of the king", None),
        ("I want my money back guarantee film", None),
        ("退款大劫案", None),
        ("我要退款", "return"),
        ("send me back to the future", None),
        ("I don't want to order horror", None),
        ("show me the order of the phoenix", None),
        ("I want to cancel my evening plans and order a comedy", None),
        ("cancel my whole order", "cancel"),
    ],
)
def test_what_is_asked_for(text: str, kind: AskKind | None) -> None:
    assert hear(text, NUMBER).kind == kind


@pytest.mark.parametrize(
    "text", ["how do I cancel an order?", "can I cancel my order", "what is your return policy", "怎么取消订单"]
)
def test_a_question_about_how_things_are_done(text: str) -> None:
    assert hear(text, NUMBER).general


def test_number_address_and_e_mail_are_told_apart() -> None:
    heard = hear(
        "Change the address of rs-10056 to 5 Rue de la Paix, 75001 Paris, France, my e-mail is Me.X@example.com", NUMBER
    )
    assert (heard.kind, heard.order_id, heard.email) == ("address", "RS-10056", "Me.X@example.com")
    assert heard.address == "5 Rue de la Paix, 75001 Paris, France"
    assert "example" not in repr(heard)
    assert "Rue" not in repr(heard)
    assert hear("XRS-100567", NUMBER).order_id == ""


@pytest.mark.parametrize("text", ["yes", "Yes!", " yes, please. ", "YES", "go ahead", "是的。", "确认"])
def test_a_plain_yes(text: str) -> None:
    assert plain_answer(text) == "yes"


@pytest.mark.parametrize(
    "text",
    ["ok", "sure", "yes but to another address", "yes cancel RS-10057", "yes?", "maybe yes", "yesterday", "not yes",
     "yes no", "yes, and a comedy", "y", "the article says yes", "yes " * 30, "好吧不是", "", "👍"],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert plain_answer(text) != "yes"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("5 Rue de la Paix, 75001 Paris, France.", "5 Rue de la Paix, 75001 Paris, France"),
        ("Musterweg 3\n10115 Berlin", "Musterweg 3, 10115 Berlin"),
        ("Musterweg 3 10115 Berlin please", "Musterweg 3 10115 Berlin"),
        ("巴黎和平街5号，法国", "巴黎和平街5号，法国"),
        ("a comedy from 1990", ""),
        ("which films from 1990, or 1991?", ""),
        ("somewhere in Berlin, Germany", ""),
        ("me@example.com, 12345", ""),
        ("5 Rue\u202e de la\u200b Paix, Paris", "5 Rue de la Paix, Paris"),
        ("1, " * 200, ""),
    ],
)
def test_a_whole_address(text: str, address: str) -> None:
    assert whole_address(text) == address


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("5 Rue de la Paix, 75001 Paris, France", "FR"),
        ("221b Baker Street, London, UK", "GB"),
        ("Musterweg 3, 10115 Berlin", "DE"),
        ("Bahnhofstr. 1, 8001 Zürich Schweiz", "CH"),
        ("巴黎和平街5号，法国", "FR"),
        ("法国巴黎和平街5号", "FR"),
        ("12 Main St, Springfield, USA", ""),
        ("1 Queen St, Auckland, New Zealand", ""),
        ("北京路1号，中国", ""),
    ],
)
def test_the_country_of_an_address(address: str, country: str) -> None:
    assert country_in(address, REEL_SHOP.countries, "DE") == country
