"""A real log in SQLite. What PostgreSQL does otherwise is tested beside the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from taste_stream import Place, copied, stream

from agent.log.store import EventLog


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    opened = EventLog.open(None, tmp_path / "var")
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def liked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose customers all have one taste."""
    root = tmp_path_factory.mktemp("liked") / "var"
    stream(root, taste=True)
    return root


@pytest.fixture(scope="session")
def taught(liked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, after `learn`."""
    root = copied(liked, tmp_path_factory.mktemp("taught") / "var")
    with Place.at(root) as place:
        outcome = place.learn()
        assert outcome.is_new, outcome.learned.reason
    return root


@pytest.fixture
def place(taught: Path, tmp_path: Path) -> Iterator[Place]:
    with Place.at(copied(taught, tmp_path / "var")) as opened:
        yield opened


@pytest.fixture
def before(liked: Path, tmp_path: Path) -> Iterator[Place]:
    with Place.at(copied(liked, tmp_path / "before")) as opened:
        yield opened
