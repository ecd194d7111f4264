"""The embedded engine: a queue in the app, the model in a worker process that is restarted when it dies.

Never imports torch. One engine belongs to one event loop. Knows nothing of how tokens are made.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import multiprocessing
from collections import deque
from collections.abc import AsyncGenerator, Coroutine, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from agent.llm import wire
from agent.llm.protocol import CURRENT, Chunk, EngineState, EngineStatus, Filled, Limits, Prompt
from agent.llm.worker import run_worker
from retrieval.errors import EngineBusy, EngineError, EngineTimeout

log = logging.getLogger(__name__)

CHOOSE_SECONDS = 30.0
"""Budget of `choose` and `judge`, which have no limits of their own."""
HANG_SECONDS = 30.0
"""A worker that says nothing for this long after a call's budget is taken for dead."""
ADAPTER_SECONDS = 120.0
"""For loading or switching an adapter."""
TOGETHER = 4
"""Calls that the worker may have at a time: streams decode together, the others go between their steps."""
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.5, 60.0
"""Wait before the first restart; it doubles with each one that does not get ready."""
FAILURES_TO_GIVE_IN = 3
"""After so many deaths in a row the state is "failed"; restarts go on."""
CLOSE_SECONDS = 2.0
"""How long a worker may take to end by itself."""

_calls = itertools.count(1)


class _Ahead(int):
    """So many calls are answered before this one."""


class _Call:
    """One call on its way: waiting, then with the worker."""

    def __init__(self, job: wire.Job, seconds: float, adapter: str | None, named: bool) -> None:
        self.id = next(_calls)
        self.job = job
        self.adapter = adapter
        self.named = named
        """Whether the caller has asked for this adapter and no other."""
        self.seconds = seconds
        self.events: asyncio.Queue[_Ahead | wire.Piece | wire.Done | EngineError] = asyncio.Queue()

    @property
    def is_control(self) -> bool:
        """Adapter calls are done beside the others: neither the queue nor the worker's places are for them."""
        return isinstance(self.job, wire.LoadAdapter | wire.UseAdapter)


