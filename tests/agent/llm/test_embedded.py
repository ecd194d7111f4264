from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
import pytest_asyncio
from llm_chat import CHAT, READY_SECONDS

from agent.llm.embedded import CLOSE_SECONDS, HANG_SECONDS, EmbeddedEngine
from agent.llm.protocol import Chunk, Engine, Limits, Message, Prompt
from agent.rank.judged import asking
from agent.rank.llm import WAYS, RankSkill, Way
from retrieval.errors import EngineBusy, EngineError
from retrieval.items import Item

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = Limits(max_tokens=900, seconds=600, temperature=1.5)
"""At this temperature the tiny model practically never draws one of the 17 control tokens of 49,152 early.

As long as the context allows: what is done after the first words finds the answer under way on a quick machine, too.
"""
PATIENCE_SECONDS = 120.0
"""For what takes no time on a machine that is free."""
SHORT = Limits(max_tokens=3)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def small(tiny_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedEngine]:
    """An engine on the tiny model; a test that kills its worker waits until it is back."""
    engine = EmbeddedEngine(
        str(tiny_dir), tmp_path_factory.mktemp("m"), max_queue=2, device="cpu", threads=1, together=1
    )
    await engine.start()
    await engine.wait_ready(READY_SECONDS)
    yield engine
    await engine.close()


async def collect(engine: Engine, limits: Limits = SHORT, prompt: Prompt = CHAT) -> list[Chunk]:
    return [chunk async for chunk in engine.stream(prompt, limits)]


