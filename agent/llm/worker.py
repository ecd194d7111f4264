"""The worker process of the embedded engine: one model, one call at a time, cancellable at each token.

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
from retrieval.errors import EngineError, ModelUnavailable

if TYPE_CHECKING:
    from agent.llm.generation import Watch

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
        bench = _Bench(args)
        lost = bench.restore(args)
    except ModelUnavailable as error:
        pipe.send(wire.Unavailable(str(error)))
        return
    except Exception as error:  # whatever a foreign model folder makes transformers raise
        log.exception("the model could not be loaded")
        pipe.send(wire.Unavailable(_sentence(f"The model {args.model!r} cannot be loaded", error)))
        return
    pipe.send(wire.Ready(lost))
    while (request := inbox.next()) is not None:
        _serve(bench, pipe, inbox, request)


class _Inbox:
    """Listens to the pipe on a thread of its own, so that a cancellation arrives while the model computes."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._requests: queue.SimpleQueue[wire.Request | None] = queue.SimpleQueue()
        self._cancelled = 0  # calls run one at a time, so only the last cancellation can matter

    def listen(self) -> None:
        """Until the pipe closes, which means that the app is gone: then the process ends at once."""
        with contextlib.suppress(EOFError, OSError):
            while not isinstance(message := self._pipe.recv(), wire.Stop):
                if isinstance(message, wire.Cancel):
                    self._cancelled = message.id
                else:
                    self._requests.put(message)
        os._exit(0)

    def next(self) -> wire.Request | None:
        """The next call; waits for it."""
        return self._requests.get()

    def is_cancelled(self, call: int) -> bool:
        """Whether nobody waits for `call` any more."""
        return call == self._cancelled


class _Bench:
    """The loaded model with everything that works on it."""

    def __init__(self, args: wire.WorkerArgs) -> None:
        folder = resolve_model(args.model, args.models_dir)  # before torch: a wrong name fails in an instant
        import torch
        import transformers.utils

        # transformers imports sklearn, a second's work, for a helper of speculative decoding that is not used here.
        transformers.utils.is_sklearn_available = lambda: False  # type: ignore[attr-defined]

        from agent.llm.generation import Reader
        from agent.llm.grammar import Filler
        from agent.llm.lora import Adapters
        from agent.llm.model import load_model
        from agent.llm.quiet import quiet_transformers

        quiet_transformers()
        if args.threads:
            torch.set_num_threads(args.threads)
        self.model = load_model(folder, args.device)
        self.reader = Reader(self.model)
        self.filler = Filler(self.model)
        self.adapters = Adapters(self.model.linears)

    def restore(self, args: wire.WorkerArgs) -> tuple[str, ...]:
        """Load the adapters of a worker that died; the names that cannot be had any more."""
        lost = []
        for name, path in args.adapters:
            try:
                self.adapters.load(name, path)
            except EngineError as error:
                log.warning("after a restart: %s", error)
                lost.append(name)
        if args.adapter is not None and args.adapter not in lost:
            self.adapters.use(args.adapter)
        return tuple(lost)

    def run(self, job: wire.Job, watch: Watch, pipe: Connection, call: int) -> wire.Report:
        """Do one job; streams send their pieces on the way."""
        from agent.llm import generation, scoring

        adapter = self.adapters.active
        match job:
            case wire.Stream():
                for chunk in generation.stream(self.model, self.reader, adapter, job.prompt, job.limits, watch):
                    pipe.send(wire.Piece(call, chunk))
            case wire.Choose():
                scores = scoring.choose(self.model, self.reader, adapter, job.prompt, job.options, watch)
                return wire.Done(call, scores)
            case wire.Judge():
                judged = scoring.judge(self.model, self.reader, adapter, job.prompt, job.endings, job.answers, watch)
                return wire.Done(call, judged)
            case wire.Fill():
                filled = self.filler.fill(self.reader, adapter, job.prompt, job.grammar, job.limits, watch)
                return wire.Done(call, filled)
            case wire.LoadAdapter():
                self.adapters.load(job.name, job.path)
            case wire.UseAdapter():
                self.adapters.use(job.name)
        return wire.Done(call)


def _serve(bench: _Bench, pipe: Connection, inbox: _Inbox, request: wire.Request) -> None:
    from agent.llm.generation import Cancelled, OutOfTime, Watch

    watch = Watch(_seconds(request.job), lambda: inbox.is_cancelled(request.id))
    try:
        report = bench.run(request.job, watch, pipe, request.id)
    except Cancelled:
        report = wire.Done(request.id)
    except OutOfTime:
        report = wire.Failed(request.id, "timeout", f"The model did not finish within {watch.seconds:g} s.")
    except EngineError as error:
        report = wire.Failed(request.id, "error", str(error))
    except Exception as error:  # the conversation goes on without the model, the operator reads the log
        log.exception("a call failed")
        report = wire.Failed(request.id, "error", _sentence("The language model failed", error))
    with contextlib.suppress(BrokenPipeError):  # the app is gone; the inbox ends the process
        pipe.send(report)


def _seconds(job: wire.Job) -> float:
    match job:
        case wire.Stream() | wire.Fill():
            return job.limits.seconds
        case wire.Choose() | wire.Judge():
            return job.seconds
        case _:
            return float("inf")


def _sentence(what: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()
    return f"{what} ({type(error).__name__}: {reason[0][:200] if reason else 'no reason given'})."
