"""What stands in the worker process: the model, its adapters, and streams that decode together.

Reports come out of generators, so that a stream's pieces are sent as they are made. Adapters are merged and the decode
kernel is compiled on threads of their own; what they leave is taken up between two steps. Knows nothing of the pipe.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Final, TypeAlias

import torch

from agent.llm import generation, scoring, wire
from agent.llm.batch import Batch
from agent.llm.decoder import Decoder, check, fits
from agent.llm.generation import Answer, Cancelled, Continued, OutOfTime, Reader, State, Watch
from agent.llm.grammar import Filler
from agent.llm.kernel import NoKernel, load_kernel
from agent.llm.lora import Adapters, WeightSet
from agent.llm.model import load_model
from agent.llm.weights import resolve_model
from retrieval.errors import EngineError

log = logging.getLogger(__name__)

BACKGROUND_NICENESS: Final = 10
"""Of the threads that prepare: chats go first."""
WARM_TOKENS: Final = 32
"""Read at a time in the background: a chat's next token waits for as many at most."""
CHECK_TEXT: Final = (
    "A customer asks for a quiet film about the sea, not too long, and for a book that goes with it. " * 5
)
"""What the kernel is checked on: text, because rows of control tokens are so unusual that int8 rounds them badly."""

Reports: TypeAlias = Iterator[wire.Report]
Done: TypeAlias = Callable[[], Reports]
"""What a thread in the background leaves to be done between two steps."""


