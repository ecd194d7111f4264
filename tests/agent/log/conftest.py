"""A real log for each test: SQLite, and PostgreSQL too where TEST_POSTGRES_URL names an empty database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from log_samples import MakeTurn

from agent.log.database import Database
from agent.log.records import Conversation, ShownRow, TurnRecord
from agent.log.store import EventLog

POSTGRES = os.environ.get("TEST_POSTGRES_URL")
URLS = [pytest.param(None, id="sqlite"), *([pytest.param(POSTGRES, id="postgresql")] if POSTGRES else [])]


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    if request.param:
        database = Database.open(request.param, tmp_path)
        database.downgrade("base")
        database.close()
    return request.param  # type: ignore[no-any-return]


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
