"""Whoever logs, and by whichever library: one JSON line an event where stderr is no terminal."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
import uvicorn

from ui.logs import OUR_ROOMS, configure_logs

NAMES = ("uvicorn", "uvicorn.error", "uvicorn.access", "somebody.else", *OUR_ROOMS)


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What stands on stderr, each line read as JSON; loggers are put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    before = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in NAMES}
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, (old, propagate) in before.items():
        logging.getLogger(name).setLevel(old)
        logging.getLogger(name).propagate = propagate
    structlog.reset_defaults()


def test_the_standard_librarys_loggers_write_json_too(lines: Callable[[], list[dict[str, Any]]]) -> None:
    configure_logs()
    with structlog.contextvars.bound_contextvars(request_id="req-1"):
        logging.getLogger("ui.page.turns").error("A turn of %s failed", "the page", exc_info=ValueError("two\nlines"))
    structlog.get_logger("agent.api.errors").error("request_failed", code="internal_error")
    standard, ours = lines()
    assert (standard["event"], standard["level"], standard["logger"]) == (
        "A turn of the page failed",
        "error",
        "ui.page.turns",
    )
    assert standard["request_id"] == "req-1"
    assert "two\nlines" in standard["exception"]
    assert (ours["event"], ours["code"], ours["logger"]) == ("request_failed", "internal_error", "agent.api.errors")
    assert standard.keys() >= {"timestamp"} <= ours.keys()


def test_our_level_is_as_asked_and_others_speak_from_warning(lines: Callable[[], list[dict[str, Any]]]) -> None:
    configure_logs()
    logging.getLogger("somebody.else").info("chatter")
    logging.getLogger("agent.shopkeeper").info("standard")
    structlog.get_logger("agent.shopkeeper").info("structlog")
    structlog.get_logger("agent.shopkeeper").debug("too fine")
    configure_logs(logging.WARNING)
    logging.getLogger("agent.shopkeeper").info("quiet now")
    structlog.get_logger("agent.shopkeeper").info("quiet now")
    logging.getLogger("somebody.else").warning("heard")
    assert [line["event"] for line in lines()] == ["standard", "structlog", "heard"]


def test_uvicorn_speaks_through_the_same_handler(lines: Callable[[], list[dict[str, Any]]]) -> None:
    uvicorn.Config(lambda: None)  # its own set-up, as if somebody had served before
    configure_logs()
    uvicorn.Config(lambda: None, log_level="warning", log_config=None)
    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n")
    logging.getLogger("uvicorn.access").info("GET / 200")
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("Exception in ASGI application\n", "uvicorn.error")