class Workplace:
    """The loaded model with everything that works on it.

    Args:
        args: see `wire.WorkerArgs`.
        is_cancelled: whether nobody waits for a call any more.
        leave: takes what was finished in the background, from any thread; it comes back through `turn`.
    """

    def __init__(
        self, args: wire.WorkerArgs, is_cancelled: Callable[[int], bool], leave: Callable[[Done], None]
    ) -> None:
        self._args = args
        self._is_cancelled = is_cancelled
        self._leave = leave
        self._model = load_model(resolve_model(args.model, args.models_dir), args.device)
        self._reader = Reader(self._model)
        self._filler = Filler(self._model)
        self._adapters = Adapters(self._model.linears)
        self._decoder: Decoder | None = None
        self._quick_reader: Reader | None = None
        """Of prompts that the kernel reads, too; None where transformers is faster (AMX)."""
        self._batch: Batch | None = None
        self._last_used = args.adapter
        self._threads = torch.get_num_threads()
        self._backlog: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def restore(self) -> tuple[str, ...]:
        """Load the adapters of a worker that died; the names that cannot be had any more."""
        lost = []
        for name, path in self._args.adapters:
            try:
                self._adapters.load(name, path)
            except EngineError as error:
                log.warning("after a restart: %s", error)
                lost.append(name)
        if self._args.adapter is not None and self._args.adapter not in lost:
            self._adapters.prepare(self._args.adapter)
        return tuple(lost)

    def start_background(self) -> None:
        """Prepare the decode kernel, and be ready for adapters."""
        threading.Thread(target=self._work_off, daemon=True, name="adapters").start()
        if fits(self._model):
            threading.Thread(target=self._make_kernel, daemon=True, name="kernel").start()

    @property
    def busy(self) -> bool:
        """Whether `turn` has something to do without a message."""
        return bool(self._batch)

    def turn(self, message: wire.Request | Done | None) -> Reports:
        """Begin what `message` asks for, then let all streams make a step."""
        if isinstance(message, wire.Request):
            yield from self._begin(message)
        elif message is not None:
            yield from message()
        if self._batch:
            yield from self._step(self._batch)

    # --- calls ------------------------------------------------------------------------------------

    def _begin(self, request: wire.Request) -> Reports:
        if isinstance(request.job, wire.LoadAdapter | wire.UseAdapter):
            self._backlog.put(lambda: self._change_adapters(request))
            return
        try:
            chosen = self._adapters.resident(request.adapter)
        except EngineError as error:
            yield _failure(request.id, error)
            return
        if chosen is None:  # it had to make room; merged in the background, for nobody else is to wait for it
            self._backlog.put(lambda: self._fetch(request))
        else:
            yield from self._answer(request, chosen)

    def _answer(self, request: wire.Request, chosen: WeightSet) -> Reports:
        watch = Watch(_seconds(request.job), lambda: self._is_cancelled(request.id))
        try:
            yield from self._run(request, chosen, watch)
        except Cancelled:
            yield wire.Done(request.id)
        except OutOfTime:
            yield wire.Failed(request.id, "timeout", f"The model did not finish within {watch.seconds:g} s.")
        except Exception as error:  # the conversation goes on without the model, the operator reads the log
            yield _failure(request.id, error)

    def _run(self, request: wire.Request, chosen: WeightSet, watch: Watch) -> Reports:
        call, job, proceed = request.id, request.job, self._continued(chosen)
        quick = self._quick_reader and self._quick_reader.through(proceed)
        self._adapters.activate(chosen)
        model, reader, adapter = self._model, self._reader, chosen.name
        match job:
            case wire.Stream():
                yield from self._stream(call, job, chosen, quick or reader, watch)
            case wire.Choose():
                yield wire.Done(call, scoring.choose(model, reader, adapter, job.prompt, job.options, watch))
            case wire.Judge():
                judged = scoring.judge(model, reader, adapter, job.prompt, job.endings, job.answers, watch)
                yield wire.Done(call, judged)
            case wire.Fill():
                filled = self._filler.fill(
                    quick or reader, adapter, job.prompt, job.grammar, job.limits, watch, proceed
                )
                yield wire.Done(call, filled)

    def _continued(self, chosen: WeightSet) -> Continued:
        if self._decoder is None or chosen.kernel is None:
            return contextlib.nullcontext
        return functools.partial(self._decoder.continued, chosen.kernel)

    def _stream(self, call: int, job: wire.Stream, chosen: WeightSet, reader: Reader, watch: Watch) -> Reports:
        if self._batch is None or chosen.kernel is None:
            for chunk in generation.stream(self._model, reader, chosen.name, job.prompt, job.limits, watch):
                yield wire.Piece(call, chunk)
            yield wire.Done(call)
            return
        answer = Answer(self._model, job.prompt, job.limits)
        with contextlib.suppress(OutOfTime):
            state = yield from self._meanwhile(self._batch, reader.reading(answer.ids, chosen.name, watch))
            if answer.finish is None:
                yield from self._batch.join(call, answer, watch, state, chosen.kernel)
                return
        answer.finish = answer.finish or "timeout"
        yield wire.Piece(call, answer.last())
        yield wire.Done(call)

    def _meanwhile(self, batch: Batch, reading: Generator[None, None, State]) -> Generator[wire.Report, None, State]:
        """Read a prompt; streams under way make a step after each chunk of it."""
        while True:
            try:
                next(reading)
            except StopIteration as done:
                state: State = done.value
                return state
            yield from self._step(batch)

    def _step(self, batch: Batch) -> Reports:
        try:
            yield from batch.step()
        except Exception as error:  # as in `_answer`, for all of them
            for call in batch.drop_all():
                yield _failure(call, error)

    # --- in the background ------------------------------------------------------------------------

    def _work_off(self) -> None:
        self._step_back()
        while True:
            self._backlog.get()()

    def _step_back(self) -> None:
        """This thread, and those that it starts, give way to the chats."""
        torch.set_num_threads(self._threads)  # it counts for the thread that calls it
        with contextlib.suppress(OSError, AttributeError):  # niceness of one thread: Linux only
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICENESS)

    def _change_adapters(self, request: wire.Request) -> None:
        try:
            if isinstance(request.job, wire.LoadAdapter):
                self._adapters.load(request.job.name, request.job.path)
            elif isinstance(request.job, wire.UseAdapter):
                self._adapters.prepare(request.job.name)
                self._warm(request.job.name)
            report: wire.Report = wire.Done(request.id)
        except Exception as error:  # as in `_answer`
            report = _failure(request.id, error)
        self._leave(lambda: iter((report,)))

    def _warm(self, name: str | None) -> None:
        """Read with `name` what chats may go on with, so that their next turns need not read it all again."""
        before, self._last_used = self._last_used, name
        chosen, reader, decoder = self._adapters.get(name), self._quick_reader, self._decoder
        if reader is None or decoder is None or chosen.kernel is None:
            return
        known = reader.kept(name)
        for ids in reader.kept(before):
            if ids in known:
                continue
            with decoder.continued(chosen.kernel, State(self._model, None, torch.empty(0), 0)) as text:
                for start in range(0, len(ids), WARM_TOKENS):
                    text.feed(ids[start : start + WARM_TOKENS])
                self._leave(functools.partial(_keep, reader, ids, name, text.as_state()))

    def _fetch(self, request: wire.Request) -> None:
        try:
            chosen = self._adapters.get(request.adapter)
        except Exception as error:  # as in `_answer`
            report = _failure(request.id, error)
            self._leave(lambda: iter((report,)))
        else:
            self._leave(lambda: self._answer(request, chosen))

    def _make_kernel(self) -> None:
        self._step_back()
        try:
            decoder = Decoder(self._model, load_kernel(self._args.models_dir / "kernels"))
        except Exception as error:  # without it everything works, only slower
            self._leave(lambda error=error: self._do_without(error))  # type: ignore[misc]
        else:
            self._leave(lambda: self._install(decoder))

    def _install(self, decoder: Decoder) -> Reports:
        """Take the kernel into service, if it gives what transformers gives."""
        self._adapters.activate(self._adapters.get(None))
        try:
            faster = check(decoder, self._model, self._model.renderer.encode_text(CHECK_TEXT))
        except Exception as error:  # as in `_make_kernel`
            yield from self._do_without(error)
            return
        self._decoder, self._batch = decoder, Batch(decoder)
        # A memory of its own: log-likelihoods are told from prompts that were read without rounding to 8 bits.
        self._quick_reader = Reader(self._model) if faster > 1 else None
        self._adapters.serve_kernel(decoder.base, decoder.pack)
        self._backlog.put(self._adapters.renew)
        yield wire.Decoding(self._args.together)

    def _do_without(self, error: Exception) -> Reports:
        if isinstance(error, NoKernel):
            reason = str(error)
        else:
            log.error("the decode kernel failed", exc_info=error)
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
        yield wire.Decoding(1, reason)


def _keep(reader: Reader, ids: Sequence[int], name: str | None, state: State) -> Reports:
    reader.keep(ids, name, state.cache)
    return iter(())


def _seconds(job: wire.Job) -> float:
    match job:
        case wire.Stream() | wire.Fill():
            return job.limits.seconds
        case wire.Choose() | wire.Judge():
            return job.seconds
        case _:
            return float("inf")


def _failure(call: int, error: Exception) -> wire.Failed:
    if isinstance(error, EngineError):
        return wire.Failed(call, "error", str(error))
    log.error("a call failed", exc_info=error)
    return wire.Failed(call, "error", wire.sentence("The language model failed", error))
