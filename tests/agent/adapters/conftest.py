"""A base, a log and a registry for each test; the log is a copy of an empty one, because migrations take their time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from adapter_samples import registry_of, write_base

from agent.log.database import Database
from agent.log.store import EventLog

if TYPE_CHECKING:
    from agent.adapters.registry import AdapterRegistry


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_base(tmp_path / "base")


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "var"


@pytest.fixture(scope="session")
def empty_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty") / "var"
    EventLog.open(None, folder).close()
    return folder


@pytest.fixture
def log(empty_log: Path, data_dir: Path) -> Iterator[EventLog]:
    shutil.copytree(empty_log, data_dir)
    opened = EventLog(Database.open(None, data_dir))
    yield opened
    opened.close()


@pytest.fixture
def registry(data_dir: Path, log: EventLog) -> AdapterRegistry:
    return registry_of(data_dir, log)
