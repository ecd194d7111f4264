"""The engine with a server of its own: it comes up, is killed, comes back, and never outlives the app."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio
from llm_chat import CHAT

from agent.llm.protocol import Chunk, Engine, Limits
from agent.llm.vllm import guard
from agent.llm.vllm.backend import Backend, Place
from agent.llm.vllm.client import VLLMClient
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.server import VLLMServer
from agent.settings import VLLMSettings
from retrieval.errors import EngineBusy, EngineError, EngineTimeout

pytestmark = pytest.mark.asyncio(loop_scope="session")

LONG = Limits(max_tokens=2_000, seconds=120, temperature=2.0)
"""Drawn so freely that no word for the end comes up: at 1.5 answers ended after 56 tokens."""
SHORT = Limits(max_tokens=3)
START_SECONDS = 500.0
PATIENCE_SECONDS = 120.0
"""For what takes no time on a machine that is free."""
SETTINGS = VLLMSettings(max_num_seqs=4, kv_cache_gib=1, gpu_memory_utilization=0.2, compile=False)


async def collect(engine: Engine, limits: Limits = SHORT) -> list[Chunk]:
    return [chunk async for chunk in engine.stream(CHAT, limits)]


async def first_text(stream: AsyncIterator[Chunk]) -> Chunk:
    async for chunk in stream:
        if chunk.text:
            return chunk
    raise AssertionError("no text came")


def children(process: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()}


def descendants(process: int) -> set[int]:
    """Of a process, however deep."""
    below = children(process)
    return below.union(*(descendants(child) for child in below))


def alive(processes: set[int]) -> set[int]:
    """Those that run; a zombie has ended, whoever forgets to wait for it."""
    running = set()
    for process in processes:
        stat = Path(f"/proc/{process}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            running.add(process)
    return running


async def all_gone(processes: set[int]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while alive(processes):
            await asyncio.sleep(0.05)


class TestQueue:
    """Of the engine on the shared server: two calls at once, two wait."""

    async def test_who_waits_hears_the_place_and_one_more_is_refused(self, vllm_engine: VLLMEngine) -> None:
        running = [vllm_engine.stream(CHAT, LONG) for _ in range(2)]
        for stream in running:
            await first_text(stream)
        waiting = [asyncio.create_task(collect(vllm_engine)) for _ in range(2)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while vllm_engine.status().queued < 2:
                await asyncio.sleep(0.01)
        with pytest.raises(EngineBusy, match="2 questions wait"):
            await vllm_engine.choose(CHAT, ["a"])
        for stream in running:
            await stream.aclose()
        answers = await asyncio.gather(*waiting)
        assert [[chunk.ahead for chunk in answer if chunk.ahead] for answer in answers] == [[1], [2, 1]]
        assert all(answer[-1].finish == "length" for answer in answers)

    async def test_calls_run_together(self, vllm_engine: VLLMEngine, client: VLLMClient) -> None:
        async def ask_on() -> None:
            while True:  # an answer that is drawn may end soon
                await collect(vllm_engine, LONG)

        asking = [asyncio.create_task(ask_on()) for _ in range(2)]
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await client.metric("vllm:num_requests_running") != 2:
                await asyncio.sleep(0.02)
        for task in asking:
            task.cancel()
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*asking, return_exceptions=True)
        )

    @pytest.mark.parametrize("how", ["close", "cancel", "seconds"])
    async def test_a_call_that_ends_early_ends_in_vllm(
        self, vllm_engine: VLLMEngine, client: VLLMClient, how: str
    ) -> None:
        """It would run for minutes; vLLM itself says that it has stopped."""
        stream = vllm_engine.stream(CHAT, LONG)
        if how == "close":
            await first_text(stream)
            await stream.aclose()
        elif how == "cancel":
            task = asyncio.create_task(collect(vllm_engine, LONG))
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await client.metric("vllm:num_requests_running"):
                    await asyncio.sleep(0.02)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            assert (await collect(vllm_engine, Limits(2_000, 0.5, 2.0)))[-1].finish == "timeout"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await client.metric("vllm:num_requests_running"):
                await asyncio.sleep(0.05)

    async def test_options_have_a_budget_too(self, vllm_engine: VLLMEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agent.llm.vllm.engine.CHOOSE_SECONDS", 0.0001)
        with pytest.raises(EngineTimeout, match=r"within 0\.0001 s"):
            await vllm_engine.choose(CHAT, [" a"] * 8)

    async def test_closing_ends_calls_and_leaves_a_server_that_is_not_ours(
        self, lora_server: VLLMServer, smol_dir: Path, tmp_path: Path, client: VLLMClient
    ) -> None:
        place = Place(url=lora_server.url)
        engine = VLLMEngine("SmolLM2", Backend(str(smol_dir), tmp_path, SETTINGS, place), at_once=1)
        await engine.start()
        await engine.wait_ready(START_SECONDS)
        calls = [asyncio.create_task(collect(engine, LONG)) for _ in range(2)]
        await asyncio.sleep(0.5)
        await engine.close()
        await engine.close()
        for call in calls:
            with pytest.raises(EngineError, match="stopped"):
                await call
        assert engine.status().state == "off"
        assert await client.healthy()


class Road:
    """The way to a server, byte for byte; it can be cut and mended."""

    def __init__(self, url: str) -> None:
        self._host, port = url.removeprefix("http://").split(":")
        self._target = int(port)
        self._road: asyncio.Server | None = None
        self._travelling: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def mend(self) -> None:
        self._road = await asyncio.start_server(self._pass, self._host, self.port)
        self.port = self._road.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        assert self._road is not None
        self._road.close()
        for writer in self._travelling:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._target)
        self._travelling |= {writer, back}
        await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        self._travelling -= {writer, back}

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_a_server_at_a_url_may_go_and_come_back(
    lora_server: VLLMServer, smol_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.llm.vllm.backend.SILENCE_SECONDS", {False: 6.0})
    monkeypatch.setattr("agent.llm.vllm.backend.WATCH_SECONDS", 0.1)
    road = Road(lora_server.url)
    await road.mend()
    place = Place(url=f"http://127.0.0.1:{road.port}")
    engine = VLLMEngine("SmolLM2", Backend(str(smol_dir), tmp_path, SETTINGS, place), at_once=1)
    await engine.start()
    await engine.wait_ready(START_SECONDS)
    stream = engine.stream(CHAT, LONG)
    await first_text(stream)
    await road.cut()
    with pytest.raises(EngineError, match="ended in the middle of the answer"):
        async for _ in stream:
            pass
    async with asyncio.timeout(PATIENCE_SECONDS):
        while engine.status().state == "ready":
            await asyncio.sleep(0.05)
    assert "asked again until it answers" in engine.status().detail
    await road.mend()
    await engine.wait_ready(START_SECONDS)
    assert (await collect(engine))[-1].finish == "length"
    await engine.close()
    await road.cut()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def own(
    vllm_python: Path, smol_dir: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[VLLMEngine]:
    """An engine that has started its server; without adapters and with few tokens, to be there soon."""
    log_file = tmp_path_factory.mktemp("own") / "logs" / "vllm.log"
    backend = Backend(str(smol_dir), models_dir, SETTINGS, Place(python=vllm_python, log_file=log_file), lora=True)
    engine = VLLMEngine("SmolLM2", backend, at_once=1)
    await engine.start()
    try:
        await engine.wait_ready(START_SECONDS)
        yield engine
    finally:
        await engine.close()


async def test_a_killed_server_fails_its_calls_and_comes_back(own: VLLMEngine) -> None:
    server = own._backend._server
    assert server is not None
    assert server.pid is not None
    assert Path(str(server._log_file)).read_text()
    processes = descendants(server.pid)
    assert len(processes) >= 3  # the API, the engine's core, its worker
    stream = own.stream(CHAT, LONG)
    await first_text(stream)
    waiting = asyncio.create_task(collect(own))
    await asyncio.sleep(0)
    (api,) = children(server.pid)  # by descent, not by number: numbers start anew some day
    os.kill(api, signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(EngineError, match="ended in the middle of the answer"):
        async for _ in stream:
            pass
    # It may be called up before we notice, and even reach what the dead process leaves behind of its address.
    with pytest.raises(EngineError, match="is gone|cannot be reached|ended in the middle of the answer"):
        await waiting
    assert time.monotonic() - start < LONG.seconds / 2
    await all_gone(processes | {server.pid})  # also those that a killed parent left behind
    async with asyncio.timeout(PATIENCE_SECONDS):
        while own.status().state != "starting":
            await asyncio.sleep(0.05)
    assert "is gone. It is started again" in own.status().detail
    await own.wait_ready(START_SECONDS)
    assert (await collect(own))[-1].finish == "length"


APP = """
import asyncio, json, pathlib, sys
from agent.llm.vllm.backend import Backend, Place
from agent.llm.vllm.engine import VLLMEngine
from agent.settings import VLLMSettings

