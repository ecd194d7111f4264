"""What we say to a real vLLM server, and what never gets that far."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import pytest_asyncio
from llm_chat import CHAT

from agent.llm.model import LoadedModel
from agent.llm.vllm.client import Sampling, VLLMClient
from agent.llm.vllm.server import VLLMServer
from retrieval.errors import EngineError

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "a-long-secret"  # noqa: S105 -- of this test


async def made(client: VLLMClient, ids: list[int], sampling: Sampling, model: str = "base") -> list[int]:
    return [token async for piece in client.complete(model, ids, sampling) for token in piece.ids]


async def falls_silent(client: VLLMClient, seconds: float = 120.0) -> None:
    """Return when nothing runs on the server any more."""
    async with asyncio.timeout(seconds):
        while await client.metric("vllm:num_requests_running"):
            await asyncio.sleep(0.05)


class TestRealServer:
    async def test_says_what_it_serves(self, client: VLLMClient, lora_server: VLLMServer, smol_dir: Path) -> None:
        assert await client.healthy()
        (base,) = [model for model in await client.models() if model.parent is None]
        assert (base.name, base.root, base.max_model_len) == ("base", str(smol_dir), 4097)
        assert lora_server.url.startswith("http://127.0.0.1:")

    async def test_tokens_end_with_the_one_that_stopped_them(self, client: VLLMClient, smol: LoadedModel) -> None:
        ids = smol.renderer.encode(CHAT)
        pieces = [piece async for piece in client.complete("base", ids, Sampling(60, stop_ids=smol.stop_ids))]
        tokens = [token for piece in pieces for token in piece.ids]
        assert pieces[-1].finish == "stop"
        assert tokens[-1] in smol.stop_ids
        assert not smol.stop_ids.intersection(tokens[:-1])
        assert len(pieces) > 3

    async def test_log_probabilities_of_a_batch_beside_a_running_answer(
        self, client: VLLMClient, smol: LoadedModel
    ) -> None:
        """With LoRA on the output layer vLLM's engine dies of this; see server.lora_arguments."""
        ids = smol.renderer.encode(CHAT)
        async with aclosing(client.complete("base", ids, Sampling(500, temperature=2.0))) as running:
            await anext(running)
            both = await client.prompt_logprobs("base", [ids, ids[:-5]])
            await anext(running)
        assert [len(row) for row in both] == [len(ids), len(ids) - 5]
        assert all(math.isnan(row[0]) for row in both)
        assert all(value <= 0 for row in both for value in row[1:])
        (alone,) = await client.prompt_logprobs("base", [ids])
        assert alone[1:] == pytest.approx(both[0][1:], abs=0.2)

    async def test_an_iterator_that_is_closed_stops_the_model(self, client: VLLMClient, smol: LoadedModel) -> None:
        """It would run for minutes."""
        await falls_silent(client)
        running = client.complete("base", smol.renderer.encode(CHAT), Sampling(3_000, temperature=2.0))
        await anext(running)
        assert await client.metric("vllm:num_requests_running") == 1
        await running.aclose()
        await falls_silent(client)

    async def test_refusals_are_sentences(self, client: VLLMClient, smol: LoadedModel) -> None:
        with pytest.raises(EngineError, match="HTTP 404.*nothing"):
            await made(client, [1], Sampling(1), "nothing")
        with pytest.raises(EngineError, match="HTTP 400.*context length"):
            await made(client, [1] * 5_000, Sampling(1))
        with pytest.raises(EngineError, match="grammar cannot be read"):
            await made(client, [1], Sampling(1, grammar="root ::= nothing"))
        with pytest.raises(EngineError, match="HTTP 404"):
            await client.unload_adapter("ada-never")
        assert await client.healthy()


class Recorder(BaseHTTPRequestHandler):
    """Answers everything with a web page, and remembers what came."""

    asked: list[tuple[str, str | None]]

    def do_POST(self) -> None:
        self.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<p>Hello")

    do_GET = do_POST

    def log_message(self, *args: object) -> None:
        pass


@pytest_asyncio.fixture(loop_scope="session")
async def stranger() -> AsyncIterator[VLLMClient]:
    """A client of something that is no vLLM."""
    Recorder.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    Thread(target=server.serve_forever, daemon=True).start()
    client = VLLMClient(f"http://127.0.0.1:{server.server_port}", SECRET)
    yield client
    await client.close()
    server.shutdown()
    server.server_close()


class TestNotSent:
    @pytest.mark.parametrize("path", ["ada-1", "../ada-1", "owner/adapter", ""])
    async def test_a_relative_path(self, stranger: VLLMClient, path: str) -> None:
        """Of the hub, as vLLM understands it."""
        with pytest.raises(EngineError, match="absolute path"):
            await stranger.load_adapter("ada-1", Path(path))
        assert Recorder.asked == []

    @pytest.mark.parametrize("name", ["../up", "/etc", "Ada 1", "", "a" * 65, "ada\n1"])
    async def test_a_name_that_is_none(self, stranger: VLLMClient, name: str) -> None:
        with pytest.raises(EngineError, match="no adapter name"):
            await stranger.load_adapter(name, Path("/adapters/1"))
        with pytest.raises(EngineError, match="no adapter name"):
            await stranger.unload_adapter(name)
        assert Recorder.asked == []


async def test_something_that_is_no_vllm_is_said(stranger: VLLMClient) -> None:
    with pytest.raises(EngineError, match="is the address that of a vLLM server"):
        await stranger.models()
    with pytest.raises(EngineError, match="without saying why"):
        await made(stranger, [1], Sampling(1))
    assert ("/v1/models", f"Bearer {SECRET}") in Recorder.asked


async def test_a_proxy_of_the_environment_is_not_asked(stranger: VLLMClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", stranger.url)
    monkeypatch.setenv("ALL_PROXY", stranger.url)
    client = VLLMClient("http://127.0.0.1:9")  # nobody listens there
    assert not await client.healthy()
    with pytest.raises(EngineError, match="cannot be reached"):
        await client.models()
    await client.close()
    assert Recorder.asked == []
