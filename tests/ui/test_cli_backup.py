"""`chatalogue backup`: what else it copies besides the log and complete folders."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.log.store import EventLog
from agent.support.actions.demo import demo_orders_file, ensure_demo_orders
from agent.support.actions.orders import Cancel
from agent.support.actions.sql import SqlOrders
from retrieval.errors import DataDirectoryError
from ui.commands.backup import run

PLACED = "RS-10056"


def test_a_backup_has_the_orders_of_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was done with them is in the log, and would not fit to orders that are made anew."""
    var, copy = tmp_path / "var", tmp_path / "copy"
    monkeypatch.setenv("CHATALOGUE_DATA_DIR", str(var))
    EventLog.open(None, var).close()
    file = ensure_demo_orders(demo_orders_file(var, "default"), datetime.now(UTC).date())
    orders = SqlOrders(f"sqlite:///{file}")
    before = orders.look_up(PLACED)
    assert before is not None
    orders.change(Cancel(PLACED, before.version), "k")
    run(copy, None)
    copied = SqlOrders(f"sqlite:///{demo_orders_file(copy, 'default')}").look_up(PLACED)
    assert copied == orders.look_up(PLACED)
    assert copied is not None
    assert copied.status == "cancelled"
    file.write_bytes(b"damaged, damaged")
    with pytest.raises(DataDirectoryError, match="could not be copied"):
        run(tmp_path / "second", None)
