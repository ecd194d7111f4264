"""Shared by the tests of the page: a real log in a temporary folder, and services around a scripted chat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from page_doubles import ScriptedChat, answer_by_words

from agent.llm.protocol import Engine
from agent.log.store import EventLog
from agent.services import Health, Services
from agent.settings import Settings


@pytest.fixture
def event_log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog.open(None, tmp_path)
    yield log
    log.close()


@pytest.fixture
def chat(event_log: EventLog) -> ScriptedChat:
    return ScriptedChat(event_log, answer_by_words)


@pytest.fixture
def services(event_log: EventLog, chat: ScriptedChat, tmp_path: Path) -> Services:
    # The page asks neither for health nor for the engine: a call would fail loudly on None.
    return Services(Settings(data_dir=tmp_path), chat, cast(Health, None), event_log, cast(Engine, None))
