"""A real log in SQLite. What PostgreSQL does otherwise is tested beside the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.log.store import EventLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path / "var")
    yield opened
    opened.close()
