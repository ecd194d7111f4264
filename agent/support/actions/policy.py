"""What may be done with an order now, and for how much money: by code and dates, never by a model.

    policy.judge_return(order, item_ids, today) -> Return | Refusal

`REEL_SHOP` has the rules that the Reel Shop's help articles state (returns, refunds, changing the delivery address,
changing or cancelling an order); of another shop's money nothing is promised. Knows nothing of words: a refusal is a
key of the message catalogue and its numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from agent.support.actions.orders import (
    Cancel,
    ChangeAddress,
    Order,
    OrderStatus,
    Reinstate,
    Return,
    Withdraw,
    lines_of,
)
from retrieval.demo.delivery import ZONES, Zone, shipping_cost

RETURN_DAYS = 30
REFUND_DAYS = 5
"""Working days after a return has arrived."""
REINSTATE_DAYS = 0
"""A payment is released on the day of the cancellation: later the order cannot be taken up again."""
OUTSIDE_EU = frozenset({"CH", "GB", "NO"})
"""Of the countries that are delivered to: those from where the customer pays the postage of a return."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a change may not be made: `orders.<reason>` in the message catalogues says it, and what is possible."""

    reason: str
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refund:
    """What a return brings back, and who pays its postage."""

    amount: Decimal
    delivery: Decimal
    free_postage: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A shop's rules. `zones` are the countries that it delivers to; without any, no address moves to another one.

    `refund_days` are the working days after which a return is paid; None: nothing is promised of the money and postage
    of a return. `sealed_only`: opened items are not taken back.
    """

    return_days: int = RETURN_DAYS
    refund_days: int | None = None
    sealed_only: bool = False
    changeable: frozenset[OrderStatus] = frozenset({"placed"})
    zones: tuple[Zone, ...] = ()

    @property
    def countries(self) -> tuple[str, ...]:
        """ISO 3166 codes of where orders can go."""
        return tuple(country for zone in self.zones for country in zone.countries)

    def judge_cancel(self, order: Order) -> Cancel | Refusal:
        """An order can be cancelled until it is packed."""
        if order.status in self.changeable:
            return Cancel(order.id, order.version)
        return _too_late("cancel", order, self.return_days)

    def judge_reinstate(self, order: Order, today: date) -> Reinstate | Refusal:
        """A cancellation can be taken back on its own day, before the payment is released."""
        if order.status != "cancelled":
            return Refusal("no_reinstate_status", {"status": order.status})
        if order.cancelled is None or (today - order.cancelled).days > REINSTATE_DAYS:
            return Refusal("no_reinstate_late")
        return Reinstate(order.id, order.version)

    def judge_return(self, order: Order, item_ids: Sequence[str], today: date) -> Return | Refusal:
        """Within `return_days` of delivery, the day of which is day zero; what is going back already is left out."""
        if order.status != "delivered" or order.delivered is None:
            return _no_return(order, self.return_days)
        last_day = order.delivered + timedelta(days=self.return_days)
        if today > last_day:
            return Refusal("no_return_late", {"days": self.return_days, "delivered": order.delivered, "last": last_day})
        left = tuple(line.item_id for line in lines_of(order, item_ids) if not line.returning)
        return Return(order.id, order.version, left) if left else Refusal("no_return_again")

    def judge_withdraw(self, order: Order, item_ids: Sequence[str]) -> Withdraw | Refusal:
        """A return can be forgotten until it has arrived."""
        going = tuple(line.item_id for line in lines_of(order, item_ids) if line.returning)
        if order.status != "delivered" or not going:
            return Refusal("no_withdraw", {"status": order.status})
        return Withdraw(order.id, order.version, going)

    def judge_address(self, order: Order, address: str, country: str) -> ChangeAddress | Refusal:
        """Until the order is packed; to another country for that country's charge, express only within its own."""
        if order.status not in self.changeable:
            return _too_late("address", order, self.return_days)
        if country == order.country:
            return ChangeAddress(order.id, order.version, address, country, order.shipping)
        if country not in self.countries or order.delivery == "express":
            return Refusal("no_address_country", {"country": country})
        charge = shipping_cost(country, order.delivery, order.subtotal)
        return ChangeAddress(order.id, order.version, address, country, charge)

    def refund(self, order: Order, item_ids: Sequence[str]) -> Refund:
        """The full price of the discs; with the last of the order its standard delivery charge too, express is not."""
        back = lines_of(order, item_ids)
        price = sum((line.price * line.quantity for line in back), Decimal("0.00"))
        whole = all(line in back or line.returning >= line.quantity for line in order.lines)
        delivery = order.shipping if whole and order.delivery == "standard" else Decimal("0.00")
        return Refund(price + delivery, delivery, order.country not in OUTSIDE_EU)


REEL_SHOP = Policy(refund_days=REFUND_DAYS, sealed_only=True, zones=ZONES)
"""The demo shop's rules."""


def _too_late(what: str, order: Order, days: int) -> Refusal:
    """Why an order that is no longer "placed" cannot be cancelled or sent elsewhere."""
    if order.status in ("cancelled", "returned"):
        return Refusal("no_closed", {"status": order.status})
    if order.status == "delivered":
        return Refusal(f"no_{what}_delivered", {"days": days})
    return Refusal(f"no_{what}", {"status": order.status, "days": days})


def _no_return(order: Order, days: int) -> Refusal:
    if order.status in ("cancelled", "returned"):
        return Refusal("no_closed", {"status": order.status})
    if order.status == "placed":
        return Refusal("no_return_placed")
    return Refusal("no_return_yet", {"status": order.status, "days": days})
