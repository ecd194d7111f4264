"""From what a customer wants to the change that the policy allows. Knows nothing of conversations and of who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from agent.support.actions.addresses import country_in
from agent.support.actions.orders import Cancel, Change, ChangeAddress, Order, Reinstate, Return, Withdraw, is_made
from agent.support.actions.policy import Policy, Refusal
from agent.support.actions.state import Done, Proposal, Wanted
from retrieval.text import fold

MIN_TITLE_CHARS = 3


@dataclass(frozen=True, slots=True)
class Proposer:
    """Makes changes by a shop's policy."""

    policy: Policy

    def change(self, wanted: Wanted, order: Order, done: Done | None, now: datetime) -> Change | Refusal | None:
        """The change that is wanted, or why it may not be; None where the new address is missing."""
        match wanted.kind:
            case "cancel":
                return self.policy.judge_cancel(order)
            case "return":
                return self.policy.judge_return(order, named_lines(order, wanted.words), now.date())
            case "address":
                return self._address(wanted.address, order)
            case _:
                return self._back(order, done, now)

    def again(self, asked: Proposal, order: Order, now: datetime) -> Change | Refusal:
        """The change that was put into words, for the order as it is now: another one where something has changed."""
        match asked.change:
            case Cancel():
                return self.policy.judge_cancel(order)
            case Reinstate():
                return self.policy.judge_reinstate(order, now.date())
            case Return(item_ids=ids):
                return self.policy.judge_return(order, ids, now.date())
            case Withdraw(item_ids=ids):
                return self.policy.judge_withdraw(order, ids)
            case ChangeAddress(address=address, country=country):
                return self.policy.judge_address(order, address, country)

    def _address(self, address: str, order: Order) -> ChangeAddress | Refusal | None:
        allowed = self.policy.judge_address(order, address, order.country)
        if isinstance(allowed, Refusal) or not address:
            return allowed if isinstance(allowed, Refusal) else None
        country = country_in(address, (*self.policy.countries, order.country), order.country)
        if not country:
            return Refusal("no_country", {"country": order.country})
        return self.policy.judge_address(order, address, country)

    def _back(self, order: Order, done: Done | None, now: datetime) -> Change | Refusal:
        """What takes the last change back."""
        if done is None or done.change.order_id != order.id or not is_made(done.change, order):
            return Refusal("no_undo")
        match done.change:
            case Cancel():
                return self.policy.judge_reinstate(order, now.date())
            case Reinstate():
                return self.policy.judge_cancel(order)
            case Return(item_ids=ids):
                return self.policy.judge_withdraw(order, ids)
            case Withdraw(item_ids=ids):
                return self.policy.judge_return(order, ids, now.date())
            case ChangeAddress():
                before = done.before
                if not before.address:
                    return Refusal("no_undo_address")
                return self.policy.judge_address(order, before.address, before.country)


def named_lines(order: Order, words: str) -> tuple[str, ...]:
    """The items whose titles stand in the folded `words`, all of the order where none does."""
    said = f" {words} "
    found = []
    for line in sorted(order.lines, key=lambda line: -len(line.title)):
        title = " ".join(fold(line.title).split())
        if len(title) >= MIN_TITLE_CHARS and title in said:
            found.append(line.item_id)
            said = said.replace(title, " ")
    return tuple(found) or tuple(line.item_id for line in order.lines)
