"""Adapters loaded into a real vLLM at run time, and what never gets so far."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from safetensors.torch import load_file, save_file
from vllm_adapters import Versions

from agent.llm.adapter_store import AdapterStore
from agent.llm.probe import Probe, distance, judge, save_probe
from agent.llm.vllm.adapters import AdapterRouter, measure
from agent.llm.vllm.client import Sampling, VLLMClient
from agent.llm.vllm.histories import PIECE_TOKENS, Histories
from agent.llm.vllm.server import VLLMServer
from agent.llm.vllm.shelf import Shelf
from agent.settings import VLLMSettings
from retrieval.errors import EngineError

pytestmark = pytest.mark.asyncio(loop_scope="session")

SERVED = "base"
VLLM = VLLMSettings(max_num_seqs=4, kv_cache_gib=1, gpu_memory_utilization=0.2)
HELLO = (504, 28, 339)
"""Token ids of the model's; any would do."""


@pytest.fixture
def make_router(smol_dir: Path, tmp_path: Path, client: VLLMClient) -> Callable[..., AdapterRouter]:
    def make(
        client: VLLMClient = client, base: Path = smol_dir, max_loaded: int = 4, histories: Histories | None = None
    ) -> AdapterRouter:
        shelf = Shelf(AdapterStore(tmp_path / "store"), base, max_rank=16)
        return AdapterRouter(client, lambda: SERVED, shelf, max_loaded=max_loaded, histories=histories)

    return make


@pytest_asyncio.fixture(loop_scope="session")
async def router(make_router: Callable[..., AdapterRouter], client: VLLMClient) -> AsyncIterator[AdapterRouter]:
    """On the shared server, which is left without adapters."""
    yield make_router()
    await forget_all(client)


