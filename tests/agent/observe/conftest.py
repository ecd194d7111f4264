"""An observed conversation over the small shop, and what stands on stderr."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from observe_types import Lines, MakeChat, Sample
from prometheus_client.parser import text_string_to_metric_families
from talking import PLAIN, keeper_of

from agent.conversation import Conversations
from agent.llm.off import NoEngine
from agent.llm.protocol import Engine
from agent.log.store import EventLog
from agent.observe.chat import ObservedChat
from agent.observe.engine import ObservedEngine
from agent.observe.metrics import Metrics
from agent.observe.observer import Observer
from agent.settings import Settings
from agent.shop import Shop
from ui.logs import OUR_ROOMS, configure_logs


@pytest.fixture
def event_log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog.open(None, tmp_path)
    yield log
    log.close()


@pytest.fixture
def observer(event_log: EventLog) -> Observer:
    made = Observer()
    event_log.watch(made.metrics)
    return made


@pytest.fixture
def make_chat(film_shop: Shop, event_log: EventLog, observer: Observer, tmp_path: Path) -> MakeChat:
    """As `ui/wiring.py` puts them together."""

    def make(
        engine: Engine | None = None, shop: Shop | None = None, observer: Observer = observer, **llm: str
    ) -> ObservedChat:
        settings = Settings(**PLAIN, llm=llm)
        observed = ObservedEngine(engine or NoEngine(), observer, "scripted")
        keeper = keeper_of(shop or film_shop, event_log, tmp_path)
        return ObservedChat(Conversations(settings, event_log, keeper, observed), observer)

    return make


@pytest.fixture
def sample(observer: Observer) -> Sample:
    return lambda name, **labels: value_of(observer.metrics, name, **labels)


def value_of(metrics: Metrics, name: str, **labels: str) -> float:
    """The sum of the samples of `name` with these labels, as Prometheus would read them."""
    families = text_string_to_metric_families(metrics.render().decode())
    samples = [sample for family in families for sample in family.samples]
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """What the logs said since the last call, each line read as JSON; the first call begins to listen."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = {name: logging.getLogger(name).level for name in OUR_ROOMS}

    def read() -> list[dict[str, Any]]:
        configure_logs()  # not in the fixture: pytest gives the test another stderr than its set-up
        return [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    yield read
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in before.items():
        logging.getLogger(name).setLevel(old)
    structlog.reset_defaults()
