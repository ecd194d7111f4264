"""The worker process of the embedded engine: one model; calls come in, reports go out, both over one pipe.

Importing this module needs no torch: the app imports it to name `run_worker`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import signal
import threading
from importlib import import_module
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from agent.llm import wire
from agent.llm.weights import resolve_model
from retrieval.errors import ModelUnavailable

if TYPE_CHECKING:
    from agent.llm.workplace import Done, Workplace

log = logging.getLogger(__name__)


def run_worker(pipe: Connection, args: wire.WorkerArgs) -> None:
    """Serve the calls that come through `pipe` until it closes or says `Stop`; the process's main function."""
    # Ctrl-C goes to the whole terminal group; the app decides when the worker ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Read when tqdm and tokenizers are first imported, so before anything heavy: this process draws nothing.
    os.environ.update(TQDM_DISABLE="1", TOKENIZERS_PARALLELISM="false")
    # OpenMP threads that wait must sleep: spinning ones fight with the app for the cores. Measured on 2 cores beside
    # a busy neighbour: 1 to 4 tokens/s spinning, 10 sleeping.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # tqdm would make a lock of multiprocessing, which a killed process leaves behind ("leaked semaphore").
    import_module("tqdm").tqdm.set_lock(threading.RLock())
    inbox = _Inbox(pipe)
    threading.Thread(target=inbox.listen, daemon=True, name="inbox").start()
    try:
        place = _furnish(args, inbox)
        lost = place.restore()
    except ModelUnavailable as error:
        pipe.send(wire.Unavailable(str(error)))
        return
    except Exception as error:  # whatever a foreign model folder makes transformers raise
        log.exception("the model could not be loaded")
        pipe.send(wire.Unavailable(wire.sentence(f"The model {args.model!r} cannot be loaded", error)))
        return
    pipe.send(wire.Ready(lost))
    place.start_background()
    while True:
        for report in place.turn(inbox.next(wait=not place.busy)):
            with contextlib.suppress(BrokenPipeError):  # the app is gone; the inbox ends the process
                pipe.send(report)
            if isinstance(report, wire.Done | wire.Failed):
                inbox.forget(report.id)


class _Inbox:
    """Listens to the pipe on a thread of its own, so that a cancellation arrives while the model computes."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._messages: queue.SimpleQueue[wire.Request | Done] = queue.SimpleQueue()
        self._cancelled: set[int] = set()

    def listen(self) -> None:
        """Until the pipe closes, which means that the app is gone: then the process ends at once."""
        with contextlib.suppress(EOFError, OSError):
            while not isinstance(message := self._pipe.recv(), wire.Stop):
                if isinstance(message, wire.Cancel):
                    self._cancelled.add(message.id)
                else:
                    self._messages.put(message)
        os._exit(0)

    def leave(self, done: Done) -> None:
        """Something that was done in the background, to be taken up between two steps; from any thread."""
        self._messages.put(done)

    def next(self, wait: bool) -> wire.Request | Done | None:
        """The next thing to do; None when there is none and it should not `wait`."""
        try:
            return self._messages.get(block=wait)
        except queue.Empty:
            return None

    def is_cancelled(self, call: int) -> bool:
        """Whether nobody waits for `call` any more."""
        return call in self._cancelled

    def forget(self, call: int) -> None:
        """`call` is over."""
        self._cancelled.discard(call)


def _furnish(args: wire.WorkerArgs, inbox: _Inbox) -> Workplace:
    resolve_model(args.model, args.models_dir)  # before torch: a wrong name fails in an instant
    import torch
    import transformers.utils

    # transformers imports sklearn, a second's work, for a helper of speculative decoding that is not used here.
    transformers.utils.is_sklearn_available = lambda: False  # type: ignore[attr-defined]

    from agent.llm.quiet import quiet_transformers
    from agent.llm.workplace import Workplace

    quiet_transformers()
    if args.threads:
        torch.set_num_threads(args.threads)
    return Workplace(args, inbox.is_cancelled, inbox.leave)
