"""Orders, proposals and refusals in words of the message catalogues. Knows nothing of when something is said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from agent.messages import Messages
from agent.support.actions.orders import (
    MAX_ADDRESS_CHARS,
    Cancel,
    Change,
    ChangeAddress,
    Order,
    OrderLine,
    Reinstate,
    Return,
    Withdraw,
    clean,
    lines_of,
)
from agent.support.actions.policy import Policy, Refusal


@dataclass(frozen=True, slots=True)
class Telling:
    """The words of one turn, in its language."""

    words: Messages
    policy: Policy

    def say(self, key: str, **fields: object) -> str:
        """The message `orders.<key>`."""
        return self.words.text(f"orders.{key}", **fields)

    def refusal(self, refusal: Refusal, order: Order) -> str:
        """Why not, and what can be done instead."""
        fields = {name: self._field(name, value) for name, value in refusal.fields.items()}
        return self.say(refusal.reason, order=clean(order.id), **fields)

    def status(self, order: Order, today: date) -> str:
        """The order: what, when, where to, how much, and what can still be done with it."""
        parts = [
            self.say("status", order=clean(order.id), ordered=order.ordered, status=self._status(order)),
            self.say("contents", lines=self.lines(order.lines), delivery=self.money(order, order.shipping),
                country=self.country(order.country), total=self.money(order, order.total)),
        ]  # fmt: skip
        going = tuple(line for line in order.lines if line.returning)
        if order.is_going_back:
            parts.append(self.say("going_back", lines=self.lines(going)))
        return " ".join([*parts, *self._possible(order, today)])

    def _status(self, order: Order) -> str:
        """The status with its day, where it has one."""
        day = {"shipped": order.shipped, "delivered": order.delivered, "cancelled": order.cancelled,
            "returned": order.returned}.get(order.status)  # fmt: skip
        name = self.words.label(f"order_{order.status}")
        return self.say("on_day", status=name, day=day) if day else name

    def _possible(self, order: Order, today: date) -> list[str]:
        if isinstance(self.policy.judge_cancel(order), Cancel):
            return [self.say("can_change")]
        if isinstance(self.policy.judge_return(order, [line.item_id for line in order.lines], today), Return):
            return [self.say("can_return", last=self.last_return_day(order))]
        return []

    def last_return_day(self, order: Order) -> date:
        """The last day on which its discs can be handed in."""
        return (order.delivered or order.ordered) + timedelta(days=self.policy.return_days)

    def proposal(self, change: Change, order: Order) -> str:
        """Precisely what will happen to `order`, and that only "yes" makes it happen."""
        return f"{self._proposal(change, order)} {self.say('confirm')}"

    def _proposal(self, change: Change, order: Order) -> str:
        fields = {"order": clean(order.id), "payment": clean(order.payment) or self.say("payment_way")}
        match change:
            case Cancel() | Reinstate():
                all_of_it = {"lines": self.lines(order.lines), "total": self.money(order, order.total)}
                return self.say(f"propose_{change.kind}", ordered=order.ordered, **all_of_it, **fields)
            case Return(item_ids=ids):
                return self._return(order, ids, fields)
            case Withdraw(item_ids=ids):
                return self.say("propose_withdraw", lines=self.lines(lines_of(order, ids)), **fields)
            case ChangeAddress():
                return self._address(change, order, fields)

    def _return(self, order: Order, ids: tuple[str, ...], fields: dict[str, str]) -> str:
        told = {"lines": self.lines(lines_of(order, ids)), "last": self.last_return_day(order), **fields}
        return self.say("propose_return", money=self._refund(order, ids, fields["payment"]), **told)

    def _refund(self, order: Order, ids: tuple[str, ...], payment: str) -> str:
        if self.policy.refund_days is None:
            return self.say("return_by_terms")
        refund = self.policy.refund(order, ids)
        money = self.money(order, refund.amount)
        if refund.delivery:
            money = self.say("with_delivery", money=money, delivery=self.money(order, refund.delivery))
        postage = self.say("postage_free" if refund.free_postage else "postage_own")
        return self.say("return_money", money=money, payment=payment, days=self.policy.refund_days, postage=postage)

    def _address(self, change: ChangeAddress, order: Order, fields: dict[str, str]) -> str:
        old = clean(order.address, MAX_ADDRESS_CHARS)
        total = order.subtotal + change.shipping
        if change.shipping == order.shipping:
            money = self.say("same_total", total=self.money(order, total))
        else:
            money = self.say("new_total", old_delivery=self.money(order, order.shipping),
                delivery=self.money(order, change.shipping), old_total=self.money(order, order.total),
                total=self.money(order, total))  # fmt: skip
        where = {"address": clean(change.address, MAX_ADDRESS_CHARS), "country": self.country(change.country)}
        before = self.say("instead_of", old=old, country=self.country(order.country)) if old else ""
        told = {"lines": self.lines(order.lines), "before": before, "money": money}
        return self.say("propose_address", **told, **where, order=fields["order"])

    def which_films(self, order: Order) -> str:
        """The question which of its films should go back."""
        return self.say("ask_films", order=clean(order.id), lines=self.lines(order.lines))

    def done(self, change: Change) -> str:
        """What was done, and how to take it back."""
        return self.say(f"done_{change.kind}", order=clean(change.order_id))

    def not_done(self, change: Change) -> str:
        """That nothing was."""
        return self.say("not_done", order=clean(change.order_id), what=self.say(f"what_{change.kind}"))

    def lines(self, lines: tuple[OrderLine, ...]) -> str:
        """Films with format, pieces and price of one."""
        return self.say("between").join(
            self.say("line", n=one.quantity, title=clean(one.title), format=clean(one.format), price=f"{one.price:.2f}")
            for one in lines
        )

    def money(self, order: Order, amount: Decimal) -> str:
        """To the cent."""
        return f"{amount:.2f} {clean(order.currency, 8)}"

    def country(self, code: str) -> str:
        """The name of a country that orders go to, else its code."""
        key = f"country_{code}"
        name = self.words.label(key)
        return clean(code, 8) if name == key.replace("_", " ") else name

    def _field(self, name: str, value: object) -> object:
        if name == "status":
            return self.words.label(f"order_{value}")
        return self.country(str(value)) if name == "country" else value
