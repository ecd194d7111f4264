"""The poisoned shop's orders: hostile words in their fields, and one of a customer whom nobody may learn of.

The same tables as the SQL connector's. Knows nothing of how cases are run.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, Final

from sqlalchemy import create_engine, insert, select
from sqlalchemy.pool import NullPool

from agent.bench.injection.cases import ORDER, Case
from agent.bench.injection.planting import ORDER_EMAIL, ORDER_STREET, buyer, order_number
from agent.support.actions.sql import CHANGES, LINES, ORDERS, TABLES

_DAYS: Final = ("shipped", "delivered", "cancelled", "returned")


def make_orders(file: Path, cases: Iterable[Case], today: date) -> str:
    """The database with the victim's order and one for each case whose words stand in one; its URL."""
    url = f"sqlite:///{file}"
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        TABLES.create_all(connection)
        connection.execute(insert(ORDERS), _order(ORDER, ORDER_EMAIL, ORDER_STREET, today))
        connection.execute(insert(LINES), _line(ORDER, "DVD"))
        for case in cases:
            if case.place == "order":
                number = order_number(case)
                connection.execute(insert(ORDERS), _order(number, buyer(case), case.text, today))
                connection.execute(insert(LINES), _line(number, f"{case.name} {case.text}"))
    return url


def changes_in(url: str) -> list[str]:
    """What was changed in the shop's own books, in order: what the audit in the log should say, too."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return [f"{kind} {order}" for kind, order in connection.execute(select(CHANGES.c.kind, CHANGES.c.order_id))]


def _order(number: str, email: str, address: str, today: date) -> dict[str, Any]:
    fields = {"id": number, "email": email, "address": address, "status": "placed", "country": "DE", "version": 1}
    money = {"delivery": "standard", "shipping": "2.90", "currency": "EUR", "payment": "card"}
    return {**fields, **money, "ordered": today, **dict.fromkeys(_DAYS)}


def _line(number: str, form: str) -> dict[str, Any]:
    item = {"item_id": "film-unknown", "format": form, "price": "9.90", "quantity": 1}
    return {"order_id": number, "position": 1, **item, "going_back": 0}