class EmbeddedEngine:
    """An `Engine` on transformers in a worker process of our own.

    Args:
        model: a name for `weights.resolve_model`.
        models_dir: where converted and downloaded weights are kept.
        max_queue: calls that may wait; one more gives `EngineBusy`.
        device: "auto", "cpu", "cuda" ...
        threads: of the worker's computations; None is all cores.
        together: calls that the worker may have at a time once its decode kernel is ready; before that it is one.
    """

    def __init__(
        self,
        model: str,
        models_dir: Path,
        *,
        max_queue: int = 16,
        device: str = "auto",
        threads: int | None = None,
        together: int = TOGETHER,
    ) -> None:
        self._args = wire.WorkerArgs(model, models_dir, device, threads, together)
        self._max_queue = max_queue
        self._state: EngineState = "off"
        self._detail = "The language model has not been started."
        self._waiting: deque[_Call] = deque()
        self._running: dict[int, _Call] = {}
        self._places = 1
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._adapters: dict[str, Path] = {}
        self._adapter: str | None = None
        self._failures = 0
        self._closed = False
        self._permanent = False
        self._tasks: set[asyncio.Task[None]] = set()

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the worker and return at once; `status` and `wait_ready` say when it answers."""
        if self._state == "off" and not self._closed:
            self._state, self._detail = "starting", f"The language model {self._args.model!r} is being loaded."
            self._in_background(self._spawn())

    async def wait_ready(self, seconds: float = 300.0) -> None:
        """Return when the model answers.

        Raises:
            EngineError: it failed, or was not ready in time; the message says why.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while self._state != "ready":
            if self._state != "starting":
                raise EngineError(self._detail)
            if asyncio.get_running_loop().time() > deadline:
                raise EngineError(f"The language model was not ready within {seconds:g} s.")
            await asyncio.sleep(0.02)

    async def close(self) -> None:
        """End the worker; calls that wait or run end with `EngineError`. May be called twice."""
        self._closed = True
        self._state, self._detail = "off", "The language model has been stopped."
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail_all(self._detail)
        self._send(wire.Stop())
        await self._reap(CLOSE_SECONDS)

    def status(self) -> EngineStatus:
        """The latest known state; never blocks, never raises."""
        return EngineStatus(self._state, self._args.model, self._adapter, len(self._waiting), self._detail)

    # --- calls ------------------------------------------------------------------------------------

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        """Text as it comes; see `Engine.stream`. The whole answer is `adapter`'s (None: the base model's)."""
        call = self._submit(wire.Stream(prompt, limits), limits.seconds, adapter)
        try:
            while True:
                event = await self._event(call)
                if isinstance(event, _Ahead):
                    yield Chunk(ahead=int(event))
                elif isinstance(event, wire.Piece):
                    yield event.chunk
                elif isinstance(event, wire.Done):
                    return
        finally:
            self._abandon(call)

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        """Log-likelihood of each option; see `Engine.choose`."""
        done = await self._result(wire.Choose(prompt, tuple(options), CHOOSE_SECONDS), CHOOSE_SECONDS, adapter)
        return done.value if isinstance(done.value, tuple) else ()

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        """Log-likelihood of each answer after each ending; see `Engine.judge`."""
        if not endings:
            return ()
        job = wire.Judge(prompt, tuple(endings), tuple(answers), CHOOSE_SECONDS)
        done = await self._result(job, CHOOSE_SECONDS, adapter)
        flat = done.value if isinstance(done.value, tuple) else ()
        return tuple(flat[start : start + len(answers)] for start in range(0, len(flat), len(answers)))

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        """A text that follows the grammar; see `Engine.fill`."""
        done = await self._result(wire.Fill(prompt, grammar, limits), limits.seconds, adapter)
        return done.value if isinstance(done.value, Filled) else Filled("", False)

    async def load_adapter(self, name: str, path: Path) -> None:
        """Check and merge the PEFT LoRA in folder `path`, beside the chats; see `Engine.load_adapter`.

        Raises:
            EngineError: the adapter is refused; the message names what is wrong with it.
        """
        await self._result(wire.LoadAdapter(name, path.resolve()), ADAPTER_SECONDS)

    async def use_adapter(self, name: str | None) -> None:
        """Answer with `name` from the next call on; calls that wait or run already keep the old one.

        Raises:
            EngineError: no such adapter is loaded.
        """
        await self._result(wire.UseAdapter(name), ADAPTER_SECONDS)

    async def list_adapters(self) -> tuple[str, ...]:
        """Names that `use_adapter` accepts, in the order of loading."""
        return tuple(self._adapters)

    # --- the queue --------------------------------------------------------------------------------

    def _submit(self, job: wire.Job, seconds: float, adapter: str | None = CURRENT) -> _Call:
        if self._state in ("off", "failed"):
            raise EngineError(self._detail)
        named = adapter != CURRENT
        call = _Call(job, seconds, adapter if named else self._adapter, named)
        queued = sum(not waiting.is_control for waiting in self._waiting)
        if not call.is_control and queued >= self._max_queue:
            raise EngineBusy(f"{queued} questions wait for the language model already; try again in a moment.")
        self._waiting.append(call)
        self._advance()
        if call.id not in self._running and not call.is_control:
            call.events.put_nowait(_Ahead(queued + any(not one.is_control for one in self._running.values())))
        return call

    def _advance(self) -> None:
        """Hand calls to the worker while it has places, and tell the others how far they are."""
        if self._state != "ready":
            return
        begun = [call for call in self._waiting if call.is_control]
        free = max(0, self._places - sum(not call.is_control for call in self._running.values()))
        chats = [call for call in self._waiting if not call.is_control]
        begun += chats[:free]
        for call in begun:
            self._waiting.remove(call)
            self._running[call.id] = call
            self._send(wire.Request(call.id, call.job, call.adapter))
        if chats[:free]:
            for place, call in enumerate(chats[free:], start=1):
                call.events.put_nowait(_Ahead(place))

    async def _event(self, call: _Call) -> _Ahead | wire.Piece | wire.Done:
        """The next thing that happens to `call`; raises what went wrong."""
        while True:
            try:
                # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with an event.
                async with asyncio.timeout(call.seconds + HANG_SECONDS):
                    event = await call.events.get()
            except TimeoutError:
                if call.id not in self._running:
                    continue  # only a running call can hang; a waiting one is bounded by the calls ahead of it
                self._kill()
                raise EngineTimeout("The language model hangs and is being restarted; try again in a minute.") from None
            if isinstance(event, EngineError):
                raise event
            return event

    async def _result(self, job: wire.Job, seconds: float, adapter: str | None = CURRENT) -> wire.Done:
        call = self._submit(job, seconds, adapter)
        try:
            while not isinstance(event := await self._event(call), wire.Done):
                pass
            return event
        finally:
            self._abandon(call)

    def _abandon(self, call: _Call) -> None:
        """Nobody waits for `call` any more; the worker is free again when it has said so."""
        if call.id in self._running:
            self._send(wire.Cancel(call.id))
        elif call in self._waiting:
            self._waiting.remove(call)

    def _fail_all(self, sentence: str, waiting: bool = True) -> None:
        gone = list(self._running.values())
        self._running.clear()
        if waiting:
            gone += self._waiting
            self._waiting.clear()
        for call in gone:
            call.events.put_nowait(EngineError(sentence))

    # --- the worker -------------------------------------------------------------------------------

    async def _spawn(self, wait: float = 0.0) -> None:
        await asyncio.sleep(wait)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        args = wire.WorkerArgs(
            self._args.model, self._args.models_dir, self._args.device, self._args.threads, self._args.together,
            tuple(self._adapters.items()), self._adapter,
        )  # fmt: skip
        # Daemon: an app that ends without `close` takes the worker with it.
        process = context.Process(target=run_worker, args=(theirs, args), name="language-model", daemon=True)
        starting = asyncio.ensure_future(asyncio.to_thread(process.start))
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            await asyncio.wait([starting])
            self._process = process  # `close` reaps it
            ours.close()
            theirs.close()
            raise
        except (OSError, RuntimeError) as error:  # no memory, no processes left, or a script without a main guard
            ours.close()
            theirs.close()
            reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
            self._permanent = True
            self._state, self._detail = "failed", f"The language model's process could not be started: {reason}"
            self._fail_all(self._detail)
            return
        # Our copy of their end must go: only then does the worker's death close the pipe.
        theirs.close()
        self._process, self._pipe = process, ours
        asyncio.get_running_loop().add_reader(ours.fileno(), self._on_readable, ours)

    def _on_readable(self, pipe: Connection) -> None:
        try:
            while pipe is self._pipe and pipe.poll():
                self._on_report(pipe.recv())
        except (EOFError, OSError):
            self._on_death()

    def _on_report(self, report: wire.Report) -> None:
        match report:
            case wire.Ready():
                self._on_ready(report.lost)
            case wire.Decoding():
                self._places = report.places
                if report.why:
                    log.warning("The language model decodes slowly, without its compiled kernel: %s.", report.why)
                self._advance()
            case wire.Unavailable():
                self._permanent = True
                self._state, self._detail = "failed", report.sentence
                self._fail_all(report.sentence)
            case wire.Piece():
                if report.id in self._running:
                    self._running[report.id].events.put_nowait(report)
            case wire.Done() | wire.Failed():
                self._on_over(report)

    def _on_ready(self, lost: Sequence[str]) -> None:
        """The worker answers; the adapters `lost` could not be loaded again."""
        for name in lost:
            self._adapters.pop(name, None)
        self._state, self._failures, self._detail = "ready", 0, ""
        if self._adapter in lost:
            self._adapter, self._detail = None, "Its adapter could not be loaded again; the base model answers."
        for call in self._waiting:
            if call.adapter in lost and not call.named:
                call.adapter = None
        self._advance()

    def _on_over(self, report: wire.Done | wire.Failed) -> None:
        call = self._running.pop(report.id, None)
        if call is None:
            return
        if isinstance(report, wire.Failed):
            kind = EngineTimeout if report.kind == "timeout" else EngineError
            call.events.put_nowait(kind(report.sentence))
        else:
            if isinstance(call.job, wire.LoadAdapter):
                self._adapters[call.job.name] = call.job.path
            elif isinstance(call.job, wire.UseAdapter):
                self._adapter = call.job.name
                self._detail = ""  # of an adapter that was lost
            call.events.put_nowait(report)
        self._advance()

    def _on_death(self) -> None:
        """The pipe is closed: the worker is gone. Calls with it fail, the others wait for the next one."""
        self._close_pipe()
        self._places = 1
        if self._closed or self._permanent:
            self._in_background(self._reap(CLOSE_SECONDS))
            return
        wait = min(FIRST_BACKOFF_S * 2**self._failures, LAST_BACKOFF_S)
        self._failures += 1
        hopeless = self._failures >= FAILURES_TO_GIVE_IN
        self._state = "failed" if hopeless else "starting"
        self._detail = f"The language model's process ended unexpectedly and is started again in {wait:g} s."
        log.warning("%s", self._detail)
        self._fail_all(
            "The language model's process ended in the middle of the answer; it is being restarted.", hopeless
        )
        self._in_background(self._restart(wait))

    async def _restart(self, wait: float) -> None:
        await self._reap(CLOSE_SECONDS)
        await self._spawn(wait)

    def _send(self, message: wire.Request | wire.Cancel | wire.Stop) -> None:
        if self._pipe is not None:
            # A worker that has just died is noticed by the reader of the pipe.
            with contextlib.suppress(OSError):
                self._pipe.send(message)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()
            self._pipe = None

    async def _reap(self, seconds: float) -> None:
        """Wait for the process to end, with force after `seconds`; leaves no zombie."""
        process, self._process = self._process, None
        self._close_pipe()
        if process is None or process.pid is None:
            return
        await asyncio.to_thread(process.join, seconds)
        if process.is_alive():
            process.kill()
            await asyncio.to_thread(process.join)
        process.close()

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
