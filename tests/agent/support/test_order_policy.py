"""The Reel Shop's rules on orders, at their edges, as its help articles state them."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from agent.support.actions.orders import (
    Cancel,
    ChangeAddress,
    Order,
    OrderLine,
    OrderStatus,
    Reinstate,
    Return,
    Withdraw,
)
from agent.support.actions.policy import OUTSIDE_EU, REEL_SHOP, RETURN_DAYS, Policy, Refusal
from retrieval.demo import demo_articles_dir

DAY = date(2026, 11, 1)
LINES = (
    OrderLine("a", "Alien", "DVD", Decimal("9.90")),
    OrderLine("b", "Brazil", "Blu-ray", Decimal("13.50"), quantity=2),
)


def order(status: OrderStatus = "placed", **more: object) -> Order:
    one = Order("RS-1", "a@example.com", status, "DE", LINES, Decimal("3.90"), "EUR", DAY, version="1")
    return replace(one, **more)


def reason(judged: object) -> str:
    assert isinstance(judged, Refusal), judged
    return judged.reason


@pytest.mark.parametrize("status", ["packed", "shipped", "delivered", "cancelled", "returned"])
def test_only_what_is_not_packed_can_be_cancelled_or_sent_elsewhere(status: OrderStatus) -> None:
    assert REEL_SHOP.judge_cancel(order()) == Cancel("RS-1", "1")
    assert REEL_SHOP.judge_address(order(), "x 1, y", "DE") == ChangeAddress(
        "RS-1", "1", "x 1, y", "DE", Decimal("3.90")
    )
    late = {"delivered": "_delivered", "cancelled": "closed", "returned": "closed"}.get(status, "")
    assert reason(REEL_SHOP.judge_cancel(order(status))) in (f"no_cancel{late}", "no_closed")
    assert reason(REEL_SHOP.judge_address(order(status), "x", "DE")) in (f"no_address{late}", "no_closed")


def test_the_day_of_delivery_is_day_zero_and_day_thirty_is_enough() -> None:
    delivered = order("delivered", delivered=DAY)
    for days in (0, RETURN_DAYS):
        assert REEL_SHOP.judge_return(delivered, ("a",), DAY + timedelta(days)) == Return("RS-1", "1", ("a",))
    late = REEL_SHOP.judge_return(delivered, ("a",), DAY + timedelta(RETURN_DAYS + 1))
    assert reason(late) == "no_return_late"


@pytest.mark.parametrize(
    ("status", "why"),
    [("placed", "no_return_placed"), ("packed", "no_return_yet"), ("shipped", "no_return_yet"),
     ("cancelled", "no_closed"), ("returned", "no_closed")],
)  # fmt: skip
def test_what_has_not_arrived_or_is_over_is_not_returned(status: OrderStatus, why: str) -> None:
    assert reason(REEL_SHOP.judge_return(order(status), ("a",), DAY)) == why


def test_what_goes_back_already_is_not_returned_again_and_can_be_withdrawn() -> None:
    going = order("delivered", delivered=DAY, lines=(replace(LINES[0], returning=1), LINES[1]))
    assert REEL_SHOP.judge_return(going, ("a", "b"), DAY) == Return("RS-1", "1", ("b",))
    assert reason(REEL_SHOP.judge_return(going, ("a",), DAY)) == "no_return_again"
    assert REEL_SHOP.judge_withdraw(going, ("a", "b")) == Withdraw("RS-1", "1", ("a",))
    assert reason(REEL_SHOP.judge_withdraw(going, ("b",))) == "no_withdraw"


def test_a_cancellation_is_taken_back_on_its_day_alone() -> None:
    cancelled = order("cancelled", cancelled=DAY)
    assert REEL_SHOP.judge_reinstate(cancelled, DAY) == Reinstate("RS-1", "1")
    assert reason(REEL_SHOP.judge_reinstate(cancelled, DAY + timedelta(1))) == "no_reinstate_late"
    assert reason(REEL_SHOP.judge_reinstate(order(), DAY)) == "no_reinstate_status"


def test_another_country_has_its_own_charge_and_free_delivery_is_for_the_union() -> None:
    small, large = order(), order(lines=(replace(LINES[1], quantity=3),), shipping=Decimal("0.00"))
    charges = {
        (which, country): change.shipping
        for which, one in (("small", small), ("large", large))
        for country in ("FR", "NO")
        if isinstance(change := REEL_SHOP.judge_address(one, "x", country), ChangeAddress)
    }
    assert charges == {("small", "FR"): Decimal("5.90"), ("small", "NO"): Decimal("11.90"),
        ("large", "FR"): Decimal("0.00"), ("large", "NO"): Decimal("11.90")}  # fmt: skip
    assert reason(REEL_SHOP.judge_address(small, "x", "US")) == "no_address_country"
    assert reason(REEL_SHOP.judge_address(order(delivery="express"), "x", "FR")) == "no_address_country"
    assert reason(Policy().judge_address(small, "x", "FR")) == "no_address_country"


def test_the_refund_has_the_delivery_of_a_whole_order_unless_it_was_express() -> None:
    one = order("delivered", delivered=DAY)
    assert REEL_SHOP.refund(one, ("b",)).amount == Decimal("27.00")
    whole = REEL_SHOP.refund(one, ("a", "b"))
    assert (whole.amount, whole.delivery) == (Decimal("40.80"), Decimal("3.90"))
    second = replace(one, lines=(replace(LINES[0], returning=1), LINES[1]))
    assert REEL_SHOP.refund(second, ("b",)).amount == Decimal("30.90")  # the rest of it, with the delivery
    express = REEL_SHOP.refund(replace(one, delivery="express", shipping=Decimal("9.90")), ("a", "b"))
    assert (express.amount, express.delivery) == (Decimal("36.90"), Decimal("0.00"))
    assert [REEL_SHOP.refund(replace(one, country=c), ("a",)).free_postage for c in ("DE", "CH")] == [True, False]


def article(name: str, folder: Path = demo_articles_dir()) -> str:  # noqa: B008 - a constant
    return (folder / f"{name}.md").read_text(encoding="utf-8")


def test_the_articles_state_these_rules() -> None:
    assert f"The time for a return is {RETURN_DAYS} days from delivery" in article("returns")
    assert f"within {REEL_SHOP.refund_days} working days after your return" in article("refunds")
    assert 'It works while the status is "placed"' in article("change-or-cancel-an-order")
    assert "we release the payment on the same day" in article("refunds")
    own_postage = re.search(r"From (.*) you pay the postage", article("returns"))
    assert own_postage is not None
    assert len(re.split(r", | and (?:the )?", own_postage[1])) == len(OUTSIDE_EU)