def text(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


async def first_text(stream: AsyncIterator[Chunk]) -> Chunk:
    async for chunk in stream:
        if chunk.text:
            return chunk
    raise AssertionError("no text came")


async def drain(stream: AsyncIterator[Chunk]) -> None:
    async for _ in stream:
        pass


def pid(engine: EmbeddedEngine) -> int:
    assert engine._process is not None
    assert engine._process.pid is not None
    return engine._process.pid


def is_alive(process: int) -> bool:
    """Running; a zombie counts, for nobody has waited for it."""
    return Path(f"/proc/{process}").exists()


class TestOnSmol:
    async def test_stream(self, engine: EmbeddedEngine) -> None:
        chunks = await collect(
            engine, Limits(max_tokens=30), Prompt((Message("user", "What is the capital of France?"),))
        )
        assert "Paris" in text(chunks)
        assert [chunk.finish for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        assert chunks[-1].finish == "stop"
        assert chunks[-1].prompt_tokens > 10
        assert len(chunks) > 3
        assert engine.status().state == "ready"

    async def test_choose(self, engine: EmbeddedEngine) -> None:
        prompt = Prompt((Message("user", "What is the capital of France?"),), prefill="The capital of France is")
        scores = await engine.choose(prompt, [" banana", " Paris", " Berlin"])
        assert max(scores) == scores[1]
        assert all(score < 0 for score in scores)

    async def test_fill(self, engine: EmbeddedEngine) -> None:
        filled = await engine.fill(CHAT, 'root ::= "genre: " [a-z]{1,10} "\\n"\n', Limits(max_tokens=24))
        assert filled.complete
        assert re.fullmatch(r"genre: [a-z]{1,10}\n", filled.text)


async def test_the_app_never_imports_torch() -> None:
    code = "import sys, agent.llm.embedded; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


class TestQueue:
    async def test_says_how_many_are_ahead_in_the_order_of_asking(self, small: EmbeddedEngine) -> None:
        ended: list[int] = []

        async def ask(number: int) -> list[Chunk]:
            chunks = await collect(small, Limits(max_tokens=30, temperature=1.5))
            ended.append(number)
            return chunks

        answers = await asyncio.gather(*(ask(number) for number in range(3)))
        assert ended == [0, 1, 2]
        assert [[c.ahead for c in answer if c.ahead] for answer in answers] == [[], [1], [2, 1]]
        assert small.status().queued == 0

    async def test_one_more_than_fits_is_told_at_once(self, small: EmbeddedEngine) -> None:
        running = [asyncio.create_task(collect(small, Limits(max_tokens=60, temperature=1.5))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(EngineBusy, match="2 questions wait"):
            await small.choose(CHAT, ["a"])
        assert small.status().queued == 2
        assert all(chunks[-1].finish for chunks in await asyncio.gather(*running))

    async def test_a_cancelled_waiter_leaves_the_queue(self, small: EmbeddedEngine) -> None:
        running = asyncio.create_task(collect(small, Limits(max_tokens=40, temperature=1.5)))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(small.choose(CHAT, [" a"]))
        await asyncio.sleep(0)
        assert small.status().queued == 1
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert small.status().queued == 0
        assert (await running)[-1].finish


class TestCancel:
    @pytest.mark.parametrize("how", ["close", "cancel"])
    async def test_the_model_stops_at_the_next_token(self, small: EmbeddedEngine, how: str) -> None:
        """The call would take much longer; the next one is answered after a few steps of the model."""
        waited = []
        for _ in range(3):  # for the machine itself may pause
            stream = small.stream(CHAT, LONG)
            await first_text(stream)
            if how == "close":
                await stream.aclose()  # type: ignore[attr-defined]
            else:
                task = asyncio.create_task(drain(stream))
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            start = time.monotonic()
            await small.choose(CHAT, [" a"])
            waited.append(time.monotonic() - start)
        start = time.monotonic()
        whole = await collect(small, Limits(max_tokens=300, seconds=600, temperature=1.5))
        assert whole[-1].finish in ("length", "stop")
        assert min(waited) < (time.monotonic() - start) / 2

    async def test_the_queue_moves_on(self, small: EmbeddedEngine) -> None:
        stream = small.stream(CHAT, LONG)
        await first_text(stream)
        other = asyncio.create_task(collect(small))
        await asyncio.sleep(0)
        await stream.aclose()  # type: ignore[attr-defined]
        assert (await asyncio.wait_for(other, PATIENCE_SECONDS))[-1].finish


async def test_seconds_end_an_answer(small: EmbeddedEngine) -> None:
    chunks = await collect(small, Limits(max_tokens=900, seconds=0.02, temperature=1.5))
    assert chunks[-1].finish == "timeout"


async def test_errors_are_sentences_and_the_engine_goes_on(small: EmbeddedEngine) -> None:
    with pytest.raises(EngineError, match="grammar cannot be read"):
        await small.fill(CHAT, "root ::= nothing", SHORT)
    with pytest.raises(EngineError, match="The option"):
        await small.choose(CHAT, [""])
    assert (await collect(small))[-1].finish


class TestAdapters:
    async def test_switch_and_back(self, small: EmbeddedEngine, tiny_lora: Path) -> None:
        base = await small.choose(CHAT, [" a", " film"])
        await small.load_adapter("ada-1", tiny_lora)
        assert await small.choose(CHAT, [" a", " film"]) == base
        await small.use_adapter("ada-1")
        assert small.status().adapter == "ada-1"
        changed = await small.choose(CHAT, [" a", " film"])
        assert changed != base
        await small.use_adapter(None)
        assert await small.choose(CHAT, [" a", " film"]) == base
        assert await small.list_adapters() == ("ada-1",)

    async def test_refusals(self, small: EmbeddedEngine, tmp_path: Path) -> None:
        with pytest.raises(EngineError, match="No such file"):
            await small.load_adapter("ada-2", tmp_path)
        with pytest.raises(EngineError, match="No adapter 'ada-2' is loaded"):
            await small.use_adapter("ada-2")


async def test_a_killed_worker_fails_its_call_at_once_and_comes_back_as_it_was(
    small: EmbeddedEngine, tiny_lora: Path
) -> None:
    await small.load_adapter("ada-kept", tiny_lora)
    await small.use_adapter("ada-kept")
    before = await small.choose(CHAT, [" a", " film"])
    stream = small.stream(CHAT, LONG)
    await first_text(stream)
    waiting = asyncio.create_task(small.choose(CHAT, [" a", " film"]))
    await asyncio.sleep(0)
    dead = pid(small)
    os.kill(dead, signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(EngineError, match="is being restarted"):
        await drain(stream)
    assert time.monotonic() - start < HANG_SECONDS  # its end is noticed, not its silence
    assert small.status().state == "starting"
    assert "started again in 0.5 s" in small.status().detail
    assert await asyncio.wait_for(waiting, READY_SECONDS) == before  # by the next worker, with the same adapter
    assert (small.status().state, small.status().adapter) == ("ready", "ada-kept")
    assert "ada-kept" in await small.list_adapters()
    assert not is_alive(dead)
    await small.use_adapter(None)


async def test_what_a_call_named_is_gone_after_a_crash_and_nothing_else_answers_it(
    small: EmbeddedEngine, tiny_lora: Path, tmp_path: Path
) -> None:
    """The calls that named nothing go on with the base model, and the engine says so until an adapter is put to use."""
    folder = shutil.copytree(tiny_lora, tmp_path / "lora")
    await small.load_adapter("ada-lost", folder)
    await small.use_adapter("ada-lost")
    shutil.rmtree(folder)
    os.kill(pid(small), signal.SIGKILL)
    while small.status().state == "ready":
        await asyncio.sleep(0.01)
    named, other = (asyncio.create_task(small.choose(CHAT, [" a"], **more)) for more in ({"adapter": "ada-lost"}, {}))
    with pytest.raises(EngineError, match="No adapter 'ada-lost' is loaded"):
        await asyncio.wait_for(named, READY_SECONDS)
    assert await asyncio.wait_for(other, READY_SECONDS) == await small.choose(CHAT, [" a"], adapter=None)
    assert "could not be loaded again" in small.status().detail
    await small.use_adapter(None)
    assert small.status().detail == ""


class TestLife:
    async def test_a_model_that_cannot_be_had(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        engine = EmbeddedEngine("no/such/model", tmp_path)
        with pytest.raises(EngineError, match="has not been started"):
            await collect(engine)
        await engine.start()
        assert engine.status().state == "starting"
        with pytest.raises(EngineError, match="CHATALOGUE_LLM__MODEL"):
            await engine.wait_ready(READY_SECONDS)
        assert engine.status().state == "failed"
        assert "\n" not in engine.status().detail
        with pytest.raises(EngineError, match="CHATALOGUE_LLM__MODEL"):
            await collect(engine)
        await engine.close()
        assert capfd.readouterr() == ("", "")

    async def test_close_ends_calls_and_process_and_is_quiet(
        self, tiny_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        engine = EmbeddedEngine(str(tiny_dir), tmp_path, device="cpu", threads=1)
        await engine.start()
        streams = [engine.stream(CHAT, LONG) for _ in range(2)]
        begun = [asyncio.create_task(first_text(stream)) for stream in streams]  # they wait for the model
        await engine.wait_ready(READY_SECONDS)
        await begun[0]  # the other one waits for its turn
        process = pid(engine)
        start = time.monotonic()
        await engine.close()
        await engine.close()
        assert time.monotonic() - start < CLOSE_SECONDS + PATIENCE_SECONDS
        assert not is_alive(process)
        for call in (drain(streams[0]), begun[1]):
            with pytest.raises(EngineError, match="stopped"):
                await call
        assert engine.status().state == "off"
        assert capfd.readouterr() == ("", "")

    async def test_close_while_loading(self, tiny_dir: Path, tmp_path: Path) -> None:
        engine = EmbeddedEngine(str(tiny_dir), tmp_path)
        await engine.start()
        await asyncio.sleep(0.3)
        start = time.monotonic()
        await engine.close()
        assert time.monotonic() - start < CLOSE_SECONDS + PATIENCE_SECONDS


APP = """
import asyncio, json, os, pathlib, sys
from agent.llm.embedded import EmbeddedEngine

async def main():
    engine = EmbeddedEngine({model!r}, pathlib.Path({folder!r}), device="cpu", threads=1)
    await engine.start()
    while engine._process is None:
        await asyncio.sleep(0.01)
    sys.stdout.write(json.dumps(engine._process.pid) + "\\n")
    sys.stdout.flush()
    if {wait}:
        await asyncio.sleep(600)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("end", ["exits without close", "is killed"])
async def test_the_worker_ends_with_the_app(end: str, tiny_dir: Path, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(APP.format(model=str(tiny_dir), folder=str(tmp_path), wait=end == "is killed"))
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    app = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=subprocess.PIPE, env=env)
    assert app.stdout is not None
    worker = json.loads(await asyncio.wait_for(app.stdout.readline(), READY_SECONDS))
    if end == "is killed":
        assert is_alive(worker)
        app.kill()
    await asyncio.wait_for(app.wait(), PATIENCE_SECONDS)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while is_alive(worker):
            await asyncio.sleep(0.05)


async def test_a_process_that_cannot_be_started_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: SpawnProcess) -> None:
        raise OSError("Resource temporarily unavailable")

    monkeypatch.setattr(SpawnProcess, "start", refuse)
    engine = EmbeddedEngine("anything", tmp_path)
    await engine.start()
    with pytest.raises(EngineError, match="could not be started: Resource temporarily unavailable"):
        await engine.wait_ready(5)
    assert engine.status().state == "failed"
    await engine.close()


@pytest.mark.parametrize("way", WAYS)
async def test_a_shortlist_is_judged_from_a_thread(small: EmbeddedEngine, way: Way) -> None:
    """As ranking asks for it: each film gets a number of its own, the same one each time."""
    films = [Item(str(n), f"Film number {n}", f"A story of {n} friends.") for n in range(5)]
    skill = RankSkill(small, way=way, seconds=60)
    ask = asking(skill, ("Something about friends?",))
    numbers = await asyncio.to_thread(ask, films)
    assert numbers is not None
    assert len(set(numbers)) == 5
    assert numbers == pytest.approx(await skill.score(("Something about friends?",), films), abs=1e-4)
