"""Whoever logs, and by whichever library: one JSON line an event where stderr is no terminal."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
import structlog
import uvicorn

from agent.settings import Settings
from retrieval.errors import DataDirectoryError, SettingsError
from ui import serve
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
    assert standard["exception"] == "builtins.ValueError"  # its message may quote a customer
    assert (ours["event"], ours["code"], ours["logger"]) == ("request_failed", "internal_error", "agent.api.errors")
    assert standard.keys() >= {"timestamp"} <= ours.keys()


def _fail() -> None:
    password = "hunter2"  # noqa: S105 - must not be seen
    try:
        raise KeyError(f"ann said {password}")
    except KeyError as error:
        raise ValueError("ann@example.com") from error


@pytest.mark.parametrize("tty", [False, True])
@pytest.mark.parametrize("log_text", [False, True])
def test_traces_have_places_and_no_words(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    lines: Callable[[], list[dict[str, Any]]],
    tty: bool,
    log_text: bool,
) -> None:
    """At a terminal too, where structlog would draw every local variable."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: tty)
    configure_logs(log_text=log_text)
    try:
        _fail()
    except ValueError:
        structlog.get_logger("agent.x").exception("it_broke")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    said = capsys.readouterr().err
    assert said.count("builtins.ValueError") == said.count("caused by builtins.KeyError") == 2
    assert said.count(f"{__file__}:") >= 2
    assert " in _fail" in said
    assert ("ann said" in said) == log_text
    assert "ann@example.com" not in said
    assert "password =" not in said


async def test_asyncio_does_not_quote_errors_either(lines: Callable[[], list[dict[str, Any]]]) -> None:
    async def fails() -> None:
        raise ValueError("ann@example.com")

    configure_logs()
    task = asyncio.create_task(fails())
    await asyncio.wait({task})
    del task
    gc.collect()
    (line,) = lines()
    assert line["event"] == "Task exception was never retrieved"
    assert "ann" not in str(line)


def test_serve_says_that_words_are_logged(
    monkeypatch: pytest.MonkeyPatch, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    """And sets the level that was asked for."""

    def stop(settings: Settings, **options: object) -> NoReturn:
        structlog.get_logger("ui.serve").debug("heard")
        raise SettingsError("Enough.")

    monkeypatch.setattr(serve, "make_parts", stop)
    monkeypatch.setattr(serve, "check_address", lambda server, has_stored_keys: None)
    monkeypatch.setattr("signal.signal", lambda *args: None)
    for name in ("GRADIO_ANALYTICS_ENABLED", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    for telemetry, said in ({"log_text": True}, ["log_text_is_on"]), ({"log_level": "debug"}, ["heard"]), ({}, []):
        with pytest.raises(SettingsError):
            serve.serve(Settings(telemetry=telemetry))
        assert [line["event"] for line in lines()] == said


def test_errors_for_the_operator_say_their_sentence(lines: Callable[[], list[dict[str, Any]]]) -> None:
    configure_logs()
    try:
        try:
            raise OSError("no room for ann")
        except OSError as error:
            raise DataDirectoryError("The disk is full; make room.") from error
    except DataDirectoryError:
        logging.getLogger("agent.x").exception("it_broke")
    (line,) = lines()
    assert "retrieval.errors.DataDirectoryError: The disk is full; make room." in line["exception"]
    assert "ann" not in line["exception"]


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
