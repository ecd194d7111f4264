"""Adapters that never reach vLLM: not the file, not the call. Needs no server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bad_adapters import CONFIGS, TENSORS

from agent.llm.adapter_store import AdapterStore
from agent.llm.vllm.adapters import AdapterRouter
from agent.llm.vllm.client import VLLMClient
from agent.llm.vllm.shelf import Shelf
from retrieval.errors import EngineError


class RecordingClient(VLLMClient):
    """Reaches no server; remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")
        self.asked: list[str] = []

    async def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> object:
        self.asked.append(path)
        raise EngineError("no server")


@pytest_asyncio.fixture
async def client() -> AsyncIterator[RecordingClient]:
    client = RecordingClient()
    yield client
    await client.close()


@pytest.fixture
def router(client: RecordingClient, tiny_dir: Path, tmp_path: Path) -> AdapterRouter:
    shelf = Shelf(AdapterStore(tmp_path / "store"), tiny_dir, max_rank=16)
    return AdapterRouter(client, lambda: "base", shelf, max_loaded=4)


async def test_a_good_one_gets_as_far_as_the_server(
    router: AdapterRouter, client: RecordingClient, tiny_lora: Path
) -> None:
    """So that the silence below says something."""
    with pytest.raises(EngineError, match="no server"):
        await router.load("good", tiny_lora)
    assert client.asked[0] == "/v1/models"
    assert router.names() == ()


@pytest.mark.parametrize("what", [*CONFIGS, *TENSORS])
async def test_by_the_check(
    router: AdapterRouter, client: RecordingClient, edit_lora: Callable[..., Path], tmp_path: Path, what: str
) -> None:
    folder = edit_lora(config=CONFIGS[what][0]) if what in CONFIGS else edit_lora(tensors=TENSORS[what][0])
    with pytest.raises(EngineError, match="is refused"):
        await router.load("bad", folder)
    assert client.asked == []
    assert router.names() == ()
    assert not (tmp_path / "store").exists()


async def test_pickles_and_links(
    router: AdapterRouter, client: RecordingClient, edit_lora: Callable[..., Path], tmp_path: Path
) -> None:
    folder = edit_lora()
    weights = folder / "adapter_model.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="leads out of its folder"):
        await router.load("linked", folder)
    weights.unlink()
    (tmp_path / "elsewhere").rename(folder / "adapter_model.bin")
    with pytest.raises(EngineError, match="is a pickle"):
        await router.load("pickled", folder)
    assert client.asked == []


@pytest.mark.parametrize("alpha", [1e30, 10**400, 4_097])
async def test_a_scale_that_overflows(
    router: AdapterRouter, client: RecordingClient, edit_lora: Callable[..., Path], alpha: float
) -> None:
    """Each number is finite, what they give is not: vLLM multiplies the scale into B."""
    with pytest.raises(EngineError, match="lora_alpha at most 4096"):
        await router.load("huge", edit_lora(config={"lora_alpha": alpha}))
    assert client.asked == []


@pytest.mark.parametrize("name", ["../x", "/abs/x", "Ada", "", "a/b"])
async def test_names(router: AdapterRouter, client: RecordingClient, tiny_lora: Path, name: str) -> None:
    with pytest.raises(EngineError, match="is no adapter name"):
        await router.load(name, tiny_lora)
    with pytest.raises(EngineError, match="No adapter"):
        await router.use(name)
    assert client.asked == []
