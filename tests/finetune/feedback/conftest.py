"""The small shop of the conversation's tests, and a log of its own for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from feedback_talks import Rows

    from agent.log.store import EventLog
    from agent.shop import Shop

# Their helpers, which pytest finds by itself only where those tests run, too.
sys.path.insert(0, str(Path(__file__).parents[2] / "agent"))


@pytest.fixture(scope="session")
def reel_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    from small_shop import HashingEncoder, read_films

    from agent.shop import open_shop
    from retrieval.index import build_index

    encoder = HashingEncoder()
    index = build_index(read_films(), tmp_path_factory.mktemp("films"), encoder)
    shop = open_shop(index, encoder, None, "The Reel Shop")
    yield shop
    shop.retriever.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    from agent.log.store import EventLog

    opened = EventLog.open(None, tmp_path / "var")
    yield opened
    opened.close()


@pytest.fixture
def rows(log: EventLog, reel_shop: Shop, tmp_path: Path) -> Rows:
    from feedback_talks import Rows

    return Rows(log, reel_shop, tmp_path)
