"""One vLLM server for the whole session: SmolLM2, adapters at run time. Tests that break a server start their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from vllm_adapters import Versions

from agent.llm.adapter_store import AdapterStore
from agent.llm.probe import compute_probe, save_probe
from agent.llm.vllm.adapters import runtime_router
from agent.llm.vllm.backend import Backend, Place
from agent.llm.vllm.client import VLLMClient
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.server import VLLMServer
from agent.settings import VLLMSettings
from tests.parts import need

START_SECONDS = 500.0
"""The very first start of an installation compiles; a machine full of neighbours is slow."""
SERVED = "base"
VLLM = VLLMSettings(max_num_seqs=4, kv_cache_gib=1, gpu_memory_utilization=0.2)


@pytest.fixture(scope="session")
def vllm_python() -> Path:
    return need("vllm")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def lora_server(
    vllm_python: Path, smol_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[VLLMServer]:
    """The shared server, ready; leave it without adapters of yours."""
    server = VLLMServer(
        vllm_python,
        smol_dir,
        settings=VLLM,
        lora=True,
        served_name=SERVED,
        max_model_len=4097,
        log_file=tmp_path_factory.mktemp("vllm") / "vllm.log",
    )
    await server.start()
    try:
        await server.wait_ready(START_SECONDS)
        yield server
    finally:
        await server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def client(lora_server: VLLMServer) -> AsyncIterator[VLLMClient]:
    client = VLLMClient(lora_server.url)
    yield client
    await client.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_engine(
    lora_server: VLLMServer, smol_dir: Path, models_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[VLLMEngine]:
    """The engine on the shared server, which it finds by URL; one call more than two waits, two may wait."""
    store = AdapterStore(tmp_path_factory.mktemp("engine"))
    place = Place(url=f"{lora_server.url}/v1")
    backend = Backend(str(smol_dir), models_dir, VLLM, place, make_router=runtime_router(store, VLLM))
    engine = VLLMEngine("SmolLM2", backend, at_once=2, max_queue=2)
    await engine.start()
    await engine.wait_ready(START_SECONDS)
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def versions(smol_dir: Path, make_lora: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Versions:
    """Three adapters, made once; "a" without a probe.json."""
    root = tmp_path_factory.mktemp("versions")
    folders = {key: make_lora(smol_dir, root / key, seed=n, strength=0.07) for n, key in enumerate("abc")}
    probes = {key: compute_probe(smol_dir, folder) for key, folder in folders.items()}
    for key in "bc":
        save_probe(probes[key], folders[key])
    return Versions(folders, probes)
