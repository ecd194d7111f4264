"""Merged weights: what is written, and the change from one real vLLM server to the next."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from agent.llm.adapter_store import AdapterStore
from agent.llm.probe import compute_probe, judge, read_probe, save_probe
from agent.llm.protocol import Chunk, Limits, Message, Prompt
from agent.llm.vllm.adapters import measure
from agent.llm.vllm.backend import Backend, Place
from agent.llm.vllm.engine import VLLMEngine
from agent.llm.vllm.merged import MergedRouter, merged_router
from agent.llm.vllm.merging import write_merged
from agent.settings import VLLMSettings
from retrieval.errors import EngineError

READY_SECONDS = 500.0
ASKED = Prompt((Message("user", "Hello!"),))


@pytest.fixture(scope="session")
def small_dir(smol_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two random layers of a shape that vLLM's attention takes, in bfloat16: its server starts in the least time."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("small")
    config = LlamaConfig(
        vocab_size=49_152,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=1_024,
        initializer_range=0.1,
        eos_token_id=2,
        pad_token_id=2,
        tie_word_embeddings=True,
    )
    torch.manual_seed(7)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(smol_dir).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def small_lora(make_lora: Callable[..., Path], small_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_lora(small_dir, tmp_path_factory.mktemp("small-lora") / "ada-1", strength=0.3)
    save_probe(compute_probe(small_dir, folder), folder)
    return folder


class TestWriting:
    def test_as_peft_merges(self, small_dir: Path, small_lora: Path, tmp_path: Path) -> None:
        """PEFT's own merge in float32, rounded once."""
        import peft
        from transformers import AutoModelForCausalLM

        target = tmp_path / "merged" / "ada-1"
        write_merged(small_dir, small_lora, target)
        net = AutoModelForCausalLM.from_pretrained(small_dir, dtype=torch.float32)
        merged = peft.PeftModel.from_pretrained(net, small_lora).merge_and_unload().state_dict()
        base, ours = load_file(small_dir / "model.safetensors"), load_file(target / "model.safetensors")
        assert set(ours) == set(base)
        changed = {key for key in ours if not torch.equal(ours[key], base[key])}
        assert changed == {
            f"model.layers.{n}.{part}.weight"
            for n in (0, 1)
            for part in ("self_attn.q_proj", "self_attn.v_proj", "mlp.down_proj")
        }
        for key, tensor in ours.items():
            assert tensor.dtype == torch.bfloat16
            # One unit in the last place: the sum is rounded here and there from another order of additions.
            torch.testing.assert_close(tensor.float(), merged[key].to(torch.bfloat16).float(), rtol=2**-7, atol=1e-6)
        copied = {path.name for path in small_dir.iterdir()} - {"manifest.json"}
        assert {path.name for path in target.iterdir()} == copied | {"manifest.json"}

    def test_written_once_and_again_for_another_base(self, small_dir: Path, small_lora: Path, tmp_path: Path) -> None:
        base = shutil.copytree(small_dir, tmp_path / "base")
        target = tmp_path / "ada-1"
        write_merged(base, small_lora, target)
        first = (target / "model.safetensors").stat().st_ino
        write_merged(base, small_lora, target)
        assert (target / "model.safetensors").stat().st_ino == first
        weights = load_file(base / "model.safetensors")
        save_file({key: tensor * 2 for key, tensor in weights.items()}, base / "model.safetensors", {"format": "pt"})
        write_merged(base, small_lora, target)
        again = load_file(target / "model.safetensors")
        key = "model.embed_tokens.weight"
        assert torch.equal(again[key], weights[key] * 2)

    def test_half_written_weights_are_written_again(self, small_dir: Path, small_lora: Path, tmp_path: Path) -> None:
        target = tmp_path / "ada-1"
        write_merged(small_dir, small_lora, target)
        whole = (target / "model.safetensors").read_bytes()
        (target / "model.safetensors").write_bytes(whole[:-100])
        write_merged(small_dir, small_lora, target)
        assert (target / "model.safetensors").read_bytes() == whole
        assert [path.name for path in tmp_path.iterdir()] == ["ada-1"]


