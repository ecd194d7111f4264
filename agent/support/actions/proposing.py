"""From what a customer wants to the change that the policy allows. Knows nothing of conversations and of who asks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from agent.support.actions.addresses import country_in
from agent.support.actions.orders import Cancel, Change, ChangeAddress, Order, Reinstate, Return, Withdraw, is_made
from agent.support.actions.policy import Policy, Refusal
from agent.support.actions.state import Done, Proposal, Wanted
from retrieval.text import fold

MIN_TITLE_CHARS = 3
_ALL = re.compile(
    r"\b(?:all|everything|both)\b|\b(?:whole|entire|complete) (?:order|parcel|package|purchase)\b"
    r"|\b(?:return|refund|take|send|cancel|give) (?:it|them|these|those|this|that|(?:the|my|this|that) "
    r"(?:order|parcel|package|purchase))\b(?! (?:one|film|movie|disc|dvd|blu|item|first|last))|全部|整单|所有|都"
)
_NOT_ALL = re.compile(r"\b(?:but|except|apart from|other than|not|don'?t|keep)\b|除了|不退|留")
_NO_FILM = frozenset(
    "i we me my our you d m ve want would like need to please can could may have get return returning send sending "
    "give take back refund money for the a an of from and is are this that these those them it here hello hi hey "
    "thanks thank order orders number parcel package purchase e mail email address yes ok okay films movies discs "
    "items dvds".split()
)
_NO_FILM_ZH = re.compile(
    r"邮箱|地址|订单|商品|电影|申请|可以|帮忙|想|要|请|帮|我|们|的|退|货|款|掉|回|把|这|那|个|些|它|是"
    r"|号|了|吧|吗|能|单"
)
"""What a message may say besides the films: where nothing else is left, the whole order is meant."""


@dataclass(frozen=True, slots=True)
class Proposer:
    """Makes changes by a shop's policy."""

    policy: Policy

    def change(self, wanted: Wanted, order: Order, done: Done | None, now: datetime) -> Change | Refusal | None:
        """The change that is wanted, or why it may not be; None where the new address or the films are missing."""
        match wanted.kind:
            case "cancel":
                return self.policy.judge_cancel(order)
            case "return":
                named = named_lines(order, wanted.words)
                allowed = self.policy.judge_return(order, named or [one.item_id for one in order.lines], now.date())
                return allowed if named or isinstance(allowed, Refusal) else None
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
    """The items that the folded `words` want to return, all of the order where they name no film; () where unclear."""
    titled = _titled(order, words)
    if titled:
        return () if len(titled) < len(order.lines) and _NOT_ALL.search(words) else titled
    every = tuple(line.item_id for line in order.lines)
    left = set(re.findall(r"[^\W_]+", _NO_FILM_ZH.sub(" ", words))) - _NO_FILM
    if len(every) == 1:
        left -= {"film", "movie", "disc", "dvd", "item"}
    return every if not left or says_all(words) else ()


def says_lines(order: Order, words: str) -> bool:
    """Whether an answer to "which films?" names some, or all."""
    return bool(_titled(order, words)) or says_all(words)


def says_all(words: str) -> bool:
    """Whether it is the whole order in so many words."""
    return _ALL.search(words) is not None and not _NOT_ALL.search(words)


def _titled(order: Order, words: str) -> tuple[str, ...]:
    """The items whose titles stand in the words, as whole words."""
    said, found = words, []
    for line in sorted(order.lines, key=lambda line: -len(line.title)):
        title = " ".join(fold(line.title).split())
        here = re.compile(rf"(?<![a-z0-9]){re.escape(title)}(?![a-z0-9])")
        if len(title) >= MIN_TITLE_CHARS and here.search(said):
            found.append(line.item_id)
            said = here.sub(" ", said)
    return tuple(found)
