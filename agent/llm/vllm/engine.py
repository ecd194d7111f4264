"""The vLLM engine: a line in the app, the model in a vLLM server of our own or at an address.

Prompts are rendered to token ids and answers are turned into text by the code that the embedded engine uses, so both
read and show the same. One engine belongs to one event loop. Never imports torch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from agent.llm.detokenize import TextFlow
from agent.llm.protocol import CURRENT, Chunk, EngineState, EngineStatus, Filled, Limits, Prompt
from agent.llm.vllm.backend import Backend
from agent.llm.vllm.client import Sampling, Tokens
from agent.llm.vllm.line import Line
from agent.llm.vllm.reading import ModelText
from agent.llm.vllm.routing import Lease
from retrieval.errors import ChatalogueError, EngineError, EngineTimeout

log = logging.getLogger(__name__)

CHOOSE_SECONDS = 30.0
"""Budget of `choose` and `judge`, which have no limits of their own."""
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.5, 60.0
"""Wait before the first restart; it doubles with each one that does not get ready."""
FAILURES_TO_GIVE_IN = 3
"""After so many failures in a row the state is "failed"; restarts go on."""
READY_POLL_SECONDS = 0.02

T = TypeVar("T")


class VLLMEngine:
    """An `Engine` on vLLM, which batches: many calls run at once.

    Args:
        model: what `status` calls it.
        backend: the server and what it takes to bring it up; belongs to the engine from now on.
        at_once: calls that run at the same time; more would only wait inside vLLM, unseen.
        max_queue: calls that may wait; one more gives `EngineBusy`.
    """

    def __init__(self, model: str, backend: Backend, *, at_once: int = 16, max_queue: int = 16) -> None:
        self._model = model
        self._backend = backend
        self._line = Line(at_once, max_queue)
        self._state: EngineState = "off"
        self._detail = "The language model has not been started."
        self._life: asyncio.Task[None] | None = None
        self._running: set[asyncio.Timeout] = set()
        self._reading = ThreadPoolExecutor(1, "prompt-renderer")  # tokenizers are not made for two threads
        self._was_ready = False

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start in the background and return at once; `status` and `wait_ready` say when it answers."""
        if self._life is None and self._state == "off":
            self._state, self._detail = "starting", f"The language model {self._model!r} is being loaded."
            self._life = asyncio.get_running_loop().create_task(self._live())

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
                raise EngineError(f"The language model was not ready within {seconds:g} s. {self._detail}")
            await asyncio.sleep(READY_POLL_SECONDS)

    async def close(self) -> None:
        """Stop; calls that wait or run end with `EngineError`. May be called twice."""
        self._turn_away("off", "The language model has been stopped.")
        for timeout in self._running:
            with suppress(RuntimeError):  # it has just run out
                timeout.reschedule(0)  # in the past
        if self._life is not None:
            self._life.cancel()
            await asyncio.gather(self._life, return_exceptions=True)
        await self._backend.close()
        self._reading.shutdown(wait=False)

    def status(self) -> EngineStatus:
        """The latest known state; never blocks, never raises."""
        return EngineStatus(self._state, self._model, self._backend.adapter, self._line.waiting, self._detail)

    async def _live(self) -> None:
        """Keep the server up until the engine is closed, or until nothing more can be done."""
        try:
            failures = 0
            while True:
                failures = await self._one_life(failures)
                await self._backend.clear_away()
                await asyncio.sleep(min(FIRST_BACKOFF_S * 2**failures, LAST_BACKOFF_S))
        except ChatalogueError as error:
            self._turn_away("failed", str(error))
        except Exception as error:  # a fault of ours must be seen in `status`, not only when the app ends
            log.exception("the vLLM engine failed")
            self._turn_away("failed", f"The language model failed ({type(error).__name__}: {error}).")
        await self._backend.clear_away()

    async def _one_life(self, failures: int) -> int:
        """Bring the server up and watch it until it is gone; how often in a row it did not come up.

        Raises:
            ChatalogueError: trying again without a change is useless.
        """
        try:
            lost = await self._backend.come_up()
        except EngineError as error:
            if self._backend.is_ours and not self._was_ready:  # too little memory, a wrong flag
                raise
            self._on_trouble(str(error), failures + 1)
            return failures + 1
        self._was_ready = True
        self._state = "ready"
        self._detail = f"Adapters could not be loaded again: {', '.join(lost)}." if lost else ""
        self._line.open()
        await self._backend.wait_gone()
        self._line.shut()
        self._on_trouble("The language model's server is gone.", failures=0)
        # Its restart takes a minute: a customer is served better by templates at once.
        self._line.dismiss(EngineError(self._detail))
        return 0

    def _on_trouble(self, reason: str, failures: int) -> None:
        what = "It is started again." if self._backend.is_ours else "It is asked again until it answers."
        log.warning("%s %s", reason, what)
        if failures >= FAILURES_TO_GIVE_IN:
            self._turn_away("failed", f"{reason} {what}")
        else:
            self._state, self._detail = "starting", f"{reason} {what}"

    def _turn_away(self, state: EngineState, detail: str) -> None:
        self._state, self._detail = state, detail
        self._line.shut()
        self._line.dismiss(EngineError(detail))

    # --- calls ------------------------------------------------------------------------------------

    async def stream(
        self, prompt: Prompt, limits: Limits, adapter: str | None = CURRENT
    ) -> AsyncGenerator[Chunk, None]:
        """Text as it comes; see `Engine.stream`."""
        async with aclosing(self._wait_in_line()) as places:
            async for place in places:
                yield Chunk(ahead=place)
        try:
            async with aclosing(self._answer(prompt, limits, adapter)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            self._line.leave()

    async def choose(self, prompt: Prompt, options: Sequence[str], adapter: str | None = CURRENT) -> tuple[float, ...]:
        """Log-likelihood of each option, the sum over all its tokens; see `Engine.choose`.

        Each option is read behind the whole prompt and vLLM tells the probability of every token of it. That is exact;
        comparing first tokens is not, for options may begin alike or have many tokens. vLLM does not take prompts from
        its cache for this, so the time grows with the number of options; they go in one batch.
        """
        if not options:
            return ()

        async def score(lease: Lease, text: ModelText, deadline: float) -> tuple[float, ...]:
            encoded = text.renderer.encode_options(options, text.context)
            ids = await self._ids(prompt, text, max(map(len, encoded)))
            prompts = [[*ids, *option] for option in encoded]
            async with self._until(deadline):
                told = await lease.client.prompt_logprobs(lease.model, prompts)
            return tuple(sum(row[len(ids) :]) for row in told)

        return await self._in_turn(score, CHOOSE_SECONDS, adapter)

    async def judge(
        self, prompt: Prompt, endings: Sequence[str], answers: Sequence[str], adapter: str | None = CURRENT
    ) -> tuple[tuple[float, ...], ...]:
        """Log-likelihood of each answer after each ending; see `Engine.judge`.

        vLLM tells it of the one token that it makes, so the prompt is taken from its cache where it has it.
        """
        if not endings:
            return ()

        async def score(lease: Lease, text: ModelText, deadline: float) -> tuple[tuple[float, ...], ...]:
            asked = text.renderer.encode_answers(answers)
            encoded = text.renderer.encode_endings(endings, text.context)
            ids = await self._ids(prompt, text, max(map(len, encoded)) + 1)
            async with self._until(deadline):
                return await lease.client.next_logprobs(lease.model, [[*ids, *ending] for ending in encoded], asked)

        return await self._in_turn(score, CHOOSE_SECONDS, adapter)

    async def fill(self, prompt: Prompt, grammar: str, limits: Limits, adapter: str | None = CURRENT) -> Filled:
        """A text that follows the grammar; see `Engine.fill`.

        An answer that `limits` cut off is never complete here, even where the grammar might have ended at that token.
        """

        async def answer(lease: Lease, text: ModelText, deadline: float) -> Filled:
            ids = await self._ids(prompt, text, limits.max_tokens)
            # One more, for the token that says the end.
            sampling = replace(self._sampling(limits, text, len(ids), extra=1), grammar=grammar)
            made: list[int] = []
            finish: str | None = None
            try:
                async with aclosing(lease.client.complete(lease.model, ids, sampling)) as pieces:
                    while finish is None:
                        piece = await self._next(pieces, deadline)
                        made += (token for token in piece.ids if token not in text.stop_ids)
                        finish = piece.finish
            except TimeoutError:
                finish = "timeout"
            made, whole = made[: limits.max_tokens], len(made) <= limits.max_tokens
            return Filled(text.renderer.decode(made), finish == "stop" and whole, len(ids), len(made))

        return await self._in_turn(answer, limits.seconds, adapter)

    async def load_adapter(self, name: str, path: Path) -> None:
        """Check the PEFT LoRA in folder `path` and load it; see `Engine.load_adapter`.

        Raises:
            EngineError: the adapter is refused; the message names what is wrong with it.
        """
        await self._come_to_life()
        await self._backend.router.load(name, path.resolve())
        self._mended()

    async def use_adapter(self, name: str | None) -> None:
        """Answer with `name` from the next call on; calls that run keep the old one.

        Raises:
            EngineError: no such adapter is loaded.
        """
        await self._come_to_life()
        await self._backend.router.use(name)
        self._mended()

    async def list_adapters(self) -> tuple[str, ...]:
        """Names that `use_adapter` accepts, in the order of loading."""
        return self._backend.names

    # --- one call ---------------------------------------------------------------------------------

    async def _wait_in_line(self) -> AsyncGenerator[int, None]:
        """Places in the line until the call may run; then it must `leave`."""
        if self._state in ("off", "failed"):
            raise EngineError(self._detail)
        async with aclosing(self._line.enter()) as places:
            async for place in places:
                yield place

    async def _in_turn(
        self, work: Callable[[Lease, ModelText, float], Awaitable[T]], seconds: float, adapter: str | None
    ) -> T:
        """Do `work` when its turn has come, with the time on the loop's clock by which it must be done.

        Raises:
            EngineTimeout: it was not.
        """
        async with aclosing(self._wait_in_line()) as places:
            async for _ in places:
                pass
        try:
            deadline = asyncio.get_running_loop().time() + seconds
            async with self._leased(deadline, adapter) as lease:
                return await work(lease, self._backend.text, deadline)
        except TimeoutError:
            raise EngineTimeout(f"The model did not finish within {seconds:g} s.") from None
        finally:
            self._line.leave()

    async def _answer(self, prompt: Prompt, limits: Limits, adapter: str | None) -> AsyncGenerator[Chunk, None]:
        deadline = asyncio.get_running_loop().time() + limits.seconds
        text = self._backend.text
        flow = TextFlow(text.renderer.decode, limits.stop)
        made = 0
        finish: Literal["stop", "length", "timeout"] | None = None
        ids = await self._ids(prompt, text, limits.max_tokens)
        sampling = self._sampling(limits, text, len(ids))
        try:
            async with (
                self._leased(deadline, adapter) as lease,
                aclosing(lease.client.complete(lease.model, ids, sampling)) as pieces,
            ):
                while finish is None:
                    piece = await self._next(pieces, deadline)
                    ends = [n for n, token in enumerate(piece.ids) if token in text.stop_ids]
                    spoken = piece.ids[: ends[0]] if ends else piece.ids
                    made += len(spoken) + bool(ends)
                    if said := "".join(map(flow.push, spoken)):
                        yield Chunk(said, prompt_tokens=len(ids), completion_tokens=made)
                    finish = "stop" if ends or flow.stopped else piece.finish
        except TimeoutError:
            finish = "timeout"
        yield Chunk(flow.finish(), finish=finish, prompt_tokens=len(ids), completion_tokens=made)

    @asynccontextmanager
    async def _leased(self, deadline: float, adapter: str | None) -> AsyncIterator[Lease]:
        """The router's lease; the wait for it is part of the call's time."""
        async with AsyncExitStack() as held:
            async with self._until(deadline):
                lease = await held.enter_async_context(self._backend.router.lease(adapter))
            yield lease

    async def _ids(self, prompt: Prompt, text: ModelText, room: int) -> tuple[int, ...]:
        if self._state == "off":
            raise EngineError(self._detail)
        loop = asyncio.get_running_loop()
        ids = await loop.run_in_executor(self._reading, text.renderer.fit_answer, prompt, text.context, room)
        self._backend.histories.note(ids)
        return ids

    def _sampling(self, limits: Limits, text: ModelText, prompt_tokens: int, extra: int = 0) -> Sampling:
        room = text.context - prompt_tokens
        stop = tuple(sorted(text.stop_ids))
        most = min(limits.max_tokens, room) + extra
        return Sampling(most, temperature=limits.temperature, seed=limits.seed, stop_ids=stop)

    async def _next(self, pieces: AsyncGenerator[Tokens, None], deadline: float) -> Tokens:
        # Only the wait for vLLM is timed: an iterator must not be interrupted while its caller holds it.
        async with self._until(deadline):
            return await anext(pieces)

    @asynccontextmanager
    async def _until(self, deadline: float) -> AsyncIterator[None]:
        """TimeoutError at `deadline`; EngineError when the engine is closed meanwhile."""
        try:
            # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with a result.
            async with asyncio.timeout_at(deadline) as running:
                self._running.add(running)
                try:
                    yield
                finally:
                    self._running.discard(running)
        except TimeoutError:
            if self._state == "off":
                raise EngineError(self._detail) from None
            raise

    def _mended(self) -> None:
        """An adapter was loaded or put to use: what was said of lost ones is over."""
        if self._state == "ready":
            self._detail = ""

    async def _come_to_life(self) -> None:
        """Return when adapters can be loaded.

        Raises:
            EngineError: the engine is off or has failed.
        """
        while self._state == "starting":
            await asyncio.sleep(READY_POLL_SECONDS)
        if self._state != "ready":
            raise EngineError(self._detail)