async def main():
    place = Place(python=pathlib.Path({python!r}))
    settings = VLLMSettings(gpu_memory_utilization=0.2, compile=False)
    backend = Backend({model!r}, pathlib.Path({folder!r}), settings, place)
    engine = VLLMEngine("any", backend)
    await engine.start()
    while backend._server is None or backend._server.pid is None:
        await asyncio.sleep(0.01)
    sys.stdout.write(json.dumps(backend._server.pid) + "\\n")
    sys.stdout.flush()
    await asyncio.sleep(600)

if __name__ == "__main__":  # the weights are looked for in a process of their own, which imports this again
    asyncio.run(main())
"""


async def test_no_process_outlives_a_killed_app(vllm_python: Path, smol_dir: Path, tmp_path: Path) -> None:
    """Killed in the middle of the start, when vLLM has no handlers yet and its processes appear one by one."""
    script = tmp_path / "app.py"
    script.write_text(APP.format(python=str(vllm_python), model=str(smol_dir), folder=str(tmp_path)))
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])}
    app = await asyncio.create_subprocess_exec(sys.executable, str(script), stdout=subprocess.PIPE, env=env)
    assert app.stdout is not None
    guarding = json.loads(await asyncio.wait_for(app.stdout.readline(), START_SECONDS))
    processes: set[int] = set()
    async with asyncio.timeout(START_SECONDS):
        while len(processes) < 2:  # the API and one of its own
            processes = descendants(guarding)
            await asyncio.sleep(0.05)
    app.kill()
    await app.wait()
    await all_gone(processes | {guarding})


GROUP = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, {handler})
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("handler", ["signal.SIG_DFL", "signal.SIG_IGN"])
async def test_the_guard_ends_the_whole_group(handler: str) -> None:
    """Also one that does not listen, and what it has started."""
    command = [sys.executable, guard.__file__, "0.5", sys.executable, "-c", GROUP.format(handler=handler)]
    process = await asyncio.create_subprocess_exec(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    grandchild = int(await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS))
    processes = descendants(process.pid)
    assert grandchild in processes
    process.send_signal(signal.SIGTERM)  # not its affair: the app is there
    process.send_signal(signal.SIGINT)
    await asyncio.sleep(0.5)
    assert alive(processes) == processes
    process.stdin.close()
    await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
    await all_gone(processes)


async def test_the_guard_ends_with_the_command_and_says_its_code() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, guard.__file__, "5", sys.executable, "-c", "raise SystemExit(3)", stdin=subprocess.PIPE
    )
    assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 3


class TestFailures:
    async def test_a_server_that_cannot_start_says_why(self, vllm_python: Path, smol_dir: Path, tmp_path: Path) -> None:
        broken = SETTINGS.model_copy(update={"gpu_memory_utilization": "much"})
        place = Place(python=vllm_python, log_file=tmp_path / "vllm.log")
        engine = VLLMEngine("SmolLM2", Backend(str(smol_dir), tmp_path, broken, place, lora=True))
        await engine.start()
        waiting = asyncio.create_task(collect(engine))
        with pytest.raises(EngineError, match=r"did not start: .*gpu-memory-utilization.*much"):
            await engine.wait_ready(START_SECONDS)
        assert engine.status().state == "failed"
        assert "\n" not in engine.status().detail
        with pytest.raises(EngineError, match="did not start"):
            await waiting
        with pytest.raises(EngineError, match="did not start"):
            await engine.use_adapter("ada-1")
        await engine.close()

    async def test_a_python_that_is_none(self, smol_dir: Path, tmp_path: Path) -> None:
        place = Place(python=tmp_path / "python", log_file=tmp_path / "vllm.log")
        engine = VLLMEngine("SmolLM2", Backend(str(smol_dir), tmp_path, SETTINGS, place))
        await engine.start()
        with pytest.raises(EngineError, match=r"did not start: .*(FileNotFoundError|No such file)"):
            await engine.wait_ready(START_SECONDS)
        await engine.close()

    async def test_weights_that_cannot_be_had(self, vllm_python: Path, tmp_path: Path) -> None:
        engine = VLLMEngine("any", Backend("no/such/model", tmp_path, SETTINGS, Place(python=vllm_python)))
        with pytest.raises(EngineError, match="has not been started"):
            await collect(engine)
        await engine.start()
        with pytest.raises(EngineError, match="CHATALOGUE_LLM__MODEL"):
            await engine.wait_ready(START_SECONDS)
        assert engine.status().state == "failed"
        await engine.close()

    async def test_a_url_where_nobody_answers_is_asked_again(self, smol_dir: Path, tmp_path: Path) -> None:
        settings = SETTINGS.model_copy(update={"start_timeout_s": 0.2})
        engine = VLLMEngine("any", Backend(str(smol_dir), tmp_path, settings, Place(url="http://127.0.0.1:9")))
        await engine.start()
        async with asyncio.timeout(60):
            while "cannot be reached" not in engine.status().detail:
                await asyncio.sleep(0.05)
        assert engine.status().state in ("starting", "failed")
        assert "asked again" in engine.status().detail
        await engine.close()

    async def test_a_server_with_another_tokenizer_is_refused(
        self, lora_server: VLLMServer, smol_dir: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other"
        other.mkdir()
        for file in smol_dir.iterdir():
            (other / file.name).symlink_to(file)
        (other / "tokenizer.json").unlink()
        tokenizer = json.loads((smol_dir / "tokenizer.json").read_text())
        vocabulary = tokenizer["model"]["vocab"]
        vocabulary["?"], vocabulary[","] = vocabulary[","], vocabulary["?"]
        (other / "tokenizer.json").write_text(json.dumps(tokenizer))
        engine = VLLMEngine("other", Backend(str(other), tmp_path, SETTINGS, Place(url=lora_server.url)))
        await engine.start()
        with pytest.raises(EngineError, match="tokenizer is not that of"):
            await engine.wait_ready(START_SECONDS)
        assert engine.status().state == "failed"
        await engine.close()
