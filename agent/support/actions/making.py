"""The orders' part of the help desk as the settings have it; None where there are no orders."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from agent.log.actions import ActionLog
from agent.log.store import EventLog
from agent.settings import OrdersSettings, Settings
from agent.shopkeeper import ShopKeeper
from agent.support.actions.desk import ActionDesk
from agent.support.actions.orders import Change, Order, OrderConnector, OrdersUnavailable
from agent.support.actions.policy import REEL_SHOP, Policy
from agent.support.actions.watching import OrderMetrics
from retrieval.demo import SHOP_NAME
from retrieval.errors import ChatalogueError, DataDirectoryError, SettingsError


class DemoOrders:
    """The Reel Shop's orders, their database made when the first one is looked up."""

    def __init__(self, file: Path, title_of: Callable[[str], str]) -> None:
        self._file = file
        self._title_of = title_of
        self._lock = threading.Lock()
        self._made: OrderConnector | None = None

    def look_up(self, order_id: str) -> Order | None:
        """See `OrderConnector.look_up`."""
        return self._orders().look_up(order_id)

    def change(self, change: Change, key: str) -> None:
        """See `OrderConnector.change`."""
        self._orders().change(change, key)

    def _orders(self) -> OrderConnector:
        from agent.support.actions.demo import ensure_demo_orders
        from agent.support.actions.sql import SqlOrders

        with self._lock:
            if self._made is None:
                try:
                    file = ensure_demo_orders(self._file, datetime.now(UTC).date())
                except DataDirectoryError as error:
                    raise OrdersUnavailable(str(error)) from error
                self._made = SqlOrders(f"sqlite:///{file}", self._title_of)
            return self._made


def make_action_desk(
    settings: Settings, log: EventLog, shops: ShopKeeper, registry: CollectorRegistry
) -> ActionDesk | None:
    """The part that has the orders; that of the demo answers only while the demo shop is what is served.

    Raises:
        SettingsError: a setting of `support.orders` does not fit.
    """
    wanted = settings.support.orders
    if wanted.kind == "off":
        return None
    demo = wanted.kind == "demo"
    orders = _connector(settings, wanted, _titles(shops, settings.tenant))
    policy = REEL_SHOP if demo else Policy(return_days=wanted.return_days)
    return ActionDesk(
        orders, policy, ActionLog(log), number=wanted.number, tenant=settings.tenant,
        only_shop=SHOP_NAME if demo else "", watcher=OrderMetrics(registry),
    )  # fmt: skip


def _connector(settings: Settings, wanted: OrdersSettings, title_of: Callable[[str], str]) -> OrderConnector:
    from agent.support.actions.demo import demo_orders_file
    from agent.support.actions.http import HttpOrders
    from agent.support.actions.sql import SqlOrders

    url = wanted.url.get_secret_value()
    if wanted.kind == "demo":
        return DemoOrders(demo_orders_file(settings.data_dir, settings.tenant), title_of)
    if not url:
        raise SettingsError(f"The setting 'support.orders.kind' is {wanted.kind!r}; set 'support.orders.url', too.")
    return SqlOrders(url, title_of) if wanted.kind == "sql" else HttpOrders(url, wanted.token)


def _titles(shops: ShopKeeper, tenant: str) -> Callable[[str], str]:
    """The live catalogue's title of an item; its id where the catalogue has it no longer."""

    def title_of(item_id: str) -> str:
        try:
            table = shops.current(tenant).table
        except ChatalogueError:
            return item_id
        return table.get(item_id).title if item_id in table else item_id

    return title_of
