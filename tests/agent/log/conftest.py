"""A real log for each test, once on SQLite and once on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from log_samples import MakeTurn

from agent.log.records import Conversation, ShownRow, TurnRecord
from agent.log.store import EventLog


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Of an empty database; None is SQLite in the data directory."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture
def log(url: str | None, data_dir: Path) -> Iterator[EventLog]:
    opened = EventLog.open(url, data_dir)
    yield opened
    opened.close()


@pytest.fixture
def make_turn(log: EventLog) -> MakeTurn:
    def make(conversation: Conversation, number: int, **fields: object) -> TurnRecord:
        plain: dict[str, Any] = {
            "tenant": conversation.tenant,
            "session_id": conversation.id,
            "turn_id": log.new_turn_id(conversation.tenant),
            "number": number,
            "message": f"message {number}",
            "reply": f"reply {number}",
            "intent": "recommend",
            "action": "recommend",
            "language": "en",
            "model": "smol",
            "shown": (ShownRow("film-b", 1, score=0.5), ShownRow("film-a", 2), ShownRow("film-c", 1, "alternative")),
        }
        return TurnRecord(**(plain | fields))

    return make