async def test_servers_change_places(
    vllm_python: Path,
    small_dir: Path,
    small_lora: Path,
    make_lora: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Base, adapter, killed and restored, back to the base; a refused one and a stream in flight on the way."""
    settings = VLLMSettings(
        max_num_seqs=4, kv_cache_gib=1, gpu_memory_utilization=0.2, max_model_len=512, compile=False
    )
    store = AdapterStore(tmp_path / "store")
    place = Place(python=vllm_python, log_file=tmp_path / "vllm.log")
    backend = Backend(str(small_dir), tmp_path / "models", settings, place, make_router=merged_router(store))
    engine = VLLMEngine("small", backend)
    try:
        await engine.start()
        await engine.wait_ready(READY_SECONDS)
        router = backend.router
        assert isinstance(router, MergedRouter)
        await refuse_without_a_server(engine, backend, small_lora, tmp_path)
        await engine.load_adapter("ada-1", small_lora)
        assert await engine.list_adapters() == ("ada-1",)
        base_server = backend._server
        assert base_server is not None
        async with router.lease() as old:
            switching = asyncio.create_task(engine.use_adapter("ada-1"))
            while engine.status().adapter is None and not switching.done():
                assert await backend.client.models()  # the server before answers while the next one starts
                await asyncio.sleep(0.2)
            # Flipped: new calls go to the new server, the old one waits for the call in flight.
            async with router.lease() as new:
                assert (old.model, new.model) == ("base", "ada-1")
                assert old.client.url != new.client.url
            assert base_server.alive
            assert await old.client.models()
            assert not switching.done()
        await switching
        assert not base_server.alive
        await assert_is_adapter(router, small_lora)
        async with router.lease("ada-1") as lease:
            assert lease.model == "ada-1"
        with pytest.raises(EngineError, match="The base model cannot answer beside 'ada-1'"):
            async with router.lease(None):
                pass

        server = backend._server
        assert server is not None
        kill_group(server.pid)
        while engine.status().state == "ready":
            await asyncio.sleep(0.05)
        await engine.wait_ready(READY_SECONDS)
        assert engine.status().adapter == "ada-1"
        await assert_is_adapter(router, small_lora)

        await engine.use_adapter(None)
        assert engine.status().adapter is None
        async with router.lease() as lease:
            assert lease.model == "base"
        last = [chunk async for chunk in engine.stream(ASKED, Limits(max_tokens=4))][-1]
        assert isinstance(last, Chunk)
        assert last.finish is not None
        with pytest.raises(EngineError, match="'ada-1' is loaded"):
            store.remove("ada-1")
    finally:
        await engine.close()


async def refuse_without_a_server(engine: VLLMEngine, backend: Backend, good: Path, tmp_path: Path) -> None:
    """A bad one is neither stored nor merged, and no server is started for it."""
    bad = shutil.copytree(good, tmp_path / "bad")
    tensors = load_file(bad / "adapter_model.safetensors")
    save_file({key: tensor * float("nan") for key, tensor in tensors.items()}, bad / "adapter_model.safetensors")
    before = backend._server
    with pytest.raises(EngineError, match="NaN"):
        await engine.load_adapter("ada-nan", bad)
    with pytest.raises(EngineError, match="No adapter 'ada-nan' is loaded"):
        await engine.use_adapter("ada-nan")
    assert not list((tmp_path / "store").glob("*nan*"))
    assert backend._server is before


async def assert_is_adapter(router: MergedRouter, folder: Path) -> None:
    probe = read_probe(folder)
    assert probe is not None
    async with router.lease() as lease:
        assert lease.model == "ada-1"
        judge(probe, None, await measure(lease.client, lease.model, probe))


def kill_group(guard: int | None) -> None:
    children = Path(f"/proc/{guard}/task/{guard}/children").read_text()
    os.killpg(int(children.split()[0]), signal.SIGKILL)
