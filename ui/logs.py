"""Logs on stderr: one JSON line an event, readable lines at a terminal.

structlog's events and those of the standard library's loggers (uvicorn, our own rooms without structlog) go through
the same handler. Lines carry what is bound in structlog's context variables: the request's id (agent/api/border.py),
the turn's, conversation's and adapter's (agent/observe). What customers say is never logged: an exception is written
as its class and its place, without its message, which may quote them.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Any, Final, TypeAlias

import structlog

from agent.observe.masking import for_logs
from retrieval.errors import (
    CatalogueError,
    DataDirectoryError,
    EngineError,
    IndexUnavailable,
    ModelUnavailable,
    SettingsError,
)

OUR_ROOMS = ("ui", "finetune", "agent", "retrieval")
"""Loggers that follow the level asked for; everybody else's speak from WARNING on."""

MAX_CHAIN: Final = 4
"""Causes of an exception that are written."""

_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")
_SPEAKABLE: Final = (
    CatalogueError, DataDirectoryError, EngineError, IndexUnavailable, ModelUnavailable, SettingsError,
)  # fmt: skip
"""Errors whose message is written for the operator and quotes no customer."""

_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]


def configure_logs(level: int = logging.INFO, *, log_text: bool = False) -> None:
    """Set up structlog and the standard library's loggers for a server, or (with WARNING) for a command.

    `log_text` lets exceptions say their messages, masked.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _ExceptionWriter(log_text),
                _renderer(),
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):  # ours, of an earlier call
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OUR_ROOMS:
        logging.getLogger(name).setLevel(level)
    _take_over_uvicorn()


def _renderer() -> structlog.typing.Processor:
    if sys.stderr.isatty():
        return structlog.dev.ConsoleRenderer()
    return structlog.processors.JSONRenderer()


def _take_over_uvicorn() -> None:
    """Its loggers speak through ours; whoever serves gives `uvicorn.Config(log_config=None)`, else it undoes this."""
    for name in _UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class _ExceptionWriter:
    """Puts classes and places of an event's exception, and of what caused it, into the event's "exception"."""

    def __init__(self, with_messages: bool) -> None:
        self._with_messages = with_messages

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:  # noqa: ANN401 - structlog's
        found = _exception_in(event.pop("exc_info", None))
        event.pop("stack_info", None)
        if event.get("logger") == "asyncio" and not self._with_messages:
            event["event"] = str(event["event"]).partition("\n")[0]  # what follows shows the error, with its message
        if found is not None:
            event["exception"] = "\ncaused by ".join(self._told(error) for error in _chain(found))
        return event

    def _told(self, error: BaseException) -> str:
        # Neither locals nor source lines of ours hold customers' words; locals are left out all the same.
        frames = [f"  {one.filename}:{one.lineno} in {one.name}" for one in traceback.extract_tb(error.__traceback__)]
        said = f": {error}" if isinstance(error, _SPEAKABLE) else ""
        if self._with_messages and not said:
            said = f": {for_logs(str(error))}"
        return "\n".join([f"{type(error).__module__}.{type(error).__qualname__}{said}", *frames])


def _exception_in(info: bool | BaseException | _ExcInfo | None) -> BaseException | None:
    if isinstance(info, BaseException):
        return info
    if isinstance(info, tuple):
        return info[1]
    return sys.exc_info()[1] if info else None


def _chain(error: BaseException) -> list[BaseException]:
    """The error, what caused it, what caused that ..."""
    chain = [error]
    while len(chain) < MAX_CHAIN:
        last = chain[-1]
        cause = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if cause is None or cause in chain:
            break
        chain.append(cause)
    return chain