def kill(server: VLLMServer) -> None:
    """All of vLLM's processes at once; the guard that holds them notices."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    os.killpg(int(children.split()[0]), signal.SIGKILL)


async def forget_all(client: VLLMClient) -> None:
    for name in await served(client) - {SERVED}:
        await client.unload_adapter(name)


async def served(client: VLLMClient) -> set[str]:
    return {model.name for model in await client.models()}


async def answer_of(client: VLLMClient, name: str, tokens: int = 12) -> list[int]:
    ids: list[int] = []
    async for piece in client.complete(name, HELLO, Sampling(tokens)):
        ids += piece.ids
    return ids


async def test_load_probe_flip_and_back(router: AdapterRouter, client: VLLMClient, versions: Versions) -> None:
    plain = await answer_of(client, SERVED)
    await router.load("ada-1", versions.folders["a"])
    (loaded,) = [model for model in await client.models() if model.parent == SERVED]
    assert loaded.name == "ada-1"
    assert Path(loaded.root).is_absolute()
    assert not Path(loaded.root).is_relative_to(versions.folders["a"])
    async with router.lease() as lease:
        assert lease.model == SERVED  # loaded is not used
    await router.use("ada-1")
    assert (router.current, router.names()) == ("ada-1", ("ada-1",))
    async with router.lease() as lease:
        assert lease.model == "ada-1"
        measured = await measure(lease.client, lease.model, versions.probes["a"])
    base = await measure(client, SERVED, versions.probes["a"])
    judge(versions.probes["a"], base, measured)
    assert distance(base, measured).mean > 0.5
    await router.use(None)
    async with router.lease() as lease:
        assert lease.model == SERVED
    assert await answer_of(client, SERVED) == plain
    await router.use("ada-1")
    assert router.current == "ada-1"


async def test_what_chats_may_go_on_with_is_read_before_an_adapter_answers_them(
    make_router: Callable[..., AdapterRouter], client: VLLMClient, versions: Versions
) -> None:
    histories, talk = Histories(), HELLO * 100
    histories.note(talk)
    router = make_router(histories=histories)

    async def known_to(name: str) -> float:
        before = await client.metric("vllm:prefix_cache_hits_total")
        async for _ in client.complete(name, (*talk, *HELLO), Sampling(1)):
            pass
        return await client.metric("vllm:prefix_cache_hits_total") - before

    try:
        await router.load("ada-1", versions.folders["a"])
        await router.use("ada-1")
        await router.load("ada-2", versions.folders["b"])  # for a trial, or to be used
        assert await known_to("ada-2") >= 2 * PIECE_TOKENS
        assert await known_to("ada-1") == 0, "beside calls of the base each piece would wait for them"
    finally:
        await forget_all(client)


async def test_a_call_in_flight_keeps_its_version_and_holds_its_place(
    make_router: Callable[..., AdapterRouter], client: VLLMClient, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.llm.vllm.shelf.DRAIN_SECONDS", 600.0)  # a machine full of neighbours is slow
    router = make_router(max_loaded=2)
    try:
        await router.load("ada-1", versions.folders["a"])
        await router.use("ada-1")
        alone = await answer_of(client, "ada-1", 60)
        async with router.lease() as old:
            stream = old.client.complete(old.model, HELLO, Sampling(60))
            ids, finish = list((await anext(stream)).ids), None
            await router.load("ada-2", versions.folders["b"])
            await router.use("ada-2")
            async with router.lease() as new:
                assert (old.model, new.model) == ("ada-1", "ada-2")
            making_room = asyncio.create_task(router.load("ada-3", versions.folders["c"]))
            async for piece in stream:
                ids += piece.ids
                finish = piece.finish
                assert "ada-1" in await served(client)
            assert not making_room.done()
        await making_room
        # The whole answer came, from the old version; in batches of another size a late token may be rounded otherwise.
        assert finish is not None
        assert ids[:4] == alone[:4]
        assert await served(client) == {SERVED, "ada-2", "ada-3"}
        # Rolled back to the version that had to go: it is loaded again, and the idle one makes room.
        await router.use("ada-1")
        assert await served(client) == {SERVED, "ada-1", "ada-2"}
        assert router.names() == ("ada-1", "ada-2", "ada-3")
    finally:
        await forget_all(client)


async def test_a_call_names_its_adapter(
    make_router: Callable[..., AdapterRouter], client: VLLMClient, versions: Versions
) -> None:
    """Champion, canary and base answer side by side; a canary that had to leave the server comes back for its call."""
    router = make_router(max_loaded=2)
    try:
        await router.load("ada-1", versions.folders["a"])
        await router.load("ada-2", versions.folders["b"])
        await router.use("ada-1")
        async with router.lease() as champion, router.lease("ada-2") as canary:
            assert (champion.model, canary.model) == ("ada-1", "ada-2")
        async with router.lease(None) as base:
            assert base.model == SERVED
        with pytest.raises(EngineError, match="No adapter 'ada-none' is loaded"):
            async with router.lease("ada-none"):
                pass
        await router.load("ada-3", versions.folders["c"])
        assert await served(client) == {SERVED, "ada-1", "ada-3"}
        async with router.lease("ada-2") as canary:
            assert canary.model == "ada-2"
            assert await served(client) == {SERVED, "ada-1", "ada-2"}
        assert router.current == "ada-1"
    finally:
        await forget_all(client)


async def test_no_room_is_a_refusal(
    make_router: Callable[..., AdapterRouter], client: VLLMClient, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.llm.vllm.shelf.DRAIN_SECONDS", 0.2)
    router = make_router(max_loaded=2)
    try:
        await router.load("ada-1", versions.folders["a"])
        await router.load("ada-2", versions.folders["b"])
        await router.use("ada-1")
        async with router.lease():
            await router.use("ada-2")
            with pytest.raises(EngineError, match="'ada-1' is still answering"):
                await router.load("ada-3", versions.folders["c"])
        assert await served(client) == {SERVED, "ada-1", "ada-2"}
        stranger = make_router(max_loaded=2)
        with pytest.raises(EngineError, match="keeps 2 adapters already and none of them can go"):
            await stranger.load("ada-3", versions.folders["c"])
    finally:
        await forget_all(client)


async def test_the_operators_folder_may_go(
    router: AdapterRouter, client: VLLMClient, versions: Versions, tmp_path: Path
) -> None:
    folder = shutil.copytree(versions.folders["a"], tmp_path / "operators")
    await router.load("ada-1", folder)
    shutil.rmtree(folder)
    await client.unload_adapter("ada-1")
    await router.use("ada-1")  # read from disk again
    assert await answer_of(client, "ada-1", 2)
    assert await client.healthy()


async def test_changed_files_of_the_store_are_not_loaded_again(
    router: AdapterRouter, client: VLLMClient, versions: Versions, tmp_path: Path
) -> None:
    await router.load("ada-1", versions.folders["a"])
    await client.unload_adapter("ada-1")
    weights = tmp_path / "store" / "ada-1" / "adapter_model.safetensors"
    weights.chmod(0o644)
    shutil.copy(versions.folders["b"] / weights.name, weights)
    with pytest.raises(EngineError, match="'ada-1' is damaged"):
        await router.use("ada-1")
    assert await served(client) == {SERVED}
    assert router.current is None


class TestRefused:
    """And the server is as it was; see test_adapters_refused.py for what does not get as far as this."""

    async def test_nan_leaves_the_server_as_it_was(
        self, router: AdapterRouter, client: VLLMClient, versions: Versions, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(versions.folders["a"], tmp_path / "nan")
        weights = load_file(folder / "adapter_model.safetensors")
        save_file({k: v * float("nan") for k, v in weights.items()}, folder / "adapter_model.safetensors")
        before = await answer_of(client, SERVED)
        with pytest.raises(EngineError, match="NaN"):
            await router.load("ada-nan", folder)
        assert await served(client) == {SERVED}
        assert [await answer_of(client, SERVED) for _ in range(3)] == [before] * 3

    async def test_what_the_probe_finds_is_unloaded(
        self, router: AdapterRouter, client: VLLMClient, versions: Versions, tmp_path: Path
    ) -> None:
        """An adapter that answers otherwise than its trainer said: here, for another one's probe."""
        folder = shutil.copytree(versions.folders["a"], tmp_path / "wrong")
        save_probe(versions.probes["b"], folder)
        before = await answer_of(client, SERVED)
        with pytest.raises(EngineError, match="server's adapter is not what PEFT computes"):
            await router.load("ada-wrong", folder)
        assert await served(client) == {SERVED}
        assert (router.names(), router.current) == ((), None)
        assert await answer_of(client, SERVED) == before

    async def test_another_base(
        self, router: AdapterRouter, client: VLLMClient, versions: Versions, tmp_path: Path
    ) -> None:
        folder = shutil.copytree(versions.folders["a"], tmp_path / "other")
        rows = [replace(c, base=tuple(v - 0.5 for v in c.base)) for c in versions.probes["a"].canaries]
        save_probe(Probe(tuple(rows)), folder)
        with pytest.raises(EngineError, match="server's base is not what PEFT computes"):
            await router.load("ada-other", folder)
        assert await served(client) == {SERVED}

    async def test_a_name_twice(self, router: AdapterRouter, client: VLLMClient, versions: Versions) -> None:
        await router.load("ada-1", versions.folders["a"])
        with pytest.raises(EngineError, match="was used before"):
            await router.load("ada-1", versions.folders["a"])
        await router.use("ada-1")
        assert await served(client) == {SERVED, "ada-1"}


