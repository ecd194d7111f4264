"""Carries a confirmed change out and finds out what became of one that was not answered. Knows nothing of words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from agent.log.actions import ActionResult, Deed
from agent.support.actions.orders import (
    ChangeRefused,
    OrderConnector,
    OrdersError,
    OrdersUnavailable,
    is_made,
)
from agent.support.actions.state import Doing
from agent.support.actions.watching import OrdersWatcher

log = structlog.get_logger(__name__)

SETTLES_AFTER = timedelta(minutes=1)
"""So long a change that was not answered may still come through; not made by then, it will not be."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a change; `is_open` where nobody knows yet."""

    deed: Deed

    @property
    def made(self) -> bool:
        """Whether the order is changed."""
        return self.deed.result == "done"

    @property
    def is_open(self) -> bool:
        """Whether it must be looked up again."""
        return self.deed.result == "unknown"


class Carrier:
    """Between the desk and the connector."""

    def __init__(self, orders: OrderConnector, watcher: OrdersWatcher) -> None:
        self._orders = orders
        self._watcher = watcher

    def carry_out(self, doing: Doing) -> Result:
        """Send a change that was claimed; an outcome that is unknown is looked up once."""
        try:
            self._orders.change(doing.change, doing.key)
        except ChangeRefused:
            return self._told(doing, "refused")
        except OrdersUnavailable as error:
            self._watcher.connector_failed(type(error).__name__)
            return self._told(doing, "failed")
        except Exception as error:  # also one that no connector should raise: the change may have been made
            self._watcher.connector_failed(type(error).__name__)
            log.warning("order_change_unanswered", error=type(error).__name__, change=doing.change.kind)
            return self._told(doing, "done" if self._looks_made(doing) else "unknown")
        return self._told(doing, "done")

    def settle(self, doing: Doing, now: datetime) -> Result | None:
        """Look a change up that was not answered; None while nobody knows."""
        made = self._looks_made(doing)
        if made is None or (not made and now - doing.at < SETTLES_AFTER):
            return None
        return self._told(doing, "done" if made else "not_done")

    def _looks_made(self, doing: Doing) -> bool | None:
        try:
            order = self._orders.look_up(doing.change.order_id)
        except OrdersError as error:
            self._watcher.connector_failed(type(error).__name__)
            return None
        return order is not None and is_made(doing.change, order)

    def _told(self, doing: Doing, result: ActionResult) -> Result:
        self._watcher.changed(doing.change.kind, result)
        return Result(Deed(doing.change.kind, result, doing.change.order_id, doing.key))
