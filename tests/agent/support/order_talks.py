"""A customer who talks to the real desk over the Reel Shop's orders in SQL, at a clock that the test moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from small_shop import wording

from agent.answering import decide
from agent.log.actions import ActionLog, Place
from agent.log.store import EventLog
from agent.shop import Shop
from agent.support.actions.demo import fill
from agent.support.actions.desk import ActionDesk
from agent.support.actions.orders import Change, Order, OrderConnector
from agent.support.actions.policy import REEL_SHOP
from agent.support.actions.sql import SqlOrders
from agent.support.actions.state import DeskState, from_bytes
from agent.support.actions.watching import NOBODY, OrdersWatcher
from agent.support.helpdesk import HelpDesk
from agent.turn import Outcome, Situation, Visit
from agent.understand.types import DialogueContext
from retrieval.demo import demo_orders_path

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
EMAILS = {row["id"]: row["email"] for row in map(json.loads, demo_orders_path().read_text("utf-8").splitlines())}
PLACED, PACKED, OLD, SHIPPED = "RS-10056", "RS-10051", "RS-10001", "RS-10042"
RECENT = "RS-10039"  # delivered, the newest of the demo


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def moves(self, **by: float) -> None:
        self.now += timedelta(**by)


class Counted:
    """A connector that counts the changes that reach it and can be made to fail before or after one."""

    def __init__(self, orders: OrderConnector) -> None:
        self.orders = orders
        self.changes: list[tuple[Change, str]] = []
        self.before: dict[str, Order] = {}
        """Each order as it was before its last change."""
        self.before_change: Callable[[], None] = lambda: None
        self.after_change: Callable[[], None] = lambda: None
        self.before_look: Callable[[], None] = lambda: None

    def look_up(self, order_id: str) -> Order | None:
        self.before_look()
        return self.orders.look_up(order_id)

    def change(self, change: Change, key: str) -> None:
        self.before_change()
        if (order := self.orders.look_up(change.order_id)) is not None:
            self.before[order.id] = order
        self.changes.append((change, key))
        self.orders.change(change, key)
        self.after_change()


def demo_orders(folder: Path, clock: Clock) -> SqlOrders:
    url = f"sqlite:///{folder / 'orders.sqlite3'}"
    fill(url, TODAY)
    return SqlOrders(url, lambda item_id: item_id.removeprefix("film-").replace("-", " ").title(), clock)


@dataclass
class Customer:
    """One conversation with the desk alone: what the shop would answer is the shop's."""

    shop: Shop
    log: EventLog
    orders: Counted
    clock: Clock
    watcher: OrdersWatcher = NOBODY
    session_id: str = ""
    turn: int = 0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk = ActionDesk(self.orders, REEL_SHOP, ActionLog(self.log), number=r"RS-\d{5}", clock=self.clock,
            watcher=self.watcher)  # fmt: skip
        if not self.session_id:
            self.session_id = self.log.start_conversation("default", "", None).id

    def view(self, text: str) -> Situation:
        understood = self.shop.rules.understand(text, DialogueContext(turn=self.turn))
        return Situation(
            text, self.shop, DialogueContext(turn=self.turn), understood, wishes=(), lasting=(),
            wording=wording(self.shop.table, understood.language or "en"), own=(text,),
            visit=Visit("default", self.session_id, f"t_{self.turn}"),
        )  # fmt: skip

    def hears(self, text: str) -> Outcome | None:
        """What the desk itself answers."""
        self.turn += 1
        outcome = self.desk.before(self.view(text))
        self.said.append(outcome.opening if outcome is not None else "")
        return outcome

    def says(self, text: str) -> str:
        """The desk's own words; fails where it has none."""
        outcome = self.hears(text)
        assert outcome is not None, text
        assert outcome.action in ("ask", "answer")
        assert not outcome.is_wish
        return outcome.opening

    def asks_anybody(self, text: str) -> Outcome:
        """The whole help desk, the shop behind it."""
        self.turn += 1
        return HelpDesk((self.desk,)).decide(self.view(text))

    def is_shops(self, text: str) -> None:
        assert self.hears(text) is None, text

    def proves(self, order_id: str = PLACED) -> str:
        return self.says(f"{order_id}, {EMAILS[order_id]}")

    @property
    def state(self) -> DeskState:
        place = Place("default", self.session_id, "")
        return from_bytes(ActionLog(self.log).load(place).plain)

    def order(self, order_id: str = PLACED) -> Order:
        found = self.orders.orders.look_up(order_id)
        assert found is not None
        return found

    def shop_says(self, text: str) -> Outcome:
        return decide(self.view(text))
