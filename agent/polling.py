"""Work that waits in the database, done for ever by a task of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from retrieval.errors import ChatalogueError

_log = structlog.get_logger(__name__)


async def poll(work: Callable[[], Awaitable[int]], pause_s: float, failed: str) -> None:
    """Do what is due, for ever.

    Args:
        work: does it and says how much that was; after nothing there is a pause.
        pause_s: seconds of it.
        failed: the event of the log for work that failed; it is tried again.
    """
    while True:
        try:
            done = await work()
        except ChatalogueError as error:  # the database is away; what was claimed is due again soon
            _log.error(failed, reason=str(error))
            done = 0
        except Exception:  # whatever it was: a server that stopped would never answer or tell anybody again
            _log.exception(failed)
            done = 0
        if not done:
            await asyncio.sleep(pause_s)
