"""Run one function in a process of its own, so that torch and its threads stay out of the app's event loop.

Knows nothing of what the function does. Its module is imported in the new process, with its arguments pickled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TypeVar

from retrieval.errors import ChatalogueError, EngineError

log = logging.getLogger(__name__)

POLL_S = 0.02
NICENESS = 5
"""Customers' answers come first."""

T = TypeVar("T")


async def run_apart(work: Callable[..., T], *args: object, seconds: float) -> T:
    """The result of `work(*args)`; cancelling the call ends the process.

    Raises:
        ChatalogueError: as `work` raised it.
        EngineError: it failed otherwise, ended without a word, or took longer than `seconds`.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_main, args=(theirs, work, args), name=work.__name__, daemon=True)
    starting = asyncio.ensure_future(asyncio.to_thread(process.start))
    try:
        # Shielded: a process that is half started can be neither joined nor killed.
        await asyncio.shield(starting)
        theirs.close()
        async with asyncio.timeout(seconds):
            while not ours.poll():
                await asyncio.sleep(POLL_S)
            result, error = await asyncio.to_thread(ours.recv)
    except TimeoutError:
        raise EngineError(f"{work.__name__} did not end within {seconds:g} s; the machine may be overloaded.") from None
    except EOFError:
        raise EngineError(f"The process of {work.__name__} ended without a word; its memory may not suffice.") from None
    except OSError as failure:
        raise EngineError(f"The process of {work.__name__} could not be started: {failure}.") from None
    finally:
        await _end(process, starting)
        ours.close()
        theirs.close()
    if error is not None:
        raise error
    found: T = result
    return found


async def _end(process: multiprocessing.process.BaseProcess, starting: asyncio.Future[None]) -> None:
    await asyncio.wait([starting])
    if process.pid is not None:
        process.kill()
        await asyncio.to_thread(process.join)


def _main(pipe: Connection, work: Callable[..., object], args: tuple[object, ...]) -> None:
    os.nice(NICENESS)
    # Before torch is imported; waiting threads that spin take the cores from the server that answers customers.
    os.environ.update(TQDM_DISABLE="1", TOKENIZERS_PARALLELISM="false", OMP_WAIT_POLICY="passive")
    result, error = None, None
    try:
        result = work(*args)
    except ChatalogueError as failure:
        error = failure
    except Exception as failure:  # whatever foreign files make transformers or peft raise
        log.exception("%s failed", work.__name__)
        first = next((line.strip() for line in str(failure).splitlines() if line.strip()), "")
        error = EngineError(f"{work.__name__} failed ({type(failure).__name__}: {first[:300]}).")
    with contextlib.suppress(OSError):  # nobody waits any more
        pipe.send((result, error))
