"""A promotion, a rollback and a trial in a running vLLM: eight chats in flight, adapters at run time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from live_swap import CHATS, READY_SECONDS, publish, swap_under_load
from vllm_adapters import Versions

from agent.adapters.live import LiveAdapters
from agent.adapters.registry import AdapterRegistry
from agent.bench import engine_switch
from agent.datadir import DataDirectory
from agent.llm.adapter_store import AdapterStore
from agent.llm.protocol import Limits, Message, Prompt
from agent.llm.vllm.adapters import runtime_router
from agent.llm.vllm.backend import Backend, Place
from agent.llm.vllm.client import VLLMClient
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.histories import PIECE_TOKENS
from agent.llm.vllm.server import VLLMServer
from agent.log.store import EventLog
from agent.settings import VLLMSettings

pytestmark = pytest.mark.asyncio(loop_scope="session")

SAME_CHARS = 30
"""In batches of another size a late token may be rounded otherwise."""


@pytest_asyncio.fixture(loop_scope="session")
async def engine(
    lora_server: VLLMServer, client: VLLMClient, smol_dir: Path, models_dir: Path, tmp_path: Path
) -> AsyncIterator[VLLMEngine]:
    """On the shared server, which is left without adapters."""
    settings = VLLMSettings(max_num_seqs=4, kv_cache_gib=1, gpu_memory_utilization=0.2)
    router = runtime_router(AdapterStore(tmp_path / "engine"), settings)
    backend = Backend(str(smol_dir), models_dir, settings, Place(url=f"{lora_server.url}/v1"), make_router=router)
    engine = VLLMEngine("SmolLM2", backend, at_once=CHATS, max_queue=4 * CHATS)
    await engine.start()
    await engine.wait_ready(READY_SECONDS)
    yield engine
    await engine.close()
    for model in await client.models():
        if model.parent is not None:
            await client.unload_adapter(model.name)


async def test_eight_chats_in_flight_lose_nothing_and_mix_nothing(
    engine: VLLMEngine, smol_dir: Path, models_dir: Path, versions: Versions, tmp_path: Path
) -> None:
    log = EventLog.open(None, tmp_path / "var")
    registry = AdapterRegistry(DataDirectory(tmp_path / "var"), log, "default")
    a, b = (publish(registry, smol_dir, versions.folders[name]) for name in "bc")
    live = LiveAdapters(engine, registry, log, "default", setting="starter", model=str(smol_dir), models_dir=models_dir)
    async with live.at_work():
        await swap_under_load(engine, live, registry, (a, b), lambda text: text[:SAME_CHARS])
    log.close()


async def test_a_new_adapter_has_read_what_chats_asked_before(
    engine: VLLMEngine, client: VLLMClient, versions: Versions
) -> None:
    system = Message("system", "You help customers to choose a film. Use only the facts. " * 12)

    async def known(adapter: str) -> float:
        before = await client.metric("vllm:prefix_cache_hits_total")
        prompt = Prompt((system, Message("user", "Something else, please.")))
        await engine.judge(prompt, ("Fits:",), (" yes", " no"), adapter)
        return await client.metric("vllm:prefix_cache_hits_total") - before

    await engine.load_adapter("ada-read-1", versions.folders["a"])
    await engine.use_adapter("ada-read-1")
    async for _ in engine.stream(Prompt((system, Message("user", "A film about the sea."))), Limits(max_tokens=2)):
        pass
    await engine.load_adapter("ada-read-2", versions.folders["b"])
    assert await known("ada-read-2") >= 2 * PIECE_TOKENS


async def test_the_pause_of_a_switch_is_measured_under_load(
    engine: VLLMEngine, versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for the embedded engine; 2 s for what a busy machine does to either window."""
    monkeypatch.setattr(engine_switch, "WINDOW_S", 0.5)
    pauses = await engine_switch.measure_pauses(engine, versions.folders["b"], rounds=3)
    assert pauses.prepared_s.n == pauses.longest_gap.n == pauses.arriving.n == 3
    assert 0 < pauses.longest_gap_switching.median < 3 * pauses.longest_gap.median + 2_000
    assert 0 < pauses.arriving_switched.median < 3 * pauses.arriving.median + 2_000
