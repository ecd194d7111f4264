"""How calls of the engine end, and that iterators keep their context."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar, copy_context

import pytest
from observe_types import Sample
from talking import ScriptedEngine

from agent.llm.protocol import CURRENT, Chunk, Filled, Limits, Message, Prompt
from agent.observe.engine import ObservedEngine
from agent.observe.observer import Observer, in_context
from retrieval.errors import EngineTimeout

PROMPT = Prompt((Message("user", "Say yes."),))


def observed(engine: ScriptedEngine, observer: Observer) -> ObservedEngine:
    return ObservedEngine(engine, observer, "scripted")


async def test_a_stream_read_to_its_end(observer: Observer, sample: Sample) -> None:
    engine = ScriptedEngine("Yes", ".", last=Chunk(finish="stop", prompt_tokens=11, completion_tokens=2))
    async with aclosing(observed(engine, observer).stream(PROMPT, Limits())) as chunks:
        assert [chunk.text async for chunk in chunks] == ["Yes", ".", ""]
    assert sample("chatalogue_engine_calls_total", outcome="ok", skill="other") == 1
    assert sample("chatalogue_engine_input_tokens_total") == 11
    assert sample("chatalogue_engine_output_tokens_total") == 2


async def test_a_reader_that_had_enough(observer: Observer, sample: Sample) -> None:
    engine = ScriptedEngine("Yes", ".")
    async with aclosing(observed(engine, observer).stream(PROMPT, Limits())) as chunks:
        await anext(chunks)
    assert engine.closed == 1
    assert sample("chatalogue_engine_calls_total", outcome="closed") == sample("chatalogue_engine_calls_total") == 1


@pytest.mark.parametrize("how", ["engine", "chunk", "reader"])
async def test_too_slow(observer: Observer, sample: Sample, how: str) -> None:
    """Whoever looks at the clock: the engine, in either way, or the reader who gives the call up."""
    if how == "engine":
        with pytest.raises(EngineTimeout):
            await anext(observed(ScriptedEngine(EngineTimeout("Slow.")), observer).stream(PROMPT, Limits()))
        assert sample("chatalogue_engine_errors_total", error="EngineTimeout") == 1
    elif how == "chunk":
        engine = ScriptedEngine("Yes", last=Chunk(finish="timeout"))
        async with aclosing(observed(engine, observer).stream(PROMPT, Limits())) as chunks:
            _ = [chunk async for chunk in chunks]
    else:
        engine = ScriptedEngine(gate=asyncio.Event())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(observed(engine, observer).stream(PROMPT, Limits(seconds=0.2)))
    assert sample("chatalogue_engine_calls_total", outcome="timeout") == sample("chatalogue_engine_calls_total") == 1


async def test_a_filled_form(observer: Observer, sample: Sample) -> None:
    engine = observed(ScriptedEngine(filled=Filled("none", True, 5, 1)), observer)
    assert (await engine.fill(PROMPT, 'root ::= "none"', Limits())).text == "none"
    assert sample("chatalogue_engine_calls_total", outcome="ok") == 1
    assert (sample("chatalogue_engine_input_tokens_total"), sample("chatalogue_engine_output_tokens_total")) == (5, 1)


async def test_a_choice(observer: Observer, sample: Sample) -> None:
    assert await observed(ScriptedEngine(scores=[(-1.0, -2.0)]), observer).choose(PROMPT, ("a", "b")) == (-1.0, -2.0)
    assert sample("chatalogue_engine_calls_total", outcome="ok") == 1


async def test_the_adapter_that_a_call_names_is_handed_on(observer: Observer) -> None:
    scripted = ScriptedEngine("Yes", scores=[(-1.0,)], filled=Filled("none", True))
    engine = observed(scripted, observer)
    _ = [chunk async for chunk in engine.stream(PROMPT, Limits(), "ada-1")]
    await engine.choose(PROMPT, ("a",), None)
    await engine.fill(PROMPT, 'root ::= "none"', Limits())
    assert scripted.adapters == ["ada-1", None, CURRENT]


place: ContextVar[str] = ContextVar("place", default="outside")


class TestInContext:
    """An iterator that binds something, read by somebody else."""

    async def _bound(self, log: list[str]) -> AsyncGenerator[str, None]:
        token = place.set("inside")
        try:
            async with asyncio.timeout(60):
                for _ in range(3):
                    await asyncio.sleep(0)
                    log.append(await asyncio.to_thread(place.get))
                    yield place.get()
        finally:
            await asyncio.sleep(0)
            log.append(place.get())
            place.reset(token)

    async def test_what_it_binds_stays_with_it(self) -> None:
        log: list[str] = []
        async with aclosing(in_context(self._bound(log), copy_context())) as updates:
            async for update in updates:
                assert (update, place.get()) == ("inside", "outside")
        assert log == ["inside"] * 4

    async def test_another_task_closes_it(self) -> None:
        log: list[str] = []
        updates = in_context(self._bound(log), copy_context())
        await anext(updates)
        await asyncio.create_task(updates.aclose())
        assert log == ["inside"] * 2

    async def test_cancellation_reaches_it(self) -> None:
        ended: list[type[BaseException]] = []

        async def waits() -> AsyncGenerator[str, None]:
            try:
                yield "begun"
                await asyncio.Event().wait()
            except BaseException as error:
                ended.append(type(error))
                raise

        async def read() -> None:
            async with aclosing(in_context(waits(), copy_context())) as updates:
                async for _ in updates:
                    pass

        task = asyncio.create_task(read())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [asyncio.CancelledError]
