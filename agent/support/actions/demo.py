"""The Reel Shop's orders, put into a database of their own below the data directory.

The days of the shipped file are moved, all by the same number, so that its newest order was placed on the day before
the database is made: "placed yesterday" and "returned within 30 days" mean something whenever somebody tries the shop.
From then on they stay, and so does what is changed; delete the file to begin anew. Addresses are invented: the shipped
orders have none.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert

from agent.support.actions.sql import LINES, ORDERS, TABLES
from retrieval.demo import demo_orders_path
from retrieval.errors import DataDirectoryError

_DAYS = ("ordered", "shipped", "delivered", "cancelled", "returned")


def demo_orders_file(data_dir: Path, tenant: str) -> Path:
    """Where a tenant's demo orders lie."""
    return data_dir / "demo" / f"{tenant}-orders.sqlite3"


def ensure_demo_orders(file: Path, today: date) -> Path:
    """Make the database unless it is there: whole or not at all.

    Raises:
        DataDirectoryError: it cannot be written.
    """
    if file.exists():
        return file
    fresh = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        fill(f"sqlite:///{fresh}", today)
        fresh.replace(file)
    except OSError as error:
        raise DataDirectoryError(
            f"The demo orders cannot be written to {str(file)!r} ({error.strerror}); make room or correct its rights."
        ) from None
    return file


def fill(url: str, today: date) -> None:
    """Make the tables at `url` and put the shipped orders in, as of `today`."""
    rows = [json.loads(line) for line in demo_orders_path().read_text(encoding="utf-8").splitlines()]
    moved = today - timedelta(days=1) - max(date.fromisoformat(row["ordered"]) for row in rows)
    engine = create_engine(url, hide_parameters=True)
    try:
        with engine.begin() as connection:
            TABLES.create_all(connection)
            connection.execute(insert(ORDERS), [_order(row, moved) for row in rows])
            connection.execute(insert(LINES), [line for row in rows for line in _lines(row)])
    finally:
        engine.dispose()


def _order(row: Mapping[str, Any], moved: timedelta) -> dict[str, Any]:
    days = {name: date.fromisoformat(row[name]) + moved if row[name] else None for name in _DAYS}
    own = {name: row[name] for name in ("id", "email", "status", "country", "delivery", "currency", "payment")}
    shipping = f"{Decimal(row['shipping']):.2f}"
    return {**own, **days, "shipping": shipping, "address": f"Example Street {row['id'][-2:]}", "version": 1}


def _lines(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"order_id": row["id"], "position": n, "item_id": item["id"], "format": item["format"],
         "price": f"{Decimal(item['price']):.2f}", "quantity": item["quantity"], "going_back": 0}
        for n, item in enumerate(row["items"], 1)
    ]  # fmt: skip
