"""Logs on stderr: one JSON line an event, readable lines at a terminal. Message text is never logged.

structlog's events and those of the standard library's loggers (uvicorn, our own rooms without structlog)
go through the same handler.
"""

from __future__ import annotations

import logging
import sys

import structlog

OUR_ROOMS = ("ui", "finetune", "agent", "retrieval")
"""Loggers that follow the level asked for; everybody else's speak from WARNING on."""

_UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi")


def configure_logs(level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's loggers for a server, or (with WARNING) for a command."""
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers()],
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


def _renderers() -> list[structlog.typing.Processor]:
    if sys.stderr.isatty():
        return [structlog.dev.ConsoleRenderer()]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _take_over_uvicorn() -> None:
    """Its loggers speak through ours; whoever serves gives `uvicorn.Config(log_config=None)`, else it undoes this."""
    for name in _UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
