"""The kill switch and the office hours reach the parts that they are for."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.llm.embedded import EmbeddedEngine
from agent.llm.off import NoEngine
from agent.settings import Settings
from retrieval.errors import SettingsError
from ui.wiring import make_engine, make_parts


def test_a_paused_chat_has_no_language_model(tmp_path: Path) -> None:
    embedded = {"engine": "embedded"}
    paused = Settings(data_dir=tmp_path, llm=embedded, chat={"paused": True})  # type: ignore[arg-type]
    assert isinstance(make_engine(paused), NoEngine)
    assert isinstance(make_engine(Settings(data_dir=tmp_path, llm=embedded)), EmbeddedEngine)  # type: ignore[arg-type]


def test_office_hours_that_are_none_are_refused_at_the_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, llm={"engine": "off"}, support={"hours": ["at noon"]})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="office hours"):
        make_parts(settings)