async def test_killed_and_restored(
    vllm_python: Path,
    smol_dir: Path,
    make_router: Callable[..., AdapterRouter],
    versions: Versions,
    tmp_path: Path,
) -> None:
    """A new server has forgotten all: the version in use answers again, one whose files have changed does not."""

    def server() -> VLLMServer:
        return VLLMServer(vllm_python, smol_dir, settings=VLLM, lora=True, served_name=SERVED, max_model_len=1024)

    first, second = server(), server()
    client = VLLMClient("http://127.0.0.1:9")
    router = make_router(client, max_loaded=2)
    try:
        await first.start()
        await first.wait_ready(500)
        client.move_to(first.url)
        for name, key in (("ada-1", "a"), ("ada-2", "b"), ("ada-3", "c")):
            await router.load(name, versions.folders[key])
        await router.use("ada-2")
        kill(first)
        await first.wait_gone()
        with pytest.raises(EngineError):
            await router.restore()
        assert (router.current, router.names()) == ("ada-2", ("ada-1", "ada-2", "ada-3"))  # nothing is lost by that
        await first.stop()
        await second.start()
        await second.wait_ready(500)
        client.move_to(second.url)
        weights = tmp_path / "store" / "ada-1" / "adapter_model.safetensors"
        weights.chmod(0o644)
        weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
        assert await router.restore() == ("ada-1",)
        assert (router.current, router.names()) == ("ada-2", ("ada-2", "ada-3"))
        assert await served(client) == {SERVED, "ada-2", "ada-3"}
        async with router.lease() as lease:
            measured = await measure(lease.client, lease.model, versions.probes["b"])
        judge(versions.probes["b"], None, measured)
    finally:
        await client.close()
        await first.stop()
        await second.stop()
