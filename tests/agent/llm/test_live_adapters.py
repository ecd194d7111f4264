"""A promotion and a rollback in a running engine: a real model, real LoRAs, eight chats in flight."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from live_swap import CHATS, READY_SECONDS, Chats, publish, swap_under_load

from agent.adapters.live import LiveAdapters
from agent.adapters.registry import AdapterRegistry
from agent.datadir import DataDirectory
from agent.llm.embedded import EmbeddedEngine
from agent.log.store import EventLog


@asynccontextmanager
async def running(base: Path, models_dir: Path) -> AsyncIterator[EmbeddedEngine]:
    engine = EmbeddedEngine(str(base), models_dir, max_queue=4 * CHATS)
    await engine.start()
    try:
        await engine.wait_ready(READY_SECONDS)
        yield engine
    finally:
        await engine.close()


async def test_eight_chats_in_flight_lose_nothing_and_mix_nothing(
    tiny_dir: Path, models_dir: Path, make_lora: Callable[..., Path], tmp_path: Path
) -> None:
    log = EventLog.open(None, tmp_path / "var")
    registry = AdapterRegistry(DataDirectory(tmp_path / "var"), log, "default")
    a, b = (publish(registry, tiny_dir, make_lora(tiny_dir, tmp_path / str(n), n, 0.3)) for n in (1, 2))
    async with running(tiny_dir, models_dir) as engine:
        live = LiveAdapters(
            engine, registry, log, "default", setting="starter", model=str(tiny_dir), models_dir=models_dir
        )
        async with live.at_work():
            await swap_under_load(engine, live, registry, (a, b), str)
            standing = await Chats(live, engine).ask()

            shutil.copy(registry.folder(a) / "adapter_model.safetensors", tmp_path / "kept")
            bad = json.loads((registry.folder(a) / "adapter_config.json").read_text())
            bad["use_dora"] = True  # a LoRA that no engine of ours serves
            source = tmp_path / "bad"
            source.mkdir()
            (source / "adapter_config.json").write_text(json.dumps(bad))
            shutil.copy(tmp_path / "kept", source / "adapter_model.safetensors")
            registry.promote(publish(registry, tiny_dir, source))
            async with asyncio.timeout(60):
                while not live.problem:
                    await asyncio.sleep(0.02)
            assert "use_dora" in live.problem
            assert await Chats(live, engine).ask() == standing
    log.close()
